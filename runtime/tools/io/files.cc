// POSIX files; every failure names the file and says what the system said.
#include "runtime/tools/io/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "runtime/tools/io/error.h"

namespace qrt::io {
namespace {

[[noreturn]] void cannot_read(const std::string& path, const std::string& why) {
  throw ToolError(401, path + ": cannot be read: " + why + "; check the path and its permissions");
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// Opens a regular file and returns its size.
uint64_t open_regular(const std::string& path, Descriptor& out) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  out.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (out.fd < 0) cannot_read(path, std::strerror(errno));
  struct stat info {};
  if (::fstat(out.fd, &info) != 0) cannot_read(path, std::strerror(errno));
  if (S_ISDIR(info.st_mode)) cannot_read(path, "it is a directory, a file is needed");
  if (!S_ISREG(info.st_mode)) cannot_read(path, "it is not a regular file");
  return static_cast<uint64_t>(info.st_size);
}

// Names of the partial files on disk, where a signal handler can reach them. An output beyond the
// last slot, or with a longer name, merely stays behind when the user interrupts.
constexpr size_t kSlots = 16, kLongest = 1024;
char g_partials[kSlots][kLongest];

void remember(const std::string& path) {
  for (auto& slot : g_partials) {
    if (slot[0] != 0 || path.empty() || path.size() >= kLongest) continue;
    std::memcpy(slot + 1, path.c_str() + 1, path.size());
    slot[0] = path[0];  // last: from here on the slot counts
    return;
  }
}

void forget(const std::string& path) {
  for (auto& slot : g_partials)
    if (path == slot) slot[0] = 0;
}

extern "C" void interrupted(int signal) {
  for (const auto& slot : g_partials)
    if (slot[0] != 0) ::unlink(slot);
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void remove_partials_when_interrupted() {
  for (int s : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(s, SIG_IGN) != SIG_IGN) std::signal(s, interrupted);  // nohup stays nohup
}

std::vector<uint8_t> read_file(const std::string& path, uint64_t limit) {
  Descriptor d;
  const uint64_t size = open_regular(path, d);
  if (size > limit)
    cannot_read(path, "it has " + std::to_string(size) + " bytes, at most " +
                          std::to_string(limit) + " are allowed here");
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n = ::read(d.fd, bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) cannot_read(path, std::strerror(errno));
    if (n == 0) cannot_read(path, "it shrank while it was read");
    have += static_cast<size_t>(n);
  }
  return bytes;
}

MappedFile::MappedFile(const std::string& path) {
  Descriptor d;
  const uint64_t size = open_regular(path, d);
  if (size == 0) cannot_read(path, "it is empty");
  if (size > SIZE_MAX) cannot_read(path, "it is larger than the address space");
  void* p = ::mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_PRIVATE, d.fd, 0);
  if (p == MAP_FAILED) cannot_read(path, std::strerror(errno));
  data_ = static_cast<const uint8_t*>(p);
  size_ = static_cast<size_t>(size);
}

MappedFile::~MappedFile() {
  ::munmap(const_cast<uint8_t*>(data_), size_);
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  struct stat info {};
  const bool direct = ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  if (direct && S_ISDIR(info.st_mode)) {
    errno = EISDIR;
    fail("cannot be written");
  }
  if (!direct) partial_ = path + ".partial-" + std::to_string(::getpid());
  // "x": two outputs that are one file under two spellings collide here, and a link that waits
  // under the partial name is not followed.
  file_ = std::fopen((direct ? path_ : partial_).c_str(), direct ? "wb" : "wbx");
  if (file_ == nullptr) {
    partial_.clear();
    fail("cannot be written");
  }
  remember(partial_);
}

OutputFile::~OutputFile() {
  if (file_ != nullptr) std::fclose(file_);
  if (partial_.empty()) return;
  ::unlink(partial_.c_str());
  forget(partial_);
}

void OutputFile::write(const void* data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes) fail("cannot be written");
}

void OutputFile::commit() {
  std::FILE* file = file_;
  file_ = nullptr;
  if (std::fclose(file) != 0) fail("cannot be written");
  if (partial_.empty()) return;
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) fail("cannot be put in place");
  forget(partial_);
  partial_.clear();
}

void OutputFile::fail(const char* what) const {
  throw ToolError(402, path_ + ": " + what + ": " + std::strerror(errno) +
                           "; choose a directory that exists, is writable and has room");
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat x {
  }, y{};
  return ::stat(a.c_str(), &x) == 0 && ::stat(b.c_str(), &y) == 0 && x.st_dev == y.st_dev &&
         x.st_ino == y.st_ino;
}

void check_writable(const std::string& path) {
  OutputFile probe(path);
}

}  // namespace qrt::io

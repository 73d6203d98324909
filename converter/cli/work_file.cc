// Appending is the only kind of writing: what was whole stays whole, whenever the
// process or the machine stops.
#include "converter/cli/work_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "converter/base/file.h"
#include "runtime/tools/io/error.h"

namespace qrt::cli {
namespace {

using io::ToolError;

constexpr std::string_view kMagic = "QRTWORK1";
constexpr size_t kDigest = 64;  // of a SHA-256 in hexadecimal
constexpr uint64_t kLargest = uint64_t{1} << 31;

std::string number(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
  return out;
}

uint64_t number_at(std::string_view from, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i)
    value |= uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
  return value;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

std::optional<std::string> read_all(int fd, uint64_t bytes) {
  std::string out(static_cast<size_t>(bytes), '\0');
  size_t have = 0;
  while (have < out.size()) {
    const ssize_t n = ::pread(fd, out.data() + have, out.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    have += static_cast<size_t>(n);
  }
  return out;
}

std::string digest(std::string_view key, std::string_view value) {
  return Fingerprint().add(key).add(value).hex();
}

}  // namespace

WorkFile::WorkFile(const std::string& path, const std::string& identity) : path_(path) {
  if (open()) load(identity);
}

WorkFile::~WorkFile() {
  if (fd_ < 0) return;
  // Removed under the lock: whoever opens the name next gets a file of its own.
  if (discarded_ || records_.empty()) ::unlink(path_.c_str());
  ::close(fd_);
}

bool WorkFile::open() {
  for (int attempt = 0; attempt < 8; ++attempt) {
    // No link is followed: the name is derived, and nobody chose where it leads.
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fd_ < 0) {
      if (errno == ELOOP || errno == EISDIR || errno == ENXIO)
        throw ToolError(493, path_ +
                                 ": stands where the work file of this conversion belongs, and "
                                 "is not a regular file; move it away or choose another -o");
      give_up("cannot be created");
      return false;
    }
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const bool is_held = errno == EWOULDBLOCK;
      if (!is_held) {
        give_up("cannot be locked");
        return false;
      }
      ::close(fd_);
      fd_ = -1;
      throw ToolError(492, path_ +
                               ": another qrt-convert is writing this output; wait for it, or "
                               "choose another -o");
    }
    // Its last owner may have removed it between open and lock: then it is not the file of the
    // name.
    struct stat mine {
    }, named{};
    if (::fstat(fd_, &mine) == 0 && ::stat(path_.c_str(), &named) == 0 &&
        mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
      return true;
    ::close(fd_);
    fd_ = -1;
  }
  errno = EAGAIN;
  give_up("cannot be opened");
  return false;
}

void WorkFile::load(const std::string& identity) {
  struct stat info {};
  const bool is_regular = ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
  const uint64_t bytes = is_regular ? static_cast<uint64_t>(info.st_size) : 0;
  const auto all = is_regular && bytes <= kLargest ? read_all(fd_, bytes) : std::nullopt;
  const std::string head = std::string(kMagic) + identity;
  const size_t known = all ? std::min(all->size(), kMagic.size()) : 0;
  if (!all || all->compare(0, known, kMagic, 0, known) != 0) {
    ::close(fd_);
    fd_ = -1;
    throw ToolError(493, path_ +
                             ": stands where the work file of this conversion belongs, and is "
                             "not one; move it away or choose another -o");
  }
  if (all->compare(0, head.size(), head) == 0) {
    size_ = head.size();
    std::string_view rest = std::string_view(*all).substr(head.size());
    while (rest.size() >= 12 + kDigest) {
      const uint64_t key = number_at(rest, 4), value = number_at(rest.substr(4), 8);
      if (key > rest.size() || value > rest.size() || 12 + key + value + kDigest > rest.size())
        break;
      const std::string_view k = rest.substr(12, key), v = rest.substr(12 + key, value);
      if (digest(k, v) != rest.substr(12 + key + value, kDigest)) break;
      records_.insert_or_assign(std::string(k), std::string(v));
      size_ += 12 + key + value + kDigest;
      rest.remove_prefix(12 + key + value + kDigest);
    }
    kept_ = records_.size();
  }
  // Whatever follows the last whole record, or belongs to another conversion, goes.
  if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) return give_up("cannot be written");
  ::lseek(fd_, 0, SEEK_END);
  if (size_ != 0) return;
  if (!write_all(fd_, head)) return give_up("cannot be written");
  size_ = head.size();
}

const std::string* WorkFile::find(const std::string& key) const {
  const auto at = records_.find(key);
  return at == records_.end() ? nullptr : &at->second;
}

void WorkFile::record(const std::string& key, const std::string& value) {
  if (fd_ < 0 || !trouble_.empty()) return;
  if (!write_all(
          fd_, number(key.size(), 4) + number(value.size(), 8) + key + value + digest(key, value)))
    return give_up("cannot be written");
  ::fdatasync(fd_);  // a machine that stops loses at most one layer
  size_ += 12 + key.size() + value.size() + kDigest;
  records_.insert_or_assign(key, value);
}

void WorkFile::discard() {
  discarded_ = true;
}

void WorkFile::give_up(const char* what) {
  trouble_ = path_ + ": " + what + ": " + std::strerror(errno) +
             "; an interrupted run will not resume from here";
  // Half a record must not stay: the room may be needed for the output itself.
  if (fd_ >= 0 && ::ftruncate(fd_, static_cast<off_t>(size_)) == 0) ::lseek(fd_, 0, SEEK_END);
}

}  // namespace qrt::cli

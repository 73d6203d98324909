// External data: tensors whose bytes lie in another file. A model may come from
// anywhere, so the name it gives is hostile: the path is walked component by
// component from the model's own folder with O_NOFOLLOW, and only a regular file
// with a single name is read. libonnx never opens anything.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "converter/import/onnx_node.h"

namespace qrt::import {
namespace {

struct Descriptor {
  int fd = -1;
  Descriptor() = default;
  explicit Descriptor(int opened) : fd(opened) {}
  Descriptor(Descriptor&& other) noexcept { std::swap(fd, other.fd); }
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd, other.fd);
    return *this;
  }
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

std::vector<std::string> components(const std::string& path) {
  std::vector<std::string> parts(1);
  for (char c : path) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

uint64_t number(const std::string& text, const char* key, const std::string& name) {
  uint64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) {
    refuse(510, "tensor ", name, ": its external data has ", key, " '", text,
           "'; expected a number of bytes");
  }
  return value;
}

Descriptor open_beside(const std::string& folder, const std::string& location,
                       const std::string& name) {
  const std::vector<std::string> parts = components(location);
  for (const std::string& part : parts) {
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos ||
        part.find('\\') != std::string::npos) {
      refuse(510, "tensor ", name, ": its external data lies at '", location,
             "'; allowed is a plain relative path beside the model, without . or ..; "
             "save the model with its data inside");
    }
  }
  Descriptor at(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (size_t i = 0; i < parts.size() && at.fd >= 0; ++i) {
    const bool last = i + 1 == parts.size();
    at = Descriptor(openat(at.fd, parts[i].c_str(),
                           O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY)));
  }
  if (at.fd < 0) {
    refuse(510, "tensor ", name, ": its external data '", location,
           "' cannot be opened: ", std::strerror(errno),
           "; put the file beside the model (links are not followed)");
  }
  return at;
}

}  // namespace

std::string read_external(const Import& import, const onnx::TensorProto& proto, uint64_t expected,
                          const std::string& name) {
  std::string location;
  uint64_t offset = 0, length = expected;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = number(entry.value(), "offset", name);
    if (entry.key() == "length") length = number(entry.value(), "length", name);
  }
  const Descriptor file = open_beside(import.folder, location, name);
  struct stat info;
  if (fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink != 1) {
    refuse(510, "tensor ", name, ": its external data '", location,
           "' is not a regular file of its own; copy the data to a file beside the model");
  }
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  if (length != expected || offset > size || length > size - offset) {
    refuse(510, "tensor ", name, ": its external data takes bytes ", offset, " to ", offset, "+",
           length, " of '", location, "', which has ", size, "; the tensor needs ", expected,
           "; copy both files again");
  }
  std::string bytes(length, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        pread(file.fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) refuse(510, "tensor ", name, ": reading '", location, "' failed");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace qrt::import

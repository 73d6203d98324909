#include "runtime/model/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "schema/layout.h"

namespace qrt {
namespace {

// strerror is not safe between threads and may allocate; these are the cases users meet.
const char* advice(int error) {
  switch (error) {
    case ENOENT:
      return "there is no such file: check the path";
    case EACCES:
    case EPERM:
      return "permission is denied: check who may read the file";
    case EISDIR:
      return "it is a directory: pass a .qrt file";
    case ENOTDIR:
      return "a part of the path is not a directory: check the path";
    case ELOOP:
      return "the path has too many symbolic links";
    case ENAMETOOLONG:
      return "the path is too long";
    case EMFILE:
    case ENFILE:
      return "too many files are open: close some";
    case ENXIO:
    case ENODEV:
      return "it is no regular file: pass a .qrt file";
    case ENOMEM:
      return "the address space is full: close other models";
    case EOVERFLOW:
    case EFBIG:
      return "the file is too large: a model is at most 2 GiB - 1";
    default:
      return "check the path and the file system";
  }
}

Status refuse(uint16_t id, const char* what, int error) {
  return Status(Code::io, id, what).next(advice(error));
}

Status check(const struct stat& info) {
  if (S_ISDIR(info.st_mode)) return refuse(31, "the path is not a regular file", EISDIR);
  if (!S_ISREG(info.st_mode)) return refuse(31, "the path is not a regular file", ENXIO);
  if (info.st_size <= 0)
    return Status(Code::io, 32, "the file is empty").next("pass a file made by qrt-convert");
  if (static_cast<uint64_t>(info.st_size) > layout::kMaxFileBytes) {
    return Status(Code::io, 33, "the file is too large to be a model")
        .at_most(info.st_size, layout::kMaxFileBytes)
        .next("pass a file made by qrt-convert");
  }
  return {};
}

}  // namespace

FileMapping::~FileMapping() {
  if (!bytes_.empty()) munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

Status FileMapping::open(const char* path) {
  // O_NONBLOCK: opening a pipe without a writer must not wait; regular files do not care.
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return refuse(30, "cannot open the file", errno);
  struct stat info;
  Status status;
  if (fstat(fd, &info) != 0) {
    status = refuse(30, "cannot open the file", errno);
  } else {
    status = check(info);
  }
  if (status.ok()) {
    const auto size = static_cast<size_t>(info.st_size);
    void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
      status = refuse(34, "cannot map the file", errno);
    } else {
      bytes_ = {static_cast<const uint8_t*>(data), size};
    }
  }
  ::close(fd);  // the mapping stays
  return status;
}

}  // namespace qrt

// Reading goes through a descriptor that is checked after opening, so that what
// was checked is what is read; O_NONBLOCK keeps a pipe from hanging the open.
#include "converter/base/file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "converter/base/text.h"

namespace qrt {
namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

std::string hex_of(const unsigned char* digest, unsigned length) {
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

}  // namespace

Result<std::string> read_file(const std::string& path, uint64_t limit, int id) {
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    return fail(id, path, ": cannot be opened: ", std::strerror(errno),
                "; check the path and its permissions");
  }
  struct stat info;
  if (fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return fail(id, path, ": is not a regular file; give the path of a file");
  }
  if (static_cast<uint64_t>(info.st_size) > limit) {
    return fail(id, path, ": has ", info.st_size, " bytes, at most ", limit,
                " are allowed; check that it is the file you meant");
  }
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = read(file.fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return fail(id, path, ": reading stopped after ", done, " of ", bytes.size(),
                  " bytes: ", got < 0 ? std::strerror(errno) : "the file shrank",
                  "; copy it again");
    }
    done += static_cast<size_t>(got);
  }
  return bytes;
}

std::string sha256_hex(const void* data, size_t bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(data, bytes, digest, &length, EVP_sha256(), nullptr) != 1) return "";
  return hex_of(digest, length);
}

Fingerprint::Fingerprint() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr);
}

Fingerprint& Fingerprint::add(const void* data, size_t bytes) {
  const uint64_t length = bytes;
  auto* context = static_cast<EVP_MD_CTX*>(context_.get());
  EVP_DigestUpdate(context, &length, sizeof length);
  EVP_DigestUpdate(context, data, bytes);
  return *this;
}

std::string Fingerprint::hex() const {
  std::unique_ptr<void, Free> copy(EVP_MD_CTX_new());
  auto* context = static_cast<EVP_MD_CTX*>(copy.get());
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_MD_CTX_copy_ex(context, static_cast<const EVP_MD_CTX*>(context_.get()));
  EVP_DigestFinal_ex(context, digest, &length);
  return hex_of(digest, length);
}

void Fingerprint::Free::operator()(void* context) const {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
}

}  // namespace qrt

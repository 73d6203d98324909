// Whole files into memory, and their SHA-256 for the provenance record.
#ifndef QRT_CONVERTER_BASE_FILE_H_
#define QRT_CONVERTER_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "converter/base/result.h"

namespace qrt {

// The bytes of a regular file of at most `limit` bytes. `id` is the error's number: every door has
// its own range. Errors: missing, unreadable, a directory, a pipe or a device, too large.
Result<std::string> read_file(const std::string& path, uint64_t limit, int id);

// SHA-256 in lower-case hexadecimal.
std::string sha256_hex(const void* data, size_t bytes);

// SHA-256 of things added one after another, each with its length, so that no two different lists
// of things give the same bytes to hash.
class Fingerprint {
 public:
  Fingerprint();
  Fingerprint& add(const void* data, size_t bytes);
  Fingerprint& add(std::string_view text) { return add(text.data(), text.size()); }
  Fingerprint& add(int64_t number) { return add(&number, sizeof number); }
  template <class T>
  Fingerprint& add(const std::vector<T>& values) {  // of numbers
    return add(values.data(), values.size() * sizeof(T));
  }
  std::string hex() const;  // of what was added so far

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

}  // namespace qrt

#endif  // QRT_CONVERTER_BASE_FILE_H_

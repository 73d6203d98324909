// Whole files into memory, and their SHA-256 for the provenance record.
#ifndef QRT_CONVERTER_BASE_FILE_H_
#define QRT_CONVERTER_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "converter/base/result.h"

namespace qrt {

// The bytes of a regular file of at most `limit` bytes. `id` is the error's number: every door has
// its own range. Errors: missing, unreadable, a directory, a pipe or a device, too large.
Result<std::string> read_file(const std::string& path, uint64_t limit, int id);

// SHA-256 in lower-case hexadecimal.
std::string sha256_hex(const void* data, size_t bytes);

}  // namespace qrt

#endif  // QRT_CONVERTER_BASE_FILE_H_

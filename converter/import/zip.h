// The directory of a zip archive of stored (uncompressed) files, the container
// of torch.save since PyTorch 1.6. Only reads: nothing is unpacked or copied.
#ifndef QRT_CONVERTER_IMPORT_ZIP_H_
#define QRT_CONVERTER_IMPORT_ZIP_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "converter/base/result.h"

namespace qrt::import {

struct ZipEntry {
  std::string_view name;           // view into the archive
  std::span<const uint8_t> bytes;  // view into the archive
};

bool looks_like_zip(std::span<const uint8_t> file);

// Entries in the order of the central directory, their checksums checked. Errors: QRT-E0655
// (damaged: sizes, offsets, names or checksums that disagree), QRT-E0656 (compressed, encrypted,
// split or ZIP64 archives, which PyTorch does not write below 4 GiB).
Result<std::vector<ZipEntry>> read_zip(std::span<const uint8_t> file);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_ZIP_H_

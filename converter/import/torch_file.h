// A file of torch.save, in both containers: the zip archive of PyTorch 1.6 and
// later, and the stream of five pickles followed by raw storages of the years
// before. Gives the restricted pickle and typed access to its tensors.
#ifndef QRT_CONVERTER_IMPORT_TORCH_FILE_H_
#define QRT_CONVERTER_IMPORT_TORCH_FILE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/import/pickle.h"

namespace qrt::import {

struct TorchFile {
  Pickle pickle;
  std::vector<std::span<const uint8_t>> data;  // per pickle.storages: views into the file
  uint64_t budget = 0;  // tensor elements that may still be read, one per byte of the file
};

// `bytes` must outlive the result. Errors: QRT-E0651 (no such file), 0652 to 0654 (its pickles),
// 0655 and 0656 (its container, or a storage that is missing, short or there twice).
Result<TorchFile> open_torch_file(std::span<const uint8_t> bytes);

// Elements of a tensor, dense and row-major whatever its strides. Floats: from every type.
// Integers: from integer and boolean types. QRT-E0657: wrong type, or so many tensors over the same
// storage that they would outgrow the file.
Result<std::vector<float>> read_floats(TorchFile&, PickleId tensor);
Result<std::vector<int64_t>> read_integers(TorchFile&, PickleId tensor);
bool is_float(TorchType);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_TORCH_FILE_H_

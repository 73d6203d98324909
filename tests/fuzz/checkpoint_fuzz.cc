// Fuzzes reading a checkpoint. Contract: any bytes whatsoever give parameters or an
// error of the checkpoint range; no crash, no hang, no memory beyond a small
// multiple of the file. Codebooks that are returned decode.
#include <cstdlib>
#include <cstring>
#include <string>

#include "converter/import/checkpoint.h"
#include "tests/support/torch_builder.h"

namespace {

using namespace qrt;
using namespace qrt::test;

// A coded layer of each kind, a batch norm, tensors with strides: as a stream and as an archive.
std::string sample(bool is_archive) {
  TorchBuilder b;
  const std::string layer = py_dict({{"centroids", b.floats({3, 9}, std::vector<float>(27, 1))},
                                     {"assignments", b.bytes({4}, {0, 1, 2, 1})},
                                     {"n_blocks", py_int(2)},
                                     {"is_conv", "\x88"},
                                     {"k", py_int(3)}});
  const std::string object =
      py_dict({{"l.conv1", layer},
               {"bn", py_dict({{"weight", b.floats({2}, {1, 2})}})},
               {"fc.codes_matrix", b.bytes({2, 3}, {0, 1, 2, 2, 1, 0})},
               {"fc.codebook", b.floats({3, 1}, {1, 2, 3})},
               {"t", b.tensor("FloatStorage", {2, 2}, 6, raw(std::vector<float>(6, 1)), {1, 3})}});
  return is_archive ? b.archive(object) : b.stream(object);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max, unsigned seed);
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto c = import::read_checkpoint(std::span(data, size));
  if (!c.ok()) {
    if (c.error().id < 651 || c.error().id > 661 || c.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& [name, p] : (*c).parameters)
    if (p.encoding && quant::decode(*p.encoding, p.outputs, p.inputs).empty()) std::abort();
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max, unsigned seed) {
  if (size >= 64) return LLVMFuzzerMutate(data, size, max);
  const std::string start = sample(seed % 2);
  if (max < start.size()) return LLVMFuzzerMutate(data, size, max);
  std::memcpy(data, start.data(), start.size());
  return start.size();
}

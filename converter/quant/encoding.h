// What the file can store for a weight matrix: the encodings of schema/qrt.fbs as
// plain structs. Importers and methods produce them, emit/ writes them, decode()
// defines them. Outputs are rows: a convolution weight OIHW is the matrix
// [O][C/groups * kh * kw], its inputs in the order cin, kh, kw.
#ifndef QRT_CONVERTER_QUANT_ENCODING_H_
#define QRT_CONVERTER_QUANT_ENCODING_H_

#include <cstdint>
#include <variant>
#include <vector>

#include "converter/base/result.h"

namespace qrt::quant {

enum class EntryType { f32, f16, i8 };

// Blocks of `dim` inputs replaced by an index into `count` centroids.
struct Codebook {
  int32_t books = 1, count = 0, dim = 0;
  int32_t scope_rows = 0;            // 0: one set of books; n: one set per n contiguous outputs
  EntryType entry = EntryType::f16;  // how the file stores them
  std::vector<float> entries;        // [scope][book][count][dim], already exactly representable
  std::vector<float> entry_scales;   // i8 only: [scope][book][count]; entries hold the integers
  std::vector<uint16_t> codes;       // [book][block][output]
};

// More encodings (Table, Affine, BitPlanes) join as their methods do.
using Encoding = std::variant<Codebook>;

// Whether the encoding can stand for a matrix [outputs][inputs] and be stored: sizes agree, limits
// of schema/layout.h hold, every code names an entry, every entry is finite and exactly of its
// type. Errors (QRT-E0700, QRT-E0701) name no layer: the caller puts it in front.
Result<void> check(const Encoding&, int64_t outputs, int64_t inputs);

// The matrix [outputs][inputs] an encoding means, f32, row-major. The encoding must pass check().
// Books add up in ascending order, in f32.
std::vector<float> decode(const Encoding&, int64_t outputs, int64_t inputs);

// Bytes of the bulk data an encoding takes in a file, itemised. Alignment gaps are not counted.
struct StoredBytes {
  uint64_t codes = 0, entries = 0, scales = 0;
};
StoredBytes stored_bytes(const Encoding&, int64_t outputs, int64_t inputs);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ENCODING_H_

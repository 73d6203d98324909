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
  // Integer sums over u8 activations: the scales that entries are rounded to, 1..16, and which of
  // them each output has (empty where there is one). No levels: f32 sums.
  std::vector<float> levels;
  std::vector<uint8_t> level_of;
  // Rounded tables: bits kept of each block's inner product, and the shift before. 0: exact sums.
  int32_t table_bits = 0, table_shift = 0;
};

// Dense integers for exact sums over u8 activations: weight = scales[output] * value.
struct Integers {
  std::vector<int8_t> values;  // [outputs][inputs], -127..127
  std::vector<float> scales;   // [outputs]
};
inline constexpr size_t kMaxLevels = 16;

// More encodings (Table, Affine, BitPlanes) join as their methods do.
using Encoding = std::variant<Codebook, Integers>;

// Whether the encoding can stand for a matrix [outputs][inputs] and be stored: sizes agree, limits
// of schema/layout.h hold, every code names an entry, every entry is finite and exactly of its
// type. Errors (QRT-E0700, QRT-E0701) name no layer: the caller puts it in front.
Result<void> check(const Encoding&, int64_t outputs, int64_t inputs);

// The matrix [outputs][inputs] an encoding means, f32, row-major. The encoding must pass check().
// Books add up in ascending order, in f32.
std::vector<float> decode(const Encoding&, int64_t outputs, int64_t inputs);

// Whether layers of these weights sum integers; then, by schema/README.md, Numerics: the
// integer weights [outputs][inputs], and the scale of one output's.
bool is_integer(const Encoding&);
std::vector<int8_t> integers_of(const Encoding&, int64_t outputs, int64_t inputs);
float weight_scale(const Encoding&, int64_t output);

// A codebook's entries rounded to one of its levels: clamp(rne(entry / level), -127, 127), laid out
// as Codebook::entries.
std::vector<float> integer_entries(const Codebook&, size_t level);

// Bytes of the bulk data an encoding takes in a file, itemised. Alignment gaps are not counted.
struct StoredBytes {
  uint64_t codes = 0, entries = 0, scales = 0;  // scales: levels and level_of, too
  uint64_t dense = 0;                           // of Integers
};
StoredBytes stored_bytes(const Encoding&, int64_t outputs, int64_t inputs);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ENCODING_H_

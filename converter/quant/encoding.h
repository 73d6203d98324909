// What the file can store for a weight matrix: the encodings of schema/qrt.fbs as
// plain structs. Importers and methods produce them, emit/ writes them, decode()
// defines them. Outputs are rows: a convolution weight OIHW is the matrix
// [O][C/groups * kh * kw], its inputs in the order cin, kh, kw.
#ifndef QRT_CONVERTER_QUANT_ENCODING_H_
#define QRT_CONVERTER_QUANT_ENCODING_H_

#include <cstdint>
#include <optional>
#include <string>
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

// One scale for the layer, one per output, or one per `group` stored inputs of each output
// ([output][ceil(inputs / group)]).
enum class ScaleAxis { layer, output, group };
struct Scales {
  ScaleAxis axis = ScaleAxis::output;
  int32_t group = 0;
  std::vector<float> values;
};

// The three below hold their columns in stored order. With taps > 1 that is kh, kw, cin: stored
// column t * (inputs / taps) + c is input c * taps + t. Groups are runs of stored columns.

// b-bit codes into 2^b numbers: scale * number + offset.
struct Table {
  int32_t bits = 0, taps = 1;     // bits 1..8
  std::vector<float> values;      // 2^bits numbers,
  std::vector<int16_t> integers;  // or these: for exact sums
  std::vector<uint8_t> codes;     // [outputs][inputs]
  Scales scales;
  std::vector<float> offset;  // empty, 1 or [outputs]
};

// b-bit integers q: scale * (q - zero_halves / 2).
struct Affine {
  int32_t bits = 0, taps = 1;  // bits 1..8
  bool is_signed = false;
  std::vector<int16_t> zero_halves;  // empty (0), 1 or [outputs]
  std::vector<int16_t> codes;        // [outputs][inputs]: q itself
  Scales scales;
};

// Sums of scaled signs, group after group, each with a number of planes of its own.
struct BitPlanes {
  int32_t group = 0, taps = 1;  // group: stored inputs in one; 0: the whole row
  bool ternary5 = false;        // signs are -1, 0 and +1; a group has one plane or none
  std::vector<uint8_t> counts;  // [output][group]: planes, 0..8
  std::vector<uint8_t>
      signs;                  // [output][group][plane][input]: 1 for +, 0 for -; ternary5: sign + 1
  std::vector<float> alphas;  // [output][group][plane]
};

using Encoding = std::variant<Codebook, Integers, Table, Affine, BitPlanes>;

// Whether the encoding can stand for a matrix [outputs][inputs] and be stored: sizes agree, limits
// of schema/layout.h hold, every code names an entry, every entry is finite and exactly of its
// type. Errors (QRT-E0700, QRT-E0701) name no layer: the caller puts it in front.
Result<void> check(const Encoding&, int64_t outputs, int64_t inputs);

// The matrix [outputs][inputs] an encoding means, f32, row-major, inputs in the source's order. The
// encoding must pass check(). Every operation is rounded to f32: books and planes add up in
// ascending order, a Table's number is scaled before its offset is added, of an Affine
// q - zero_halves / 2 is exact and then scaled.
std::vector<float> decode(const Encoding&, int64_t outputs, int64_t inputs);

// Whether layers of these weights can sum integers; then, by schema/README.md, Numerics: the
// integer weights [outputs][inputs], -127..127 (books 128, Affine 255, Table kMostInteger), and
// the scale of one output's: 1 where group_scales() says what groups of stored columns have.
inline constexpr int32_t kMostInteger = 32639;
bool is_integer(const Encoding&);
const Scales* group_scales(const Encoding&);  // of a Table; null: there are none
std::vector<int16_t> integers_of(const Encoding&, int64_t outputs, int64_t inputs);
float weight_scale(const Encoding&, int64_t output);

// Whether they can do nothing else: their activations must be bytes or bits. The other integer
// encodings also serve layers of f32 activations.
bool needs_integers(const Encoding&);

// Kernel elements that stored columns are sorted by first; 1 where they stand in source order.
int64_t taps_of(const Encoding&);

// The same weights with stored columns in the order kh, kw, cin of a kernel of `taps` elements;
// nothing where groups of inputs fix the order they have. Not for Codebook and Integers.
std::optional<Encoding> taps_first(const Encoding&, int64_t outputs, int64_t inputs, int64_t taps);

// Other weights: input c * taps + t becomes input t * (inputs / taps) + c, as where an image is
// flattened channels-last. Nothing where blocks or groups forbid it.
std::optional<Encoding> flattened_last(const Encoding&, int64_t outputs, int64_t inputs,
                                       int64_t taps);

// "codebook 256 x 9", "affine 4 bits", "ternary": what reports call it.
std::string describe(const Encoding&);

// A codebook's entries rounded to one of its levels: clamp(rne(entry / level), -127, 127), laid out
// as Codebook::entries.
std::vector<float> integer_entries(const Codebook&, size_t level);

// Bytes of the bulk data an encoding takes in a file, itemised. Alignment gaps are not counted.
struct StoredBytes {
  uint64_t codes = 0;    // planes and their counts, too
  uint64_t entries = 0;  // and numbers of a Table
  uint64_t scales = 0;   // levels, level_of, offsets, zero points, coordinates of planes, too
  uint64_t dense = 0;    // of Integers
};
StoredBytes stored_bytes(const Encoding&, int64_t outputs, int64_t inputs);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ENCODING_H_

// What a layer's weights are in an opened model: the encodings of schema/qrt.fbs as
// plain structs over the file's own bytes. Part of runtime/model/model.h.
#ifndef QRT_RUNTIME_MODEL_WEIGHTS_H_
#define QRT_RUNTIME_MODEL_WEIGHTS_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/span.h"
#include "runtime/tensor/tensor.h"

namespace qrt {

using Bytes = Span<const uint8_t>;

// Values of all enums equal those of schema/qrt.fbs; model.cc holds the static_asserts.
enum class Encoding : uint8_t { dense = 0, codebook = 1, table = 2, affine = 3, bit_planes = 4 };
const char* name_of(Encoding);
enum class Numerics : uint8_t { f32 = 0, exact = 1, rounded = 2 };  // ../schema/README.md
inline constexpr uint32_t kMaxLevels = 16;                          // of a codebook
enum class InputOrder : uint8_t { linear = 0, cin_kh_kw = 1, kh_kw_cin = 2 };
enum class ScaleAxis : uint8_t { layer = 0, output = 1, group = 2 };

// A short vector of the file, f32, f16 or, of u8 b, 2^(b - 127). `count` 0 means absent.
struct Constant {
  const void* data = nullptr;
  DType dtype = DType::f32;
  uint32_t count = 0;
  bool present() const { return count != 0; }
};
float read_constant(const Constant&, uint32_t i);

struct Scales {
  ScaleAxis axis = ScaleAxis::layer;
  uint32_t group = 0;
  Constant values;
};

struct DenseWeights {
  DType dtype;
  Bytes data;
  Scales scales;
};

struct CodebookWeights {
  uint32_t books, count, dim, code_bits, scope_rows;  // scope_rows 0: the whole layer
  DType entry;
  Bytes entries;          // [scope][book][count][dim]
  Constant entry_scales;  // i8 entries only
  Bytes codes;            // [book][block][output], see schema/layout.h
  Constant levels = {};   // numerics other than f32: scales that entries are rounded to
  Bytes level_of = {};    // [output]; empty: all have the first
};

struct TableWeights {
  uint32_t bits;
  Constant values;
  Bytes integers, codes;
  Scales scales;
  Constant offset;
};
struct AffineWeights {
  uint32_t bits;
  bool is_signed;
  Span<const int16_t> zero_halves;
  Bytes codes;
  Scales scales;
};
enum class PlanePacking : uint8_t { planes = 0, ternary5 = 1 };
struct BitPlaneWeights {
  PlanePacking packing;
  uint32_t group;
  Bytes counts, planes;
  Constant alphas;
};

struct Weights {
  const char* name = "";
  uint32_t outputs = 0, inputs = 0;
  InputOrder order = InputOrder::linear;
  Numerics numerics = Numerics::f32;
  uint32_t table_bits = 0, table_shift = 0;  // of rounded numerics
  Encoding encoding = Encoding::dense;
  DenseWeights dense{};
  CodebookWeights codebook{};
  TableWeights table{};
  AffineWeights affine{};
  BitPlaneWeights bit_planes{};
};

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_WEIGHTS_H_

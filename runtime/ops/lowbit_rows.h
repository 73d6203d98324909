// Rows of weights that are codes of few bits, decoded a range of inputs at a time: what the
// strategies of such layers make their panels of.
#ifndef QRT_RUNTIME_OPS_LOWBIT_ROWS_H_
#define QRT_RUNTIME_OPS_LOWBIT_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/lowbit/lowbit.h"
#include "runtime/memory/arena.h"
#include "runtime/ops/decode_lowbit.h"

namespace qrt {

// Rows as f32, as decode_lowbit() defines them.
class LowbitFloats {
 public:
  // Checks the weights. Ranges will begin at multiples of `step`. What is kept: a table's values,
  // and where the planes of a range begin (8 bytes per output and step). QRT-E0256, QRT-E0334.
  Status prepare(const Weights&, const kernels::lowbit::Kit&, size_t step, Arena& keep);

  // Codes that decode() needs room for beside the range.
  static constexpr size_t kSlack = 8;
  // Inputs [k0, k1) of output n, in the order of the file. `codes`: k1 - k0 + kSlack bytes.
  void decode(size_t n, size_t k0, size_t k1, uint8_t* codes, float* to) const;

 private:
  struct PlanePlace {
    uint32_t at, alpha;  // of the first plane of a group; `at`: a byte, or a bit: planes_follow()
  };
  Status index_planes(Arena& keep);
  void decode_codes(size_t n, size_t k0, size_t k1, uint8_t* codes, float* to) const;
  void decode_planes(size_t n, size_t k0, size_t k1, uint8_t* codes, float* to) const;
  // Codes [first, last) of a row that begins at `row`; returns where code `first` is.
  const uint8_t* unpack(const uint8_t* row, const uint8_t* end, uint32_t bits, size_t first,
                        size_t last, uint8_t* codes) const;

  const Weights* w_ = nullptr;
  const kernels::lowbit::Kit* kit_ = nullptr;
  size_t step_ = 1, steps_ = 1;
  const float* map_ = nullptr;          // of a table: 256
  const PlanePlace* places_ = nullptr;  // [output][step]
};

// Rows as integers of -128..127, of weights that are such (runtime/model/exact.h).
class LowbitIntegers {
 public:
  // Checks the weights. What is kept: a table's integers. QRT-E0142, QRT-E0256, QRT-E0334.
  Status prepare(const Weights&, const kernels::lowbit::Kit&, Arena& keep);
  // What an integer of this output stands for.
  float scale(uint32_t output) const;

  // Ranges begin at multiples of this: of codes in whole bytes, trits or bits.
  static constexpr size_t kUnit = 40;
  // Inputs [k0, k1) of output n, in the order of the file. `codes`: k1 - k0 bytes.
  void decode(size_t n, size_t k0, size_t k1, uint8_t* codes, int8_t* to) const;

  // The codes themselves, and the integer of a code: map[code], or factor * (code ^ flip) - zero.
  struct Row {
    kernels::lowbit::Packed packed;
    const int8_t* map;
    uint8_t flip;
    int32_t factor, zero;
  };
  Row row(size_t n) const;
  // Whether all outputs have one factor and one zero.
  bool same_integers() const;
  // Describes codes and integers of `outputs` <= kMaxTileN outputs from `first` on to kernels/int8;
  // inputs, sums and the panel are left to the caller.
  struct Packed {
    int8_t zero[kernels::int8::kMaxTileN];
    uint8_t doubled[kernels::int8::kMaxTileN];
    kernels::int8::PackedArgs args;
  };
  void describe(size_t first, size_t outputs, Packed*) const;

 private:
  size_t row_bytes() const;

  const Weights* w_ = nullptr;
  const kernels::lowbit::Kit* kit_ = nullptr;
  const int8_t* map_ = nullptr;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_LOWBIT_ROWS_H_

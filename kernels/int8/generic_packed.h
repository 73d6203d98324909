// Packed codes of few bits straight into panels. 16 bytes of every output's row are turned so that
// a lane holds four bytes of an output, and these are spread to one code a byte in registers: a
// step of the panel, in five instructions for any number of bits. Over the primitives of generic.h,
// generic_blocks.h and these, on lanes of 32 bits or on bytes:
//
//   Raw set1_raw(dword) repeat16(p)      the dword in every lane; 16 bytes in every 16
//   Raw shl(a, n) shr(a, n)              every lane by that of n
//   Raw select(m, a, b)                  bits of a where m has ones, else of b
//   Raw and_raw xor_raw or_raw add8 sub8
//   Raw pick(a, at)                      bytes of each 16 by number; 0x80 gives 0
//   Raw look_up(table, i)                bytes of each 16; from 16 on 0
//   Raw mul_low(a, b) mul_high(a, b)     words of 16 bits, unsigned
#ifndef QRT_KERNELS_INT8_GENERIC_PACKED_H_
#define QRT_KERNELS_INT8_GENERIC_PACKED_H_

#include "kernels/int8/generic.h"

namespace qrt::kernels::int8 {

// How the codes of 16 bytes of a row become steps: bytes are brought together so that each of four
// dwords holds whole steps, from bit `first` of every second dword on.
struct PackedPlan {
  size_t bytes;  // of a row that are taken at a time
  size_t steps;  // of a dword
  uint32_t odd;  // the first bit in dwords 1 and 3
  bool moves;    // bytes must be brought together
  alignas(16) uint8_t place[16];

  explicit PackedPlan(uint32_t bits) : steps(1), odd(0) {
    if (bits == 0) {
      bytes = 16, steps = 5;
    } else {
      while (8 % bits == 0 && (steps + 1) * 4 * bits <= 32) ++steps;
      if (bits == 3) steps = 2;
      odd = steps == 1 ? 4 * bits % 8 : 0;
      bytes = 16 * steps * bits / 8;
    }
    moves = bytes != 16;
    for (size_t i = 0; i < 16; ++i)
      place[i] = static_cast<uint8_t>((moves ? i / 4 * bytes / 4 : i / 4 * 4) + i % 4);
  }
  size_t codes() const { return 16 * steps; }
};

// Step `i` of a dword of bits: four codes from bit 4 * bits * i on, a byte each.
template <class V>
class SpreadBits {
  using Raw = typename V::Raw;

 public:
  explicit SpreadBits(const PackedArgs& a)
      : half_(V::set1_raw(16 - 2 * a.bits)),
        quarter_(V::set1_raw(8 - a.bits)),
        mask_(V::set1_raw(0x01010101u * ((1u << a.bits) - 1))) {
    for (uint32_t i = 0; i < 8; ++i) first_[i] = 4 * a.bits * i;
  }
  Raw operator()(Raw dwords, size_t i, uint32_t odd) const {
    Raw v = V::shr(dwords, V::set1_raw(first_[i] + odd));
    v = V::select(V::set1_raw(0x0000ffff), v, V::shl(v, half_));
    v = V::select(V::set1_raw(0x00ff00ff), v, V::shl(v, quarter_));
    return V::and_raw(v, mask_);
  }

 private:
  Raw half_, quarter_, mask_;
  uint32_t first_[8];
};

// Step `i` of four bytes of five trits: trit j of byte B is the first digit behind the point of
// B * 3^(4 - j) / 243 to base 3. B * 270 / 2^16 is in [B, B + 1) / 243, and stays so as factors of
// 3 are taken modulo 2^16.
template <class V>
class SpreadTrits {
  using Raw = typename V::Raw;

 public:
  explicit SpreadTrits(const PackedArgs&) {
    constexpr uint16_t kFactor[5] = {21870, 7290, 2430, 810, 270};
    for (size_t step = 0; step < 5; ++step) {
      for (size_t i = 0; i < 16; ++i) {
        const size_t even = 4 * step + i % 4, at = i / 4 * 4 + even / 5;
        even_[step].at[i] = static_cast<uint8_t>(i % 2 == 0 ? at : 0x80);
        odd_[step].at[i] = static_cast<uint8_t>(i % 2 == 0 ? i / 4 * 4 + (even + 1) / 5 : 0x80);
      }
      for (size_t i = 0; i < 8; ++i) {
        const size_t even = 4 * step + i % 2 * 2;
        even_[step].factor[i] = kFactor[even % 5];
        odd_[step].factor[i] = kFactor[(even + 1) % 5];
      }
    }
  }
  Raw operator()(Raw dwords, size_t i, uint32_t) const {
    // A digit is what times 3 goes beyond 16 bits; times 3 * 256 it is in the upper byte.
    const Raw even = V::mul_high(words(dwords, even_[i]), V::set1_raw(0x00030003));
    const Raw odd = V::mul_high(words(dwords, odd_[i]), V::set1_raw(0x03000300));
    return V::select(V::set1_raw(0x00ff00ff), even, odd);
  }

 private:
  struct Words {
    alignas(16) uint8_t at[16];
    alignas(16) uint16_t factor[8];
  };
  static Raw words(Raw dwords, const Words& w) {
    return V::mul_low(V::pick(dwords, V::repeat16(w.at)), V::repeat16(w.factor));
  }
  Words even_[5], odd_[5];
};

// Codes by a map of 2^bits integers, sixteen at a time.
template <class V>
class Mapped {
  using Raw = typename V::Raw;

 public:
  Mapped(const PackedArgs& a, size_t, size_t)
      : map_(a.map), first_(V::repeat16(a.map)), parts_(a.bits > 4 ? 1u << (a.bits - 4) : 1) {}
  Raw operator()(Raw codes) const {
    Raw sum = V::look_up(first_, codes);
    for (uint32_t part = 1; part < parts_; ++part)
      sum = V::or_raw(sum, V::look_up(V::repeat16(map_ + 16 * part),
                                      V::sub8(codes, V::set1_raw(0x10101010u * part))));
    return sum;
  }

 private:
  const int8_t* map_;
  Raw first_;
  uint32_t parts_;
};

// Codes by a zero point and a factor of their output.
template <class V, bool kDoubles>
class Affine {
  using Raw = typename V::Raw;

 public:
  Affine(const PackedArgs& a, size_t column, size_t live)
      : flip_(V::set1_raw(0x01010101u * a.flip)) {
    alignas(64) uint8_t zero[4 * V::kLanes] = {}, doubled[4 * V::kLanes] = {};
    for (size_t i = 0; i < 4 * live; ++i) {
      zero[i] = static_cast<uint8_t>(a.zero[column + i / 4]);
      doubled[i] = a.doubled[column + i / 4] != 0 ? 0xff : 0;
    }
    zero_ = V::load_raw(zero), doubled_ = V::load_raw(doubled);
  }
  Raw operator()(Raw codes) const {
    Raw v = V::xor_raw(codes, flip_);
    if constexpr (kDoubles) v = V::add8(v, V::and_raw(v, doubled_));
    return V::sub8(v, zero_);
  }

 private:
  Raw flip_, zero_, doubled_;
};

// The steps of kLanes rows at `rows` to put(step, Raw); `at` are their offsets.
template <class V, class Spread, class Value, class Put>
inline void each_packed_step(const PackedPlan& plan, const Spread& spread, const Value& value,
                             const uint8_t* rows, const uint32_t* at, Put&& put) {
  const int8_t* p = reinterpret_cast<const int8_t*>(rows);
  typename V::Raw q[4];
  _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) q[i] = V::quads(p, at + i);
  if (plan.moves) {
    const typename V::Raw place = V::repeat16(plan.place);
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) q[i] = V::pick(q[i], place);
  }
  const typename V::Four f = V::turn(q[0], q[1], q[2], q[3]);
  const size_t steps = plan.steps;
  for (size_t i = 0; i < steps; ++i) {
    put(i, value(spread(f.a, i, 0)));
    put(steps + i, value(spread(f.b, i, plan.odd)));
    put(2 * steps + i, value(spread(f.c, i, 0)));
    put(3 * steps + i, value(spread(f.d, i, plan.odd)));
  }
}

// kLanes outputs. Where 16 bytes would reach behind the row or the codes, from copies of them.
template <class V, class Spread, class Value>
__attribute__((noinline)) void packed_columns(const PackedArgs& a, size_t column, uint8_t* to) {
  constexpr size_t L = V::kLanes, kStride = step_bytes<V>();
  if (a.outputs <= column || a.inputs == 0) return;
  const size_t live = a.outputs - column < L ? a.outputs - column : L;
  const PackedPlan plan(a.bits);
  const Spread spread(a);
  const Value value(a, column, live);
  const uint8_t* rows = a.codes + column * a.row_bytes;
  uint32_t at[L], copied_at[L];
  for (size_t i = 0; i < L; ++i) {
    at[i] = static_cast<uint32_t>((i < live ? i : live - 1) * a.row_bytes);
    copied_at[i] = static_cast<uint32_t>(16 * i);
  }
  size_t k = 0, byte = 0;
  const size_t room = static_cast<size_t>(a.end - rows) - at[L - 1];  // from the last row on
  for (; k + plan.codes() <= a.inputs && byte + 16 <= room; k += plan.codes(), byte += plan.bytes) {
    each_packed_step<V>(plan, spread, value, rows + byte, at,
                        [to](size_t step, typename V::Raw w) { V::put_w(to + step * kStride, w); });
    to += 4 * plan.steps * kStride;
  }
  const size_t row_bytes = a.bits == 0 ? (a.inputs + 4) / 5 : (a.inputs * a.bits + 7) / 8;
  for (; k < a.inputs; k += plan.codes(), byte += plan.bytes) {
    uint8_t copy[16 * L] = {};
    const size_t some = row_bytes - byte < 16 ? row_bytes - byte : 16;
    for (size_t i = 0; i < live; ++i) std::memcpy(copy + 16 * i, rows + at[i] + byte, some);
    const size_t left = a.inputs - k;
    each_packed_step<V>(plan, spread, value, copy, copied_at,
                        [to, left](size_t step, typename V::Raw w) {
                          if (step * kStep >= left) return;
                          const size_t codes = left - step * kStep;
                          if (codes < kStep) w = V::and_raw(w, V::set1_raw((1u << 8 * codes) - 1));
                          V::put_w(to + step * kStride, w);
                        });
    to += 4 * plan.steps * kStride;
  }
}

template <class V>
void packed(const PackedArgs& a) {
  int32_t* head = static_cast<int32_t*>(a.panel);
  uint8_t* body = reinterpret_cast<uint8_t*>(head + kMaxTileN);
  bool doubles = false;
  for (size_t n = 0; n < a.outputs && a.map == nullptr; ++n) doubles |= a.doubled[n] != 0;
  const auto columns = a.bits == 0 ? packed_columns<V, SpreadTrits<V>, Affine<V, false>>
                       : a.map     ? packed_columns<V, SpreadBits<V>, Mapped<V>>
                       : doubles   ? packed_columns<V, SpreadBits<V>, Affine<V, true>>
                                   : packed_columns<V, SpreadBits<V>, Affine<V, false>>;
  for (size_t j = 0; j < V::kTileN / V::kLanes; ++j)
    columns(a, j * V::kLanes, body + j * V::kWBytes);
  if (a.sums || V::kOffset != 0) panel_sums<V>(a.inputs, head);
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_PACKED_H_

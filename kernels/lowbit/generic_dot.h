// One row of activations against rows of codes of 1, 2 or 4 bits as they lie in the file.
//
// A byte holds 8 / bits codes. Masked, not shifted, the code at place s is a factor of
// 2^(s * bits) times itself, and with activations sorted by place (lowbit.h) every place has sums
// of its own, which are divided when they are complete: a code costs one AND and one multiply-add
// for a whole vector of bytes. The upper half of a byte is shifted down first (kHalves 2) where the
// multiply-add takes only small factors.
//
// Codes with a map are shifted down place by place and looked up in a table of 16 bytes, which
// repeats the map of fewer. Factors are map[c] where they may be signed (kSigned), else map[c] less
// a number that makes them unsigned; that number times the sum of x is added in the end.
//
//   kBytes                     of a vector
//   kPlaces(bits), kHalves     places that have sums of their own; 1 or 2
//   kWiden, kSharesX           vectors until sums are widened, 0: once, in the end; outputs share
//                              vectors of x
//   Vec load(p) set1(byte) xor_(a, b) and_(a, b) upper(v)   upper: bytes' high halves, other bits
//   any Short zero() mac(s, codes, x) where x is a Vec of s8   Long zero_long() widen(long, s)
//   add_long down(long, shift) across(long[kOutputs], to)          the sum of every vector's lanes
// and for maps:
//   kSigned, kChains, kMostFactor   factors; sums of an output; 0 or the bound of what a vector's
//                                   factors of one lane may add up to: maps are such (map_reach())
//   down8(v, shift)   bytes, other bits above; index(v) low four bits; look_up(table, i)
//   repeat16(p)       the table
// and for trits, four of which become codes of two bits and are masked as such:
//   trits(b, codes, fifth)    of bytes b, the last of them alone and times kFifth: 1, or 81, whose
//                             sum times(long, factor) mends; split_trits() if there is
//   or_ and_ add8 sub8 min8 shl3   ninth(v): v / 9 of bytes below 243
//   once(v)                   v, kept from being read again from memory
//
// Short sums of maddubs-like products: factors are below 16, so a product pair is within
// 2 * 15 * 128 = 3840 and kWiden * kHalves of them within 16 bits for 4 * 2.
#ifndef QRT_KERNELS_LOWBIT_GENERIC_DOT_H_
#define QRT_KERNELS_LOWBIT_GENERIC_DOT_H_

#include "kernels/lowbit/generic_trits.h"

namespace qrt::kernels::lowbit {
namespace {

template <class V>
void spread(const SpreadArgs& a) {
  if (a.bits == kTrits) return spread_trits<V>(a);
  const size_t places = dot_places(a.bits), block = V::kBytes * places;
  int8_t* to = a.to;
  size_t k0 = 0;
  for (; k0 + block <= a.inputs; k0 += block)
    for (size_t s = 0; s < places; ++s, to += V::kBytes)
      for (size_t i = 0; i < V::kBytes; ++i)
        to[i] = static_cast<int8_t>(a.x[k0 + i * places + s] ^ 0x80);
  if (k0 == a.inputs) return;
  for (size_t s = 0; s < places; ++s, to += V::kBytes)
    for (size_t i = 0; i < V::kBytes; ++i) {
      const size_t k = k0 + i * places + s;
      to[i] = static_cast<int8_t>(k < a.inputs ? a.x[k] ^ 0x80 : 0);
    }
}

// What the size of factors of a map is: their distance where they are made unsigned.
struct Reach {
  int low = 0, high = 0;  // of the integers
  int size = 0;
};
template <class V>
Reach map_reach(uint32_t bits, const int8_t* map) {
  Reach r;
  for (uint32_t c = 0; c < 1u << bits; ++c) {
    r.low = map[c] < r.low ? map[c] : r.low;
    r.high = map[c] > r.high ? map[c] : r.high;
  }
  r.size = !V::kSigned ? r.high - r.low : r.high > -r.low ? r.high : -r.low;
  return r;
}

template <class V>
bool can_dot(uint32_t bits, const int8_t* map) {
  if (bits == kTrits) return map == nullptr;
  if (bits != 1 && bits != 2 && bits != 4) return false;
  return map == nullptr || V::kMostFactor == 0 ||
         map_reach<V>(bits, map).size * static_cast<int>(8 / bits) <= V::kMostFactor;
}

template <class V, uint32_t kCodeBits, bool kMapped = false>
struct DotLoop {
  static constexpr bool kFives = kCodeBits == kTrits;
  static constexpr uint32_t kBits = kFives ? 2 : kCodeBits;
  static constexpr int kInByte = 8 / static_cast<int>(kBits);
  static constexpr int kPlaces = kMapped ? V::kChains : kInByte / V::kHalves;
  static constexpr bool kFifthAlone = kFives && V::kFifth != 1;
  static constexpr int kSums = kPlaces + kFifthAlone;  // of an output
  // Bytes of x for a vector of codes.
  static constexpr size_t kBlock = V::kBytes * (kFives ? 5 : 8 / kBits);

#define QRT_EACH_OUTPUT _Pragma("GCC unroll 4") for (int o = 0; o < V::kOutputs; ++o)
#define QRT_EACH_PLACE _Pragma("GCC unroll 4") for (int s = 0; s < kPlaces; ++s)
#define QRT_EACH_SUM _Pragma("GCC unroll 5") for (int s = 0; s < kSums; ++s)
#define QRT_EACH_CODE _Pragma("GCC unroll 8") for (int s = 0; s < kInByte; ++s)

  // A vector of each of kCount rows.
  template <int kCount>
  static inline __attribute__((always_inline)) void block(const uint8_t* const* p, size_t at,
                                                          size_t ahead, const int8_t* x,
                                                          typename V::Vec flip,
                                                          typename V::Short (*sum)[kSums]) {
#define QRT_EACH_ROW _Pragma("GCC unroll 4") for (int o = 0; o < kCount; ++o)
    typename V::Vec w[kCount];
    QRT_EACH_ROW {
      __builtin_prefetch(p[o] + at + ahead, 0, 2);
      w[o] = V::load(p[o] + at);
      if constexpr (!kFives && !kMapped) w[o] = V::xor_(w[o], flip);
    }
    if constexpr (kMapped) {
      typename V::Vec v[kInByte];
      QRT_EACH_CODE v[s] = V::load(x + s * static_cast<int>(V::kBytes));
      QRT_EACH_ROW QRT_EACH_CODE {
        const typename V::Vec c = s == 0 ? w[o] : V::down8(w[o], s * static_cast<int>(kBits));
        sum[o][s % kPlaces] = V::mac(sum[o][s % kPlaces], V::look_up(flip, V::index(c)), v[s]);
      }
      return;
    }
    if constexpr (kFives) {
      const typename V::Vec v = V::load(x + 4 * V::kBytes);
      QRT_EACH_ROW {
        typename V::Vec fifth;
        V::trits(V::once(w[o]), &w[o], &fifth);
        constexpr int kAt = kFifthAlone ? kPlaces : 0;
        sum[o][kAt] = V::mac(sum[o][kAt], fifth, v);
      }
    }
    _Pragma("GCC unroll 2") for (int half = 0; half < V::kHalves; ++half) {
      QRT_EACH_PLACE {
        const typename V::Vec v = V::load(x + (half * kPlaces + s) * V::kBytes), m = mask(s);
        QRT_EACH_ROW sum[o][s] = V::mac(sum[o][s], V::and_(w[o], m), v);
      }
      if (half + 1 < V::kHalves) QRT_EACH_ROW w[o] = V::upper(w[o]);
    }
#undef QRT_EACH_ROW
  }

  // 1 <= `blocks` <= kWiden vectors of every row, any number where that is 0; sums go to `to`. Of
  // its own, or sums would live in memory.
  static inline __attribute__((always_inline)) void some(
      const uint8_t* const (&p)[V::kOutputs], size_t blocks, const int8_t* x, typename V::Vec flip,
      size_t ahead, typename V::Long (&to)[V::kOutputs][kSums]) {
    typename V::Short sum[V::kOutputs][kSums];
    QRT_EACH_OUTPUT QRT_EACH_SUM sum[o][s] = V::zero();
    const int8_t* const end = x + blocks * kBlock;
    size_t at = 0;
    do {
      // Outputs share vectors of x where there are registers for them: trits need constants, too.
      constexpr int kTogether = V::kSharesX ? (kFives ? 2 : V::kOutputs) : 1;
      _Pragma("GCC unroll 4") for (int o = 0; o < V::kOutputs; o += kTogether)
          block<kTogether>(p + o, at, ahead, x, flip, sum + o);
      at += V::kBytes, x += kBlock;
    } while (x != end);
    QRT_EACH_OUTPUT QRT_EACH_SUM to[o][s] = V::widen(to[o][s], sum[o][s]);
  }

  // Adds sums of `blocks` vectors of every row to `sums`. Of its own, or they would live in memory.
  __attribute__((noinline)) static void part(const uint8_t* const (&rows)[V::kOutputs],
                                             size_t blocks, const int8_t* x, typename V::Vec flip,
                                             size_t widen, size_t ahead, uint32_t* sums) {
    if (blocks == 0) return;
    typename V::Long total[V::kOutputs][kSums];
    QRT_EACH_OUTPUT QRT_EACH_SUM total[o][s] = V::zero_long();
    if constexpr (V::kWiden == 0) {
      some(rows, blocks, x, flip, ahead, total);
    } else {
      for (size_t b = 0; b < blocks; b += widen) {
        const uint8_t* p[V::kOutputs];
        QRT_EACH_OUTPUT p[o] = rows[o] + b * V::kBytes;
        some(p, blocks - b < widen ? blocks - b : widen, x + b * kBlock, flip, ahead, total);
      }
    }
    // Every lane is a multiple of its place's factor, if codes were masked.
    constexpr int kShift = kMapped ? 0 : static_cast<int>(kBits);
    typename V::Long all[V::kOutputs];
    QRT_EACH_OUTPUT {
      all[o] = total[o][0];
      _Pragma("GCC unroll 4") for (int s = 1; s < kPlaces; ++s) all[o] =
          V::add_long(all[o], V::down(total[o][s], s * kShift));
      if constexpr (kFifthAlone)
        all[o] = V::add_long(all[o], V::times(total[o][kPlaces], kInverse81));
    }
    uint32_t more[V::kOutputs];
    V::across(all, more);
    for (int o = 0; o < V::kOutputs; ++o) sums[o] += more[o];
  }

  static typename V::Vec mask(int s) {
    return V::set1(static_cast<uint8_t>(((1u << kBits) - 1u) << (s * static_cast<int>(kBits))));
  }

  // The outputs at `rows`, whose codes may end the buffer: vectors that are all there, then a copy.
  // `flip` is the table where codes are mapped; sums are widened every `widen` vectors and added.
  static void outputs(const DotArgs& a, const uint8_t* const (&rows)[V::kOutputs], size_t last,
                      typename V::Vec flip, size_t widen, uint32_t* sums) {
    const size_t blocks = (a.inputs + kBlock - 1) / kBlock;
    const size_t there = static_cast<size_t>(a.packed.end - rows[last]) / V::kBytes;
    const size_t whole = there < blocks ? there : blocks;
    // Codes of outputs after the next, which short rows reach before the hardware foresees them.
    part(rows, whole, a.x, flip, widen, 2 * V::kOutputs * a.row_bytes, sums);
    for (size_t b = whole; b < blocks; ++b) {
      uint8_t copies[V::kOutputs][V::kBytes] = {};
      const uint8_t* p[V::kOutputs];
      QRT_EACH_OUTPUT {
        const uint8_t* from = rows[o] + b * V::kBytes;
        const size_t left = static_cast<size_t>(a.packed.end - from);
        std::memcpy(copies[o], from, left < V::kBytes ? left : V::kBytes);
        p[o] = copies[o];
      }
      part(p, 1, a.x + b * kBlock, flip, 1, 0, sums);
    }
  }
#undef QRT_EACH_OUTPUT
#undef QRT_EACH_PLACE
#undef QRT_EACH_SUM
#undef QRT_EACH_CODE

  static void run(const DotArgs& a) {
    if constexpr (kMapped) {
      const Reach reach = map_reach<V>(kBits, a.map);
      const size_t widen =
          V::kMostFactor == 0
              ? V::kWiden
              : static_cast<size_t>(V::kMostFactor / ((reach.size < 1 ? 1 : reach.size) * kInByte));
      const int less = V::kSigned ? 0 : reach.low;
      uint8_t table[16];
      for (int c = 0; c < 16; ++c)
        table[c] = static_cast<uint8_t>(a.map[c & ((1 << kBits) - 1)] - less);
      each(a, V::repeat16(table), widen < V::kWiden ? widen : V::kWiden,
           static_cast<uint32_t>(less) * x_sum(a));
    } else {
      // The same bit of the code at every place.
      const uint8_t flip = static_cast<uint8_t>(a.flip * (255u / ((1u << kBits) - 1u)));
      each(a, V::set1(kFives ? 0 : flip), V::kWiden, 0);
    }
  }

  // Of x as it is spread.
  static uint32_t x_sum(const DotArgs& a) {
    uint32_t sums[V::kOutputs] = {};
    if constexpr (!V::kSigned) {
      typename V::Long all[V::kOutputs];
      for (typename V::Long& one : all) one = V::zero_long();
      const size_t bytes = (a.inputs + kBlock - 1) / kBlock * kBlock;
      for (size_t i = 0; i < bytes; i += V::kBytes)
        all[0] = V::widen(all[0], V::mac(V::zero(), V::set1(1), V::load(a.x + i)));
      V::across(all, sums);
    }
    return sums[0];
  }

  __attribute__((noinline)) static void each(const DotArgs& a, typename V::Vec flip, size_t widen,
                                             uint32_t more) {
    constexpr size_t O = V::kOutputs;
    for (size_t n = 0; n < a.outputs; n += O) {
      const size_t live = a.outputs - n < O ? a.outputs - n : O;
      const uint8_t* rows[O];
      for (size_t o = 0; o < O; ++o)
        rows[o] = a.packed.codes + (n + (o < live ? o : 0)) * a.row_bytes;
      uint32_t sums[O] = {};
      outputs(a, rows, live - 1, flip, widen, sums);
      for (size_t o = 0; o < live; ++o) a.sums[n + o] = static_cast<int32_t>(sums[o] + more);
    }
  }
};

template <class V>
void mapped_dot(const DotArgs& a) {
  if (a.packed.bits == 1)
    DotLoop<V, 1, true>::run(a);
  else if (a.packed.bits == 2)
    DotLoop<V, 2, true>::run(a);
  else
    DotLoop<V, 4, true>::run(a);
}

template <class V>
void dot(const DotArgs& a) {
  if (a.map != nullptr)
    mapped_dot<V>(a);
  else if (a.packed.bits == kTrits)
    DotLoop<V, kTrits>::run(a);
  else if (a.packed.bits == 1)
    DotLoop<V, 1>::run(a);
  else if (a.packed.bits == 2)
    DotLoop<V, 2>::run(a);
  else
    DotLoop<V, 4>::run(a);
}

// Plain loops over floats of one row, `some` at a time; absent constants are skipped outside.
inline void finish(const FinishArgs& a) {
  constexpr size_t kSome = 64;
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it leaves no bits behind the point
  const int8::Finish& f = a.finish;
  float t[kSome];
  for (size_t n0 = 0; n0 < a.outputs; n0 += kSome) {
    const size_t some = a.outputs - n0 < kSome ? a.outputs - n0 : kSome;
    const int32_t* sums = a.sums + n0;
    for (size_t i = 0; i < some; ++i) t[i] = static_cast<float>(sums[i]);
    if (f.bias_first)
      for (size_t i = 0; i < some; ++i) t[i] += f.bias[n0 + i];
    if (f.scale)
      for (size_t i = 0; i < some; ++i) t[i] *= f.scale[n0 + i];
    if (f.bias && !f.bias_first)
      for (size_t i = 0; i < some; ++i) t[i] += f.bias[n0 + i];
    if (f.residual)
      for (size_t i = 0; i < some; ++i)
        t[i] += static_cast<float>(f.residual[n0 + i] - f.residual_zero) * f.residual_scale;
    for (size_t i = 0; i < some; ++i) {
      t[i] = t[i] > f.min ? t[i] : f.min;
      t[i] = t[i] < f.max ? t[i] : f.max;
    }
    if (a.y32) std::memcpy(a.y32 + n0, t, some * sizeof(float));
    if (a.y8)
      for (size_t i = 0; i < some; ++i)
        a.y8[n0 + i] = static_cast<uint8_t>(static_cast<int32_t>(t[i] + kMagic - kMagic) + f.zero);
  }
}

}  // namespace
}  // namespace qrt::kernels::lowbit

#endif  // QRT_KERNELS_LOWBIT_GENERIC_DOT_H_

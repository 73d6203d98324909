// A few rows: codes are decoded in registers straight into inner products, row of x by row, and no
// weight is ever stored. Four outputs at a time share the loads of x and hide the latency of the
// sums. Besides generic_codes.h of V:
//
//   kOffset          what mac() subtracts from every byte of x: 0, or 128 where x must be signed
//   Sum zero_sum()   mac(s, x, w): s + products of kBytes bytes of x (u8, at x) and w (s8)
//   total(s)         their sum
//
// A vector of halves of bytes is two of codes, the even ones and the odd ones; x is sorted
// likewise. x is copied with kOffset behind it, which counts as 0, up to whole vectors. What x_zero
// and kOffset make of the weights' sum is one more mac, with ones for x.
#ifndef QRT_KERNELS_SHIFT_GENERIC_DOT_H_
#define QRT_KERNELS_SHIFT_GENERIC_DOT_H_

#include "kernels/shift/generic_codes.h"
#include "kernels/shift/generic_group_dot.h"

namespace qrt::kernels::shift {
namespace {

constexpr size_t kDotOutputs = 4;

template <class V>
struct Staged {
  const uint8_t *x, *ones;
  size_t ahead;  // bytes of codes
};

// kSums: with the sums of the weights. kPlanes: of integers beyond a byte.
template <class V, uint32_t kWidth, bool kSums, bool kPlanes>
struct DotLoop {
  using Sum = typename V::Sum;
  static constexpr size_t kPlaneCount = kPlanes ? 2 : 1, kKinds = kSums ? 2 : 1;
  static constexpr size_t kVectors = kWidth == 4 ? 2 : 1, kSpan = kVectors * V::kBytes;
  static constexpr size_t kAll = kDotOutputs * kPlaneCount * kKinds;
#define QRT_EACH_OUTPUT _Pragma("GCC unroll 4") for (size_t i = 0; i < kDotOutputs; ++i)
#define QRT_EACH_SUM                                               \
  QRT_EACH_OUTPUT                                                  \
  _Pragma("GCC unroll 2") for (size_t j = 0; j < kPlaneCount; ++j) \
      _Pragma("GCC unroll 2") for (size_t s = 0; s < kKinds; ++s)

  // `steps` vectors of x from rows of codes at p; sums are added to totals[output][plane][kind].
  __attribute__((noinline, noclone)) static void dots(const Staged<V>& in, const Tables<V>& tables,
                                                      uint32_t bits, const uint8_t* const* p,
                                                      size_t steps, uint32_t* totals) {
    const Spread<V> spread(bits);
    const uint8_t *p0 = p[0], *p1 = p[1], *p2 = p[2], *p3 = p[3], *x = in.x, *ones = in.ones;
    Sum sum[kDotOutputs][kPlaneCount][kKinds];
    QRT_EACH_SUM sum[i][j][s] = V::zero_sum();
    for (const size_t stride = kSpan * bits / 8; steps != 0; --steps) {
      const uint8_t* const at[kDotOutputs] = {p0, p1, p2, p3};
      QRT_EACH_OUTPUT {
        __builtin_prefetch(at[i] + in.ahead);
        typename V::Vec codes[kVectors];
        if constexpr (kWidth == 4) {
          const typename V::Vec both = V::load(at[i]);
          codes[0] = V::low_nibbles(both), codes[1] = V::high_nibbles(both);
        } else {
          codes[0] = codes_at<V, kWidth>(spread, at[i]);
        }
        _Pragma("GCC unroll 2") for (size_t v = 0; v < kVectors; ++v) {
          _Pragma("GCC unroll 2") for (size_t j = 0; j < kPlaneCount; ++j) {
            const int8_t* table = j == 0 ? tables.low : tables.high;
            const typename V::Vec w = V::template lookup<tables_of(kWidth)>(table, codes[v]);
            Sum* const s = sum[i][j];
            s[0] = V::mac(s[0], x + v * V::kBytes, w);
            if (kSums) s[kKinds - 1] = V::mac(s[kKinds - 1], ones + v * V::kBytes, w);
          }
        }
      }
      p0 += stride, p1 += stride, p2 += stride, p3 += stride;
      x += kSpan, ones += kSpan;
    }
    // Sums rest in a buffer first: see int8/generic.h.
    Sum rest[kAll];
    QRT_EACH_SUM rest[(i * kPlaneCount + j) * kKinds + s] = sum[i][j][s];
    _Pragma("GCC unroll 1") for (size_t i = 0; i < kAll; ++i) totals[i] +=
        static_cast<uint32_t>(V::total(rest[i]));
  }
#undef QRT_EACH_OUTPUT
#undef QRT_EACH_SUM

  // sums[output], of live <= kDotOutputs outputs from `output` on.
  static void four(const Args& a, const Staged<V>& in, const Tables<V>& tables, size_t output,
                   size_t live, int32_t* sums) {
    const uint32_t bits = a.plan->bits;
    const size_t stride = kSpan * bits / 8, steps = up_to(a.inputs, kSpan) / kSpan;
    const uint8_t* p[kDotOutputs];
    for (size_t i = 0; i < kDotOutputs; ++i)
      p[i] = a.codes + (a.first_output + output + (i < live ? i : 0)) * a.row_bytes;
    // The last row may end the codes: vectors that are all there first, then copies.
    const size_t there = static_cast<size_t>(a.codes_end - p[live - 1]);
    const size_t touched = kWidth == 4 ? V::kBytes : touched_bytes<V>(bits);
    const size_t safe = there < touched ? 0 : least(steps, (there - touched) / stride + 1);
    uint32_t totals[kAll] = {};
    dots(in, tables, bits, p, safe, totals);
    for (size_t step = safe; step < steps; ++step) {
      uint8_t copies[kDotOutputs][touched_bytes<V>(kMaxBits)];
      const uint8_t* at[kDotOutputs];
      for (size_t i = 0; i < kDotOutputs; ++i)
        at[i] = readable(p[i] + step * stride, a.codes_end, touched, copies[i]);
      dots({in.x + step * kSpan, in.ones + step * kSpan, 0}, tables, bits, at, 1, totals);
    }
    for (size_t i = 0; i < kDotOutputs; ++i) {
      uint32_t total = 0;
      for (size_t j = kPlaneCount; j-- != 0;) {
        const uint32_t* t = totals + (i * kPlaneCount + j) * kKinds;
        total = 256 * total + t[0];
        if (kSums) total += static_cast<uint32_t>(V::kOffset - a.x_zero) * t[kKinds - 1];
      }
      sums[i] = static_cast<int32_t>(total);
    }
  }
};

template <class V>
struct Dot {
  struct Layout {
    size_t x, ones, tables, end;
  };
  static Layout layout(const Shape& s) {
    const size_t bytes = up_to(s.inputs, 2 * V::kBytes);
    Carve c;
    Layout l;
    l.x = c.take(bytes), l.ones = c.take(bytes), l.tables = c.take(sizeof(Tables<V>));
    l.end = c.end;
    return l;
  }
  // Windows would break up the rows of codes, as would most groups: decode does them.
  static size_t scratch(const Plan& p, const Shape& s) {
    if (s.wide_x || s.taps != 1) return 0;
    if (s.group == 0) return layout(s).end;
    return can_dot_groups(p, s) ? GroupDot<V>::layout(p, s).end : 0;
  }

  using Four = void(const Args&, const Staged<V>&, const Tables<V>&, size_t, size_t, int32_t*);
  // Only codes of 4 bits have loops without the weights' sums: others are slower than those anyway.
  template <uint32_t kWidth>
  static Four* of_width(bool planes, bool sums) {
    if (planes) return DotLoop<V, kWidth, true, true>::four;
    if (kWidth == 4 && !sums) return DotLoop<V, kWidth, kWidth != 4, false>::four;
    return DotLoop<V, kWidth, true, false>::four;
  }
  static Four* loop_of(const Args& a) {
    const bool planes = a.plan->two_planes, sums = a.x_zero != V::kOffset;
    switch (a.plan->bits) {
      case 4:
        return of_width<4>(planes, sums);
      case 5:
        return of_width<5>(planes, sums);
      case 6:
        return of_width<6>(planes, sums);
      case 7:
        return of_width<7>(planes, sums);
      case 8:
        return of_width<8>(planes, sums);
      default:
        return of_width<1>(planes, sums);
    }
  }

  // What is fetched early: four short streams are over before the hardware foresees them, so the
  // next outputs' codes, or those of long rows some lines on. Memory beyond the codes may be named.
  static size_t ahead_of(const Args& a) {
    constexpr size_t kLong = 4096;
    return a.row_bytes < kLong ? kDotOutputs * a.row_bytes : kLong / 2;
  }

  // Where input k is multiplied.
  static size_t place_of(const Args& a, size_t k) {
    if (a.plan->bits != 4) return k;
    const size_t in_span = k % (2 * V::kBytes);
    return k - in_span + in_span % 2 * V::kBytes + in_span / 2;
  }

  static void run(const Args& a) {
    if (a.outputs == 0 || a.rows == 0) return;
    if (a.group != 0) return GroupDot<V>::run(a);
    Four* const four = loop_of(a);
    const Layout at = layout(shape_of(a));
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    Tables<V>* tables = reinterpret_cast<Tables<V>*>(base + at.tables);
    *tables = Tables<V>(*a.plan);
    const size_t bytes = up_to(a.inputs, 2 * V::kBytes);
    std::memset(base + at.ones, V::kOffset, bytes);
    std::memset(base + at.x, V::kOffset, bytes);
    for (size_t k = 0; k < a.inputs; ++k) base[at.ones + place_of(a, k)] = V::kOffset + 1;
    for (size_t r = 0; r < a.rows; ++r) {
      const uint8_t* x = a.x + r * a.x_stride;
      for (size_t k = 0; k < a.inputs; ++k) base[at.x + place_of(a, k)] = x[k];
      for (size_t n = 0; n < a.outputs; n += kFinish) {
        const size_t outputs = least(kFinish, a.outputs - n);
        int32_t sums[kFinish];
        float values[kFinish];
        for (size_t i = 0; i < outputs; i += kDotOutputs)
          four(a, {base + at.x, base + at.ones, ahead_of(a)}, *tables, n + i,
               least(kDotOutputs, outputs - i), sums + i);
        for (size_t i = 0; i < outputs; ++i) values[i] = static_cast<float>(sums[i]);
        finish_row(a, r, n, outputs, values);
      }
    }
  }
};

}  // namespace
}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_GENERIC_DOT_H_

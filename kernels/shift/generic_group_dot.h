// A few rows against codes of 4 or 6 bits whose groups of inputs have scales: as generic_dot.h, but
// 16 bytes of codes as they are looked up have a sum of their own, since a group is a whole number
// of those. Sums of kGroupOutputs outputs wait as [16 bytes][output]; then outputs are the lanes,
// and every group's sum is scaled and added in the contract's order. Besides generic_dot.h's of V:
//
//   minus(a, b)                   of Sum, lane by lane
//   lane_sums(s[4], to, step)     to[i * step + o] = sum of what bytes 16 i to 16 i + 15 gave s[o]
//
// x_zero goes by a second product where bytes do not stand for themselves less kOffset, of bytes
// x_zero for x; behind the inputs x is x_zero, so that whatever code lies there counts nothing.
#ifndef QRT_KERNELS_SHIFT_GENERIC_GROUP_DOT_H_
#define QRT_KERNELS_SHIFT_GENERIC_GROUP_DOT_H_

#include "kernels/shift/generic_codes.h"

namespace qrt::kernels::shift {
namespace {

constexpr size_t kGroupOutputs = 32, kGroupFour = 4;

// Inputs that 16 bytes of weights are.
constexpr size_t lane_inputs(uint32_t bits) {
  return bits == 4 ? 32 : 16;
}
inline bool can_dot_groups(const Plan& p, const Shape& s) {
  return !p.two_planes && (p.bits == 4 || p.bits == 6) && s.group % lane_inputs(p.bits) == 0;
}

template <class V, uint32_t kWidth, bool kZero>
struct GroupLoop {
  using Sum = typename V::Sum;
  static constexpr size_t kVectors = kWidth == 4 ? 2 : 1, kSpan = kVectors * V::kBytes;
  static constexpr size_t kLanes = V::kBytes / 16;
#define QRT_EACH_OUTPUT _Pragma("GCC unroll 4") for (size_t i = 0; i < kGroupFour; ++i)

  // `steps` vectors of x from the rows of codes at p.
  __attribute__((noinline, noclone)) static void parts(const uint8_t* x, const uint8_t* zeros,
                                                       const Tables<V>& tables,
                                                       const uint8_t* const* p, size_t steps,
                                                       size_t ahead, int32_t* to) {
    const Spread<V> spread(kWidth);
    const uint8_t *p0 = p[0], *p1 = p[1], *p2 = p[2], *p3 = p[3];
    for (constexpr size_t kStride = kSpan * kWidth / 8; steps != 0; --steps) {
      const uint8_t* const at[kGroupFour] = {p0, p1, p2, p3};
      Sum sum[kGroupFour];
      QRT_EACH_OUTPUT {
        __builtin_prefetch(at[i] + ahead, 0, 2);
        typename V::Vec codes[kVectors];
        if constexpr (kWidth == 4) {
          const typename V::Vec both = V::load(at[i]);
          codes[0] = V::low_nibbles(both), codes[1] = V::high_nibbles(both);
        } else {
          codes[0] = codes_at<V, kWidth>(spread, at[i]);
        }
        sum[i] = V::zero_sum();
        Sum less = V::zero_sum();
        _Pragma("GCC unroll 2") for (size_t v = 0; v < kVectors; ++v) {
          const typename V::Vec w = V::template lookup<tables_of(kWidth)>(tables.low, codes[v]);
          sum[i] = V::mac(sum[i], x + v * V::kBytes, w);
          if (kZero) less = V::mac(less, zeros, w);
        }
        if (kZero) sum[i] = V::minus(sum[i], less);
      }
      V::lane_sums(sum, to, kGroupOutputs);
      p0 += kStride, p1 += kStride, p2 += kStride, p3 += kStride;
      x += kSpan, to += kLanes * kGroupOutputs;
    }
  }
#undef QRT_EACH_OUTPUT

  // to[16 bytes][output] of `live` <= kGroupFour outputs from `output` on.
  static void four(const Args& a, const uint8_t* x, const uint8_t* zeros, const Tables<V>& tables,
                   size_t output, size_t live, int32_t* to) {
    constexpr size_t kStride = kSpan * kWidth / 8;
    const size_t steps = up_to(a.inputs, kSpan) / kSpan;
    const uint8_t* p[kGroupFour];
    for (size_t i = 0; i < kGroupFour; ++i)
      p[i] = a.codes + (a.first_output + output + (i < live ? i : 0)) * a.row_bytes;
    // The last row may end the codes: vectors that are all there first, then copies.
    const size_t there = static_cast<size_t>(a.codes_end - p[live - 1]);
    constexpr size_t kTouched = kWidth == 4 ? V::kBytes : touched_bytes<V>(kWidth);
    const size_t safe = there < kTouched ? 0 : least(steps, (there - kTouched) / kStride + 1);
    parts(x, zeros, tables, p, safe, 2 * kGroupFour * a.row_bytes, to);
    for (size_t step = safe; step < steps; ++step) {
      uint8_t copies[kGroupFour][kTouched];
      const uint8_t* at[kGroupFour];
      for (size_t i = 0; i < kGroupFour; ++i)
        at[i] = readable(p[i] + step * kStride, a.codes_end, kTouched, copies[i]);
      parts(x + step * kSpan, zeros, tables, at, 1, 0, to + step * kLanes * kGroupOutputs);
    }
  }
};

// Four by four scales of outputs' groups turned: to[group][output].
inline void turn_scales(const float* const (&from)[4], size_t group, float* to) {
  using Four = Vector<float, 16>;
  Four a, b, c, d;
  std::memcpy(&a, from[0] + group, 16), std::memcpy(&b, from[1] + group, 16);
  std::memcpy(&c, from[2] + group, 16), std::memcpy(&d, from[3] + group, 16);
  const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Four cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Four ef = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Four gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const Four turned[4] = {
      __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
      __builtin_shufflevector(ef, gh, 0, 1, 4, 5), __builtin_shufflevector(ef, gh, 2, 3, 6, 7)};
  for (size_t g = 0; g < 4; ++g) std::memcpy(to + g * kGroupOutputs, &turned[g], 16);
}

template <class V>
struct GroupDot {
  static constexpr size_t kSome = 16;  // groups whose scales are turned at a time
#if defined(__arm__)
  // Vectors of floats lose numbers below the normal ones there.
  static constexpr size_t kWide = 4;
  using Floats = float;
  using Ints = int32_t;
  static Floats floats(Ints i) {
    return static_cast<float>(i);
  }
#else
  static constexpr size_t kWide = V::kBytes;
  using Floats = Vector<float, kWide>;
  using Ints = Vector<int32_t, kWide>;
  static Floats floats(Ints i) {
    return __builtin_convertvector(i, Floats);
  }
#endif
  static constexpr size_t kVectors = kGroupOutputs * 4 / kWide;

  struct Layout {
    size_t x, zeros, tables, parts, end;
  };
  static Layout layout(const Plan& p, const Shape& s) {
    const size_t bytes = up_to(s.inputs, 2 * V::kBytes);
    Carve c;
    Layout l;
    l.x = c.take(bytes), l.zeros = c.take(V::kBytes), l.tables = c.take(sizeof(Tables<V>));
    l.parts = c.take(bytes / lane_inputs(p.bits) * kGroupOutputs * 4);
    l.end = c.end;
    return l;
  }

  // t[output] += float(sum of group) * scale, group after group, from sums [16 bytes][output].
  __attribute__((noinline)) static void add_groups(const Args& a, size_t n, size_t outputs,
                                                   const int32_t* parts, float* t) {
    const size_t each = a.group / lane_inputs(a.plan->bits);
    const size_t lanes = up_to(a.inputs, lane_inputs(a.plan->bits)) / lane_inputs(a.plan->bits);
    const size_t groups = (a.inputs + a.group - 1) / a.group;
    alignas(64) float scales[kSome * kGroupOutputs];
    Floats sum[kVectors];
    _Pragma("GCC unroll 8") for (size_t v = 0; v < kVectors; ++v) sum[v] = Floats{};
    for (size_t g0 = 0; g0 < groups; g0 += kSome) {
      const size_t some = least(kSome, groups - g0);
      for (size_t o = 0; o < kGroupOutputs; o += 4) {
        const float* from[4];
        for (size_t i = 0; i < 4; ++i)
          from[i] = a.group_scale + (n + least(o + i, outputs - 1)) * a.group_stride + g0;
        size_t g = 0;
        for (; g + 4 <= some; g += 4) turn_scales(from, g, scales + g * kGroupOutputs + o);
        for (; g < some; ++g)
          for (size_t i = 0; i < 4; ++i) scales[g * kGroupOutputs + o + i] = from[i][g];
      }
      for (size_t g = 0; g < some; ++g) {
        const size_t first = (g0 + g) * each, end = least(first + each, lanes);
        _Pragma("GCC unroll 8") for (size_t v = 0; v < kVectors; ++v) {
          Ints whole{};
          for (size_t lane = first; lane < end; ++lane) {
            Ints part;
            std::memcpy(&part, parts + lane * kGroupOutputs + v * (kWide / 4), kWide);
            whole += part;
          }
          Floats scale;
          std::memcpy(&scale, scales + g * kGroupOutputs + v * (kWide / 4), kWide);
          const Floats product = floats(whole) * scale;
          sum[v] += product;
        }
      }
    }
    std::memcpy(t, sum, sizeof sum);
  }

  template <uint32_t kWidth>
  static void run_width(const Args& a) {
    const Layout at = layout(*a.plan, shape_of(a));
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    Tables<V>* tables = reinterpret_cast<Tables<V>*>(base + at.tables);
    *tables = Tables<V>(*a.plan);
    int32_t* parts = reinterpret_cast<int32_t*>(base + at.parts);
    std::memset(base + at.zeros, a.x_zero, V::kBytes);
    std::memset(base + at.x, a.x_zero, up_to(a.inputs, 2 * V::kBytes));
    const auto four = a.x_zero == V::kOffset ? GroupLoop<V, kWidth, false>::four
                                             : GroupLoop<V, kWidth, true>::four;
    for (size_t r = 0; r < a.rows; ++r) {
      const uint8_t* x = a.x + r * a.x_stride;
      for (size_t k = 0; k < a.inputs; ++k) {
        const size_t in_span = k % (2 * V::kBytes);
        base[at.x + (kWidth != 4 ? k : k - in_span + in_span % 2 * V::kBytes + in_span / 2)] = x[k];
      }
      for (size_t n = 0; n < a.outputs; n += kGroupOutputs) {
        const size_t outputs = least(kGroupOutputs, a.outputs - n);
        if (outputs < kGroupOutputs) std::memset(parts, 0, at.end - at.parts);
        for (size_t i = 0; i < outputs; i += kGroupFour)
          four(a, base + at.x, base + at.zeros, *tables, n + i, least(kGroupFour, outputs - i),
               parts + i);
        float t[kGroupOutputs];
        add_groups(a, n, outputs, parts, t);
        finish_row(a, r, n, outputs, t);
      }
    }
  }
  static void run(const Args& a) {
    a.plan->bits == 4 ? run_width<4>(a) : run_width<6>(a);
  }
};

}  // namespace
}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_GENERIC_GROUP_DOT_H_

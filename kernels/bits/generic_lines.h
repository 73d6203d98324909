// One row of bits, or a few, against weights as they lie in the file: a vector is L words of one
// output, so nothing is kept and nothing turned, and the file is read from its beginning to its
// end. L outputs share the words of x; their sums go across lanes together.
//
// struct V, beyond kBytes, zero, xor2, add64 and what Words wants of less64 and add_counts:
//   load_words(p)         at any address of words
//   kCounts, pop64        ones of each word where the CPU counts them; else pop8, add8 and sad
//   across(sum[L])        vector of the totals of L vectors
#ifndef QRT_KERNELS_BITS_GENERIC_LINES_H_
#define QRT_KERNELS_BITS_GENERIC_LINES_H_

#include "kernels/bits/generic_words.h"

namespace qrt::kernels::bits {
namespace {

inline constexpr size_t kRun = 8;  // vectors of an output that are read one after the other

// Ones of `count` <= kRun vectors of an output that differ from those of x.
template <class V>
inline __attribute__((always_inline)) typename V::Vec run_differs(const typename V::Vec (&x)[kRun],
                                                                  const uint64_t* w, size_t count) {
  typename V::Vec sum = V::zero();
  _Pragma("GCC unroll 8") for (size_t i = 0; i < count; ++i) {
    const typename V::Vec d = V::xor2(x[i], V::load_words(w + i * vector_words<V>()));
    if constexpr (V::kCounts)
      sum = V::add64(sum, V::pop64(d));
    else
      sum = V::add8(sum, V::pop8(d));
  }
  if constexpr (V::kCounts)
    return sum;
  else
    return V::sad(sum);
}

// to[n] += differing bits << shift for L outputs `stride` words apart, of which `live` are there.
template <class V>
__attribute__((noinline)) void add_lines(const uint64_t* w, size_t stride, size_t live,
                                         const uint64_t* x, size_t words, int shift, int32_t* to) {
  using Vec = typename V::Vec;
  constexpr size_t L = vector_words<V>();
  const uint64_t* row[L];
  Vec sum[L], one[kRun];
#define QRT_EACH _Pragma("GCC unroll 8") for (size_t n = 0; n < L; ++n)
  QRT_EACH row[n] = w + (n < live ? n : live - 1) * stride, sum[n] = V::zero();
  size_t k = 0;
  for (; k + kRun * L <= words; k += kRun * L) {
    _Pragma("GCC unroll 8") for (size_t i = 0; i < kRun; ++i) one[i] = V::load_words(x + k + i * L);
    QRT_EACH sum[n] = V::add64(sum[n], run_differs<V>(one, row[n] + k, kRun));
  }
  for (; k + L <= words; k += L) {
    one[0] = V::load_words(x + k);
    QRT_EACH sum[n] = V::add64(sum[n], run_differs<V>(one, row[n] + k, 1));
  }
  if (k < words) {
    const size_t bytes = (words - k) * sizeof(uint64_t);
    uint64_t rest[L] = {}, other[L] = {};
    std::memcpy(rest, x + k, bytes);
    one[0] = V::load_words(rest);
    QRT_EACH {
      std::memcpy(other, row[n] + k, bytes);
      sum[n] = V::add64(sum[n], run_differs<V>(one, other, 1));
    }
  }
#undef QRT_EACH
  if (live == L) return V::add_counts(to, V::across(sum), shift);
  alignas(64) int32_t all[2 * L] = {};
  V::add_counts(all, V::across(sum), shift);
  for (size_t n = 0; n < live; ++n) to[n] += all[n];
}

template <class V>
struct Lines {
  static constexpr size_t L = vector_words<V>();

  static size_t kept(const Shape& s) { return Bounds::kept(s); }
  static void pack(const PackArgs& a) {
    if (a.shape.form == Form::bits) Bounds::pack(a, a.kept);
  }
  static size_t scratch(const Shape&) { return kAlign; }

  // 64 outputs of a row, or fewer.
  static void differ64(const Args& a, const uint64_t* w, const uint64_t* x, size_t outputs,
                       int32_t* differ) {
    const Shape& s = a.shape;
    std::memset(differ, 0, kWord * sizeof *differ);
    for (size_t i = 0; i < s.w_planes; ++i)
      for (size_t j = 0; j < s.x_planes; ++j)
        for (size_t n = 0; n < outputs; n += L)
          add_lines<V>(w + i * a.w_plane + n * a.w_stride, a.w_stride, least(L, outputs - n),
                       x + j * a.x_plane, words_of(s.inputs), static_cast<int>(i + j), differ + n);
  }
  static void run(const Args& a) {
    const Bounds bounds(a.shape, a.kept);
    alignas(64) int32_t differ[kWord];
    for (size_t n = 0; n < a.outputs; n += kWord) {
      const uint64_t* w = a.weights + (a.first_output + n) * a.w_stride;
      for (size_t r = 0; r < a.shape.rows; ++r) {
        differ64(a, w, a.x + r * a.x_stride, least(kWord, a.outputs - n), differ);
        store_differ<V>(a, bounds, r, n, differ);
      }
    }
  }
};

// Nanoseconds of L outputs: of a run of vectors, of a vector besides, of adding them up; and of an
// output of a row stored.
struct LinesCost {
  float run, vector, total, output;
};

template <class V>
float lines_cost_ns(const Shape& s, const LinesCost& c) {
  if (!in_contract(s)) return -1.0f;
  constexpr size_t L = vector_words<V>();
  const size_t vectors = (words_of(s.inputs) + L - 1) / L;
  const float each = static_cast<float>(vectors / kRun) * c.run +
                     static_cast<float>(vectors % kRun) * c.vector + c.total;
  const float passes = static_cast<float>(s.x_planes * s.w_planes);
  const float eights = static_cast<float>((s.outputs + L - 1) / L);
  return static_cast<float>(s.rows) *
         (eights * passes * each + static_cast<float>(s.outputs) * c.output);
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_LINES_H_

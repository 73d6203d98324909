// One row of bits, or a few, against weights as they lie in the file: a vector is L words of one
// output, so nothing is kept and nothing turned, and the file is read from its beginning to its
// end. L outputs share the words of x; their sums go across lanes together.
//
// A *run* is kRun vectors of an output, counted at once: where the CPU counts words or bytes, one
// by one; else by carry-save adders, 15 vectors becoming four planes. With adders of one operation
// runs of 8 outputs become planes of all of them, folded in half three times, and only those
// are counted (generic_fold.h).
//
// struct V, beyond kBytes, zero, xor2, add64 and what Words wants of less64 and add_counts:
//   kRun                  vectors of a run
//   load_words(p)         at any address of words
//   load_few(p, words)    the first ones alone, zeros behind them; not 0
//   kCounts, pop64        ones of each word where the CPU counts them; else pop8, add8 and sad
//   across(sum[L])        vector of the totals of L vectors
//   kFolds                whether generic_fold.h has what it wants
#ifndef QRT_KERNELS_BITS_GENERIC_LINES_H_
#define QRT_KERNELS_BITS_GENERIC_LINES_H_

#include "kernels/bits/generic_fold.h"

namespace qrt::kernels::bits {
namespace {

inline constexpr size_t kMany =
    512;  // outputs that one row is counted against before any is stored

// Where ones of a vector are added up: in its words, or in bytes (31 times at most) for words.
template <class V>
inline typename V::Vec add_ones(typename V::Vec sum, typename V::Vec v) {
  if constexpr (V::kCounts)
    return V::add64(sum, V::pop64(v));
  else
    return V::add8(sum, V::pop8(v));
}
template <class V>
inline typename V::Vec in_words(typename V::Vec sum) {
  if constexpr (V::kCounts)
    return sum;
  else
    return V::sad(sum);
}

// Ones of the 16 vectors d(0) ... d(15), in bytes.
template <class V, class D>
inline __attribute__((always_inline)) typename V::Vec add_carried(const D& d) {
  using Vec = typename V::Vec;
  Vec ones = d(0), twos, fours, eights, t0, t1, f;
  csa<V>(t0, ones, d(1), d(2)), csa<V>(t1, ones, d(3), d(4)), csa<V>(twos, ones, d(5), d(6));
  csa<V>(fours, twos, t0, t1);
  csa<V>(t0, ones, d(7), d(8)), csa<V>(t1, ones, d(9), d(10)), csa<V>(f, twos, t0, t1);
  csa<V>(t0, ones, d(11), d(12)), csa<V>(t1, ones, d(13), d(14)), csa<V>(t0, twos, t0, t1);
  csa<V>(eights, fours, f, t0);
  Vec bytes = V::pop8(eights);  // 15 * 8 + 8 is a byte
  bytes = V::add8(V::add8(bytes, bytes), V::pop8(fours));
  bytes = V::add8(V::add8(bytes, bytes), V::pop8(twos));
  bytes = V::add8(V::add8(bytes, bytes), V::pop8(ones));
  return V::add8(bytes, V::pop8(d(15)));
}

// A word for each of L outputs `stride` words apart: what differs of their runs. The compiler must
// not know how far they lie apart: g++-12 keeps 64 distances on the stack.
template <class V>
inline __attribute__((always_inline)) typename V::Vec runs_differ(
    const typename V::Vec (&x)[V::kRun], const uint64_t* w, size_t stride) {
  using Vec = typename V::Vec;
  constexpr size_t L = vector_words<V>();
  if constexpr (V::kFolds) {
    return folded<V>(x, w, stride);
  } else {
    Vec sum[L];
    _Pragma("GCC unroll 8") for (size_t n = 0; n < L; ++n, w += stride) {
      asm("" : "+r"(w));
      const auto d = [&](size_t i) { return V::xor2(x[i], V::load_words(w + i * L)); };
      Vec all = V::zero();
      if constexpr (V::kCarrySave && V::kRun == 16)
        all = add_carried<V>(d);
      else
        _Pragma("GCC unroll 8") for (size_t i = 0; i < V::kRun; ++i) all = add_ones<V>(all, d(i));
      sum[n] = in_words<V>(all);
    }
    return V::across(sum);
  }
}

// C vectors more of L outputs, or the first words of one.
template <class V, size_t C>
inline __attribute__((always_inline)) void add_some(typename V::Vec (&sum)[vector_words<V>()],
                                                    const uint64_t* x, const uint64_t* w,
                                                    size_t stride) {
  constexpr size_t L = vector_words<V>();
  typename V::Vec one[C];
  _Pragma("GCC unroll 8") for (size_t i = 0; i < C; ++i) one[i] = V::load_words(x + i * L);
  _Pragma("GCC unroll 8") for (size_t n = 0; n < L; ++n, w += stride) {
    asm("" : "+r"(w));
    _Pragma("GCC unroll 8") for (size_t i = 0; i < C; ++i) sum[n] =
        add_ones<V>(sum[n], V::xor2(one[i], V::load_words(w + i * L)));
  }
}
template <class V>
inline __attribute__((always_inline)) void add_few(typename V::Vec (&sum)[vector_words<V>()],
                                                   const uint64_t* x, const uint64_t* w,
                                                   size_t stride, size_t words) {
  constexpr size_t L = vector_words<V>();
  const typename V::Vec one = V::load_few(x, words);
  _Pragma("GCC unroll 8") for (size_t n = 0; n < L; ++n, w += stride) {
    sum[n] = add_ones<V>(sum[n], V::xor2(one, V::load_few(w, words)));
  }
}

// A word for each of L outputs of fewer words than a run has: 15 vectors and a part at most.
template <class V>
inline typename V::Vec rests_differ(const uint64_t* x, const uint64_t* w, size_t stride,
                                    size_t words) {
  constexpr size_t L = vector_words<V>();
  typename V::Vec sum[L];
  _Pragma("GCC unroll 8") for (size_t n = 0; n < L; ++n) sum[n] = V::zero();
  const auto passed = [&](size_t vectors) {
    x += vectors * L, w += vectors * L, words -= vectors * L;
  };
  if constexpr (V::kRun > 8)
    if (words >= 8 * L) add_some<V, 8>(sum, x, w, stride), passed(8);
  if (words >= 4 * L) add_some<V, 4>(sum, x, w, stride), passed(4);
  if (words >= 2 * L) add_some<V, 2>(sum, x, w, stride), passed(2);
  if (words >= L) add_some<V, 1>(sum, x, w, stride), passed(1);
  if (words != 0) add_few<V>(sum, x, w, stride, words);
  _Pragma("GCC unroll 8") for (size_t n = 0; n < L; ++n) sum[n] = in_words<V>(sum[n]);
  return V::across(sum);
}

template <class V>
inline void load_run(const uint64_t* x, typename V::Vec (&to)[V::kRun]) {
  _Pragma("GCC unroll 16") for (size_t i = 0; i < V::kRun; ++i) to[i] =
      V::load_words(x + i * vector_words<V>());
}

// to[n] += differing bits << shift for `outputs` outputs, a multiple of L, `stride` words apart.
template <class V>
__attribute__((noinline)) void add_lines(const uint64_t* w, size_t stride, size_t outputs,
                                         const uint64_t* x, size_t words, int shift, int32_t* to) {
  using Vec = typename V::Vec;
  constexpr size_t L = vector_words<V>(), kRunWords = V::kRun * L;
  Vec one[V::kRun];
  if (words == kRunWords) {
    load_run<V>(x, one);
    for (size_t n = 0; n < outputs; n += L, w += L * stride)
      V::add_counts(to + n, runs_differ<V>(one, w, stride), shift);
    return;
  }
  for (size_t n = 0; n < outputs; n += L, w += L * stride) {
    Vec sum = V::zero();
    size_t k = 0;
    for (; k + kRunWords <= words; k += kRunWords) {
      load_run<V>(x + k, one);
      sum = V::add64(sum, runs_differ<V>(one, w + k, stride));
    }
    if (k < words) sum = V::add64(sum, rests_differ<V>(x + k, w + k, stride, words - k));
    V::add_counts(to + n, sum, shift);
  }
}

// Of one output.
inline int32_t differing(const uint64_t* x, const uint64_t* w, size_t words) {
  int32_t sum = 0;
  for (size_t k = 0; k < words; ++k) sum += __builtin_popcountll(x[k] ^ w[k]);
  return sum;
}

template <class V>
struct Lines {
  static constexpr size_t L = vector_words<V>();

  static size_t kept(const Shape& s) { return Bounds::kept(s); }
  static void pack(const PackArgs& a) {
    if (a.shape.form == Form::bits) Bounds::pack(a, a.kept);
  }
  static size_t scratch(const Shape&) { return kAlign; }

  // Outputs of a row; `differ` has room for whole words of them.
  static void count(const Args& a, const uint64_t* w, const uint64_t* x, size_t outputs,
                    int32_t* differ) {
    const size_t words = words_of(a.shape.inputs), vectors = outputs / L * L;
    std::memset(differ, 0, up_to(outputs, kWord) * sizeof *differ);
    for (uint32_t i = 0; i < a.shape.w_planes; ++i)
      for (uint32_t j = 0; j < a.shape.x_planes; ++j) {
        const uint64_t *from = w + i * a.w_plane, *by = x + j * a.x_plane;
        const int shift = static_cast<int>(i + j);
        add_lines<V>(from, a.w_stride, vectors, by, words, shift, differ);
        for (size_t n = vectors; n < outputs; ++n)
          differ[n] += differing(by, from + n * a.w_stride, words) << shift;
      }
  }
  // What several rows share stays in the first levels of cache.
  static void run(const Args& a) {
    const Bounds bounds(a.shape, a.kept);
    const size_t many = a.shape.rows > 1 ? kWord : kMany;
    alignas(64) int32_t differ[kMany];
    for (size_t n = 0; n < a.outputs; n += many) {
      const uint64_t* w = a.weights + (a.first_output + n) * a.w_stride;
      const size_t outputs = least(many, a.outputs - n);
      for (size_t r = 0; r < a.shape.rows; ++r) {
        count(a, w, a.x + r * a.x_stride, outputs, differ);
        for (size_t i = 0; i < outputs; i += kWord)
          store_differ<V>(a, bounds, r, n + i, differ + i);
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
  const float each = static_cast<float>(vectors / V::kRun) * c.run +
                     static_cast<float>(vectors % V::kRun) * c.vector + c.total;
  const float passes = static_cast<float>(s.x_planes * s.w_planes);
  const float eights = static_cast<float>((s.outputs + L - 1) / L);
  return static_cast<float>(s.rows) *
         (eights * passes * each + static_cast<float>(s.outputs) * c.output);
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_LINES_H_

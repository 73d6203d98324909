// Counting word by word: lanes are words of 64 inputs, one output each.
//
// Weights are kept as [outputs / L][plane][word][L], L = words of a vector, so that a word of x
// meets L outputs at once and no sum goes across lanes. With three-input logic or without, counting
// the ones of a vector costs 6 to 8 operations; carry-save adders (Harley and Seal) bring 8 vectors
// down to one that must be counted, for 7 of them. Where the CPU counts bytes (NEON) they are
// simply added, 31 of them to a byte.
//
// struct V, beyond what generic.h wants: kCarrySave, kRows (that share loads), pop8 (ones of each
// byte), add8, add64, sad (sums of 8 bytes in 64 bits), add_counts(to, v, shift): to[i] += v[i] <<
// shift for L int32, and less64(a, b): bit i is a[i] < b[i].
#ifndef QRT_KERNELS_BITS_GENERIC_WORDS_H_
#define QRT_KERNELS_BITS_GENERIC_WORDS_H_

#include "kernels/bits/generic_finish.h"

namespace qrt::kernels::bits {
namespace {

inline constexpr size_t kByteWords = 31;  // 8 * 31 = 248 is a byte

template <class V>
constexpr size_t vector_words() {
  return V::kBytes / 8;
}

// 248 = 31 * 8 again: a byte of eights grows by 8 at most in a step.
template <class V>
inline typename V::Vec count_word_lanes(const uint64_t* w, const uint64_t* x, size_t words) {
  using Vec = typename V::Vec;
  constexpr size_t L = vector_words<V>();
  const auto differ = [&](size_t i) {
    return V::xor2(V::load(reinterpret_cast<const uint8_t*>(w + i * L)), V::set64(x[i]));
  };
  Vec total = V::zero(), ones = total, twos = total, fours = total, bytes = total;
  const bool carried = words >= 8;
  while (words >= 8) {
    const size_t steps = least(words / 8, kByteWords);
    for (size_t s = 0; s < steps; ++s, w += 8 * L, x += 8) {
      Vec t0, t1, f0, f1, e;
      csa<V>(t0, ones, differ(0), differ(1)), csa<V>(t1, ones, differ(2), differ(3));
      csa<V>(f0, twos, t0, t1);
      csa<V>(t0, ones, differ(4), differ(5)), csa<V>(t1, ones, differ(6), differ(7));
      csa<V>(f1, twos, t0, t1), csa<V>(e, fours, f0, f1);
      bytes = V::add8(bytes, V::pop8(e));
    }
    words -= 8 * steps;
    total = V::add64(total, V::template shl64<3>(V::sad(bytes)));
    bytes = V::zero();
  }
  // 4 * 8 + 2 * 8 + 8 + 7 * 8 = 112 is a byte.
  if (carried) {
    bytes = V::pop8(fours), bytes = V::add8(bytes, bytes);
    bytes = V::add8(bytes, V::pop8(twos)), bytes = V::add8(bytes, bytes);
    bytes = V::add8(bytes, V::pop8(ones));
  }
  for (size_t i = 0; i < words; ++i) bytes = V::add8(bytes, V::pop8(differ(i)));
  return V::add64(total, V::sad(bytes));
}

// R rows by NV vectors, the ones of bytes counted and added.
template <class V, size_t R, size_t NV>
inline void count_bytes(const uint64_t* w, size_t vector, const uint64_t* x, size_t x_stride,
                        size_t words, int shift, int32_t (*differ)[kWord]) {
  constexpr size_t L = vector_words<V>();
#define QRT_ROWS _Pragma("GCC unroll 4") for (size_t r = 0; r < R; ++r)
#define QRT_VECTORS _Pragma("GCC unroll 4") for (size_t v = 0; v < NV; ++v)
  while (words != 0) {
    const size_t count = least(words, kByteWords);
    typename V::Vec sum[R][NV];
    QRT_ROWS QRT_VECTORS sum[r][v] = V::zero();
    for (size_t k = 0; k < count; ++k) {
      typename V::Vec b[NV];
      QRT_VECTORS b[v] = V::load(reinterpret_cast<const uint8_t*>(w + v * vector + k * L));
      QRT_ROWS {
        const typename V::Vec one = V::set64(x[r * x_stride + k]);
        QRT_VECTORS sum[r][v] = V::add8(sum[r][v], V::pop8(V::xor2(b[v], one)));
      }
    }
    QRT_ROWS QRT_VECTORS V::add_counts(differ[r] + v * L, V::sad(sum[r][v]), shift);
    words -= count, w += count * L, x += count;
  }
#undef QRT_ROWS
#undef QRT_VECTORS
}

// R rows by 64 outputs, or by `vectors` vectors of them.
template <class V, size_t R>
__attribute__((noinline)) void differ64(const Args& a, const uint64_t* kept, const uint64_t* x,
                                        size_t vectors, int32_t (*differ)[kWord]) {
  constexpr size_t L = vector_words<V>();
  const Shape& s = a.shape;
  const size_t words = words_of(s.inputs), vector = s.w_planes * words * L;
  std::memset(differ, 0, R * sizeof differ[0]);
  for (size_t i = 0; i < s.w_planes; ++i) {
    for (size_t j = 0; j < s.x_planes; ++j) {
      const uint64_t *w = kept + i * words * L, *row = x + j * a.x_plane;
      const int shift = static_cast<int>(i + j);
      size_t v = 0;
      if constexpr (V::kCarrySave) {
        for (; v < vectors; ++v)
          V::add_counts(differ[0] + v * L, count_word_lanes<V>(w + v * vector, row, words), shift);
      } else {
        int32_t(*to)[kWord] = differ;
        for (; v + 4 <= vectors; v += 4, to = reinterpret_cast<int32_t(*)[kWord]>(&to[0][4 * L]))
          count_bytes<V, R, 4>(w + v * vector, vector, row, a.x_stride, words, shift, to);
        for (; v < vectors; ++v, to = reinterpret_cast<int32_t(*)[kWord]>(&to[0][L]))
          count_bytes<V, R, 1>(w + v * vector, vector, row, a.x_stride, words, shift, to);
      }
    }
  }
}

// Nanoseconds of 8 words of a row against a vector of weights, of a word besides, of the vector,
// and of an output of a row stored.
struct WordsCost {
  float eight, word, vector, output;
};

template <class V>
float words_cost_ns(const Shape& s, const WordsCost& c) {
  if (!in_contract(s)) return -1.0f;
  const size_t words = words_of(s.inputs), L = vector_words<V>();
  const float passes = static_cast<float>(s.x_planes * s.w_planes);
  const float vectors = static_cast<float>((s.outputs + L - 1) / L);
  const float vector =
      static_cast<float>(words / 8) * c.eight + static_cast<float>(words % 8) * c.word + c.vector;
  return static_cast<float>(s.rows) *
         (vectors * passes * vector + static_cast<float>(s.outputs) * c.output);
}

// Counts of 64 outputs of a row, or fewer, become what the layer gives.
template <class V>
inline void store_differ(const Args& a, const Bounds& bounds, size_t row, size_t first,
                         const int32_t* differ) {
  if (!a.bits) {
    finish_row(a, row, first, least(kWord, a.outputs - first), differ);
    return;
  }
  const size_t output = a.first_output + first, group = a.class_of ? a.class_of[row] : 0u;
  const uint64_t less = V::less64(differ, bounds.bounds + group * bounds.stride + output);
  a.bits[row * a.y_stride + first / kWord] = less ^ bounds.flips[output / kWord];
}

// Weights as above, then what Bounds keeps.
template <class V>
struct Words {
  static constexpr size_t L = vector_words<V>();
  static constexpr size_t kRows = V::kRows;  // that share loads of weights

  static size_t weight_words(const Shape& s) {
    return up_to(s.outputs, L) * s.w_planes * words_of(s.inputs);
  }
  static size_t kept(const Shape& s) {
    return weight_words(s) * sizeof(uint64_t) + Bounds::kept(s);
  }
  static void pack(const PackArgs& a) {
    const Shape& s = a.shape;
    uint64_t* to = static_cast<uint64_t*>(a.kept);
    for (size_t n = 0; n < s.outputs; n += L)
      for (size_t i = 0; i < s.w_planes; ++i)
        for (size_t k = 0; k < words_of(s.inputs); ++k)
          for (size_t l = 0; l < L; ++l)
            *to++ = n + l < s.outputs ? a.weights[(n + l) * a.stride + i * a.plane + k] : 0;
    if (s.form == Form::bits) Bounds::pack(a, to);
  }
  static size_t scratch(const Shape&) { return kAlign; }

  static void run(const Args& a) {
    const Shape& s = a.shape;
    const uint64_t* w = static_cast<const uint64_t*>(a.kept);
    const Bounds bounds(s, w + weight_words(s));
    w += a.first_output * s.w_planes * words_of(s.inputs);
    alignas(64) int32_t differ[kRows][kWord];
    for (size_t n = 0; n < a.outputs; n += kWord, w += kWord * s.w_planes * words_of(s.inputs)) {
      const size_t vectors = (least(kWord, a.outputs - n) + L - 1) / L;
      const uint64_t* x = a.x;
      size_t r = 0;
      for (; r + kRows <= s.rows; r += kRows, x += kRows * a.x_stride) {
        differ64<V, kRows>(a, w, x, vectors, differ);
        for (size_t i = 0; i < kRows; ++i) store_differ<V>(a, bounds, r + i, n, differ[i]);
      }
      for (; r < s.rows; ++r, x += a.x_stride) {
        differ64<V, 1>(a, w, x, vectors, differ);
        store_differ<V>(a, bounds, r, n, differ[0]);
      }
    }
  }
};

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_WORDS_H_

// Tensors of any type as bytes, and their elements by index: for operators that
// only move data.
#ifndef QRT_TESTS_RUNTIME_OPS_ELEMENTS_H_
#define QRT_TESTS_RUNTIME_OPS_ELEMENTS_H_

#include <random>
#include <vector>

#include "tests/runtime/ops/naive.h"

namespace qrt::test {

inline constexpr DType kTypes[] = {DType::f32, DType::f16, DType::i8,     DType::u8,
                                   DType::i32, DType::i64, DType::boolean};

// A tensor whose bytes are all different enough to notice any mistake.
inline HostTensor bytes_tensor(DType t, const Shape& s, uint32_t seed) {
  HostTensor h{t, s, {}, false};
  std::mt19937 bits(seed);
  h.bytes.resize(h.count() * size_of(t));
  for (unsigned char& b : h.bytes) b = static_cast<unsigned char>(bits() >> 8);
  return h;
}

inline std::vector<int> indices(const Shape& s, size_t flat) {
  std::vector<int> at(static_cast<size_t>(s.rank));
  for (int i = s.rank - 1; i >= 0; --i) {
    at[static_cast<size_t>(i)] = static_cast<int>(flat % static_cast<size_t>(s[i]));
    flat /= static_cast<size_t>(s[i]);
  }
  return at;
}

inline size_t flat_of(const Shape& s, const std::vector<int>& at) {
  size_t flat = 0;
  for (int i = 0; i < s.rank; ++i)
    flat = flat * static_cast<size_t>(s[i]) + at[static_cast<size_t>(i)];
  return flat;
}

inline std::vector<unsigned char> element(const HostTensor& t, size_t i) {
  const size_t n = size_of(t.dtype);
  return {t.bytes.begin() + static_cast<long>(i * n),
          t.bytes.begin() + static_cast<long>(i * n + n)};
}

}  // namespace qrt::test

#endif  // QRT_TESTS_RUNTIME_OPS_ELEMENTS_H_

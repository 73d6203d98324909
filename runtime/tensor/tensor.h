// Element types, shapes and borrowed views of tensors. Activations are dense and
// row-major; images are NHWC inside the engine.
#ifndef QRT_RUNTIME_TENSOR_TENSOR_H_
#define QRT_RUNTIME_TENSOR_TENSOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "runtime/base/checked.h"

namespace qrt {

enum class DType : uint8_t {
  f32 = 0,
  f16 = 1,
  i8 = 2,
  u8 = 3,
  i32 = 4,
  i64 = 5,
  boolean = 6,
  bits = 7,  // of activations only; see bytes_of()
};
inline constexpr int kDTypes = 8;
inline constexpr int kMaxRank = 6;

// Bytes of one element; a bit has none of its own.
constexpr size_t size_of(DType t) {
  constexpr size_t bytes[kDTypes] = {4, 2, 1, 1, 4, 8, 1, 0};
  return bytes[static_cast<size_t>(t)];
}
const char* name_of(DType t);

struct Shape {
  int32_t rank = 0;
  std::array<int32_t, kMaxRank> dim{};

  int32_t operator[](int i) const { return dim[static_cast<size_t>(i)]; }
  int32_t& operator[](int i) { return dim[static_cast<size_t>(i)]; }
  // Number of elements; 1 for rank 0. Shapes of an opened model are known to fit.
  constexpr CheckedSize elements() const {
    CheckedSize n(1);
    for (int i = 0; i < rank; ++i) n = n * static_cast<uint64_t>(dim[static_cast<size_t>(i)]);
    return n;
  }
  bool operator==(const Shape& o) const {
    if (rank != o.rank) return false;
    for (int i = 0; i < rank; ++i)
      if ((*this)[i] != o[i]) return false;
    return true;
  }
  bool operator!=(const Shape& o) const { return !(*this == o); }
};

// Elements along the innermost dimension; of a tensor without dimensions 1.
constexpr size_t row_of(const Shape& s) {
  return s.rank == 0 ? 1 : static_cast<size_t>(s.dim[static_cast<size_t>(s.rank - 1)]);
}
// Words of 64 bits that a row of bits takes.
constexpr size_t words_of_row(const Shape& s) {
  return (row_of(s) + 63) / 64;
}
// Bytes of a tensor. Bits: every row of the innermost dimension starts on a word, what is left of
// its last word is 0.
constexpr CheckedSize bytes_of(DType t, const Shape& s) {
  if (t != DType::bits) return s.elements() * size_of(t);
  CheckedSize rows(1);
  for (int i = 0; i + 1 < s.rank; ++i)
    rows = rows * static_cast<uint64_t>(s.dim[static_cast<size_t>(i)]);
  return rows * words_of_row(s) * 8;
}

// Bytes (u8) that stand for scale * (byte - zero); a scale of 0: not quantized. Of bits:
// scale * (2 * bit - 1).
struct Quantization {
  float scale = 0;
  int32_t zero = 0;

  bool present() const { return scale != 0; }
  bool operator==(const Quantization& o) const { return scale == o.scale && zero == o.zero; }
  bool operator!=(const Quantization& o) const { return !(*this == o); }
};

// A borrowed window onto contiguous memory that somebody else owns. Copy it freely.
template <class Byte>  // std::byte or const std::byte
struct BasicTensorView {
  Byte* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  Quantization quantization = {};

  template <class T>
  auto* as() const {
    if constexpr (std::is_const_v<Byte>)
      return reinterpret_cast<const T*>(data);
    else
      return reinterpret_cast<T*>(data);
  }
};
using TensorView = BasicTensorView<std::byte>;
using ConstTensorView = BasicTensorView<const std::byte>;

}  // namespace qrt

#endif  // QRT_RUNTIME_TENSOR_TENSOR_H_

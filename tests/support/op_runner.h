// Runs one operator without a model file: the node, its attributes and its tensors
// are put together by the test. Inputs are followed by NaNs that a kernel may read
// but must not use; outputs lie between guard bytes that it must not touch.
#ifndef QRT_TESTS_SUPPORT_OP_RUNNER_H_
#define QRT_TESTS_SUPPORT_OP_RUNNER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "runtime/ops/op.h"

namespace qrt::test {

inline Shape shape(std::initializer_list<int> dims) {
  Shape s;
  for (int d : dims) s[s.rank++] = d;
  return s;
}

struct HostTensor {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<unsigned char> bytes;
  bool is_constant = false;  // prepare() sees its data
  Quantization quantization = {};

  size_t count() const { return *shape.elements().get(); }
  template <class T>
  T at(size_t i) const {
    T v;
    std::memcpy(&v, bytes.data() + i * sizeof(T), sizeof v);
    return v;
  }
  float operator[](size_t i) const { return at<float>(i); }
};

template <class T>
HostTensor tensor_of(DType t, const Shape& s, const std::vector<T>& values) {
  HostTensor h{t, s, std::vector<unsigned char>(values.size() * sizeof(T)), false, {}};
  if (!values.empty()) std::memcpy(h.bytes.data(), values.data(), h.bytes.size());
  return h;
}
inline HostTensor floats(const Shape& s, const std::vector<float>& v) {
  return tensor_of(DType::f32, s, v);
}

// Values in [-1, 1), the same for the same seed everywhere.
inline std::vector<float> random_floats(size_t n, uint32_t seed) {
  std::mt19937 bits(seed);
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(bits() >> 8) / 8388608.0f - 1.0f;
  return v;
}
inline HostTensor random_tensor(const Shape& s, uint32_t seed) {
  return floats(s, random_floats(*s.elements().get(), seed));
}

// Bytes that stand for scale * (byte - zero), the same for the same seed.
inline HostTensor random_bytes(const Shape& s, uint32_t seed, const Quantization& q) {
  std::mt19937 bits(seed);
  HostTensor h{DType::u8, s, std::vector<unsigned char>(*s.elements().get()), false, q};
  for (unsigned char& b : h.bytes) b = static_cast<unsigned char>(bits() >> 8);
  return h;
}

inline Constant constant_of(const std::vector<float>& v) {
  return {v.data(), DType::f32, static_cast<uint32_t>(v.size())};
}

// The allocator of a failing session: the n-th request and all later ones fail.
struct CountingAllocator {
  int64_t left = INT64_MAX, live = 0;
  Allocator get() { return {take, give, this}; }
  static void* take(void* user, size_t bytes, size_t align);
  static void give(void* user, void* p);
};

struct OpRun {
  uint32_t threads = 1;
  bool use_xnnpack = true;
  Mode mode = Mode::compressed;
  kernels::IsaSet isa = kernels::detect_isa();
  const char* strategy = nullptr;
  int64_t fail_after = INT64_MAX;  // memory requests that succeed
  int repeats = 1;                 // runs; all must give the same bytes

  std::string kernel;       // out: kernel_name()
  std::string choice;       // out
  size_t weight_bytes = 0;  // out
  bool guards_held = true;  // out: nothing outside the output was written
  bool repeatable = true;   // out
  int64_t leaked = 0;       // out: requests not given back

  // Prepares, binds, runs and destroys. `out` says dtype and shape and gets the bytes.
  Status operator()(Node node, const std::vector<HostTensor>& in, HostTensor* out);
};

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_OP_RUNNER_H_

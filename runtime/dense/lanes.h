// Four floats that stay in a register whatever the compiler thinks of the loop
// around them: the vector extension of GCC and Clang, which every target has (as
// SSE, NEON, or plain registers). For the runtime's own plain code only; kernels
// that need more live in kernels/.
#ifndef QRT_RUNTIME_DENSE_LANES_H_
#define QRT_RUNTIME_DENSE_LANES_H_

#include <cstddef>
#include <cstring>

namespace qrt {

typedef float f32x4 __attribute__((vector_size(16)));
inline constexpr size_t kLanes = 4;

inline f32x4 load_f32x4(const float* p) {
  f32x4 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store_f32x4(float* p, f32x4 v) {
  std::memcpy(p, &v, sizeof v);
}

}  // namespace qrt

#endif  // QRT_RUNTIME_DENSE_LANES_H_

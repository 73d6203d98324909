// Definitions in double precision that the tests of operators compare with.
#ifndef QRT_TESTS_RUNTIME_OPS_NAIVE_H_
#define QRT_TESTS_RUNTIME_OPS_NAIVE_H_

#include <cmath>
#include <limits>
#include <vector>

#include "runtime/model/model.h"
#include "tests/support/op_runner.h"

namespace qrt::test {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kNoMin = -3.4028234e38f, kNoMax = 3.4028234e38f;

// max |got - want| / max(1, max |want|); infinite when NaNs or infinities differ.
inline double difference(const HostTensor& got, const std::vector<double>& want) {
  double worst = 0, scale = 1;
  if (got.count() != want.size()) return kInf;
  for (double w : want)
    if (std::isfinite(w)) scale = std::max(scale, std::fabs(w));
  for (size_t i = 0; i < want.size(); ++i) {
    const double g = got[i], w = want[i];
    if (std::isnan(w) != std::isnan(g)) return kInf;
    if (std::isnan(w) || g == w) continue;
    if (std::isinf(w) || std::isinf(g)) return kInf;
    worst = std::max(worst, std::fabs(g - w));
  }
  return worst / scale;
}

inline int out_extent(int in, uint32_t k, uint32_t s, uint32_t d, uint32_t before, uint32_t after) {
  const int reach = static_cast<int>(d * (k - 1) + 1);
  return (in + static_cast<int>(before + after) - reach) / static_cast<int>(s) + 1;
}

// Calls visit(n, y, x, iy, ix, ky, kx) for every tap inside the image.
template <class F>
void for_taps(const Shape& in, const Shape& out, const Window& w, F&& visit) {
  for (int n = 0; n < out[0]; ++n)
    for (int y = 0; y < out[1]; ++y)
      for (int x = 0; x < out[2]; ++x)
        for (int ky = 0; ky < static_cast<int>(w.kernel_h); ++ky)
          for (int kx = 0; kx < static_cast<int>(w.kernel_w); ++kx) {
            const int iy = y * static_cast<int>(w.stride_h) + ky * static_cast<int>(w.dilation_h) -
                           static_cast<int>(w.pad_top);
            const int ix = x * static_cast<int>(w.stride_w) + kx * static_cast<int>(w.dilation_w) -
                           static_cast<int>(w.pad_left);
            if (iy < 0 || ix < 0 || iy >= in[1] || ix >= in[2]) continue;
            visit(n, y, x, iy, ix, ky, kx);
          }
}

inline size_t offset4(const Shape& s, int n, int y, int x, int c) {
  return ((static_cast<size_t>(n) * s[1] + y) * s[2] + x) * s[3] + c;
}

}  // namespace qrt::test

#endif  // QRT_TESTS_RUNTIME_OPS_NAIVE_H_

// Depthwise convolutions of the int8 family, windows and strides as pointers, on guarded memory,
// against sums in 64 bits finished by the formula of int8.h.
#include <cmath>

#include "tests/kernels/int8_case.h"

namespace qrt::kernels::int8 {
namespace {

using test::each_int8_kit;
using test::GuardedBuffer;
using test::Int8Random;
using Row = Kernel<const Kit>;

struct Window {
  size_t channels, width, stride;  // of the input row; an output row is computed
  size_t kernel;
  int x_zero, zero;
  bool extreme, scale, bias, residual;
  bool bias_first = false;
  std::string str() const {
    return std::to_string(channels) + " channels, " + std::to_string(kernel) + " squared, stride " +
           std::to_string(stride);
  }
};

// One output row: `kernel` input rows of their own memory, padding on the left and the right.
struct Layer {
  explicit Layer(const Window& window)
      : w(window),
        pixels((w.width - 1) / w.stride + 1),
        taps(w.kernel * w.kernel),
        x(w.kernel * w.width * w.channels),
        pad(w.channels),
        residual(pixels * w.channels),
        weights(taps * w.channels),
        scale(w.channels),
        bias(w.channels) {
    Int8Random random(w.channels * 7 + w.width + w.kernel);
    const bool ends = w.extreme;
    for (uint8_t& v : x)
      v = static_cast<uint8_t>(ends ? random.between(0, 1) * 255 : random.between(0, 255));
    for (int8_t& v : weights)
      v = static_cast<int8_t>(ends ? random.between(0, 1) * 255 - 128 : random.between(-128, 127));
    for (uint8_t& v : pad) v = static_cast<uint8_t>(w.x_zero);
    for (uint8_t& v : residual) v = static_cast<uint8_t>(random.between(0, 255));
    for (float& v : scale) v = 0.002f + random.real(0.001f);
    for (float& v : bias) v = random.real(50);
    const size_t half = w.kernel / 2, columns = (pixels - 1) * w.stride + w.kernel;
    for (size_t column = 0; column < columns; ++column) {
      for (size_t row = 0; row < w.kernel; ++row) {
        const bool in = column >= half && column - half < w.width;
        at.push_back(in ? x.data() + (row * w.width + column - half) * w.channels : pad.data());
      }
    }
  }
  Finish finish() const {
    Finish f{};
    if (w.scale) f.scale = scale.data();
    if (w.bias) f.bias = bias.data();
    if (w.residual) f.residual = residual.data();
    f.residual_stride = w.channels, f.residual_scale = 0.25f, f.residual_zero = 77;
    f.zero = w.zero, f.bias_first = w.bias_first;
    f.min = -static_cast<float>(w.zero), f.max = 255 - static_cast<float>(w.zero);
    return f;
  }
  float want(size_t p, size_t c) const {
    int64_t sum = 0;
    for (size_t t = 0; t < taps; ++t)
      sum += (int64_t{at[p * w.stride * w.kernel + t][c]} - w.x_zero) * weights[t * w.channels + c];
    volatile float t = static_cast<float>(sum);  // no operation may be fused
    if (w.bias_first) t = t + bias[c];
    if (w.scale) t = t * scale[c];
    if (w.bias && !w.bias_first) t = t + bias[c];
    if (w.residual) {
      volatile float r = static_cast<float>(int{residual[p * w.channels + c]} - 77);
      r = r * 0.25f;
      t = t + r;
    }
    const Finish f = finish();
    return std::min(f.max, std::max(f.min, static_cast<float>(t)));
  }

  Window w;
  size_t pixels, taps;
  GuardedBuffer<uint8_t> x, pad, residual;
  GuardedBuffer<int8_t> weights;
  GuardedBuffer<float> scale, bias;
  std::vector<const uint8_t*> at;
};

size_t wrong_values(const Row& row, const Layer& layer) {
  const Window& w = layer.w;
  const size_t count = layer.pixels * w.channels;
  GuardedBuffer<uint8_t> panel(depthwise_bytes(layer.taps, w.channels)), y8(count);
  GuardedBuffer<float> y32(count);
  row.run->depthwise_panel({layer.weights.data(), layer.taps, w.channels, panel.data()});
  DepthwiseArgs a{};
  a.pixels = layer.pixels, a.taps = layer.taps, a.channels = w.channels;
  a.x = layer.at.data(), a.next = w.stride * w.kernel, a.x_zero = w.x_zero;
  a.panel = panel.data(), a.y8 = y8.data(), a.y_stride = w.channels, a.finish = layer.finish();
  row.run->depthwise(a);
  a.y8 = nullptr, a.y32 = y32.data();
  row.run->depthwise(a);
  size_t wrong = 0;
  for (size_t p = 0; p < layer.pixels; ++p) {
    for (size_t c = 0; c < w.channels; ++c) {
      const float want = layer.want(p, c);
      wrong += y32[p * w.channels + c] != want;
      wrong += y8[p * w.channels + c] != static_cast<int>(std::nearbyint(want)) + w.zero;
    }
  }
  return wrong;
}

TEST_CASE("int8: depthwise: channels, windows, strides, zeros") {
  std::vector<Window> windows;
  for (const size_t channels :
       {1u, 3u, 15u, 16u, 17u, 24u, 31u, 32u, 33u, 63u, 64u, 65u, 96u, 144u})
    for (const size_t kernel : {1u, 2u, 3u, 5u, 7u})
      for (const size_t stride : {1u, 2u})
        windows.push_back({channels, 9, stride, kernel, channels % 2 == 0 ? 0 : 100,
                           static_cast<int>(channels), kernel == 2, true, channels % 3 != 0,
                           channels % 4 == 0});
  windows.push_back({70, 5, 1, 3, 255, 0, true, false, false, false});
  windows.push_back({70, 5, 1, 5, 0, 255, true, false, true, true});
  for (const size_t channels : {3u, 64u, 70u})
    windows.push_back({channels, 9, 1, 3, 100, 17, false, true, true, channels == 70, true});
  for (const Window& w : windows) {
    const Layer layer(w);
    const std::string shape = w.str();
    CAPTURE(shape);
    each_int8_kit([&](const Row& row) { CHECK(wrong_values(row, layer) == 0); });
  }
}

TEST_CASE("int8: depthwise: no pixels and no channels are nothing") {
  each_int8_kit([&](const Row& row) {
    GuardedBuffer<uint8_t> nothing(0);
    row.run->depthwise_panel({nullptr, 9, 0, nothing.data()});
    DepthwiseArgs a{};
    a.taps = 9, a.panel = nothing.data(), a.y8 = nothing.data();
    row.run->depthwise(a);
    CHECK(depthwise_bytes(9, 0) == 0);
  });
}

}  // namespace
}  // namespace qrt::kernels::int8

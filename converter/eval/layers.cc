// Convolution and linear layers by matrix products, and pooling.
//
// Convolution: for output pixel p and weight column k = (channel, ky, kx),
// columns[k][p] is the input under that tap, 0 in the padding; then
// y[o][p] = sum over k of w[o][k] * columns[k][p], one sgemm per image, group
// and chunk of output rows. Chunks keep `columns` under 16 MB whatever the size.
// Layers of integers multiply in f64, which is exact: sums stay below 2^31.
#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "converter/eval/compute.h"
#include "converter/eval/integer_layers.h"

namespace qrt::eval {
namespace {

constexpr int64_t kMaxColumns = int64_t{4} << 20;  // floats

// Fills columns for output rows [row0, row1) from `channels` channels that start at x.
void gather_columns(const float* x, const Image& in, int64_t channels, const Image& out,
                    const ir::Window2d& w, int64_t row0, int64_t row1, float* columns) {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
        for (int64_t y = row0; y < row1; ++y) {
          const int64_t in_y = y * w.stride[0] + ky * w.dilation[0] - w.pad[0];
          const bool inside = in_y >= 0 && in_y < in.height;
          const float* line = x + c * in.channel + (inside ? in_y * in.row : 0);
          int64_t in_x = kx * w.dilation[1] - w.pad[1];
          for (int64_t p = 0; p < out.width; ++p, in_x += w.stride[1]) {
            *columns++ = inside && in_x >= 0 && in_x < in.width ? line[in_x * in.pixel] : 0.0f;
          }
        }
      }
    }
  }
}

// One image, one group, one chunk of output rows of a convolution.
struct Chunk {
  const Image& out;
  int64_t group, outputs, k, pixels;
  bool nchw;
  float* y;
};

// The product of weights and columns.
void multiply(const Chunk& c, const float* weights, const std::vector<float>& columns) {
  const int m = static_cast<int>(c.outputs), n = static_cast<int>(c.pixels),
            depth = static_cast<int>(c.k);
  if (c.nchw) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, depth, 1.0f, weights, depth,
                columns.data(), n, 0.0f, c.y, static_cast<int>(c.out.channel));
  } else {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasTrans, n, m, depth, 1.0f, columns.data(), n,
                weights, depth, 0.0f, c.y, static_cast<int>(c.out.pixel));
  }
}

// Calls product(chunk, columns) for all of the output.
template <class Product>
Result<void> convolve(Call& call, const ir::Conv2d& conv, const float* x, const Product& product) {
  const Image in(call.in[0].shape, conv.layout), out(call.out.shape, conv.layout);
  const int64_t outputs = out.channels / conv.groups, channels = in.channels / conv.groups;
  const int64_t k = channels * conv.window.kernel[0] * conv.window.kernel[1];
  if (out.width > 0 && k > std::numeric_limits<int>::max() / out.width) {
    return fail(561, "conv2d ", call.node.name, ": an output row needs ", k, " x ", out.width,
                " inputs; use a smaller input");
  }
  const int64_t rows = std::clamp<int64_t>(kMaxColumns / (k * out.width), 1, out.height);
  std::vector<float> columns(static_cast<size_t>(k * rows * out.width));
  for (int64_t n = 0; n < in.n; ++n) {
    for (int64_t g = 0; g < conv.groups; ++g) {
      const float* image = x + n * in.image + g * channels * in.channel;
      float* y = call.out.data.data() + n * out.image + g * outputs * out.channel;
      for (int64_t row = 0; row < out.height; row += rows) {
        const int64_t end = std::min(row + rows, out.height);
        gather_columns(image, in, channels, out, conv.window, row, end, columns.data());
        product({out, g, outputs, k, (end - row) * out.width, conv.layout == ir::Layout::nchw,
                 y + row * out.row},
                columns);
      }
    }
  }
  return {};
}

}  // namespace

Result<void> compute(Call& call, const ir::Conv2d& conv) {
  const Image out(call.out.shape, conv.layout);
  if (sums_integers(call)) {
    const IntegerLayer layer(call, out.channels);
    const std::vector<float> x = layer.inputs();
    QRT_CHECK_OK(convolve(call, conv, x.data(), [&](const Chunk& c, const auto& columns) {
      const SumPlace place{c.y, c.nchw ? c.out.channel : 1, c.nchw ? 1 : c.out.pixel};
      layer.sum(columns, c.pixels, c.group * c.outputs, c.outputs, place);
    }));
    layer.finish(conv, out.channels, out.channel);
    return {};
  }
  const float* weights = call.in[1].data.data();
  QRT_CHECK_OK(
      convolve(call, conv, call.in[0].data.data(), [&](const Chunk& c, const auto& columns) {
        multiply(c, weights + c.group * c.outputs * c.k, columns);
      }));
  finish(call, conv, out.channels, out.channel);
  return {};
}

Result<void> compute(Call& call, const ir::Linear& linear) {
  const int64_t outputs = call.in[1].shape[0], inputs = call.in[1].shape[1];
  const int64_t rows = call.in[0].count() / inputs;
  if (sums_integers(call)) {
    const IntegerLayer layer(call, outputs);
    const std::vector<float> x = layer.inputs();
    std::vector<float> columns(x.size());
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t k = 0; k < inputs; ++k) columns[k * rows + r] = x[r * inputs + k];
    layer.sum(columns, rows, 0, outputs, {call.out.data.data(), 1, outputs});
    layer.finish(linear, outputs, 1);
    return {};
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows),
              static_cast<int>(outputs), static_cast<int>(inputs), 1.0f, call.in[0].data.data(),
              static_cast<int>(inputs), call.in[1].data.data(), static_cast<int>(inputs), 0.0f,
              call.out.data.data(), static_cast<int>(outputs));
  finish(call, linear, outputs, 1);
  return {};
}

namespace {

// What a pool sees of a window: the taps inside the input, or all of the window that lies inside
// the padded input.
struct Pooled {
  float best = -std::numeric_limits<float>::infinity();
  double sum = 0;
  int64_t taps = 0;
};

Pooled pool_window(const float* x, const Image& in, const ir::Pool2d& pool, int64_t y, int64_t p) {
  const ir::Window2d& w = pool.window;
  Pooled r;
  for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    const int64_t in_y = y * w.stride[0] + ky * w.dilation[0] - w.pad[0];
    for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
      const int64_t in_x = p * w.stride[1] + kx * w.dilation[1] - w.pad[1];
      const bool inside = in_y >= 0 && in_y < in.height && in_x >= 0 && in_x < in.width;
      r.taps += inside || pool.count_include_pad;
      if (!inside) continue;
      const float value = x[in_y * in.row + in_x * in.pixel];
      r.best = std::max(r.best, value);
      r.sum += pool.mode == ir::Pool2d::Mode::lp ? std::pow(std::fabs(double{value}), pool.power)
                                                 : double{value};
    }
  }
  return r;
}

float pooled_value(const ir::Pool2d& pool, const Pooled& w) {
  if (pool.mode == ir::Pool2d::Mode::max) return w.best;
  if (pool.mode == ir::Pool2d::Mode::lp)
    return static_cast<float>(std::pow(w.sum, 1.0 / pool.power));
  return w.taps == 0 ? 0.0f : static_cast<float>(w.sum / static_cast<double>(w.taps));
}

}  // namespace

Result<void> compute(Call& call, const ir::Pool2d& given) {
  const Image in(call.in[0].shape, given.layout), out(call.out.shape, given.layout);
  ir::Pool2d pool = given;
  if (pool.global) {
    pool.window = {};
    pool.window.kernel = {static_cast<int32_t>(in.height), static_cast<int32_t>(in.width)};
  }
  const bool levels = given.mode == ir::Pool2d::Mode::average && has_bytes(call.in[0]);
  const std::vector<float> stepped = levels ? steps_of(call.in[0]) : std::vector<float>();
  const float* all = levels ? stepped.data() : call.in[0].data.data();
  for (int64_t n = 0; n < out.n; ++n) {
    for (int64_t c = 0; c < out.channels; ++c) {
      const float* x = all + n * in.image + c * in.channel;
      float* y = call.out.data.data() + n * out.image + c * out.channel;
      for (int64_t row = 0; row < out.height; ++row) {
        for (int64_t p = 0; p < out.width; ++p) {
          const Pooled w = pool_window(x, in, pool, row, p);
          y[row * out.row + p * out.pixel] =
              levels ? average_of_bytes(call, w.sum, w.taps) : pooled_value(pool, w);
        }
      }
    }
  }
  return {};
}

}  // namespace qrt::eval

// Products of two activations, and transposed convolution.
//
// Transposed convolution: for input pixel p and column k = (output, ky, kx),
// columns[k][p] = sum over c of w[o][c][ky][kx] * x[c][p] is what the pixel adds
// under that tap; scattering the columns gives the output. One sgemm per image,
// group and chunk of input rows.
#include <cblas.h>

#include <algorithm>
#include <limits>

#include "converter/eval/compute.h"

namespace qrt::eval {
namespace {

constexpr int64_t kMaxColumns = int64_t{4} << 20;  // floats

// The offset of each leading index of `shape` within an operand of shape `of`: matrices apart.
std::vector<int64_t> matrix_offsets(std::span<const int64_t> shape, std::span<const int64_t> of) {
  std::vector<int64_t> offsets = {0};
  int64_t stride = of[of.size() - 1] * of[of.size() - 2];
  // From the last leading axis outwards; what is built so far is repeated along each.
  for (size_t k = 3; k <= shape.size(); ++k) {
    const int64_t dim = shape[shape.size() - k];
    const int64_t own = k <= of.size() ? of[of.size() - k] : 1;
    const size_t inner = offsets.size();
    for (int64_t i = 1; i < dim; ++i) {
      for (size_t j = 0; j < inner; ++j) {
        offsets.push_back(offsets[j] + (own == 1 ? 0 : i * stride));
      }
    }
    stride *= own;
  }
  return offsets;
}

// Weights [o][c][tap] of one group as [o][tap][c].
std::vector<float> taps_first(const float* w, int64_t outputs, int64_t channels, int64_t taps) {
  std::vector<float> r(static_cast<size_t>(outputs * channels * taps));
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        r[(o * taps + t) * channels + c] = w[(o * channels + c) * taps + t];
      }
    }
  }
  return r;
}

// Adds the columns of input rows [row0, row1) to the outputs they meet.
void scatter_columns(const std::vector<float>& columns, const Image& in, const Image& out,
                     int64_t outputs, const ir::Window2d& w, int64_t row0, int64_t row1, float* y) {
  const float* from = columns.data();
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
        for (int64_t row = row0; row < row1; ++row) {
          const int64_t to_y = row * w.stride[0] + ky * w.dilation[0] - w.pad[0];
          const bool inside = to_y >= 0 && to_y < out.height;
          float* line = y + o * out.channel + (inside ? to_y * out.row : 0);
          int64_t to_x = kx * w.dilation[1] - w.pad[1];
          for (int64_t p = 0; p < in.width; ++p, ++from, to_x += w.stride[1]) {
            if (inside && to_x >= 0 && to_x < out.width) line[to_x * out.pixel] += *from;
          }
        }
      }
    }
  }
}

}  // namespace

Result<void> compute(Call& call, const ir::MatMul&) {
  const View &a = call.in[0], &b = call.in[1];
  const int64_t m = a.shape[a.shape.size() - 2], k = a.shape.back(), n = b.shape.back();
  const auto from_a = matrix_offsets(call.out.shape, a.shape);
  const auto from_b = matrix_offsets(call.out.shape, b.shape);
  for (size_t i = 0; i < from_a.size(); ++i) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(m), static_cast<int>(n),
                static_cast<int>(k), 1.0f, a.data.data() + from_a[i], static_cast<int>(k),
                b.data.data() + from_b[i], static_cast<int>(n), 0.0f,
                call.out.data.data() + static_cast<int64_t>(i) * m * n, static_cast<int>(n));
  }
  return {};
}

Result<void> compute(Call& call, const ir::ConvTranspose& conv) {
  const Image in(call.in[0].shape, conv.layout), out(call.out.shape, conv.layout);
  const int64_t outputs = out.channels / conv.groups, channels = in.channels / conv.groups;
  const int64_t taps = int64_t{conv.window.kernel[0]} * conv.window.kernel[1], k = outputs * taps;
  if (k > std::numeric_limits<int>::max() / in.width) {
    return fail(561, "conv_transpose ", call.node.name, ": an input row makes ", k, " x ", in.width,
                " products; use a smaller input");
  }
  const bool nchw = conv.layout == ir::Layout::nchw;
  const int64_t rows = std::clamp<int64_t>(kMaxColumns / (k * in.width), 1, in.height);
  std::vector<float> columns(static_cast<size_t>(k * rows * in.width));
  for (int64_t g = 0; g < conv.groups; ++g) {
    const std::vector<float> w =
        taps_first(call.in[1].data.data() + g * k * channels, outputs, channels, taps);
    for (int64_t n = 0; n < in.n; ++n) {
      const float* x = call.in[0].data.data() + n * in.image + g * channels * in.channel;
      float* y = call.out.data.data() + n * out.image + g * outputs * out.channel;
      for (int64_t row = 0; row < in.height; row += rows) {
        const int64_t end = std::min(row + rows, in.height);
        const int pixels = static_cast<int>((end - row) * in.width);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, nchw ? CblasNoTrans : CblasTrans,
                    static_cast<int>(k), pixels, static_cast<int>(channels), 1.0f, w.data(),
                    static_cast<int>(channels), x + row * in.row,
                    static_cast<int>(nchw ? in.channel : in.pixel), 0.0f, columns.data(), pixels);
        scatter_columns(columns, in, out, outputs, conv.window, row, end, y);
      }
    }
  }
  finish(call, conv, out.channels, out.channel);
  return {};
}

}  // namespace qrt::eval

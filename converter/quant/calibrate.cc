// Gram matrices through the interpreter's observer: each value is seen once, while
// it lives, and every layer that reads it takes its samples then.
#include "converter/quant/calibrate.h"

#include <algorithm>
#include <cmath>

#include "converter/base/text.h"
#include "converter/quant/random.h"

namespace qrt::quant {
namespace {

constexpr int64_t kRowsAtOnce = 8;

// One layer being sampled.
class Sampler {
 public:
  Sampler(const ir::Graph& graph, const GramRequest& request, int32_t positions, uint64_t seed)
      : node_(graph.nodes[request.node]),
        dim_(static_cast<size_t>(request.dim)),
        positions_(positions),
        random_(seed ^ (0x9e3779b97f4a7c15u * static_cast<uint64_t>(request.node + 1))) {
    weight_ = graph.values[node_.in[1]].shape;
    int64_t length = 1;
    for (size_t i = 1; i < weight_.size(); ++i) length *= weight_[i];
    row_.assign((static_cast<size_t>(length) + dim_ - 1) / dim_ * dim_, 0.0f);
    gram.sums.assign((request.per_block ? row_.size() / dim_ : 1) * dim_ * dim_, 0.0);
  }

  ir::ValueId reads() const { return node_.in[0]; }

  void see(const eval::Tensor& x) {
    if (const auto* conv = std::get_if<ir::Conv2d>(&node_.attr))
      see_images(x, *conv);
    else
      see_rows(x);
  }

  Gram gram;
  bool is_finite = true;

 private:
  void see_rows(const eval::Tensor& x) {
    const int64_t length = weight_[1], rows = static_cast<int64_t>(x.data.size()) / length;
    const int64_t images = x.shape.size() > 1 ? x.shape[0] : 1;
    const int64_t per_image = images > 0 ? rows / images : 0;
    for (int64_t i = 0; i < images; ++i)
      each_position(per_image, [&](int64_t at) {
        const float* from = &x.data[static_cast<size_t>((i * per_image + at) * length)];
        std::copy_n(from, length, row_.begin());
        add_row();
      });
  }

  void see_images(const eval::Tensor& x, const ir::Conv2d& conv) {
    const ir::Window2d& w = conv.window;
    const int64_t channels = x.shape[1], height = x.shape[2], width = x.shape[3];
    const auto out = [&](int64_t size, int axis) {
      const int64_t reach = int64_t{w.dilation[axis]} * (w.kernel[axis] - 1) + 1;
      return (size + w.pad[axis] + w.pad[axis + 2] - reach) / w.stride[axis] + 1;
    };
    const int64_t rows = out(height, 0), columns = out(width, 1);
    for (int64_t image = 0; image < x.shape[0]; ++image)
      each_position(rows * columns, [&](int64_t at) {
        const float* from = &x.data[static_cast<size_t>(image * channels * height * width)];
        // Groups see different channels; their rows count alike.
        for (int64_t group = 0; group < conv.groups; ++group) {
          gather(from + group * weight_[1] * height * width, height, width, w, at / columns,
                 at % columns);
          add_row();
        }
      });
  }

  // The im2col row of output position (oy, ox), in the order cin, kh, kw.
  void gather(const float* image, int64_t height, int64_t width, const ir::Window2d& w, int64_t oy,
              int64_t ox) {
    size_t i = 0;
    for (int64_t c = 0; c < weight_[1]; ++c)
      for (int64_t ky = 0; ky < w.kernel[0]; ++ky)
        for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
          const int64_t y = oy * w.stride[0] + ky * w.dilation[0] - w.pad[0];
          const int64_t x = ox * w.stride[1] + kx * w.dilation[1] - w.pad[1];
          const bool inside = y >= 0 && y < height && x >= 0 && x < width;
          row_[i++] = inside ? image[(c * height + y) * width + x] : 0.0f;
        }
  }

  // All positions where they are few, else `positions` of them, with replacement.
  template <class Fn>
  void each_position(int64_t count, Fn fn) {
    if (count <= positions_) {
      for (int64_t at = 0; at < count; ++at) fn(at);
      return;
    }
    for (int32_t i = 0; i < positions_; ++i) fn(random_.below(count));
  }

  void add_row() {
    for (size_t block = 0; block < row_.size(); block += dim_) {
      const float* x = &row_[block];
      double* sums = &gram.sums[gram.sums.size() > dim_ * dim_ ? block * dim_ : 0];
      for (size_t i = 0; i < dim_; ++i) {
        is_finite = is_finite && std::isfinite(x[i]);
        for (size_t j = 0; j < dim_; ++j) sums[i * dim_ + j] += double{x[i]} * double{x[j]};
      }
      ++gram.rows;
    }
  }

  const ir::Node& node_;
  size_t dim_;
  int32_t positions_;
  Random random_;
  std::vector<int64_t> weight_;
  std::vector<float> row_;
};

// Rows [first, last) of the inputs, a row being what the graph stores for batch 1.
std::vector<eval::Tensor> slice(const ir::Graph& graph, const std::vector<eval::Tensor>& inputs,
                                int64_t first, int64_t last) {
  std::vector<eval::Tensor> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ir::Value& v = graph.values[graph.inputs[i]];
    if (!v.batched) {
      out.push_back(inputs[i]);
      continue;
    }
    eval::Tensor t{inputs[i].type, inputs[i].shape, {}, {}};
    const int64_t per_row = v.shape[0], all = t.shape[0];
    t.shape[0] = (last - first) * per_row;
    const auto cut = [&](const auto& from, auto& to) {
      const int64_t step = static_cast<int64_t>(from.size()) / all * per_row;
      to.assign(from.begin() + first * step, from.begin() + last * step);
    };
    cut(inputs[i].data, t.data);
    cut(inputs[i].ints, t.ints);
    out.push_back(std::move(t));
  }
  return out;
}

// How many rows the inputs hold; 1 where nothing is batched or evaluate() will refuse them anyway.
int64_t rows_of(const ir::Graph& graph, const std::vector<eval::Tensor>& inputs) {
  int64_t rows = 0;
  for (size_t i = 0; i < inputs.size() && i < graph.inputs.size(); ++i) {
    const ir::Value& v = graph.values[graph.inputs[i]];
    if (!v.batched) continue;
    if (inputs[i].shape.empty() || v.shape[0] < 1 || inputs[i].shape[0] % v.shape[0] != 0) return 1;
    const int64_t here = inputs[i].shape[0] / v.shape[0];
    if (here < 1 || (rows != 0 && rows != here)) return 1;
    rows = here;
  }
  return std::max<int64_t>(rows, 1);
}

}  // namespace

Result<std::vector<Gram>> collect_grams(const ir::Graph& graph,
                                        std::span<const GramRequest> requests,
                                        const CalibrationData& data, int32_t positions,
                                        uint64_t seed) {
  std::vector<Sampler> samplers;
  for (const GramRequest& r : requests) samplers.emplace_back(graph, r, positions, seed);
  const eval::Observer observer = [&](ir::ValueId id, const eval::Tensor& value) {
    for (Sampler& s : samplers)
      if (s.reads() == id) s.see(value);
  };
  const int64_t rows = rows_of(graph, data.inputs);
  for (int64_t first = 0; first < rows; first += kRowsAtOnce) {
    const bool is_whole = rows <= kRowsAtOnce || data.inputs.size() != graph.inputs.size();
    const auto batch = is_whole
                           ? data.inputs
                           : slice(graph, data.inputs, first, std::min(rows, first + kRowsAtOnce));
    const auto outputs = eval::evaluate(graph, batch, observer);
    if (!outputs.ok()) return outputs.error();
    if (is_whole) break;
  }
  std::vector<Gram> grams;
  for (size_t i = 0; i < samplers.size(); ++i) {
    if (!samplers[i].is_finite)
      return fail(711, graph.nodes[requests[i].node].name,
                  ": its input is not finite on the calibration data; check the data's "
                  "preprocessing and the weights");
    grams.push_back(std::move(samplers[i].gram));
  }
  return grams;
}

}  // namespace qrt::quant

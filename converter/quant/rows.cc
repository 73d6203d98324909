// One place that knows how a window walks over an image.
#include "converter/quant/rows.h"

#include <algorithm>

#include "converter/eval/compute.h"

namespace qrt::quant {

RowMap row_map(const ir::Graph& graph, const ir::Node& node, const eval::Tensor& x) {
  const std::vector<int64_t>& weight = graph.values[static_cast<size_t>(node.in[1])].shape;
  RowMap map;
  map.inputs = 1;
  for (size_t i = 1; i < weight.size(); ++i) map.inputs *= weight[i];
  if (const auto* conv = std::get_if<ir::Conv2d>(&node.attr)) {
    const ir::Window2d& w = conv->window;
    const auto out = [&](int64_t size, size_t axis) {
      const int64_t reach = int64_t{w.dilation[axis]} * (w.kernel[axis] - 1) + 1;
      return (size + w.pad[axis] + w.pad[axis + 2] - reach) / w.stride[axis] + 1;
    };
    const eval::Image image(x.shape, conv->layout);
    map.images = image.n;
    map.height = out(image.height, 0);
    map.width = out(image.width, 1);
    map.groups = conv->groups;
    return map;
  }
  const int64_t rows = static_cast<int64_t>(x.data.size()) / map.inputs;
  map.images = x.shape.size() > 1 ? x.shape[0] : 1;
  map.height = map.images > 0 ? rows / map.images : 0;
  return map;
}

void gather_row(const ir::Node& node, const RowMap& map, const eval::Tensor& x, int64_t image,
                int64_t group, int64_t at, float* row) {
  const auto* conv = std::get_if<ir::Conv2d>(&node.attr);
  if (!conv) {
    const float* from = &x.data[static_cast<size_t>((image * map.height + at) * map.inputs)];
    std::copy_n(from, map.inputs, row);
    return;
  }
  const ir::Window2d& w = conv->window;
  const eval::Image in(x.shape, conv->layout);
  const int64_t channels = map.inputs / w.kernel[0] / w.kernel[1];
  const float* from =
      &x.data[static_cast<size_t>(image * in.image + group * channels * in.channel)];
  const int64_t top = at / map.width * w.stride[0] - w.pad[0];
  const int64_t left = at % map.width * w.stride[1] - w.pad[1];
  for (int64_t c = 0; c < channels; ++c, from += in.channel)
    for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      const int64_t py = top + ky * w.dilation[0];
      for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
        const int64_t px = left + kx * w.dilation[1];
        const bool inside = py >= 0 && py < in.height && px >= 0 && px < in.width;
        *row++ = inside ? from[py * in.row + px * in.pixel] : 0.0f;
      }
    }
}

float output_at(const ir::Node& node, const RowMap& map, const eval::Tensor& y, int64_t image,
                int64_t o, int64_t at) {
  if (const auto* conv = std::get_if<ir::Conv2d>(&node.attr)) {
    const eval::Image out(y.shape, conv->layout);
    return y.data[static_cast<size_t>(image * out.image + o * out.channel + at * out.pixel)];
  }
  return y.data[static_cast<size_t>((image * map.height + at) * y.shape.back() + o)];
}

namespace {

bool is_batched(const ir::Graph& graph) {
  return std::any_of(graph.inputs.begin(), graph.inputs.end(),
                     [&](ir::ValueId v) { return graph.values[static_cast<size_t>(v)].batched; });
}

}  // namespace

int64_t samples_at_once(const ir::Graph& graph) {
  return is_batched(graph) ? 8 : 1;
}

std::vector<eval::Tensor> slice_samples(const ir::Graph& graph,
                                        const std::vector<eval::Tensor>& inputs, int64_t first,
                                        int64_t last) {
  std::vector<eval::Tensor> out;
  const bool batched = is_batched(graph);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ir::Value& v = graph.values[graph.inputs[i]];
    if ((batched && !v.batched) || v.shape.empty()) {
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

int64_t sample_count(const ir::Graph& graph, const std::vector<eval::Tensor>& inputs) {
  int64_t rows = 0;
  const bool batched = is_batched(graph);
  for (size_t i = 0; i < inputs.size() && i < graph.inputs.size(); ++i) {
    const ir::Value& v = graph.values[graph.inputs[i]];
    if ((batched && !v.batched) || v.shape.empty()) continue;
    if (inputs[i].shape.empty() || v.shape[0] < 1 || inputs[i].shape[0] % v.shape[0] != 0) return 1;
    const int64_t here = inputs[i].shape[0] / v.shape[0];
    if (here < 1 || (rows != 0 && rows != here)) return 1;
    rows = here;
  }
  return std::max<int64_t>(rows, 1);
}

}  // namespace qrt::quant

// Steps of random networks; see random_graph.h. A step that cannot be taken (a
// window larger than its image) gives -1 and is left out.
#include "tests/support/random_graph.h"

#include <utility>

#include "converter/base/half.h"
#include "converter/ir/edit.h"

namespace qrt::testing {

ir::Graph RandomGraph::make() {
  g_ = {};
  g_.name = "random";
  ir::Value in;
  in.name = "input";
  in.batched = pick(0, 3) != 0;
  in.shape = {in.batched ? 1 : pick(1, 2), pick(1, 5), pick(3, 9), pick(3, 9)};
  g_.values.push_back(in);
  g_.inputs = {0};
  ir::ValueId x = 0;
  for (int64_t i = pick(1, 8); i > 0; --i) x = step(x);
  if (pick(0, 1)) x = classifier(x);
  // The output keeps a name of its own even where the last step was elementwise.
  g_.values[static_cast<size_t>(x)].name = "output";
  g_.outputs = {x};
  if (value(x).producer < 0) return make();
  if (pick(0, 4) == 0 && g_.nodes.size() > 2) {
    const ir::ValueId also = g_.nodes[g_.nodes.size() / 2].out[0];
    if (also != x) g_.outputs.push_back(also);
  }
  return g_;
}

std::vector<eval::Tensor> RandomGraph::inputs(const ir::Graph& g, int64_t batch) {
  std::vector<eval::Tensor> r;
  for (ir::ValueId v : g.inputs) {
    eval::Tensor t;
    t.shape = g.values[static_cast<size_t>(v)].shape;
    if (g.values[static_cast<size_t>(v)].batched) t.shape[0] *= batch;
    t.data = floats(ir::element_count(t.shape), -2, 2);
    r.push_back(std::move(t));
  }
  return r;
}

int64_t RandomGraph::pick(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(rng_);
}

std::vector<float> RandomGraph::floats(int64_t n, float low, float high) {
  std::uniform_real_distribution<float> d(low, high);
  const bool halves = pick(0, 1) != 0;
  std::vector<float> r(static_cast<size_t>(n));
  for (float& f : r) f = halves ? round_to_half(d(rng_)) : d(rng_);
  return r;
}

ir::ValueId RandomGraph::constant(std::vector<int64_t> shape, float low, float high) {
  const int64_t n = ir::element_count(shape);
  return ir::add_floats(g_, "c", std::move(shape), floats(n, low, high));
}

ir::ValueId RandomGraph::node(ir::Attr attr, std::vector<ir::ValueId> in) {
  for (ir::ValueId v : in)
    if (v < 0) return -1;
  ir::Node n;
  n.name = "n" + std::to_string(count_++);
  n.attr = std::move(attr);
  n.in = std::move(in);
  const std::string out = "v" + std::to_string(count_);
  auto v = ir::add_node(g_, std::move(n), out);
  return v.ok() ? *v : -1;
}

ir::ValueId RandomGraph::conv(ir::ValueId x, int64_t outputs, bool same) {
  if (x < 0) return -1;
  const auto& s = value(x).shape;
  ir::Conv2d c;
  const int64_t k = same ? 2 * pick(0, 1) + 1 : pick(1, 3);
  c.window.kernel = {static_cast<int32_t>(k), static_cast<int32_t>(k)};
  const auto p = static_cast<int32_t>(k / 2);
  c.window.pad = {p, p, p, p};
  if (!same && pick(0, 1)) c.window.stride = {2, 1};
  if (!same && s[1] == outputs && pick(0, 1)) c.groups = static_cast<int32_t>(outputs);
  std::vector<ir::ValueId> in{x, constant({outputs, s[1] / c.groups, k, k})};
  if (pick(0, 1)) {
    c.bias = true;
    in.push_back(constant({outputs}));
  }
  return node(c, in);
}

ir::ValueId RandomGraph::conv_transpose(ir::ValueId x, int64_t outputs) {
  ir::ConvTranspose c;
  c.window.kernel = {2, 3};
  c.window.stride = {1, static_cast<int32_t>(pick(1, 2))};
  c.window.pad = {0, 1, 1, static_cast<int32_t>(pick(0, 1))};
  c.adjust = {0, static_cast<int32_t>(pick(0, 1))};
  std::vector<ir::ValueId> in{x, constant({outputs, value(x).shape[1], 2, 3})};
  if (pick(0, 1)) {
    c.bias = true;
    in.push_back(constant({outputs}));
  }
  return node(c, in);
}

ir::ValueId RandomGraph::per_channel(ir::ValueId x) {
  if (x < 0) return -1;
  const int64_t c = value(x).shape[1];
  switch (pick(0, 3)) {
    case 0:
      return node(ir::Affine{}, {x, constant({c}), constant({c})});
    case 1:
      return binary(ir::Binary::Op::mul, x, constant({c, 1, 1}));
    case 2:
      return binary(ir::Binary::Op::div, x, constant({1, c, 1, 1}, 0.5f, 2));
    default:
      return binary(ir::Binary::Op::sub, constant({1}), x);
  }
}

ir::ValueId RandomGraph::binary(ir::Binary::Op op, ir::ValueId a, ir::ValueId b) {
  return node(ir::Binary{op}, {a, b});
}

ir::ValueId RandomGraph::activation(ir::ValueId x) {
  ir::Unary u;
  switch (pick(0, 3)) {
    case 0:
      u = {ir::Unary::Op::clamp, 0, ir::kNoMax};
      break;
    case 1:
      u = {ir::Unary::Op::clamp, -1, 1};
      break;
    case 2:
      u = {ir::Unary::Op::sigmoid};
      break;
    default:
      u = {ir::Unary::Op::leaky_relu, 0.1f};
      break;
  }
  return node(u, {x});
}

ir::ValueId RandomGraph::pool(ir::ValueId x) {
  ir::Pool2d p;
  p.mode = pick(0, 1) ? ir::Pool2d::Mode::max : ir::Pool2d::Mode::average;
  p.window.kernel = {2, 3};
  p.window.pad = {0, 1, 1, 1};
  p.count_include_pad = p.mode == ir::Pool2d::Mode::average && pick(0, 1);
  if (pick(0, 4) == 0) p.mode = ir::Pool2d::Mode::lp;
  return node(p, {x});
}

ir::ValueId RandomGraph::step(ir::ValueId x) {
  const auto shape = value(x).shape;
  const ir::ValueId y = one_step(x, shape[1]);
  return y < 0 ? x : y;
}

ir::ValueId RandomGraph::one_step(ir::ValueId x, int64_t channels) {
  switch (pick(0, 13)) {
    case 0:
      return conv(x, pick(1, 6), false);
    case 13:
      return activation(per_channel(conv_transpose(x, pick(1, 4))));
    case 1:
      return activation(x);
    case 2:
      return per_channel(per_channel(x));
    case 3:
      return activation(per_channel(conv(x, pick(1, 6), false)));
    case 4: {  // a residual block
      const ir::ValueId y = per_channel(conv(activation(conv(x, channels, true)), channels, true));
      const ir::ValueId other = pick(0, 1) ? x : conv(x, channels, true);
      return activation(binary(ir::Binary::Op::add, pick(0, 1) ? y : other, pick(0, 1) ? x : y));
    }
    case 5:
      return node(ir::Concat{static_cast<int32_t>(pick(1, 3))}, {x, activation(x)});
    case 6:
      return pool(x);
    case 7:
      return node(ir::Softmax{static_cast<int32_t>(pick(0, 1) ? 1 : -1), false}, {x});
    case 8: {
      ir::Pad p{ir::Pad::Mode::constant, {0, 1, 0, 2}, {0, 0, 1, 0}, 0.5f};
      return node(p, {x});
    }
    case 9:
    case 10:
    case 11:
      return odd_step(x);
    default: {  // squeeze and excite
      ir::Pool2d p;
      p.mode = ir::Pool2d::Mode::average;
      p.global = true;
      return binary(ir::Binary::Op::mul, x, activation(conv(node(p, {x}), channels, true)));
    }
  }
}

ir::ValueId RandomGraph::odd_step(ir::ValueId x) {
  const auto s = value(x).shape;
  switch (pick(0, 15)) {
    case 8:
      return cut(x);
    case 9:
      if (ir::element_count(s) > 2000) return x;
      return node(ir::Tile{{1, pick(1, 2), pick(1, 2), 1}}, {x});
    case 10:
      return resize(x);
    case 11:  // pixels into channels: rank 6 in between
      return node(ir::Reshape{{s[0], s[1] * s[2], s[3], 1}},
                  {node(ir::Transpose{{0, 2, 3, 1, 4, 5}},
                        {node(ir::Reshape{{s[0], 1, s[1], s[2], s[3], 1}}, {x})})});
    case 12:  // a mean or an extreme along some axes, beside the values it is of
      return binary(ir::Binary::Op::sub, x, reduction(x, true));
    case 13: {  // the larger of two, spelled as a choice
      const ir::ValueId limit = constant({s[1], 1, 1});
      return node(ir::Select{}, {binary(ir::Binary::Op::greater, x, limit), x, limit});
    }
    case 14: {  // the best along an axis, in order
      const auto axis = static_cast<int32_t>(pick(1, 3));
      const auto k = static_cast<int32_t>(pick(1, s[static_cast<size_t>(axis)]));
      return node(ir::TopK{axis, k, pick(0, 1) != 0}, {x});
    }
    case 15:  // every channel times its own transpose
      return node(ir::MatMul{}, {x, activation(node(ir::Transpose{{0, 1, 3, 2}}, {x}))});
    case 0:  // a product over the last axis of three, scaled on one of two axes
      return sequence(x);
    case 1:  // there and back
      return node(ir::Transpose{{0, 3, 1, 2}},
                  {activation(node(ir::Transpose{{0, 2, 3, 1}}, {x}))});
    case 2:
      return node(ir::Transpose{{0, 1, 3, 2}}, {x});
    case 3:  // a sum with itself
      return binary(ir::Binary::Op::add, x, x);
    case 4:  // constants that vary over the image
      return binary(pick(0, 1) ? ir::Binary::Op::max : ir::Binary::Op::sub,
                    pick(0, 1) ? constant({s[3]}) : constant({s[1], 1, s[3]}), x);
    case 5:  // a reshape that says nothing, and a single number
      return binary(ir::Binary::Op::mul, node(ir::Reshape{s}, {x}), constant({}));
    case 6: {  // two convolutions by the same weights
      const ir::ValueId w = constant({s[1], s[1], 1, 1});
      return binary(ir::Binary::Op::add, node(ir::Conv2d{}, {x, w}),
                    node(ir::Conv2d{}, {activation(x), w}));
    }
    default:  // nobody reads this
      activation(x);
      return per_channel(node(ir::Identity{}, {x}));
  }
}

ir::ValueId RandomGraph::cut(ir::ValueId x) {
  const auto s = value(x).shape;
  const int64_t axis = pick(1, 3), at = pick(0, s[static_cast<size_t>(axis)] - 1);
  switch (pick(0, 2)) {
    case 0: {  // backwards, and to the end of another axis
      const int64_t from = at % s[static_cast<size_t>(axis % 3 + 1)];
      return node(ir::Slice{{-1, from}, {INT64_MIN, INT64_MAX}, {axis, axis % 3 - 3}, {-1, 1}},
                  {x});
    }
    case 1:
      return node(ir::Slice{{0}, {s[3]}, {3}, {2}}, {x});
    default: {
      ir::Constant c;
      c.type = ir::ElementType::i64;
      c.ints = {at, -1, 0};
      return node(ir::Gather{static_cast<int32_t>(axis)},
                  {x, ir::add_constant(g_, "indices", {3}, c)});
    }
  }
}

ir::ValueId RandomGraph::resize(ir::ValueId x) {
  ir::Resize r;
  r.mode = static_cast<ir::Resize::Mode>(pick(0, 2));
  r.coordinates = static_cast<ir::Resize::Coordinates>(pick(0, 5));
  r.nearest = static_cast<ir::Resize::Nearest>(pick(0, 3));
  r.sizes = {0, 0, pick(2, 9), pick(0, 9)};
  r.scales = {0, 0, 0, r.sizes[3] > 0 && pick(0, 1) ? 1.5f : 0};
  if (r.coordinates == ir::Resize::Coordinates::tf_crop_and_resize) {
    r.roi = {0, 0, 0.25f, 0, 1, 1, 1.25f, 1};
  }
  return node(r, {x});
}

ir::ValueId RandomGraph::reduction(ir::ValueId x, bool keep_dims) {
  using Mode = ir::Reduce::Mode;
  const Mode modes[] = {Mode::mean, Mode::max, Mode::min, Mode::l2, Mode::log_sum_exp};
  ir::Reduce r{modes[pick(0, 4)], {}, keep_dims};
  for (int32_t axis = 1; axis < 4; ++axis)
    if (pick(0, 1)) r.axes.push_back(axis);
  if (r.axes.empty()) r.axes = {2};
  return node(r, {x});
}

ir::ValueId RandomGraph::sequence(ir::ValueId x) {
  const auto s = value(x).shape;
  const int64_t last = s[2] * s[3];
  ir::ValueId y = node(ir::Reshape{{s[0], s[1], last}}, {x});
  y = node(ir::Linear{}, {y, constant({last, last})});
  y = pick(0, 1) ? node(ir::Affine{}, {y, constant({s[1]}), constant({s[1]})})
                 : binary(ir::Binary::Op::add, y, constant({last}));
  if (pick(0, 1)) y = node(ir::Softmax{static_cast<int32_t>(pick(1, 2)), false}, {y});
  return node(ir::Reshape{s}, {activation(y)});
}

ir::ValueId RandomGraph::classifier(ir::ValueId x) {
  const auto s = value(x).shape;
  int64_t features = s[1] * s[2] * s[3];
  if (pick(0, 1)) {
    ir::Pool2d p;
    p.mode = ir::Pool2d::Mode::average;
    p.global = true;
    x = node(p, {x});
    features = s[1];
  }
  if (pick(0, 3) == 0) {  // what is left of the axes, in the source's order
    x = reduction(x, false);
    features = ir::element_count(value(x).shape) / s[0];
  }
  x = node(ir::Reshape{{s[0], features}}, {x});
  if (pick(0, 1)) x = activation(x);
  ir::Linear l;
  std::vector<ir::ValueId> in{x, constant({4, features})};
  x = node(l, in);
  if (pick(0, 1)) x = binary(ir::Binary::Op::add, x, constant({4}));
  return pick(0, 1) ? x : node(ir::Softmax{1, false}, {x});
}

}  // namespace qrt::testing

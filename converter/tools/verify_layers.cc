// Substituting what is stored, running both graphs, and adding up differences.
//
// A layer computes clamp(scale * W x + bias). Methods move sizes between W and the
// scale and correct biases, so W alone says little: layers are compared as
// (scale * W, bias). Where the file has channels in another order, its layer is
// brought into the graph's order before it is tried alone.
#include "converter/tools/verify_layers.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "runtime/tools/io/error.h"

namespace qrt::verify {
namespace {

using io::ToolError;

// Rounding of scales folded into weights; what a method changes is far more.
constexpr double kSame = 1e-5;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

std::vector<eval::Tensor> run(const ir::Graph& g, const std::vector<eval::Tensor>& inputs,
                              const eval::Observer& observer) {
  auto out = eval::evaluate(g, inputs, observer);
  if (!out.ok()) throw ToolError(out.error().id, out.error().message);
  return std::move(*out);
}

std::vector<float> constant(const ir::Graph& g, ir::ValueId v) {
  if (v < 0 || g.values[at(v)].constant < 0) return {};
  const ir::Value& value = g.values[at(v)];
  return eval::tensor_of(g.constants[at(value.constant)], value.shape).data;
}

std::vector<float> scaled(std::vector<float> weights, const std::vector<float>& scale) {
  for (size_t i = 0; !scale.empty() && i < weights.size(); ++i)
    weights[i] *= scale[i / (weights.size() / scale.size())];
  return weights;
}

bool same(const std::vector<float>& a, std::vector<float> b) {
  b.resize(a.size());  // an absent bias is zeros
  ErrorSum e;
  e.add(a, b);
  return e.worst <= kSame * std::max(e.largest, 1e-30);
}

// Gives a layer other weights, scale and bias, as constants of its own. Empty: none.
void substitute(ir::Graph& g, ir::NodeId id, std::vector<float> weights, std::vector<float> scale,
                std::vector<float> bias) {
  passes::LayerInputs in = passes::inputs_of(g.nodes[at(id)]);
  const std::vector<int64_t> shape = g.values[at(in.weight)].shape;
  const auto add = [&](std::vector<float> values, const std::vector<int64_t>& s) {
    ir::Constant c;
    c.data = std::move(values);
    return ir::add_constant(g, g.nodes[at(id)].name + ".file", s, std::move(c));
  };
  in.weight = add(std::move(weights), shape);
  in.scale = scale.empty() ? -1 : add(std::move(scale), {shape[0]});
  in.bias = bias.empty() ? -1 : add(std::move(bias), {shape[0]});
  passes::set_inputs(g.nodes[at(id)], in);
}

// A dense Linear behind the Flatten of an image has its columns channels-last in the file. Which of
// the two orders it is shows against the graph's own weights.
std::vector<float> unflattened(const ir::Graph& g, const ir::Node& n, std::vector<float> file,
                               const std::vector<float>& graph) {
  if (!std::holds_alternative<ir::Linear>(n.attr)) return file;
  ir::NodeId from = g.values[at(n.in[0])].producer;
  while (from >= 0 && std::holds_alternative<ir::Unary>(g.nodes[at(from)].attr))
    from = g.values[at(g.nodes[at(from)].in[0])].producer;
  if (from < 0 || !std::holds_alternative<ir::Reshape>(g.nodes[at(from)].attr)) return file;
  const std::vector<int64_t>& map = g.values[at(g.nodes[at(from)].in[0])].shape;
  const auto outputs = static_cast<size_t>(passes::outputs_of(g, n));
  const size_t inputs = file.size() / outputs, channels = map.size() > 2 ? at(map[1]) : 0;
  if (channels == 0 || inputs % channels != 0 || inputs == channels) return file;
  const size_t places = inputs / channels;
  std::vector<float> turned(file.size());
  for (size_t o = 0; o < outputs; ++o)
    for (size_t p = 0; p < places; ++p)
      for (size_t c = 0; c < channels; ++c)
        turned[o * inputs + c * places + p] = file[o * inputs + p * channels + c];
  ErrorSum as_is, other;
  as_is.add(file, graph);
  other.add(turned, graph);
  return other.square_error < as_is.square_error ? turned : file;
}

// The tensor with its channels (axis 1) in the graph's order.
eval::Tensor in_order(const eval::Tensor& t, const ChannelOrder& order) {
  if (order.empty()) return t;
  eval::Tensor out = t;
  const int64_t span = static_cast<int64_t>(t.data.size()) / (t.shape[0] * t.shape[1]);
  out.data = restored(t.data, order, t.shape[0], span);
  return out;
}

}  // namespace

void ErrorSum::add(std::span<const float> got, std::span<const float> want) {
  for (size_t i = 0; i < want.size(); ++i) {
    const double w = want[i], d = std::fabs((i < got.size() ? double{got[i]} : NAN) - w);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    largest = std::max(largest, std::fabs(w));
    square_error += d * d;
    square_want += w * w;
  }
}

double ErrorSum::relative() const {
  return worst == 0 ? 0 : worst / largest;
}
double ErrorSum::rms() const {
  return square_error == 0 ? 0 : std::sqrt(square_error / square_want);
}

Comparison::Comparison(const ir::Graph& graph, const std::map<std::string, StoredLayer>& stored)
    : stored_(stored), exact_(graph), compressed_(graph) {
  size_t matched = 0, layers = 0;
  for (const auto& [name, s] : stored_) layers += !s.weights.empty();
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const ir::Node& n = graph.nodes[i];
    const auto found = stored_.find(n.name);
    if (std::holds_alternative<ir::Affine>(n.attr) && found != stored_.end()) {
      const StoredLayer& s = found->second;
      for (const auto& [value, floats] : {std::pair(n.in[1], &s.scale), {n.in[2], &s.bias}})
        if (constant(graph, value).size() == floats->size())
          passes::set_floats(compressed_, value, *floats);
    }
    if (!passes::is_layer(n)) continue;
    if (found == stored_.end() || found->second.weights.empty())
      throw ToolError(461, "layer " + n.name +
                               " of the model is not in the file; give the model "
                               "that the file was converted from");
    ++matched;
    const StoredLayer& s = found->second;
    const passes::LayerInputs in = passes::inputs_of(n);
    const std::vector<float> own = constant(graph, in.weight);
    if (own.size() != s.weights.size())
      throw ToolError(461, cat("layer ", n.name, ": the file holds ", s.weights.size(),
                               " weights, the model has ", own.size(),
                               "; give the model that the file was converted from"));
    Layer part;
    part.node = static_cast<ir::NodeId>(i);
    part.stored = &s;
    layers_.push_back({n.name, ir::name_of(n.attr), s.encoding, s.bits_per_weight, {}, {}, {}, {}});
    parts_.push_back(std::move(part));
    restore(layers_.size() - 1);
    if (!parts_.back().is_changed) continue;  // keeps its own constants: no rounding of its own
    const std::vector<float> weights =
        s.compressed ? s.weights
                     : unflattened(graph, n, s.weights, scaled(own, constant(graph, in.scale)));
    substitute(compressed_, parts_.back().node, weights, s.scale, s.bias);
  }
  if (matched != layers)
    throw ToolError(461, cat("the file has ", layers, " layers, ", matched,
                             " of them are the model's; give the model that the file was converted "
                             "from"));
}

// What the layer is in the graph's own order, and whether that differs from the graph's layer.
void Comparison::restore(size_t layer) {
  Layer& part = parts_[layer];
  const StoredLayer& s = *part.stored;
  const ir::Node& n = exact_.nodes[at(part.node)];
  const passes::LayerInputs in = passes::inputs_of(n);
  const std::vector<float> own = scaled(constant(exact_, in.weight), constant(exact_, in.scale));
  const int64_t outputs = passes::outputs_of(exact_, n);
  const auto inputs = static_cast<int64_t>(own.size()) / outputs;
  part.weights = scaled(s.weights, s.scale);
  if (!s.compressed) part.weights = unflattened(exact_, n, part.weights, own);
  // A depthwise layer's rows move with its input's channels; its columns are only the window.
  const auto* conv = std::get_if<ir::Conv2d>(&n.attr);
  const auto channels = static_cast<int64_t>(part.in.size());
  if (channels > 0 && inputs % channels == 0 && (conv == nullptr || conv->groups == 1))
    part.weights = restored(part.weights, part.in, outputs, inputs / channels);
  const bool fits = static_cast<int64_t>(part.out.size()) == outputs;
  if (fits) part.weights = restored(part.weights, part.out, 1, inputs);
  part.bias = fits ? restored(s.bias, part.out, 1, 1) : s.bias;
  layers_[layer].weights = {};
  layers_[layer].weights.add(part.weights, own);
  std::vector<float> bias = constant(exact_, in.bias), got = part.bias;
  bias.resize(at(outputs)), got.resize(at(outputs));
  part.is_changed = s.compressed || !same(own, part.weights) || !same(bias, got);
  if (!part.is_changed) layers_[layer].weights = {};  // rounding of folded scales
}

void Comparison::find_orders(const std::vector<eval::Tensor>& inputs) {
  std::unordered_map<ir::ValueId, eval::Tensor> want;
  std::unordered_map<ir::ValueId, ChannelOrder> orders;
  for (const Layer& part : parts_)
    for (const ir::ValueId v :
         {exact_.nodes[at(part.node)].in[0], exact_.nodes[at(part.node)].out[0]})
      want[v];
  run(exact_, inputs, [&](ir::ValueId id, const eval::Tensor& value) {
    if (const auto found = want.find(id); found != want.end()) found->second = value;
  });
  run(compressed_, inputs, [&](ir::ValueId id, const eval::Tensor& value) {
    if (const auto found = want.find(id); found != want.end())
      orders[id] = find_order(value, found->second);
  });
  for (size_t i = 0; i < parts_.size(); ++i) {
    const ir::Node& n = exact_.nodes[at(parts_[i].node)];
    parts_[i].in = orders[n.in[0]];
    parts_[i].out = orders[n.out[0]];
    restore(i);
  }
}

// A graph of this layer alone, as the file has it; `inputs` gets their values in the whole graph.
ir::Graph Comparison::isolated(size_t layer, std::vector<ir::ValueId>& inputs) const {
  const Layer& part = parts_[layer];
  const ir::NodeId id = part.node;
  ir::Graph alone;
  alone.name = "isolated";
  ir::Node node = exact_.nodes[at(id)];
  std::unordered_map<ir::ValueId, ir::ValueId> renumbered;
  const auto bring = [&](ir::ValueId& v) {
    if (v < 0) return;
    const auto [found, is_new] =
        renumbered.emplace(v, static_cast<ir::ValueId>(alone.values.size()));
    if (is_new) {
      ir::Value value = exact_.values[at(v)];
      if (value.constant >= 0) {
        alone.constants.push_back(exact_.constants[at(value.constant)]);
        value.constant = static_cast<int32_t>(alone.constants.size()) - 1;
      } else if (value.producer == id) {
        value.producer = 0;
        alone.outputs.push_back(found->second);
      } else {
        value.producer = -1;
        alone.inputs.push_back(found->second);
        inputs.push_back(v);
      }
      alone.values.push_back(std::move(value));
    }
    v = found->second;
  };
  for (ir::ValueId& v : node.in) bring(v);
  for (ir::ValueId& v : node.out) bring(v);
  alone.nodes.push_back(std::move(node));
  substitute(alone, 0, part.weights, {}, part.bias);
  return alone;
}

Comparison::Outputs Comparison::add_row(const std::vector<eval::Tensor>& inputs) {
  // Every value a layer reads or writes is kept for one row.
  std::unordered_map<ir::ValueId, eval::Tensor> kept;
  std::unordered_map<ir::ValueId, size_t> layer_of;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const ir::Node& n = exact_.nodes[at(parts_[i].node)];
    layer_of[n.out[0]] = i;
    kept[n.out[0]];
    for (const ir::ValueId v : n.in)
      if (v >= 0 && exact_.values[at(v)].constant < 0) kept[v];
  }
  Outputs out;
  out.exact = run(exact_, inputs, [&](ir::ValueId id, const eval::Tensor& value) {
    if (const auto found = kept.find(id); found != kept.end()) found->second = value;
  });
  out.compressed = run(compressed_, inputs, [&](ir::ValueId id, const eval::Tensor& value) {
    const auto found = layer_of.find(id);
    if (found == layer_of.end()) return;
    layers_[found->second].accumulated.add(in_order(value, parts_[found->second].out).data,
                                           kept.at(id).data);
  });
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!parts_[i].is_changed) continue;
    std::vector<ir::ValueId> values;
    const ir::Graph alone = isolated(i, values);
    std::vector<eval::Tensor> in;
    for (const ir::ValueId v : values) in.push_back(kept.at(v));
    const auto got = run(alone, in, {});
    layers_[i].isolated.add(got.at(0).data, kept.at(exact_.nodes[at(parts_[i].node)].out[0]).data);
  }
  return out;
}

void Comparison::add_probe(const std::vector<eval::Tensor>& inputs,
                           const std::function<void(double, const std::string&)>& watch) {
  const std::vector<eval::Tensor> want = run(exact_, inputs, {});
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!parts_[i].is_changed) continue;
    if (watch) watch(static_cast<double>(i) / static_cast<double>(parts_.size()), layers_[i].name);
    // Taken back afterwards: a copy of the graph for every layer would move all weights each time.
    const ir::Node before = exact_.nodes[at(parts_[i].node)];
    const size_t values = exact_.values.size(), constants = exact_.constants.size();
    substitute(exact_, parts_[i].node, parts_[i].weights, {}, parts_[i].bias);
    const auto got = run(exact_, inputs, {});
    exact_.nodes[at(parts_[i].node)] = before;
    exact_.values.resize(values);
    exact_.constants.resize(constants);
    for (size_t o = 0; o < want.size(); ++o) layers_[i].outputs.add(got[o].data, want[o].data);
  }
}

}  // namespace qrt::verify

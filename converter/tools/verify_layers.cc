// Substituting stored weights, running both graphs, and adding up differences.
#include "converter/tools/verify_layers.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <unordered_map>

#include "converter/base/text.h"
#include "runtime/memory/arena.h"
#include "runtime/model/model.h"
#include "runtime/ops/decode_weights.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"

namespace qrt::verify {
namespace {

using io::ToolError;

uint64_t stored_bytes(const Weights& w) {
  const auto constant = [](const qrt::Constant& c) { return uint64_t{c.count} * size_of(c.dtype); };
  if (w.encoding == Encoding::codebook)
    return w.codebook.codes.size() + w.codebook.entries.size() + constant(w.codebook.entry_scales);
  if (w.encoding == Encoding::dense) return w.dense.data.size() + constant(w.dense.scales.values);
  return 0;
}

std::string describe(const Weights& w) {
  if (w.encoding == Encoding::codebook)
    return cat("codebook ", w.codebook.count, " x ", w.codebook.dim);
  if (w.encoding == Encoding::dense) return cat("dense ", name_of(w.dense.dtype));
  return name_of(w.encoding);
}

// The file's input order to the graph's (cin, kh, kw).
std::vector<float> to_graph_order(const Node& n, const Weights& w, std::vector<float> decoded) {
  if (w.order != InputOrder::kh_kw_cin || n.kind != OpKind::conv2d) return decoded;
  const size_t window = size_t{n.conv2d->window.kernel_h} * n.conv2d->window.kernel_w;
  const size_t channels = w.inputs / window;
  std::vector<float> out(decoded.size());
  for (size_t o = 0; o < w.outputs; ++o)
    for (size_t k = 0; k < window; ++k)
      for (size_t c = 0; c < channels; ++c)
        out[o * w.inputs + c * window + k] = decoded[o * w.inputs + k * channels + c];
  return out;
}

ir::ValueId weight_value(const ir::Node& n) {
  const bool layer =
      std::holds_alternative<ir::Conv2d>(n.attr) || std::holds_alternative<ir::Linear>(n.attr);
  return layer ? n.in.at(1) : -1;
}

std::vector<eval::Tensor> run(const ir::Graph& g, const std::vector<eval::Tensor>& inputs,
                              const eval::Observer& observer) {
  auto out = eval::evaluate(g, inputs, observer);
  if (!out.ok()) throw ToolError(out.error().id, out.error().message);
  return std::move(*out);
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

std::map<std::string, StoredLayer> read_layers(const std::string& path) {
  const io::MappedFile file(path);
  Arena keep(default_allocator());
  Model model;
  const Status opened = open_model({file.data(), file.size()}, keep, model);
  if (!opened.ok())
    throw ToolError(opened.id(), path + ": " + opened.what() + "; " + opened.hint());
  std::map<std::string, StoredLayer> layers;
  for (const Node& n : model.nodes) {
    const Weights* w = weights_of(n);
    if (w == nullptr) continue;
    StoredLayer layer;
    const uint64_t scalars = uint64_t{w->outputs} * w->inputs;
    layer.encoding = describe(*w);
    layer.bits_per_weight =
        8.0 * static_cast<double>(stored_bytes(*w)) / static_cast<double>(scalars);
    layer.compressed = w->encoding != Encoding::dense;
    if (layer.compressed) {
      std::vector<float> decoded(static_cast<size_t>(scalars));
      const Status s = decode_weights(*w, decoded.data());
      if (!s.ok())
        throw ToolError(
            460, path + ": layer " + n.name + ": " + s.what() + "; this build cannot compare it");
      layer.weights = to_graph_order(n, *w, std::move(decoded));
    }
    layers.emplace(n.name, std::move(layer));
  }
  return layers;
}

Comparison::Comparison(const ir::Graph& graph, const std::map<std::string, StoredLayer>& stored)
    : exact_(graph), compressed_(graph) {
  size_t matched = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const ir::Node& n = graph.nodes[i];
    const ir::ValueId weight = weight_value(n);
    if (weight < 0) continue;
    const auto found = stored.find(n.name);
    if (found == stored.end())
      throw ToolError(461, "layer " + n.name +
                               " of the model is not in the file; give the model "
                               "that the file was converted from");
    ++matched;
    const StoredLayer& s = found->second;
    LayerError error{n.name, ir::name_of(n.attr), s.encoding, s.bits_per_weight, {}, {}, {}, {}};
    ir::Value& value = compressed_.values[static_cast<size_t>(weight)];
    if (s.compressed) {
      const eval::Tensor want =
          eval::tensor_of(graph.constants[static_cast<size_t>(value.constant)], value.shape);
      if (want.data.size() != s.weights.size())
        throw ToolError(461, cat("layer ", n.name, ": the file holds ", s.weights.size(),
                                 " weights, the model has ", want.data.size(),
                                 "; give the model that the file was converted from"));
      error.weights.add(s.weights, want.data);
      ir::Constant decoded;
      decoded.data = s.weights;
      value.constant = static_cast<int32_t>(compressed_.constants.size());
      compressed_.constants.push_back(std::move(decoded));
    }
    layers_.push_back(std::move(error));
    nodes_.push_back(static_cast<ir::NodeId>(i));
  }
  if (matched != stored.size())
    throw ToolError(
        461, cat("the file has ", stored.size(), " layers, ", matched,
                 " of them are the model's; give the model that the file was converted from"));
  for (size_t i = 0; i < layers_.size(); ++i)
    alone_.push_back(stored.at(layers_[i].name).compressed ? isolate(compressed_, nodes_[i])
                                                           : Isolated{});
}

Comparison::Isolated Comparison::isolate(const ir::Graph& g, ir::NodeId id) {
  Isolated alone;
  alone.graph.name = "isolated";
  ir::Node node = g.nodes[static_cast<size_t>(id)];
  std::unordered_map<ir::ValueId, ir::ValueId> renumbered;
  const auto bring = [&](ir::ValueId& v) {
    if (v < 0) return;
    const auto [at, is_new] =
        renumbered.emplace(v, static_cast<ir::ValueId>(alone.graph.values.size()));
    if (is_new) {
      ir::Value value = g.values[static_cast<size_t>(v)];
      if (value.constant >= 0) {
        alone.graph.constants.push_back(g.constants[static_cast<size_t>(value.constant)]);
        value.constant = static_cast<int32_t>(alone.graph.constants.size()) - 1;
      } else if (value.producer == id) {
        value.producer = 0;
        alone.graph.outputs.push_back(at->second);
      } else {
        value.producer = -1;
        alone.graph.inputs.push_back(at->second);
        alone.inputs.push_back(v);
      }
      alone.graph.values.push_back(std::move(value));
    }
    v = at->second;
  };
  for (ir::ValueId& v : node.in) bring(v);
  for (ir::ValueId& v : node.out) bring(v);
  alone.graph.nodes.push_back(std::move(node));
  return alone;
}

Comparison::Outputs Comparison::add_row(const std::vector<eval::Tensor>& inputs) {
  // Every value a layer reads or writes is kept for one row.
  std::unordered_map<ir::ValueId, eval::Tensor> kept;
  for (size_t i = 0; i < layers_.size(); ++i) {
    for (ir::ValueId v : alone_[i].inputs) kept[v];
    kept[exact_.nodes[static_cast<size_t>(nodes_[i])].out[0]];
  }
  Outputs out;
  out.exact = run(exact_, inputs, [&](ir::ValueId id, const eval::Tensor& value) {
    if (const auto at = kept.find(id); at != kept.end()) at->second = value;
  });
  std::unordered_map<ir::ValueId, size_t> layer_of;
  for (size_t i = 0; i < layers_.size(); ++i)
    layer_of[exact_.nodes[static_cast<size_t>(nodes_[i])].out[0]] = i;
  out.compressed = run(compressed_, inputs, [&](ir::ValueId id, const eval::Tensor& value) {
    if (const auto at = layer_of.find(id); at != layer_of.end())
      layers_[at->second].accumulated.add(value.data, kept.at(id).data);
  });
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (alone_[i].graph.nodes.empty()) continue;
    std::vector<eval::Tensor> in;
    for (ir::ValueId v : alone_[i].inputs) in.push_back(kept.at(v));
    const auto got = run(alone_[i].graph, in, {});
    layers_[i].isolated.add(got.at(0).data,
                            kept.at(exact_.nodes[static_cast<size_t>(nodes_[i])].out[0]).data);
  }
  return out;
}

void Comparison::add_probe(const std::vector<eval::Tensor>& inputs,
                           const std::function<void(double, const std::string&)>& watch) {
  const std::vector<eval::Tensor> want = run(exact_, inputs, {});
  ir::Graph probe = compressed_;
  for (size_t v = 0; v < exact_.values.size(); ++v)
    probe.values[v].constant = exact_.values[v].constant;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (alone_[i].graph.nodes.empty()) continue;
    if (watch) watch(static_cast<double>(i) / static_cast<double>(layers_.size()), layers_[i].name);
    const auto weight =
        static_cast<size_t>(weight_value(exact_.nodes[static_cast<size_t>(nodes_[i])]));
    std::swap(probe.values[weight].constant, compressed_.values[weight].constant);
    const auto got = run(probe, inputs, {});
    std::swap(probe.values[weight].constant, compressed_.values[weight].constant);
    for (size_t o = 0; o < want.size(); ++o) layers_[i].outputs.add(got[o].data, want[o].data);
  }
}

}  // namespace qrt::verify

// From a checkpoint's names to a graph's constants. Two passes over the graph's
// layers: names first, then order and shape for what is left, because exporters
// rename initializers ("onnx::Conv_193") and fuse batch norms into the
// convolution before them. Everything is planned first and done last, so that an
// error leaves the graph as it was.
#include <algorithm>
#include <cmath>
#include <set>

#include "converter/base/text.h"
#include "converter/import/checkpoint.h"
#include "converter/ir/edit.h"

namespace qrt::import {
namespace {

constexpr int kUnmatched = 665;
constexpr int kShape = 666;
constexpr float kEpsilon = 1e-5f;  // PyTorch's default; a fused graph no longer says its own

// A layer with a weight: Conv2d or Linear.
struct Layer {
  ir::NodeId node;
  std::string weight_name;
  std::vector<int64_t> shape;  // of the weight
  bool has_bias = false, feeds_norm = false;
  std::string base;  // "layer1.0.conv1" once the weight has found its parameter
};

struct Norm {
  ir::NodeId node;
  std::string scale_name;
  int64_t channels = 0;
  std::string base;
  bool is_shared = false;  // its constants serve other norms too: names tell nothing
  int after = -1;          // index of the layer whose output it reads
};

struct Change {
  ir::NodeId node;
  size_t input;
  bool is_insert;  // as a new input there, rather than in place of the old one
  std::string name;
  std::vector<int64_t> shape;
  ir::Constant constant;
};

int64_t row_length(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (size_t i = 1; i < shape.size(); ++i) n *= shape[i];
  return n;
}

bool fits(const Parameter& p, const std::vector<int64_t>& shape) {
  if (!p.encoding) return p.shape == shape;
  return shape.size() >= 2 && p.outputs == shape[0] && p.inputs == row_length(shape);
}

// Names that batch norms take after the layer in front: conv2 -> bn2, downsample.0 -> .1.
std::vector<std::string> names_of_norms_after(const std::string& base) {
  const size_t dot = base.rfind('.');
  const std::string prefix = dot == std::string::npos ? "" : base.substr(0, dot + 1);
  const std::string last = base.substr(prefix.size());
  if (last.starts_with("conv"))
    return {prefix + "bn" + last.substr(4), prefix + "norm" + last.substr(4)};
  if (!last.empty() && last.size() < 6 &&
      std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return {prefix + std::to_string(std::stoi(last) + 1)};
  return {};
}

class Mapper {
 public:
  Mapper(ir::Graph& graph, const Checkpoint& checkpoint) : graph_(graph), checkpoint_(checkpoint) {}

  Result<MapReport> run() {
    collect();
    match_by_name();
    match_by_order();
    for (Layer& l : layers_)
      if (!l.base.empty()) set_layer(l);
    for (const Norm& n : norms_) set_norm(n);
    set_other_constants();
    QRT_CHECK_OK(complain());
    for (Change& c : changes_) commit(c);
    ir::remove_dead(graph_);
    explain();
    return std::move(report_);
  }

 private:
  // ---- the graph's side ------------------------------------------------------------------------

  // A constant, or a chain of Identity over one: exporters share equal initializers that way.
  bool is_parameter(ir::ValueId v) const {
    while (graph_.values[v].constant < 0) {
      const ir::NodeId producer = graph_.values[v].producer;
      if (producer < 0 || !std::holds_alternative<ir::Identity>(graph_.nodes[producer].attr))
        return false;
      v = graph_.nodes[producer].in[0];
    }
    return true;
  }

  void collect() {
    std::map<ir::ValueId, int> layer_of, uses;
    for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(graph_.nodes.size()); ++i) {
      const ir::Node& node = graph_.nodes[i];
      const auto* conv = std::get_if<ir::Conv2d>(&node.attr);
      const auto* linear = std::get_if<ir::Linear>(&node.attr);
      if ((conv || linear) && is_parameter(node.in[1])) {
        const ir::Value& w = graph_.values[node.in[1]];
        const bool has_scale = conv ? conv->scale : linear->scale;
        layers_.push_back(
            {i, w.name, w.shape, (conv ? conv->bias : linear->bias) && !has_scale, false, ""});
        layer_of[node.out[0]] = static_cast<int>(layers_.size()) - 1;
      }
      if (std::holds_alternative<ir::BatchNorm>(node.attr) && is_parameter(node.in[1])) {
        const ir::Value& scale = graph_.values[node.in[1]];
        Norm n{i, scale.name, scale.shape.empty() ? 0 : scale.shape[0], "", false, -1};
        const auto before = layer_of.find(node.in[0]);
        if (before != layer_of.end()) {
          n.after = before->second;
          layers_[n.after].feeds_norm = true;
        }
        norms_.push_back(n);
        ++uses[node.in[1]];
      }
    }
    for (Norm& n : norms_) n.is_shared = uses[graph_.nodes[n.node].in[1]] > 1;
  }

  // ---- the checkpoint's side -------------------------------------------------------------------

  const Parameter* find(const std::string& name) const {
    const auto p = checkpoint_.parameters.find(name);
    return p == checkpoint_.parameters.end() ? nullptr : &p->second;
  }
  const Parameter* find_vector(const std::string& name, int64_t length) const {
    const Parameter* p = find(name);
    return p && !p->encoding && p->shape == std::vector<int64_t>{length} ? p : nullptr;
  }
  bool is_norm(const std::string& base, int64_t channels) const {
    return !used_.count(base + ".weight") && find_vector(base + ".weight", channels) &&
           find_vector(base + ".bias", channels);
  }
  // Unused parameters that `accept` takes, by their place in the file.
  template <class Accept>
  std::string first_unused(Accept accept) const {
    std::string best;
    size_t place = SIZE_MAX;
    for (const auto& [name, p] : checkpoint_.parameters) {
      if (p.place >= place || used_.count(name) || !accept(name, p)) continue;
      best = name;
      place = p.place;
    }
    return best;
  }

  static std::string base_of(const std::string& name) {
    constexpr std::string_view kWeight = ".weight";
    return name.ends_with(kWeight) ? name.substr(0, name.size() - kWeight.size()) : "";
  }

  // ---- matching --------------------------------------------------------------------------------

  void match_by_name() {
    for (Layer& l : layers_) {
      const Parameter* p = find(l.weight_name);
      if (!p || base_of(l.weight_name).empty()) continue;
      if (!fits(*p, l.shape)) note_misfit(l.weight_name, *p, l.shape);
      l.base = base_of(l.weight_name);
      used_.insert(l.weight_name);
    }
    for (Norm& n : norms_) {
      const std::string base = base_of(n.scale_name);
      if (n.is_shared || base.empty() || !find(n.scale_name)) continue;
      if (!is_norm(base, n.channels)) {
        note_misfit(n.scale_name, *find(n.scale_name), {n.channels});
        continue;
      }
      n.base = base;
      used_.insert(n.scale_name);
    }
  }

  void match_by_order() {
    for (Layer& l : layers_) {
      if (!l.base.empty()) continue;
      const std::string name = first_unused([&](const std::string& candidate, const Parameter& p) {
        return !base_of(candidate).empty() && (p.encoding || p.shape.size() >= 2) &&
               fits(p, l.shape);
      });
      if (name.empty()) {
        missing_.push_back(cat(l.weight_name, " ", shape_text(l.shape)));
        continue;
      }
      l.base = base_of(name);
      used_.insert(name);
      by_order_.push_back(cat(l.weight_name, " = ", name));
    }
    for (Norm& n : norms_) {
      if (!n.base.empty()) continue;
      n.base = norm_for(n.after < 0 ? "" : layers_[n.after].base, n.channels);
      if (n.base.empty()) {
        missing_.push_back(cat(n.scale_name, " [", n.channels, "] and its batch norm"));
        continue;
      }
      used_.insert(n.base + ".weight");
      by_order_.push_back(cat(n.scale_name, " = ", n.base, ".weight"));
    }
  }

  // The batch norm that belongs behind layer `base`, by the names in use, else the next in order.
  std::string norm_for(const std::string& base, int64_t channels) const {
    for (const std::string& name : names_of_norms_after(base))
      if (is_norm(name, channels)) return name;
    return base_of(first_unused([&](const std::string& candidate, const Parameter&) {
      return !base_of(candidate).empty() && is_norm(base_of(candidate), channels);
    }));
  }

  void note_misfit(const std::string& name, const Parameter& p, const std::vector<int64_t>& shape) {
    if (!p.encoding) {
      misfits_.push_back(cat(name, ": the checkpoint has ", shape_text(p.shape), ", the graph ",
                             shape_text(shape)));
      return;
    }
    const auto& c = std::get<quant::Codebook>(*p.encoding);
    std::string text =
        cat(name, ": the checkpoint's codes mean ", p.outputs, " outputs of ", p.inputs / c.dim,
            " blocks x ", c.dim, " = ", p.inputs, " inputs, the graph has ",
            shape.empty() ? 0 : shape[0], " of ", row_length(shape));
    if (row_length(shape) % c.dim != 0) text += cat(", which blocks of ", c.dim, " do not divide");
    misfits_.push_back(text);
  }

  // ---- planning --------------------------------------------------------------------------------

  void plan(ir::NodeId node, size_t input, const std::string& name, std::vector<float> data,
            bool is_insert = false) {
    ir::Constant c;
    std::vector<int64_t> shape = {static_cast<int64_t>(data.size())};
    c.data = std::move(data);
    changes_.push_back({node, input, is_insert, name, std::move(shape), std::move(c)});
  }

  void set_layer(const Layer& l) {
    const Parameter& p = *find(l.base + ".weight");
    ir::Constant c;
    if (p.encoding) {
      c.encoding = p.encoding;
      c.source = "checkpoint";
      ++report_.codebooks;
    } else {
      c.data = p.values;
    }
    ++report_.weights;
    changes_.push_back({l.node, 1, false, l.base + ".weight", l.shape, std::move(c)});
    const Parameter* own = find_vector(l.base + ".bias", l.shape[0]);
    if (own) used_.insert(l.base + ".bias");
    if (!l.has_bias) {
      if (own) used_.erase(l.base + ".bias");  // nowhere to go: complain() names it
      return;
    }
    if (set_fused_norm(l, own)) return;
    const ir::Value& old = graph_.values[graph_.nodes[l.node].in[2]];
    if (own)
      plan(l.node, 2, l.base + ".bias", own->values);
    else if (!find_vector(old.name, l.shape[0]))  // else set_other_constants() finds it
      missing_.push_back(cat(old.name, " [", l.shape[0], "]"));
  }

  // y = s * (W x + own) + (bias - mean * s), s = weight / sqrt(var + eps): a batch norm that the
  // exporter multiplied into the layer comes back as the layer's scale and bias.
  bool set_fused_norm(const Layer& l, const Parameter* own) {
    if (l.feeds_norm) return false;
    std::string base;
    for (const std::string& name : names_of_norms_after(l.base))
      if (base.empty() && is_norm(name, l.shape[0])) base = name;
    if (base.empty() && !own) base = norm_for("", l.shape[0]);
    if (base.empty()) return false;
    used_.insert(base + ".weight");
    std::vector<float> scale, bias, mean, variance;
    take_norm(base, l.shape[0], &scale, &bias, &mean, &variance);
    for (size_t i = 0; i < scale.size(); ++i) {
      scale[i] /= std::sqrt(variance[i] + kEpsilon);
      bias[i] += ((own ? own->values[i] : 0.0f) - mean[i]) * scale[i];
    }
    plan(l.node, 2, base + ".bias", std::move(bias));
    plan(l.node, 2, base + ".weight", std::move(scale), true);
    ++fused_;
    return true;
  }

  void take_norm(const std::string& base, int64_t channels, std::vector<float>* scale,
                 std::vector<float>* bias, std::vector<float>* mean, std::vector<float>* variance) {
    *scale = find(base + ".weight")->values;
    *bias = find(base + ".bias")->values;
    used_.insert(base + ".bias");
    const Parameter* m = find_vector(base + ".running_mean", channels);
    const Parameter* v = find_vector(base + ".running_var", channels);
    ++report_.norms;
    if (!m || !v) {
      ++without_statistics_;
      mean->assign(static_cast<size_t>(channels), 0.0f);
      variance->assign(static_cast<size_t>(channels), 1.0f);
      return;
    }
    used_.insert(base + ".running_mean");
    used_.insert(base + ".running_var");
    *mean = m->values;
    *variance = v->values;
  }

  void set_norm(const Norm& n) {
    if (n.base.empty()) return;
    std::vector<float> scale, bias, mean, variance;
    take_norm(n.base, n.channels, &scale, &bias, &mean, &variance);
    plan(n.node, 1, n.base + ".weight", std::move(scale));
    plan(n.node, 2, n.base + ".bias", std::move(bias));
    plan(n.node, 3, n.base + ".running_mean", std::move(mean));
    plan(n.node, 4, n.base + ".running_var", std::move(variance));
  }

  // Slopes, embeddings and the like: dense parameters whose very name the graph uses.
  void set_other_constants() {
    for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(graph_.nodes.size()); ++i) {
      const ir::Node& node = graph_.nodes[i];
      for (size_t k = 0; k < node.in.size(); ++k) {
        const ir::Value& v = graph_.values[node.in[k]];
        const Parameter* p = find(v.name);
        if (!p || used_.count(v.name) || p->encoding || p->shape != v.shape) continue;
        if (!ir::is_float(v.type) || !is_parameter(node.in[k])) continue;
        ir::Constant c;
        c.data = p->values;
        changes_.push_back({i, k, false, v.name, v.shape, std::move(c)});
        others_.insert(v.name);
      }
    }
    used_.insert(others_.begin(), others_.end());
  }

  Result<void> complain() const {
    if (!misfits_.empty())
      return fail(kShape, "checkpoint and graph disagree on ", misfits_.size(),
                  " shapes: ", join(misfits_, "; "),
                  "; use the checkpoint of this very architecture");
    std::vector<std::string> unused;
    for (const auto& [name, p] : checkpoint_.parameters)
      if (!used_.count(name)) unused.push_back(name);
    if (missing_.empty() && unused.empty()) return {};
    std::string text = "checkpoint and graph do not match.";
    if (!missing_.empty())
      text += cat(" In the graph, without a partner (", missing_.size(),
                  "): ", join(missing_, ", "), ".");
    if (!unused.empty())
      text += cat(" In the checkpoint, without a partner (", unused.size(),
                  "): ", join(unused, ", "), ".");
    return fail(kUnmatched, text, " Export the graph from the model the checkpoint belongs to");
  }

  void commit(Change& c) {
    ir::Node& node = graph_.nodes[c.node];
    if (!c.is_insert) graph_.values[node.in[c.input]].name += ".replaced";
    const ir::ValueId v = ir::add_constant(graph_, c.name, c.shape, std::move(c.constant));
    if (!c.is_insert) {
      node.in[c.input] = v;
      return;
    }
    node.in.insert(node.in.begin() + static_cast<std::ptrdiff_t>(c.input), v);
    if (auto* conv = std::get_if<ir::Conv2d>(&node.attr)) conv->scale = true;
    if (auto* linear = std::get_if<ir::Linear>(&node.attr)) linear->scale = true;
  }

  void explain() {
    auto& notes = report_.notes;
    if (!by_order_.empty()) {
      std::vector<std::string> shown(by_order_.begin(),
                                     by_order_.begin() + std::min<size_t>(6, by_order_.size()));
      notes.push_back(cat(by_order_.size(), " parameters were matched by order and shape, because ",
                          "the graph does not use the checkpoint's names (", join(shown, ", "),
                          by_order_.size() > 6 ? ", ...)" : ")"));
    }
    if (fused_ > 0)
      notes.push_back(cat(fused_, " batch norms that the exporter fused away became the scale and ",
                          "bias of their layers, with eps = 1e-5"));
    if (without_statistics_ > 0)
      notes.push_back(cat(without_statistics_, " batch norms have no running statistics in the ",
                          "checkpoint: mean 0 and variance 1 are used, as its own loader does. ",
                          "That is right if they were folded into weight and bias before saving"));
  }

  ir::Graph& graph_;
  const Checkpoint& checkpoint_;
  MapReport report_;
  std::vector<Layer> layers_;
  std::vector<Norm> norms_;
  std::vector<Change> changes_;
  std::set<std::string> used_, others_;
  std::vector<std::string> missing_, misfits_, by_order_;
  int without_statistics_ = 0, fused_ = 0;
};

}  // namespace

Result<MapReport> apply_checkpoint(ir::Graph& graph, const Checkpoint& checkpoint) {
  return Mapper(graph, checkpoint).run();
}

}  // namespace qrt::import

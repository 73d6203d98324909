// The invariants of a graph, checked between all passes in every build: what
// stands here, no pass has to ask again.
//
//   indices      every id names something
//   one source   a value is a graph input, a constant or the output of one node, and knows which
//   order        nodes read what stands before them
//   names        values have unique names
//   constants    as many elements as the shape says, finite; encodings fit; never batched
//   types        what infer() finds is what the value says
#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "converter/base/text.h"
#include "converter/ir/edit.h"

namespace qrt::ir {
namespace {

template <class... Parts>
Error broken(const Parts&... parts) {
  return fail(571, parts..., "; this is a defect of the pass before");
}

bool in_range(int64_t index, size_t count) {
  return index >= 0 && index < static_cast<int64_t>(count);
}

Result<void> check_indices(const Graph& g) {
  for (const Node& node : g.nodes) {
    for (const auto* ids : {&node.in, &node.out}) {
      for (ValueId id : *ids) {
        if (!in_range(id, g.values.size())) {
          return broken("node ", node.name, " names value ", id, " of ", g.values.size());
        }
      }
    }
    if (node.out.size() != 1) {
      return broken("node ", node.name, " has ", node.out.size(), " outputs; expected 1");
    }
  }
  for (const auto* ids : {&g.inputs, &g.outputs}) {
    for (ValueId id : *ids) {
      if (!in_range(id, g.values.size())) return broken("the graph names value ", id);
    }
  }
  for (const Value& value : g.values) {
    if (value.constant != -1 && !in_range(value.constant, g.constants.size())) {
      return broken("value ", value.name, " names constant ", value.constant);
    }
    if (value.producer != -1 && !in_range(value.producer, g.nodes.size())) {
      return broken("value ", value.name, " names node ", value.producer);
    }
  }
  return {};
}

Result<void> check_sources(const Graph& g) {
  std::vector<int> sources(g.values.size());
  std::unordered_set<std::string> names;
  for (ValueId id : g.inputs) ++sources[id];
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const ValueId out = g.nodes[i].out[0];
    ++sources[out];
    if (g.values[out].producer != static_cast<NodeId>(i)) {
      return broken("value ", g.values[out].name, " names node ", g.values[out].producer,
                    " as its producer; it is node ", i, " (", g.nodes[i].name, ")");
    }
  }
  for (size_t i = 0; i < g.values.size(); ++i) {
    const Value& value = g.values[i];
    sources[i] += value.constant >= 0;
    if (sources[i] > 1) return broken("value ", value.name, " has ", sources[i], " sources");
    if (value.producer >= 0 && g.nodes[value.producer].out[0] != static_cast<ValueId>(i)) {
      return broken("value ", value.name, " names a producer that does not produce it");
    }
    if (value.name.empty()) return broken("value ", i, " has no name");
    if (!names.insert(value.name).second) return broken("two values are named ", value.name);
  }
  for (const Node& node : g.nodes) {
    for (ValueId id : node.in) {
      if (sources[id] == 0) {
        return broken("node ", node.name, " reads ", g.values[id].name, ", which nothing makes");
      }
    }
  }
  if (g.outputs.empty()) return broken("the graph has no output");
  for (ValueId id : g.outputs) {
    if (sources[id] == 0) return broken("output ", g.values[id].name, " is made by nothing");
  }
  return {};
}

Result<void> check_order(const Graph& g) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    for (ValueId id : g.nodes[i].in) {
      if (g.values[id].producer >= static_cast<NodeId>(i)) {
        return broken("node ", g.nodes[i].name, " reads ", g.values[id].name, " before it is made");
      }
    }
  }
  return {};
}

Result<void> check_constant(const Value& value, const Constant& constant) {
  if (value.batched) return broken("constant ", value.name, " is batched");
  if (value.type != constant.type) {
    return broken("constant ", value.name, " holds ", name_of(constant.type), ", its value says ",
                  name_of(value.type));
  }
  const int64_t count = element_count(value.shape);
  const bool floats = is_float(constant.type);
  const size_t found = floats ? constant.data.size() : constant.ints.size();
  const size_t other = floats ? constant.ints.size() : constant.data.size();
  if (constant.encoding) {
    if (!floats || value.shape.empty() || value.shape[0] < 1) {
      return broken("constant ", value.name, " is encoded but no weight matrix");
    }
    Result<void> fits = quant::check(*constant.encoding, value.shape[0], count / value.shape[0]);
    if (!fits.ok()) return broken("constant ", value.name, ": ", fits.error().message);
    const int64_t taps = quant::taps_of(*constant.encoding);
    const int64_t window = value.shape.size() < 3 ? 1 : count / value.shape[0] / value.shape[1];
    if (taps != 1 && taps != window) {
      return broken("constant ", value.name, " is encoded for kernels of ", taps,
                    " elements; its shape is ", shape_text(value.shape));
    }
    if (constant.data.empty()) return {};
  }
  if (count < 0 || found != static_cast<size_t>(count) || other != 0) {
    return broken("constant ", value.name, " has ", found, " elements for shape ",
                  shape_text(value.shape));
  }
  const bool finite = std::all_of(constant.data.begin(), constant.data.end(),
                                  [](float x) { return std::isfinite(x); });
  if (!finite) return broken("constant ", value.name, " holds an infinite value or NaN");
  return {};
}

Result<void> check_types(const Graph& g) {
  for (const Value& value : g.values) {
    if (element_count(value.shape) < 0) {
      return broken("value ", value.name, " has shape ", shape_text(value.shape, value.batched));
    }
    if (value.batched && value.shape.empty()) {
      return broken("value ", value.name, " is batched but has no dimension");
    }
    if (value.constant >= 0) QRT_CHECK_OK(check_constant(value, g.constants[value.constant]));
  }
  for (const Node& node : g.nodes) {
    Result<ValueType> found = infer(g, node);
    if (!found.ok()) return broken(found.error().message);
    const Value& out = g.values[node.out[0]];
    if (*found != ValueType{out.type, out.shape, out.batched}) {
      return broken("value ", out.name, " of ", name_of(node.attr), " ", node.name, " is ",
                    name_of(out.type), shape_text(out.shape, out.batched), "; it should be ",
                    name_of(found->type), shape_text(found->shape, found->batched));
    }
  }
  return {};
}

bool has_thresholds(const Node& node) {
  if (const auto* conv = std::get_if<Conv2d>(&node.attr)) return conv->thresholds;
  const auto* linear = std::get_if<Linear>(&node.attr);
  return linear != nullptr && linear->thresholds;
}

// A constant that never falls along its rows, and an output that can hold what it says.
Result<void> check_thresholds(const Graph& g, const Node& node) {
  const Constant* t = constant_of(g, node.in[2]);
  if (t == nullptr) return broken("thresholds of ", node.name, " are no constant");
  const int64_t count = g.values[node.in[2]].shape[1];
  for (size_t i = 1; i < t->ints.size(); ++i)
    if (static_cast<int64_t>(i) % count != 0 && t->ints[i] < t->ints[i - 1])
      return broken("thresholds of ", node.name, " fall from ", t->ints[i - 1], " to ", t->ints[i]);
  const Constant* weight = constant_of(g, node.in[1]);
  const auto* book =
      weight && weight->encoding ? std::get_if<quant::Codebook>(weight->encoding.get()) : nullptr;
  if (book != nullptr && book->table_bits > 0)
    return broken(node.name, " has thresholds of sums that are rounded");
  const Quantization out = g.values[node.out[0]].quantization;
  if (!out.present() || (out.bits && count != 1))
    return broken(node.name, " has ", count, " thresholds per output; its result is stored ",
                  out.bits        ? "as bits"
                  : out.present() ? "as bytes"
                                  : "in f32");
  return {};
}

bool has_bias_first(const Node& node) {
  if (const auto* conv = std::get_if<Conv2d>(&node.attr)) return conv->bias_first;
  const auto* linear = std::get_if<Linear>(&node.attr);
  return linear != nullptr && linear->bias_first;
}

// The bias of a layer of bytes to bytes; no residual.
Result<void> check_bias_first(const Graph& g, const Node& node) {
  const Quantization in = g.values[node.in[0]].quantization,
                     out = g.values[node.out[0]].quantization;
  const bool bytes = in.present() && !in.bits && out.present() && !out.bits;
  const auto both = [&](const auto& layer) { return layer.bias && !layer.residual; };
  const auto* conv = std::get_if<Conv2d>(&node.attr);
  const Constant* weight = constant_of(g, node.in[1]);
  const bool book = weight == nullptr || weight->encoding == nullptr ||
                    std::holds_alternative<quant::Codebook>(*weight->encoding);
  if (bytes && !book && (conv != nullptr ? both(*conv) : both(std::get<Linear>(node.attr))))
    return {};
  return broken(node.name,
                " adds its bias before the scale, which layers of bytes to bytes do that "
                "have one, no residual and no codebook");
}

// Packed bits go only where words of them can: into layers, maxima and what moves rows.
bool takes_bits(const Node& node) {
  const auto* pool = std::get_if<Pool2d>(&node.attr);
  return (pool != nullptr && pool->mode == Pool2d::Mode::max) ||
         std::holds_alternative<Conv2d>(node.attr) || std::holds_alternative<Linear>(node.attr) ||
         std::holds_alternative<Quantize>(node.attr) || std::holds_alternative<Concat>(node.attr) ||
         std::holds_alternative<Transpose>(node.attr) ||
         std::holds_alternative<Reshape>(node.attr) || std::holds_alternative<Pad>(node.attr);
}

// Where bytes and bits may be read and made; the runtime's validator has the same rules
// (QRT-E0186).
Result<void> check_quantized(const Graph& g, const Node& node) {
  const auto& values = g.values;
  const Quantization out = values[node.out[0]].quantization;
  const Quantization in = values[node.in[0]].quantization;
  const Constant* weight = node.in.size() > 1 ? constant_of(g, node.in[1]) : nullptr;
  const bool layer =
      std::holds_alternative<Conv2d>(node.attr) || std::holds_alternative<Linear>(node.attr);
  const bool coded = weight != nullptr && weight->encoding != nullptr;
  const bool integers = coded && quant::needs_integers(*weight->encoding);
  bool any = out.present(), all = true, alike = true, bits = out.bits;
  for (size_t i = 0; i < node.in.size(); ++i) {
    if (layer && is_constant(g, node.in[i])) continue;
    const Quantization q = values[node.in[i]].quantization;
    any = any || q.present();
    all = all && q.present() && !(layer && i > 0 && q.bits);
    alike = alike && q == out;
    bits = bits || q.bits;
  }
  const bool converts = std::holds_alternative<Quantize>(node.attr), steps = has_thresholds(node);
  if (!any && !integers && !converts && !steps && !has_bias_first(node)) return {};
  if (steps) QRT_CHECK_OK(check_thresholds(g, node));
  if (has_bias_first(node)) QRT_CHECK_OK(check_bias_first(g, node));
  const auto* pool = std::get_if<Pool2d>(&node.attr);
  const auto* binary = std::get_if<Binary>(&node.attr);
  bool good = false;
  if (converts) {
    good = in.present() != out.present() || in.bits != out.bits;
  } else if (layer) {
    good = all && coded && quant::is_integer(*weight->encoding) && (steps || !out.bits);
  } else if (pool != nullptr) {
    good = pool->mode == Pool2d::Mode::average ? all : pool->mode == Pool2d::Mode::max && alike;
  } else if (binary != nullptr) {
    good = binary->op == Binary::Op::add && all && out.present();
  } else {
    good = alike && moves(node.attr);
  }
  if (good && (!bits || takes_bits(node))) return {};
  return broken(name_of(node.attr), " ", node.name, " cannot have the quantization of its values");
}

Result<void> check_quantization(const Graph& g) {
  for (const Value& value : g.values) {
    const Quantization q = value.quantization;
    const bool good = !q.present() ? q.zero == 0 && !q.bits
                                   : (!q.bits || q.zero == 0) && std::isnormal(q.scale) &&
                                         q.scale > 0 && std::isnormal(1 / q.scale) && q.zero >= 0 &&
                                         q.zero <= 255 && value.type == ElementType::f32 &&
                                         value.constant < 0 && value.producer >= 0;
    if (!good) {
      return broken("value ", value.name, " has the scale ", q.scale, " and the zero ", q.zero);
    }
  }
  for (const Node& node : g.nodes) QRT_CHECK_OK(check_quantized(g, node));
  for (const ValueId id : g.outputs) {
    if (g.values[id].quantization.present()) {
      return broken("output ", g.values[id].name, " is quantized");
    }
  }
  return {};
}

}  // namespace

Result<void> verify(const Graph& g) {
  QRT_CHECK_OK(check_indices(g));
  QRT_CHECK_OK(check_sources(g));
  QRT_CHECK_OK(check_order(g));
  QRT_CHECK_OK(check_types(g));
  return check_quantization(g);
}

}  // namespace qrt::ir

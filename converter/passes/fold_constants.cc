// fold_constants: what depends on constants and known shapes alone becomes a
// constant, computed by the interpreter. Afterwards none of Shape, Identity,
// Unsqueeze and Squeeze is left: on activations the first is refused, Identity
// vanishes, Unsqueeze and Squeeze become Reshape. Casts vanish between floats; a cast
// to f16 is one to f32, in which the engine computes.
//
// A folded value keeps its name, so that parameters are still found by name. An
// encoded constant is never decoded on the way: it may be reshaped within its
// rows, everything else is refused. A weight that the source rounds to a grid is encoded as what
// it is (folded_grids.h).
#include <algorithm>
#include <utility>

#include "converter/base/text.h"
#include "converter/eval/compute.h"
#include "converter/ir/edit.h"
#include "converter/passes/folded_grids.h"
#include "converter/passes/passes.h"

namespace qrt::passes {
namespace {

constexpr int64_t kMaxFolded = int64_t{1} << 29;  // elements of all folded constants: 2 GiB of f32

template <class... Ops>
bool is_one_of(const ir::Attr& attr) {
  return (std::holds_alternative<Ops>(attr) || ...);
}

class Folder {
 public:
  explicit Folder(ir::Graph& graph) : graph_(graph) {}

  Result<void> run() {
    std::vector<ir::Node> kept;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      Result<bool> gone = fold(graph_.nodes[i]);
      if (!gone.ok()) return gone.error();
      if (!*gone) kept.push_back(graph_.nodes[i]);
    }
    graph_.nodes = std::move(kept);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      graph_.values[graph_.nodes[i].out[0]].producer = static_cast<ir::NodeId>(i);
    }
    keep_constant_outputs();
    grids_.encode(graph_);
    ir::remove_dead(graph_);
    QRT_CHECK_OK(refuse_leftovers());
    return infer_shapes(graph_);  // a vanished cast changes the types behind it
  }

 private:
  // True if the node is no longer needed: its value is a constant or nobody reads it.
  Result<bool> fold(ir::Node& node) {
    const bool constant = std::all_of(node.in.begin(), node.in.end(),
                                      [&](auto id) { return ir::is_constant(graph_, id); });
    if (constant) return !is_kept(node) ? fold_constant(node) : Result<bool>(false);
    ir::Value& out = graph_.values[node.out[0]];
    if (is_one_of<ir::Shape>(node.attr)) return fold_shape(node);
    if (is_one_of<ir::Unsqueeze, ir::Squeeze>(node.attr)) node.attr = ir::Reshape{out.shape};
    const ir::ElementType from_type = graph_.values[node.in[0]].type;
    const bool cast = is_one_of<ir::Cast>(node.attr);
    if (cast && out.type == ir::ElementType::f16) {
      node.attr = ir::Cast{1};
      out.type = ir::ElementType::f32;
    }
    const bool same_type =
        cast && (out.type == from_type || (ir::is_float(out.type) && ir::is_float(from_type)));
    if (!is_one_of<ir::Identity>(node.attr) && !same_type) return false;
    const bool from_input = graph_.values[node.in[0]].producer < 0;
    const bool to_output =
        std::count(graph_.outputs.begin(), graph_.outputs.end(), node.out[0]) > 0;
    const bool twice = std::count(graph_.outputs.begin(), graph_.outputs.end(), node.in[0]) > 0;
    if (to_output && (from_input || twice)) {  // the copy has a name of its own to keep
      node.attr = ir::Reshape{out.shape};
      if (ir::is_float(out.type)) out.type = ir::ElementType::f32;
      return false;
    }
    ir::replace_uses(graph_, node.out[0], node.in[0]);
    out.producer = -1;
    return true;
  }

  // What keep_constant_outputs() made stays.
  bool is_kept(const ir::Node& node) const {
    return is_one_of<ir::Reshape>(node.attr) &&
           std::count(graph_.outputs.begin(), graph_.outputs.end(), node.out[0]) > 0 &&
           graph_.values[node.in[0]].shape == graph_.values[node.out[0]].shape;
  }

  // An output must be computed: one that is a constant (a shape, the anchors of a detector) becomes
  // a copy of it, and the constant hands its name on.
  void keep_constant_outputs() {
    for (ir::ValueId& output : graph_.outputs) {
      if (!ir::is_constant(graph_, output)) continue;
      const ir::ValueId from = output;
      const std::string name = graph_.values[from].name;
      graph_.values[from].name = ir::unique_name(graph_, cat(name, ".constant"));
      ir::Value copy = graph_.values[from];
      if (ir::is_float(copy.type)) make_f32(from, copy);
      copy.name = name;
      copy.constant = -1;
      copy.producer = static_cast<ir::NodeId>(graph_.nodes.size());
      output = static_cast<ir::ValueId>(graph_.values.size());
      graph_.nodes.push_back({name, ir::Reshape{copy.shape}, {from}, {output}, {}});
      graph_.values.push_back(std::move(copy));
    }
  }

  void make_f32(ir::ValueId constant, ir::Value& copy) {
    ir::Constant floats = *ir::constant_of(graph_, constant);
    copy.type = graph_.values[constant].type = floats.type = ir::ElementType::f32;
    graph_.values[constant].constant = static_cast<int32_t>(graph_.constants.size());
    graph_.constants.push_back(std::move(floats));
  }

  void become(ir::ValueId id, ir::Constant constant) {
    ir::Value& value = graph_.values[id];
    constant.type = value.type;
    value.producer = -1;
    value.batched = false;
    value.constant = static_cast<int32_t>(graph_.constants.size());
    graph_.constants.push_back(std::move(constant));
  }

  Result<bool> fold_shape(const ir::Node& node) {
    const ir::Value& x = graph_.values[node.in[0]];
    if (x.batched) return false;  // refused below if somebody needs it
    ir::Constant constant;
    constant.ints = x.shape;
    become(node.out[0], std::move(constant));
    return true;
  }

  Result<bool> fold_constant(const ir::Node& node) {
    const ir::Value& out = graph_.values[node.out[0]];
    for (ir::ValueId id : node.in) {
      if (ir::constant_of(graph_, id)->encoding) return fold_encoded(node);
    }
    const int64_t count = ir::element_count(out.shape);
    folded_ += count;
    if (count < 0 || folded_ > kMaxFolded) {
      return fail(561, name_of(node.attr), " ", node.name, ": its constant result ",
                  shape_text(out.shape), " makes more than ", kMaxFolded,
                  " folded elements; store the weights themselves in the source model");
    }
    std::vector<eval::View> in;
    for (ir::ValueId id : node.in) {
      const ir::Constant& constant = *ir::constant_of(graph_, id);
      in.push_back({constant.type, graph_.values[id].shape, constant.data, constant.ints});
    }
    Result<eval::Tensor> result = eval::run_node(node, std::move(in), out.type, out.shape);
    if (!result.ok()) return result.error();
    for (float value : result->data) {
      if (value - value != 0) {  // infinite or not a number
        return fail(562, name_of(node.attr), " ", node.name, ": folding gives ", value,
                    "; check the constants of the source model");
      }
    }
    grids_.note(graph_, node);
    ir::Constant constant;
    constant.data = std::move(result->data);
    constant.ints = std::move(result->ints);
    become(node.out[0], std::move(constant));
    return true;
  }

  // Rows of an encoded matrix are its first dimension: a reshape behind it changes nothing.
  Result<bool> fold_encoded(const ir::Node& node) {
    const ir::Value &in = graph_.values[node.in[0]], &out = graph_.values[node.out[0]];
    const bool moves_nothing =
        is_one_of<ir::Reshape, ir::Unsqueeze, ir::Squeeze, ir::Identity>(node.attr);
    if (!moves_nothing || in.shape.empty() || out.shape.empty() || in.shape[0] != out.shape[0]) {
      return fail(556, name_of(node.attr), " ", node.name, ": its input ", in.name, " is encoded (",
                  ir::constant_of(graph_, node.in[0])->source,
                  ") and would have to be decoded to become ", shape_text(out.shape),
                  "; encode the weight as the layer reads it");
    }
    ir::Constant constant = *ir::constant_of(graph_, node.in[0]);
    become(node.out[0], std::move(constant));
    return true;
  }

  // One message for everything that only a constant could have been.
  Result<void> refuse_leftovers() const {
    std::string text;
    for (const ir::Node& node : graph_.nodes) {
      if (!is_one_of<ir::Shape>(node.attr)) continue;
      const ir::Value& in = graph_.values[node.in[0]];
      text += cat(text.empty() ? "" : ", ", name_of(node.attr), " ", node.name, " ",
                  shape_text(in.shape, in.batched));
    }
    if (!text.empty()) {
      return fail(555, "these operators are supported on constants only, but here they depend on ",
                  "the data or the free batch: ", text,
                  "; fix the batch with --shape, or simplify the source model");
    }
    return {};
  }

  ir::Graph& graph_;
  int64_t folded_ = 0;
  FoldedGrids grids_;
};

}  // namespace

Result<void> fold_constants(ir::Graph& graph) {
  return Folder(graph).run();
}

}  // namespace qrt::passes

// Signals and volumes run as images: between their layers and what follows stand
// reshapes and transposes. A batch norm or clamp behind such moves goes in front of
// them, next to the layer, where fuse_batch_norm and fuse_activation find it. Moves
// only copy, so the order does not matter; the channels must be one axis of the
// layer's output, axis 1 or the last one. Only where the layer can absorb the node.
#include <optional>
#include <utility>
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Graph;
using ir::Node;
using ir::NodeId;
using ir::ValueId;
using Shape = std::vector<int64_t>;

int64_t product(const Shape& shape, size_t from, size_t to) {
  int64_t r = 1;
  for (size_t k = from; k < to; ++k) r *= shape[k];
  return r;
}

// Where axis `axis` of a move's output comes from in its input; nothing if it is no single axis.
std::optional<size_t> axis_before(const Graph& g, const Node& move, size_t axis) {
  if (const auto* t = std::get_if<ir::Transpose>(&move.attr)) {
    return static_cast<size_t>(t->perm[axis]);
  }
  const Shape &in = value_of(g, move.in[0]).shape, &out = value_of(g, move.out[0]).shape;
  const int64_t outer = product(out, 0, axis);
  for (size_t k = 0; k < in.size(); ++k) {
    if (in[k] == out[axis] && product(in, 0, k) == outer) return k;
  }
  return {};
}

bool is_move(const Node& n) {
  return std::holds_alternative<ir::Reshape>(n.attr) ||
         std::holds_alternative<ir::Transpose>(n.attr);
}

class Hoist {
 public:
  explicit Hoist(Graph& g) : g_(g), uses_(count_uses(g)) {}

  void run() {
    for (NodeId i = 0; i < static_cast<NodeId>(g_.nodes.size()); ++i) consider(i);
    ir::remove_dead(g_);
  }

 private:
  Node& at(NodeId i) { return g_.nodes[static_cast<size_t>(i)]; }

  void consider(NodeId id) {
    Node& n = at(id);
    const auto* affine = std::get_if<ir::Affine>(&n.attr);
    const auto* unary = std::get_if<ir::Unary>(&n.attr);
    const bool is_clamp = unary != nullptr && unary->op == ir::Unary::Op::clamp;
    if (affine == nullptr && !is_clamp) return;

    const Shape& shape = value_of(g_, n.in[0]).shape;
    std::optional<size_t> axis;
    if (affine != nullptr) axis = channel_axis(affine->layout, shape.size());
    // One channel lies on any axis of 1: which of them is not asked.
    const bool any_axis = affine == nullptr || shape[*axis] == 1;

    std::vector<NodeId> chain = {id};  // backwards: the node, the moves
    ValueId v = n.in[0];
    Node* before = sole_producer(g_, uses_, v);
    for (; before != nullptr && is_move(*before); before = sole_producer(g_, uses_, v)) {
      if (!any_axis) {
        axis = axis_before(g_, *before, *axis);
        if (!axis) return;
      }
      chain.push_back(value_of(g_, v).producer);
      v = before->in[0];
    }
    if (before == nullptr || chain.size() == 1) return;
    if (affine == nullptr ? !takes_clamp(*before) : !absorbs(*before, v, axis, any_axis)) return;
    if (affine != nullptr) {
      const size_t rank = value_of(g_, v).shape.size(), last = output_axis(*before, rank);
      std::get<ir::Affine>(n.attr).layout = last == 1 ? ir::Layout::nchw : ir::Layout::nhwc;
    }
    move_to_front(chain, v);
  }

  // Operators with a clamp of their own, and clamps, which become one.
  static bool takes_clamp(Node& n) {
    const auto* unary = std::get_if<ir::Unary>(&n.attr);
    return clamp_of(n) != nullptr || (unary != nullptr && unary->op == ir::Unary::Op::clamp);
  }

  // Whether the layer takes an Affine over this axis of its output.
  bool absorbs(Node& layer, ValueId out, std::optional<size_t> axis, bool any_axis) {
    if (!is_layer(layer) || *clamp_of(layer) != ir::kNoClamp || inputs_of(layer).residual >= 0)
      return false;
    const Shape& shape = value_of(g_, out).shape;
    const size_t own = output_axis(layer, shape.size());
    if (own != 1 && own + 1 != shape.size()) return false;
    return any_axis ? shape[own] == 1 : own == *axis;
  }

  // chain: the node, then the moves backwards from it to `v`. Their places stay, what stands in
  // them turns by one: every node still reads what stands before it.
  void move_to_front(const std::vector<NodeId>& chain, ValueId v) {
    Node node = at(chain.front());
    std::vector<Node> moves;
    for (size_t k = chain.size(); k-- > 1;) moves.push_back(at(chain[k]));

    const ValueId end = node.out[0];
    ir::Value made = value_of(g_, v);
    made.name = ir::unique_name(g_, value_of(g_, end).name + ".moved");
    made.constant = -1;
    g_.values.push_back(std::move(made));
    uses_.push_back(1);
    node.in[0] = v;
    node.out[0] = static_cast<ValueId>(g_.values.size() - 1);
    moves.front().in[0] = node.out[0];
    g_.values[static_cast<size_t>(moves.back().out[0])].producer = -1;  // nobody reads it any more
    uses_[static_cast<size_t>(moves.back().out[0])] = 0;
    moves.back().out[0] = end;

    put(chain.back(), std::move(node));
    for (size_t k = 0; k < moves.size(); ++k) {
      put(chain[chain.size() - 2 - k], std::move(moves[k]));
    }
  }

  void put(NodeId id, Node node) {
    g_.values[static_cast<size_t>(node.out[0])].producer = id;
    at(id) = std::move(node);
  }

  Graph& g_;
  std::vector<int> uses_;
};

}  // namespace

Result<void> hoist_pointwise(Graph& g) {
  Hoist(g).run();
  return {};
}

}  // namespace qrt::passes

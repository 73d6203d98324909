// infer_shapes: every node's output gets the type, shape and batching that its
// inputs give it. Assumes order and arity; passes that change shapes run it after.
#include "converter/ir/edit.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

Result<void> infer_shapes(ir::Graph& graph) {
  for (const ir::Node& node : graph.nodes) {
    Result<ir::ValueType> type = ir::infer(graph, node);
    if (!type.ok()) return type.error();
    ir::Value& out = graph.values[node.out[0]];
    out.type = type->type;
    out.shape = std::move(type->shape);
    out.batched = type->batched;
  }
  return {};
}

}  // namespace qrt::passes

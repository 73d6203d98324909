#include "runtime/model/validate.h"

#include "runtime/model/shapes.h"
#include "schema/layout.h"

namespace qrt {
namespace {

constexpr Code kBad = Code::invalid_model;
enum State : uint8_t { absent, input, constant, produced };

Status check_order(const Model& m, Span<uint8_t> state) {
  for (uint32_t t = 0; t < m.tensors.size(); ++t)
    if (m.tensors[t].is_constant) state[t] = constant;
  for (uint32_t i = 0; i < m.inputs.size(); ++i) {
    if (state[m.inputs[i].tensor] != absent)
      return Status(kBad, 170, "an input is a constant, or two inputs are one tensor")
          .at(Where::input, i);
    state[m.inputs[i].tensor] = input;
  }
  for (uint32_t n = 0; n < m.nodes.size(); ++n) {
    for (const uint32_t t : m.nodes[n].inputs) {
      if (state[t] == absent) {
        return Status(kBad, 171, "an operator reads a tensor that no earlier operator produces")
            .at(Where::op, n);
      }
    }
    const uint32_t out = m.nodes[n].outputs[0];
    if (state[out] == constant)
      return Status(kBad, 172, "an operator writes a constant tensor").at(Where::op, n);
    if (state[out] != absent)
      return Status(kBad, 170, "an operator writes a tensor that is written already")
          .at(Where::op, n);
    state[out] = produced;
  }
  for (uint32_t t = 0; t < m.tensors.size(); ++t) {
    if (state[t] == absent)
      return Status(kBad, 173, "no operator produces the tensor").at(Where::tensor, t);
  }
  for (uint32_t i = 0; i < m.outputs.size(); ++i) {
    if (state[m.outputs[i].tensor] != produced)
      return Status(kBad, 174, "an output is not produced by an operator").at(Where::output, i);
  }
  return {};
}

}  // namespace

Status check_shapes(const Model& m, int64_t batch) {
  for (uint32_t n = 0; n < m.nodes.size(); ++n)
    QRT_TRY(check_node_shapes(m, m.nodes[n], batch).at(Where::op, n));
  return {};
}

Status validate_graph(const Model& m, Arena& keep) {
  const Span<uint8_t> state = keep.array<uint8_t>(m.tensors.size());
  if (state.data() == nullptr) return Status(Code::out_of_memory, 1, "out of memory");
  QRT_TRY(check_order(m, state));
  QRT_TRY(check_shapes(m, 1));
  // Every dimension an operator computes is a linear function of the batch, so two
  // batches decide all; the second exceeds every fixed dimension, lest a fixed
  // dimension equal it by chance.
  bool batched = false;
  for (const TensorInfo& t : m.tensors) batched = batched || t.batched;
  return batched ? check_shapes(m, int64_t{layout::kMaxDim} + 1) : Status();
}

}  // namespace qrt

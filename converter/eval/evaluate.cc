// Order of work: check the inputs, find the batch, run node after node, drop
// each value after its last reader.
#include "converter/eval/evaluate.h"

#include <new>
#include <optional>
#include <utility>

#include "converter/eval/compute.h"
#include "converter/eval/integer_layers.h"

namespace qrt::eval {
namespace {

// The batch all inputs agree on; 1 where no input is batched.
Result<int64_t> find_batch(const ir::Graph& graph, std::span<const Tensor> inputs) {
  if (inputs.size() != graph.inputs.size()) {
    return fail(560, "the graph has ", graph.inputs.size(), " inputs, found ", inputs.size(),
                "; give one tensor for each");
  }
  int64_t batch = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ir::Value& value = graph.values[graph.inputs[i]];
    const Tensor& given = inputs[i];
    std::vector<int64_t> expected = value.shape;
    if (value.batched && given.shape.size() == expected.size() && expected[0] > 0 &&
        given.shape[0] > 0 && given.shape[0] % expected[0] == 0) {
      const int64_t here = given.shape[0] / expected[0];
      if (batch == 0) batch = here;
      expected[0] *= batch;
    }
    const size_t held = ir::is_float(given.type) ? given.data.size() : given.ints.size();
    if (given.shape != expected || static_cast<int64_t>(held) != ir::element_count(expected) ||
        ir::is_float(given.type) != ir::is_float(value.type)) {
      return fail(560, "input ", value.name, " has shape ", shape_text(given.shape), " of ",
                  name_of(given.type), " with ", held, " elements; expected ",
                  shape_text(value.shape, value.batched), " of ", name_of(value.type));
    }
  }
  return batch == 0 ? 1 : batch;
}

class Interpreter {
 public:
  Interpreter(const ir::Graph& graph, int64_t batch, const Observer& observer)
      : graph_(graph),
        batch_(batch),
        observer_(observer),
        uses_(graph.values.size()),
        values_(graph.values.size()) {
    for (const ir::Node& node : graph.nodes) {
      for (ir::ValueId id : node.in) ++uses_[id];
    }
    for (ir::ValueId id : graph.outputs) ++uses_[id];
  }

  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs_.emplace_back(graph_.inputs[i], &inputs[i]);
      if (observer_) observer_(graph_.inputs[i], inputs[i]);
    }
    for (const ir::Node& node : graph_.nodes) QRT_CHECK_OK(step(node));
    std::vector<Tensor> outputs;
    for (ir::ValueId id : graph_.outputs) {
      const View from = find(id);
      outputs.push_back({from.type,
                         {from.shape.begin(), from.shape.end()},
                         {from.data.begin(), from.data.end()},
                         {from.ints.begin(), from.ints.end()}});
    }
    return outputs;
  }

 private:
  // Where a value lies: computed, given, or constant (decoded on first use).
  View find(ir::ValueId id) {
    if (!values_[id]) {
      for (const auto& [input, tensor] : inputs_) {
        if (input == id) return view(*tensor);
      }
      const ir::Value& value = graph_.values[id];
      const ir::Constant& constant = graph_.constants[value.constant];
      if (constant.data.size() + constant.ints.size() > 0 || !constant.encoding) {
        return {value.type, value.shape, constant.data, constant.ints};
      }
      values_[id] = tensor_of(constant, value.shape);
    }
    View found = view(*values_[id]);
    found.quantization = graph_.values[id].quantization;
    const ir::Constant* constant = ir::constant_of(graph_, id);
    if (constant != nullptr) found.encoding = constant->encoding.get();
    return found;
  }

  Result<void> step(const ir::Node& node) {
    std::vector<View> in;
    for (ir::ValueId id : node.in) in.push_back(find(id));
    const ir::Value& out = graph_.values[node.out[0]];
    std::vector<int64_t> shape = out.shape;
    if (out.batched && __builtin_mul_overflow(shape[0], batch_, &shape[0])) shape[0] = -1;
    if (ir::element_count(shape) < 0) {
      return fail(561, name_of(node.attr), " ", node.name, ": the result ",
                  shape_text(out.shape, out.batched), " is too large at batch ", batch_,
                  "; use a smaller batch");
    }
    Result<Tensor> result =
        run_node(node, std::move(in), out.type, std::move(shape), false, out.quantization);
    if (!result.ok()) return result.error();
    if (observer_) observer_(node.out[0], *result);
    if (uses_[node.out[0]] > 0) values_[node.out[0]] = std::move(*result);
    for (ir::ValueId id : node.in) {
      if (--uses_[id] == 0) values_[id].reset();
    }
    return {};
  }

  const ir::Graph& graph_;
  const int64_t batch_;
  const Observer& observer_;
  std::vector<int> uses_;
  std::vector<std::optional<Tensor>> values_;
  std::vector<std::pair<ir::ValueId, const Tensor*>> inputs_;
};

}  // namespace

View view(const Tensor& tensor) {
  return {tensor.type, tensor.shape, tensor.data, tensor.ints};
}

Tensor tensor_of(const ir::Constant& constant, const std::vector<int64_t>& shape) {
  Tensor tensor{constant.type, shape, constant.data, constant.ints};
  if (constant.encoding && tensor.data.empty()) {
    const int64_t outputs = shape.at(0);
    tensor.data = quant::decode(*constant.encoding, outputs, ir::element_count(shape) / outputs);
  }
  return tensor;
}

Result<Tensor> run_node(const ir::Node& node, std::vector<View> inputs, ir::ElementType type,
                        std::vector<int64_t> shape, bool strict, ir::Quantization quantization) {
  try {
    Call call{node, std::move(inputs), {}, strict, quantization};
    const size_t count = static_cast<size_t>(ir::element_count(shape));
    call.out.type = type;
    call.out.shape = std::move(shape);
    if (ir::is_float(type)) {
      call.out.data.resize(count);
    } else {
      call.out.ints.resize(count);
    }
    QRT_CHECK_OK(std::visit([&](const auto& attr) { return compute(call, attr); }, node.attr));
    if (quantization.present())  // layers are there already, and stay
      for (float& value : call.out.data) value = on_grid(value, quantization);
    return std::move(call.out);
  } catch (const std::bad_alloc&) {
    return fail(561, name_of(node.attr), " ", node.name,
                ": out of memory; use a smaller batch or input");
  }
}

Result<std::vector<Tensor>> evaluate(const ir::Graph& graph, std::span<const Tensor> inputs,
                                     const Observer& observer) {
  Result<int64_t> batch = find_batch(graph, inputs);
  if (!batch.ok()) return batch.error();
  try {
    return Interpreter(graph, *batch, observer).run(inputs);
  } catch (const std::bad_alloc&) {
    return fail(561, "out of memory at batch ", *batch, "; use a smaller batch");
  }
}

}  // namespace qrt::eval

// The float interpreter of the converter's graph: what a graph means. Methods
// calibrate on it, qrt-verify compares against it, constant folding runs on it,
// tests trust it. Plain loops but for the matrix products, which are OpenBLAS's.
#ifndef QRT_CONVERTER_EVAL_EVALUATE_H_
#define QRT_CONVERTER_EVAL_EVALUATE_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"

namespace qrt::eval {

// A dense row-major tensor; floats in `data`, every integer type in `ints`, as in ir::Constant.
struct Tensor {
  ir::ElementType type = ir::ElementType::f32;
  std::vector<int64_t> shape;
  std::vector<float> data;
  std::vector<int64_t> ints;
};

// Sees every graph input and then every node's output, once each, in the order they are computed.
// The tensor lives only during the call. graph.values[id].producer tells the node.
using Observer = std::function<void(ir::ValueId id, const Tensor& value)>;

// Runs the graph, which verify() must accept. `inputs` are in the order of graph.inputs, with their
// shapes; where those are batched, dimension 0 may be any multiple of the stored one, the same for
// all. Encoded constants count as what quant::decode() says. Values are freed after their last use.
// Integers wrap, division by zero gives 0 and floats saturate where they become integers, as in the
// runtime. Errors: 560 inputs do not match, 561 too large for this machine, 562 an operator met
// integers it cannot take (an index out of range).
Result<std::vector<Tensor>> evaluate(const ir::Graph& graph, std::span<const Tensor> inputs,
                                     const Observer& observer = {});

// The constant as a tensor of `shape`, decoded where it is encoded.
Tensor tensor_of(const ir::Constant& constant, const std::vector<int64_t>& shape);

}  // namespace qrt::eval

#endif  // QRT_CONVERTER_EVAL_EVALUATE_H_

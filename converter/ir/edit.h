// Edits of a graph that keep its bookkeeping right: values know their producer,
// nodes stand in an order that can be run, names are unique. Passes and the
// importer change graphs through these.
#ifndef QRT_CONVERTER_IR_EDIT_H_
#define QRT_CONVERTER_IR_EDIT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"

namespace qrt::ir {

// What infer() finds out about a value.
struct ValueType {
  ElementType type = ElementType::f32;
  std::vector<int64_t> shape;
  bool batched = false;
  bool operator==(const ValueType&) const = default;
};

// Shape, element type and batching of the one output of `node`, from the values it reads.
// Errors: 550 shapes do not fit, 551 beyond the limits of the format, 552 the batch would be mixed
// into another dimension, 553 an attribute out of range, 554 wrong number of inputs.
Result<ValueType> infer(const Graph& graph, const Node& node);

// The IR type that holds an ONNX data type: double and bfloat16 become f32, 16-bit integers i32,
// uint32 i64. Nothing for strings, complex numbers, uint64.
std::optional<ElementType> element_type_of_onnx(int32_t data_type);

// What entry `k` of a slice takes of a dimension: start, start + step, ... `count` times.
struct SliceRange {
  int64_t start, step, count;
};
SliceRange slice_range(const Slice& slice, size_t k, int64_t dim);

// Which of `rank` axes are named, negative ones counted from the end; no name at all means all.
std::vector<bool> axis_set(const std::vector<int32_t>& axes, size_t rank);

// Product of dimensions; -1 if one is negative or the product exceeds the format's limit.
int64_t element_count(const std::vector<int64_t>& shape);
inline bool is_float(ElementType type) {
  return type == ElementType::f32 || type == ElementType::f16;
}

// Whether the operator only moves elements, each as it is: then it works on bytes, too.
inline bool moves(const Attr& attr) {
  return std::holds_alternative<Concat>(attr) || std::holds_alternative<Transpose>(attr) ||
         std::holds_alternative<Reshape>(attr) || std::holds_alternative<Pad>(attr) ||
         std::holds_alternative<Slice>(attr) || std::holds_alternative<Tile>(attr);
}

inline bool is_constant(const Graph& graph, ValueId value) {
  return graph.values[value].constant >= 0;
}
// The constant behind a value, nullptr if there is none.
const Constant* constant_of(const Graph& graph, ValueId value);

// `wanted`, or wanted_2, wanted_3, ... if a value has that name.
std::string unique_name(const Graph& graph, const std::string& wanted);

// A new constant value; its name is made unique. The shape must be that of the data.
ValueId add_constant(Graph& graph, const std::string& name, std::vector<int64_t> shape,
                     Constant constant);
ValueId add_floats(Graph& graph, const std::string& name, std::vector<int64_t> shape,
                   std::vector<float> data);

// Inserts `node` before position `at` (-1: at the end), adds one output value `output_name` typed
// by infer() and returns it. On an error the graph is unchanged. Costs O(nodes) unless at the end.
Result<ValueId> add_node(Graph& graph, Node node, const std::string& output_name, NodeId at = -1);

// The same at the end of the graph, under a name the caller knows to be free: constant time.
Result<ValueId> append_node(Graph& graph, Node node, std::string free_name);

// Nodes that read each value, in node order; a node that reads it twice stands there twice.
std::vector<std::vector<NodeId>> consumers(const Graph& graph);

// Every reader of `from`, graph outputs included, reads `to` instead. Where `from` was a graph
// output, `to` takes its name if it may: outputs keep their names.
void replace_uses(Graph& graph, ValueId from, ValueId to);

// Drops nodes that no graph output needs, then values and constants nobody names; renumbers the
// rest in their order. Graph inputs stay.
void remove_dead(Graph& graph);

}  // namespace qrt::ir

#endif  // QRT_CONVERTER_IR_EDIT_H_

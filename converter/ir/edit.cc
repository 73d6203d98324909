// Graph edits; see the header. Searches are linear: graphs have hundreds of
// nodes, and a map beside the vectors would be one more thing to keep right.
#include "converter/ir/edit.h"

#include <algorithm>
#include <utility>

#include "converter/base/text.h"
#include "runtime/base/checked.h"
#include "schema/layout.h"

namespace qrt::ir {

int64_t element_count(const std::vector<int64_t>& shape) {
  CheckedSize count = 1;
  for (int64_t dim : shape) {
    if (dim < 0) return -1;
    count = count * static_cast<uint64_t>(dim);
  }
  const auto value = count.get(layout::kMaxElements);
  return value ? static_cast<int64_t>(*value) : -1;
}

const Constant* constant_of(const Graph& graph, ValueId value) {
  const int32_t index = graph.values[value].constant;
  return index < 0 ? nullptr : &graph.constants[index];
}

std::string unique_name(const Graph& graph, const std::string& wanted) {
  auto taken = [&](const std::string& name) {
    return std::any_of(graph.values.begin(), graph.values.end(),
                       [&](const Value& value) { return value.name == name; });
  };
  std::string name = wanted.empty() ? "value" : wanted;
  for (int i = 2; taken(name); ++i) name = cat(wanted, "_", i);
  return name;
}

ValueId add_constant(Graph& graph, const std::string& name, std::vector<int64_t> shape,
                     Constant constant) {
  Value value;
  value.name = unique_name(graph, name);
  value.type = constant.type;
  value.shape = std::move(shape);
  value.constant = static_cast<int32_t>(graph.constants.size());
  graph.constants.push_back(std::move(constant));
  graph.values.push_back(std::move(value));
  return static_cast<ValueId>(graph.values.size()) - 1;
}

ValueId add_floats(Graph& graph, const std::string& name, std::vector<int64_t> shape,
                   std::vector<float> data) {
  Constant constant;
  constant.data = std::move(data);
  return add_constant(graph, name, std::move(shape), std::move(constant));
}

Result<ValueId> append_node(Graph& graph, Node node, std::string free_name) {
  Result<ValueType> type = infer(graph, node);
  if (!type.ok()) return type.error();
  Value value;
  value.name = std::move(free_name);
  value.type = type->type;
  value.shape = std::move(type->shape);
  value.batched = type->batched;
  value.producer = static_cast<NodeId>(graph.nodes.size());
  const ValueId id = static_cast<ValueId>(graph.values.size());
  node.out = {id};
  graph.values.push_back(std::move(value));
  graph.nodes.push_back(std::move(node));
  return id;
}

Result<ValueId> add_node(Graph& graph, Node node, const std::string& output_name, NodeId at) {
  Result<ValueId> id = append_node(graph, std::move(node), unique_name(graph, output_name));
  const NodeId last = static_cast<NodeId>(graph.nodes.size()) - 1;
  if (!id.ok() || at < 0 || at >= last) return id;
  for (Value& other : graph.values) {
    if (other.producer >= at) ++other.producer;
  }
  graph.values[*id].producer = at;
  std::rotate(graph.nodes.begin() + at, graph.nodes.end() - 1, graph.nodes.end());
  return id;
}

std::vector<std::vector<NodeId>> consumers(const Graph& graph) {
  std::vector<std::vector<NodeId>> readers(graph.values.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId value : graph.nodes[i].in) readers[value].push_back(static_cast<NodeId>(i));
  }
  return readers;
}

void replace_uses(Graph& graph, ValueId from, ValueId to) {
  if (from == to) return;
  for (Node& node : graph.nodes) std::replace(node.in.begin(), node.in.end(), from, to);
  bool was_output = false;
  for (ValueId& output : graph.outputs) {
    if (output == from) output = to, was_output = true;
  }
  if (!was_output) return;
  const bool keeps_name = std::count(graph.inputs.begin(), graph.inputs.end(), to) > 0 ||
                          std::count(graph.outputs.begin(), graph.outputs.end(), to) > 1 ||
                          graph.values[to].constant >= 0;
  if (!keeps_name) std::swap(graph.values[from].name, graph.values[to].name);
}

namespace {

// Marks what the outputs need, walking the nodes backwards: order makes one walk enough.
std::vector<bool> live_values(const Graph& graph, std::vector<bool>& live_nodes) {
  std::vector<bool> live(graph.values.size());
  for (ValueId value : graph.inputs) live[value] = true;
  for (ValueId value : graph.outputs) live[value] = true;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    bool needed = false;
    for (ValueId value : node.out) needed = needed || live[value];
    live_nodes[i] = needed;
    if (!needed) continue;
    for (ValueId value : node.out) live[value] = true;
    for (ValueId value : node.in) live[value] = true;
  }
  return live;
}

}  // namespace

void remove_dead(Graph& graph) {
  std::vector<bool> live_nodes(graph.nodes.size());
  const std::vector<bool> live = live_values(graph, live_nodes);
  std::vector<ValueId> new_id(graph.values.size(), -1);
  std::vector<int32_t> new_constant(graph.constants.size(), -1);
  std::vector<Value> values;
  std::vector<Constant> constants;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    if (!live[i]) continue;
    new_id[i] = static_cast<ValueId>(values.size());
    values.push_back(std::move(graph.values[i]));
    int32_t& constant = values.back().constant;
    if (constant < 0) continue;
    if (new_constant[constant] < 0) {
      new_constant[constant] = static_cast<int32_t>(constants.size());
      constants.push_back(std::move(graph.constants[constant]));
    }
    constant = new_constant[constant];
  }
  std::vector<Node> nodes;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!live_nodes[i]) continue;
    Node node = std::move(graph.nodes[i]);
    for (ValueId& value : node.in) value = new_id[value];
    for (ValueId& value : node.out) {
      value = new_id[value];
      values[value].producer = static_cast<NodeId>(nodes.size());
    }
    nodes.push_back(std::move(node));
  }
  for (ValueId& value : graph.inputs) value = new_id[value];
  for (ValueId& value : graph.outputs) value = new_id[value];
  graph.nodes = std::move(nodes);
  graph.values = std::move(values);
  graph.constants = std::move(constants);
}

}  // namespace qrt::ir

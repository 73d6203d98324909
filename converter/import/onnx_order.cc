// The order in which nodes are converted. ONNX asks for a sorted list; files that
// are not are sorted, cycles and reads of nothing are refused.
#include <algorithm>
#include <functional>

#include "converter/import/onnx_node.h"

namespace qrt::import {

// Kahn's algorithm over names; ties in the order of the file.
std::vector<const onnx::NodeProto*> order_nodes(const Import& import,
                                                const onnx::GraphProto& graph) {
  const auto& nodes = graph.node();
  std::unordered_map<std::string, int> producer;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const auto& name : nodes[i].output()) producer[name] = i;
  }
  std::vector<std::vector<int>> readers(static_cast<size_t>(nodes.size()));
  std::vector<int> waits(static_cast<size_t>(nodes.size()));
  std::vector<int> ready;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const auto& name : nodes[i].input()) {
      if (name.empty() || import.values.count(name)) continue;
      const auto found = producer.find(name);
      if (found == producer.end()) {
        refuse(507, nodes[i].op_type(), " ", nodes[i].name(), " reads ", name,
               ", which nothing makes; the file is damaged: export it again");
      }
      readers[static_cast<size_t>(found->second)].push_back(i);
      ++waits[static_cast<size_t>(i)];
    }
    if (waits[static_cast<size_t>(i)] == 0) ready.push_back(i);
  }
  std::make_heap(ready.begin(), ready.end(), std::greater<>());
  std::vector<const onnx::NodeProto*> order;
  while (!ready.empty()) {
    std::pop_heap(ready.begin(), ready.end(), std::greater<>());
    const int i = ready.back();
    ready.pop_back();
    order.push_back(&nodes[i]);
    for (int reader : readers[static_cast<size_t>(i)]) {
      if (--waits[static_cast<size_t>(reader)] > 0) continue;
      ready.push_back(reader);
      std::push_heap(ready.begin(), ready.end(), std::greater<>());
    }
  }
  if (order.size() != static_cast<size_t>(nodes.size())) {
    refuse(507, "the graph has a cycle among ", nodes.size() - static_cast<int>(order.size()),
           " of its nodes; the file is damaged");
  }
  return order;
}

}  // namespace qrt::import

// The operator table, sorted by name.
#include <algorithm>
#include <iterator>

#include "converter/import/onnx_node.h"

namespace qrt::import {

const OpRow* find_op(const std::string& op_type) {
  static constexpr OpRow kRows[] = {
#define QRT_ONNX_OP(name, min_inputs, max_inputs, handler) {#name, min_inputs, max_inputs, handler},
#include "converter/import/onnx_ops.inc"
#undef QRT_ONNX_OP
  };
  const auto found = std::find_if(std::begin(kRows), std::end(kRows),
                                  [&](const OpRow& row) { return op_type == row.name; });
  return found == std::end(kRows) ? nullptr : found;
}

}  // namespace qrt::import

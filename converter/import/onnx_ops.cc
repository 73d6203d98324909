// The operator table: names, and the domains they are met under.
#include <algorithm>
#include <iterator>

#include "converter/import/onnx_node.h"

namespace qrt::import {

namespace {

// The domains that one set of operators is met under.
enum class Domain { onnx, qonnx, microsoft };

bool is_of(Domain domain, const std::string& name) {
  if (domain == Domain::microsoft) return name == "com.microsoft";
  const bool plain = name.empty() || name == "ai.onnx";
  if (domain == Domain::onnx) return plain;
  return plain || name == "onnx.brevitas" || name == "finn.custom_op.general" ||
         name == "qonnx.custom_op.general";
}

struct DomainRow {
  Domain domain;
  OpRow row;
};

constexpr DomainRow kRows[] = {
#define QRT_ONNX_OP(name, min_inputs, max_inputs, handler) \
  {Domain::onnx, {#name, min_inputs, max_inputs, handler}},
#include "converter/import/onnx_ops.inc"
#undef QRT_ONNX_OP
#define QRT_DOMAIN_OP(domain, name, min_inputs, max_inputs, handler) \
  {Domain::domain, {#name, min_inputs, max_inputs, handler}},
#include "converter/import/onnx_domain_ops.inc"
#undef QRT_DOMAIN_OP
};

}  // namespace

const OpRow* find_op(const std::string& domain, const std::string& op_type) {
  const auto found = std::find_if(std::begin(kRows), std::end(kRows), [&](const DomainRow& row) {
    return op_type == row.row.name && is_of(row.domain, domain);
  });
  return found == std::end(kRows) ? nullptr : &found->row;
}

}  // namespace qrt::import

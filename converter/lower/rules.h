// What rules are made of. A rule checks its node and fills the operator; the
// Context hands out tensor and weight indices.
#ifndef QRT_CONVERTER_LOWER_RULES_H_
#define QRT_CONVERTER_LOWER_RULES_H_

#include <map>
#include <utility>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/lower/file.h"

namespace qrt::lower {

class Context {
 public:
  Context(const ir::Graph& g, File& file) : g_(g), file_(file), tensor_of_(g.values.size(), -1) {}

  const ir::Graph& graph() const { return g_; }
  const ir::Value& value(ir::ValueId v) const { return g_.values[static_cast<size_t>(v)]; }

  // The file's tensor for a value, made at its first use; constants take their floats along.
  Result<uint32_t> tensor(ir::ValueId);

  // The file's weights for a constant value: dense floats in `order`, or as encoded. A matrix that
  // sums integers in one layer and floats in another is stored for both.
  Result<uint32_t> weights(const ir::Node&, ir::ValueId, InputOrder order);

  // Floats of a constant with `count` elements.
  Result<std::vector<float>> vector(const ir::Node&, ir::ValueId, int64_t count);

 private:
  const ir::Graph& g_;
  File& file_;
  std::vector<int64_t> tensor_of_;
  std::map<std::pair<ir::ValueId, bool>, uint32_t> weights_of_;
};

// Appends the tensors of all inputs of the node from `begin` to `end`.
Result<void> add_inputs(Context&, const ir::Node&, size_t begin, size_t end, Operator&);

#define QRT_LOWER(Attr, name) Result<void> lower_##name(Context&, const ir::Node&, Operator&);
#include "converter/lower/rules.inc"
#undef QRT_LOWER

}  // namespace qrt::lower

#endif  // QRT_CONVERTER_LOWER_RULES_H_

// Models of one node or a few: built, imported and run, for tests of what each
// ONNX operator means.
#ifndef QRT_TESTS_SUPPORT_ONNX_RUN_H_
#define QRT_TESTS_SUPPORT_ONNX_RUN_H_

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/passes/passes.h"
#include "converter/passes/pipeline.h"
#include "tests/support/onnx_builder.h"

namespace qrt::test {

using Floats = std::vector<float>;

inline ir::Graph imported(const OnnxBuilder& builder, const import::OnnxOptions& options = {}) {
  auto result = import::import_onnx(builder.save("ops.onnx"), options);
  REQUIRE_MESSAGE(result.ok(), result.error().message);
  return std::move(result->graph);
}

// The code of the refusal, 0 where there is none.
inline int refusal(const OnnxBuilder& builder) {
  auto result = import::import_onnx(builder.save("refused.onnx"), {});
  if (!result.ok()) return result.error().id;
  Result<void> done = passes::run_pipeline(result->graph, passes::prepare_passes());
  return done.ok() ? 0 : done.error().id;
}

inline ir::Graph folded(const OnnxBuilder& builder) {
  ir::Graph graph = imported(builder);
  Result<void> done = passes::fold_constants(graph);
  REQUIRE_MESSAGE(done.ok(), done.error().message);
  Result<void> good = ir::verify(graph);
  REQUIRE_MESSAGE(good.ok(), good.error().message);
  return graph;
}

inline Floats evaluated(const ir::Graph& graph, std::span<const eval::Tensor> inputs) {
  auto y = eval::evaluate(graph, inputs);
  REQUIRE_MESSAGE(y.ok(), y.error().message);
  return (*y)[0].data;
}

// Imports, folds and runs.
inline Floats run(const OnnxBuilder& builder, const std::vector<eval::Tensor>& inputs) {
  return evaluated(folded(builder), inputs);
}
inline Floats run(const OnnxBuilder& builder, std::vector<int64_t> shape, Floats data) {
  return run(builder, {{ir::ElementType::f32, std::move(shape), std::move(data), {}}});
}

// As run(), and all passes must leave the meaning as it is, but for rounding.
inline Floats run_through_passes(const OnnxBuilder& builder,
                                 const std::vector<eval::Tensor>& inputs) {
  ir::Graph graph = folded(builder);
  const Floats before = evaluated(graph, inputs);
  for (auto list : {passes::prepare_passes(), passes::layout_passes()}) {
    Result<void> done = passes::run_pipeline(graph, list);
    REQUIRE_MESSAGE(done.ok(), done.error().message);
    const Floats after = evaluated(graph, inputs);
    REQUIRE(after.size() == before.size());
    for (size_t i = 0; i < after.size(); ++i) {
      CHECK(after[i] == doctest::Approx(before[i]).epsilon(1e-5));
    }
  }
  return before;
}

// A model of one node on input x; `more` are its other inputs.
using Attributes = std::function<void(onnx::NodeProto&)>;
inline OnnxBuilder one(const char* op, const std::vector<int64_t>& dims,
                       const Attributes& attributes, int64_t opset = 13,
                       const std::vector<std::string>& more = {}) {
  OnnxBuilder builder(opset);
  builder.input("x", dims);
  std::vector<std::string> inputs = {"x"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  onnx::NodeProto& node = builder.node(op, inputs, "y");
  if (attributes) attributes(node);
  builder.output("y");
  return builder;
}
inline OnnxBuilder one(const char* op, const std::vector<int64_t>& dims, int64_t opset = 13,
                       const std::vector<std::string>& more = {}) {
  return one(op, dims, Attributes(), opset, more);
}

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_ONNX_RUN_H_

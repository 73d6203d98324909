// The functions of one or two values that the graph's elementwise operators apply,
// as ONNX defines them. What ONNX leaves open is fixed here, and the runtime does
// the same: integers wrap, a division by zero gives 0, max and min of a NaN are NaN.
#ifndef QRT_CONVERTER_EVAL_FUNCTIONS_H_
#define QRT_CONVERTER_EVAL_FUNCTIONS_H_

#include <cstdint>
#include <span>

#include "converter/ir/graph.h"

namespace qrt::eval {

float apply(const ir::Unary&, float x);
float apply(ir::Binary::Op, float a, float b);  // arithmetic
bool compare(ir::Binary::Op, float a, float b);
bool compare(ir::Binary::Op, int64_t a, int64_t b);  // and the logical ones, on 0 and 1

// Arithmetic in `type`, whose values `a` and `b` are. `*exact` is cleared where the result had to
// wrap or a divisor was 0, and left alone otherwise.
int64_t apply(ir::Binary::Op, ir::ElementType type, int64_t a, int64_t b, bool* exact);
int64_t apply(ir::Unary::Op, ir::ElementType type, int64_t x, bool* exact);

// As ir::FakeQuantize and ir::Steps say; `thresholds` ascend.
float fake_quantized(const ir::FakeQuantize&, float x, float scale, float zero);
float stepped(const ir::Steps&, float x, std::span<const float> thresholds);

// The value of an integer type that is congruent to `value`.
int64_t wrapped(ir::ElementType type, int64_t value);
// Truncated towards zero and taken to the nearest value of `type`; NaN gives 0.
int64_t truncated(ir::ElementType type, float value);

}  // namespace qrt::eval

#endif  // QRT_CONVERTER_EVAL_FUNCTIONS_H_

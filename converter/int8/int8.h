// int8 activations: a laid-out network of floats becomes one of bytes and integers,
// by what sample inputs show. README.md explains the steps and what each is worth.
#ifndef QRT_CONVERTER_INT8_INT8_H_
#define QRT_CONVERTER_INT8_INT8_H_

#include <functional>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/int8/fit.h"
#include "converter/int8/ranges.h"
#include "converter/ir/graph.h"
#include "converter/quant/method.h"

namespace qrt::int8 {

struct Options {
  RangeMode range = RangeMode::mse;
  bool first_last = true;  // the first and the last layers sum integers, too
  // Layers that stay in f32, by name; empty: none is asked to.
  std::function<bool(const std::string&)> stays_f32;
  FitOptions fit;
};

struct Report {
  Fit fit;
  std::vector<std::string> notes, warnings;  // sentences for the user
};

// The graph must have run through passes::layout_passes(). Errors: 560 as eval::evaluate(),
// QRT-E0760 there is no data, QRT-E0761 no layer can sum integers, 762 and 763 of fit,
// QRT-E0764 an activation is too large.
Result<Report> quantize(ir::Graph&, const Options&, const quant::CalibrationData&);

}  // namespace qrt::int8

#endif  // QRT_CONVERTER_INT8_INT8_H_

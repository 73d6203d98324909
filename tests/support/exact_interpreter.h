// What a quantized network means, slowly: every operator in double precision by plain
// loops, on the graph as it was imported. Shares no code with eval/ or the passes, so
// that both can be held against it. Activations of quantized layers are small integers times
// scales: double is far more exact than any step of a quantizer is wide. Only where ONNX's own
// quantizers (FakeQuantize with zero_after) follow sums of integers, these are rounded in f32 and
// in the order of operations that the exporting framework has: bytes depend on it.
#ifndef QRT_TESTS_SUPPORT_EXACT_INTERPRETER_H_
#define QRT_TESTS_SUPPORT_EXACT_INTERPRETER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "converter/ir/graph.h"

namespace qrt::testing {

struct Exact {
  std::vector<int64_t> shape;
  std::vector<double> data;
};

// Every value of the graph by its id, for one row of inputs. Activations NCHW. `unknown` gets the
// name of the first operator that is not known here; what follows from it is missing.
std::map<ir::ValueId, Exact> run_exactly(const ir::Graph&, const std::vector<Exact>& inputs,
                                         std::string* unknown);

// Whether elements of the output are some of the input's.
bool keeps_levels(const ir::Attr&);

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_EXACT_INTERPRETER_H_

// Quantization methods: each takes a prepared graph (images NCHW, batch norm
// fused) and gives weights an encoding. methods.inc lists them, one row each; the
// command line finds them by name and hands options over as words.
#ifndef QRT_CONVERTER_QUANT_METHOD_H_
#define QRT_CONVERTER_QUANT_METHOD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "converter/base/result.h"
#include "converter/eval/evaluate.h"
#include "converter/ir/graph.h"
#include "converter/quant/allocate.h"
#include "converter/quant/control.h"

namespace qrt::quant {

// Sample inputs: one tensor per graph input in their order, with any number of rows where the graph
// is batched. Empty: there is no data, and methods that can do without say so. `control` watches
// the work on them and resumes it; see control.h.
struct CalibrationData {
  std::vector<eval::Tensor> inputs;
  RunControl control = {};
};

// What became of one layer. Errors are relative to the energy of the thing itself.
struct LayerReport {
  std::string layer;
  bool is_encoded = false;
  std::string why_not;               // where it is not
  int32_t centroids = 0, block = 0;  // k and d
  double bits_per_weight = 0;        // codes and entries over the weights
  double weight_snr_db = 0;          // |W|^2 over |W - W'|^2
  double output_error = 0;           // sum (v-c)'G(v-c) over sum v'Gv: output energy lost
};

struct MethodReport {
  std::vector<LayerReport> layers;    // in graph order
  std::vector<std::string> notes;     // sentences for the user
  std::vector<std::string> warnings;  // the same, of what he may not have wanted
};

using MethodOptions = std::map<std::string, std::string>;

// What a search over settings chooses from: options of each layer, and the --layers file that leads
// to a choice of them.
struct SearchSpace {
  std::vector<std::vector<Option>> options;
  std::function<std::string(const Allocation&)> rules;
};

struct Method {
  const char* name;
  const char* summary;
  const char* options;  // "block_3x3=9 ...": every key with its default
  Result<MethodReport> (*run)(ir::Graph&, const MethodOptions&, const CalibrationData&);
  // Before the work: weights get encodings of the planned sizes that mean nothing. `has_data` tells
  // whether run() will have calibration data.
  Result<MethodReport> (*plan)(ir::Graph&, const MethodOptions&, bool has_data);
  // Every candidate of every layer without a rule of its own, measured; sensitivities on `probes`.
  // Errors: QRT-E0738 where there is no data.
  Result<SearchSpace> (*search)(const ir::Graph&, const MethodOptions&, const CalibrationData&,
                                const std::vector<eval::Tensor>& probes);
};

// The functions of the rows, and only they: a method without a row does not compile.
#define QRT_METHOD(name, run, plan, search, summary, options)                                \
  Result<MethodReport> run(ir::Graph&, const MethodOptions&, const CalibrationData&);        \
  Result<MethodReport> plan(ir::Graph&, const MethodOptions&, bool);                         \
  Result<SearchSpace> search(const ir::Graph&, const MethodOptions&, const CalibrationData&, \
                             const std::vector<eval::Tensor>&);
#include "converter/quant/methods.inc"
#undef QRT_METHOD

std::span<const Method> methods();

// Errors: QRT-E0710 with the list of names.
Result<const Method*> find_method(std::string_view name);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_METHOD_H_

// One of ONNX's own test cases: a folder with model.onnx and test_data_set_*/
// input_*.pb and output_*.pb. Reading it here shares no code with the importer.
#ifndef QRT_TESTS_ONNX_CASE_H_
#define QRT_TESTS_ONNX_CASE_H_

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace qrt::test {

// A tensor of a data set: floats of every width in `floats`, integers and booleans in `ints`.
struct TestTensor {
  std::string name;
  int32_t type = onnx::TensorProto::FLOAT;  // onnx::TensorProto::DataType
  std::vector<int64_t> shape;
  std::vector<double> floats;
  std::vector<int64_t> ints;
  bool is_float() const;
  size_t count() const { return floats.size() + ints.size(); }
};

struct DataSet {
  std::vector<TestTensor> inputs, outputs;  // in the order of the graph's
};

struct Case {
  std::string name;
  onnx::ModelProto model;
  std::string error;                // why its data cannot be read; empty if it can
  std::vector<DataSet> sets;        // one or more where error is empty
  std::set<std::string> operators;  // "Add", or "domain.Name" outside of ONNX's own
};

// Names of the cases under `folder`, sorted. Folders without a model.onnx are none.
std::vector<std::string> case_names(const std::string& folder);

// Sequences, optionals, texts and complex numbers end in `error`.
Case read_case(const std::string& folder, const std::string& name);

// Graph inputs that only feed parameters (frozen.inc) become initializers, with the numbers of this
// data set, which loses them. The names of those frozen.
std::vector<std::string> freeze_parameters(onnx::ModelProto& model, DataSet& set);

// libqrt refuses a model without any input, which leaves it nothing to do. Adds, for every output
// of such a case, an input of zeros, f32 and of the output's shape, and makes "zeros +
// Cast(output)" the output, so that what folding gave is run and compared.
void add_probes(onnx::ModelProto& model, DataSet& set);

}  // namespace qrt::test

#endif  // QRT_TESTS_ONNX_CASE_H_

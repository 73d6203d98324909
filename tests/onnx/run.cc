// The way of qrt-convert and `qrt run`, step by step; see run.h.
#include "tests/onnx/run.h"

#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "converter/base/text.h"
#include "converter/emit/emit.h"
#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/ir/edit.h"
#include "converter/lower/lower.h"
#include "converter/passes/pipeline.h"
#include "tests/support/handles.h"

namespace qrt::test {
namespace {

using onnx::TensorProto;

// What went wrong, from wherever it was found.
struct Failure {
  Outcome outcome;
};

[[noreturn]] void refused(const Error& error) {
  throw Failure{{Verdict::refused, error.id, error.message}};
}
template <class... Parts>
[[noreturn]] void wrong(const Parts&... parts) {
  throw Failure{{Verdict::wrong, 0, cat(parts...)}};
}

template <class T>
T take(Result<T> result) {
  if (!result.ok()) refused(result.error());
  return std::move(*result);
}
void check(const Result<void>& result) {
  if (!result.ok()) refused(result.error());
}

// ---- both sides' tensors as TestTensors ---------------------------------------------------------

int32_t onnx_type(ir::ElementType type) {
  switch (type) {
    case ir::ElementType::f32:
      return TensorProto::FLOAT;
    case ir::ElementType::f16:
      return TensorProto::FLOAT16;
    case ir::ElementType::i8:
      return TensorProto::INT8;
    case ir::ElementType::u8:
      return TensorProto::UINT8;
    case ir::ElementType::i32:
      return TensorProto::INT32;
    case ir::ElementType::i64:
      return TensorProto::INT64;
    case ir::ElementType::boolean:
      return TensorProto::BOOL;
  }
  return 0;
}

int32_t onnx_type(qrt_dtype type) {
  switch (type) {
    case QRT_F32:
      return TensorProto::FLOAT;
    case QRT_F16:
      return TensorProto::FLOAT16;
    case QRT_I8:
      return TensorProto::INT8;
    case QRT_U8:
      return TensorProto::UINT8;
    case QRT_I32:
      return TensorProto::INT32;
    case QRT_I64:
      return TensorProto::INT64;
    case QRT_BOOL:
      return TensorProto::BOOL;
  }
  return 0;
}

eval::Tensor to_eval(const TestTensor& from, const ir::Value& port) {
  eval::Tensor tensor{port.type, from.shape, {}, {}};
  tensor.data.assign(from.floats.begin(), from.floats.end());
  tensor.ints = from.ints;
  return tensor;
}

TestTensor from_eval(const eval::Tensor& from) {
  TestTensor tensor{"", onnx_type(from.type), from.shape, {}, from.ints};
  tensor.floats.assign(from.data.begin(), from.data.end());
  return tensor;
}

template <class T>
void store(const TestTensor& from, const qrt_tensor& to) {
  T* p = static_cast<T*>(to.data);
  for (double x : from.floats) *p++ = static_cast<T>(x);
  for (int64_t x : from.ints) *p++ = static_cast<T>(x);
}

template <class T, class List>
void load(const qrt_tensor& from, List& to) {
  const T* p = static_cast<const T*>(from.data);
  to.assign(p, p + from.bytes / sizeof(T));
}

void feed(const TestTensor& from, const qrt_tensor& to) {
  const std::vector<int64_t> dims(to.dims, to.dims + to.rank);
  if (dims != from.shape)
    wrong("input ", to.name, " of the file has shape ", shape_text(dims), "; the model's is ",
          shape_text(from.shape));
  switch (to.dtype) {
    case QRT_F32:
      return store<float>(from, to);
    case QRT_I8:
      return store<int8_t>(from, to);
    case QRT_U8:
    case QRT_BOOL:
      return store<uint8_t>(from, to);
    case QRT_I32:
      return store<int32_t>(from, to);
    case QRT_I64:
      return store<int64_t>(from, to);
    case QRT_F16:
      wrong("input ", to.name, " of the file is f16");
  }
}

TestTensor fetch(const qrt_tensor& from) {
  TestTensor tensor{"", onnx_type(from.dtype), {from.dims, from.dims + from.rank}, {}, {}};
  switch (from.dtype) {
    case QRT_F32:
      load<float>(from, tensor.floats);
      break;
    case QRT_I8:
      load<int8_t>(from, tensor.ints);
      break;
    case QRT_U8:
    case QRT_BOOL:
      load<uint8_t>(from, tensor.ints);
      break;
    case QRT_I32:
      load<int32_t>(from, tensor.ints);
      break;
    case QRT_I64:
      load<int64_t>(from, tensor.ints);
      break;
    case QRT_F16:
      wrong("output ", from.name, " of the file is f16");
  }
  return tensor;
}

// ---- comparison ---------------------------------------------------------------------------------

double tolerance_of(int32_t type) {
  if (type == TensorProto::FLOAT16) return 1e-3;   // half a step of 2^-10, and a sum of those
  if (type == TensorProto::BFLOAT16) return 8e-3;  // of 2^-7
  return kTolerance;
}

void compare_floats(const TestTensor& got, const TestTensor& want, const std::string& who) {
  double worst = 0, largest = 0;
  size_t at = 0;
  for (size_t i = 0; i < want.floats.size(); ++i) {
    const double g = got.floats[i], w = want.floats[i];
    const bool equal = std::isnan(w) ? std::isnan(g) : g == w;
    if (equal && !std::isfinite(w)) continue;
    if (!std::isfinite(g) || !std::isfinite(w))
      wrong(who, " gives ", g, " for element ", i, " of ", want.name, "; expected ", w);
    if (std::fabs(g - w) > worst) worst = std::fabs(g - w), at = i;
    largest = std::max(largest, std::fabs(w));
  }
  if (worst > tolerance_of(want.type) * largest)
    wrong(who, " gives ", got.floats[at], " for element ", at, " of ", want.name, "; expected ",
          want.floats[at], " (relative error ", worst / largest, ")");
}

void compare(const TestTensor& got, const TestTensor& want, const std::string& who) {
  if (got.shape != want.shape)
    wrong(who, " gives shape ", shape_text(got.shape), " for ", want.name, "; expected ",
          shape_text(want.shape));
  // Floats of every width are computed in f32, integers in the type that holds theirs.
  const auto type = ir::element_type_of_onnx(want.type);
  const bool right = want.is_float() ? got.is_float() : type && onnx_type(*type) == got.type;
  if (!right || got.count() != want.count())
    wrong(who, " gives ", got.count(), " elements of ONNX type ", got.type, " for ", want.name,
          "; expected ", want.count(), " of type ", want.type);
  for (size_t i = 0; i < want.ints.size(); ++i)
    if (got.ints[i] != want.ints[i])
      wrong(who, " gives ", got.ints[i], " for element ", i, " of ", want.name, "; expected ",
            want.ints[i]);
  compare_floats(got, want, who);
}

// ---- the two ways to run ------------------------------------------------------------------------

void run_interpreter(const ir::Graph& graph, const DataSet& set) {
  std::vector<eval::Tensor> inputs;
  for (size_t i = 0; i < set.inputs.size(); ++i)
    inputs.push_back(to_eval(set.inputs[i], graph.values[graph.inputs[i]]));
  const std::vector<eval::Tensor> outputs = take(eval::evaluate(graph, inputs));
  for (size_t i = 0; i < set.outputs.size(); ++i)
    compare(from_eval(outputs.at(i)), set.outputs[i], "the interpreter");
}

void run_engine(const std::vector<uint8_t>& file, const DataSet& set) {
  testing::Error error;
  auto need = [&](bool good) {
    if (!good) refused(fail(std::atoi(error.id + 5), error.message));
  };
  const testing::ModelHandle model = testing::open_model(file, error);
  need(model != nullptr);
  const testing::SessionHandle session = testing::open_session(model, error);
  need(session != nullptr);
  if (qrt_model_input_count(model.get()) != set.inputs.size() ||
      qrt_model_output_count(model.get()) != set.outputs.size())
    wrong("the file has ", qrt_model_input_count(model.get()), " inputs and ",
          qrt_model_output_count(model.get()), " outputs");
  qrt_tensor tensor{};
  for (uint32_t i = 0; i < set.inputs.size(); ++i) {
    need(qrt_session_input(session.get(), i, &tensor, &error) == QRT_OK);
    feed(set.inputs[i], tensor);
  }
  need(qrt_session_run(session.get(), &error) == QRT_OK);
  for (uint32_t i = 0; i < set.outputs.size(); ++i) {
    need(qrt_session_output(session.get(), i, &tensor, &error) == QRT_OK);
    compare(fetch(tensor), set.outputs[i], "libqrt");
  }
}

void convert_and_run(const onnx::ModelProto& model, const DataSet& set, const std::string& name) {
  import::OnnxOptions options;
  for (const TestTensor& input : set.inputs)
    if (!input.shape.empty()) options.shapes[input.name] = input.shape;
  ir::Graph graph = take(import::import_onnx_bytes(model.SerializeAsString(), name, options)).graph;
  check(passes::run_pipeline(graph, passes::prepare_passes()));
  run_interpreter(graph, set);
  check(passes::run_pipeline(graph, passes::layout_passes()));
  run_engine(take(emit::emit(take(lower::lower(graph)), {})), set);
}

Outcome run_set(const Case& test, DataSet set) {
  onnx::ModelProto model = test.model;
  freeze_parameters(model, set);
  const bool no_inputs = set.inputs.empty();
  if (no_inputs) add_probes(model, set);
  try {
    convert_and_run(model, set, test.name);
    return {no_inputs ? Verdict::probed : Verdict::passed, 0, ""};
  } catch (const Failure& failure) {
    return failure.outcome;
  }
}

}  // namespace

Outcome run_case(const Case& test) {
  if (!test.error.empty()) return {Verdict::refused, 0, "the case has " + test.error};
  Outcome outcome;
  for (const DataSet& set : test.sets) {
    outcome = run_set(test, set);
    if (outcome.verdict != Verdict::passed && outcome.verdict != Verdict::probed) break;
  }
  return outcome;
}

}  // namespace qrt::test

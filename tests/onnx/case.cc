// Reading, freezing and probing of test cases; see case.h.
#include "tests/onnx/case.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace qrt::test {
namespace {

using onnx::TensorProto;
namespace fs = std::filesystem;

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

double half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31) return mantissa ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

double bfloat_value(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Element `i` of raw bytes (ONNX writes little-endian), at most eight of them, sign not extended.
uint64_t raw_bits(const std::string& bytes, size_t width, size_t i) {
  uint64_t value = 0;
  for (size_t b = 0; b < width; ++b)
    value |= uint64_t{static_cast<uint8_t>(bytes[i * width + b])} << (8 * b);
  return value;
}

size_t width_of(int32_t type) {
  switch (type) {
    case TensorProto::BOOL:
    case TensorProto::INT8:
    case TensorProto::UINT8:
      return 1;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return 2;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 4;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return 8;
    default:
      return 0;
  }
}

int64_t sign_extended(uint64_t bits, size_t width) {
  const int unused = 64 - 8 * static_cast<int>(width);
  return static_cast<int64_t>(bits << unused) >> unused;
}

// The bits of element `i`, wherever the tensor keeps them.
uint64_t bits_of(const TensorProto& proto, size_t width, size_t i) {
  if (proto.has_raw_data()) return raw_bits(proto.raw_data(), width, i);
  const int at = static_cast<int>(i);
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      return std::bit_cast<uint32_t>(proto.float_data(at));
    case TensorProto::DOUBLE:
      return std::bit_cast<uint64_t>(proto.double_data(at));
    case TensorProto::INT64:
      return static_cast<uint64_t>(proto.int64_data(at));
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      return proto.uint64_data(at);
    default:
      return static_cast<uint64_t>(int64_t{proto.int32_data(at)});
  }
}

size_t stored(const TensorProto& proto, size_t width) {
  if (proto.has_raw_data()) return proto.raw_data().size() / width;
  return static_cast<size_t>(proto.float_data_size() + proto.double_data_size() +
                             proto.int64_data_size() + proto.uint64_data_size() +
                             proto.int32_data_size());
}

// Fills `out`; otherwise says why not.
std::string read_tensor(const TensorProto& proto, TestTensor& out) {
  const size_t width = width_of(proto.data_type());
  if (width == 0)
    return "data of type " +
           TensorProto::DataType_Name(static_cast<TensorProto::DataType>(proto.data_type()));
  out.name = proto.name();
  out.type = proto.data_type();
  out.shape.assign(proto.dims().begin(), proto.dims().end());
  size_t count = 1;
  for (int64_t dim : out.shape) count *= static_cast<size_t>(dim);
  if (stored(proto, width) != count) return "data that does not fit its shape";
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bits = bits_of(proto, width, i);
    switch (out.type) {
      case TensorProto::FLOAT:
        out.floats.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
        break;
      case TensorProto::DOUBLE:
        // The engine computes in f32: that is what it is asked and what it is held to, so numbers
        // beyond its range are infinities and those below it zeros.
        out.floats.push_back(static_cast<float>(std::bit_cast<double>(bits)));
        break;
      case TensorProto::FLOAT16:
        out.floats.push_back(half_value(static_cast<uint16_t>(bits)));
        break;
      case TensorProto::BFLOAT16:
        out.floats.push_back(bfloat_value(static_cast<uint16_t>(bits)));
        break;
      case TensorProto::INT8:
      case TensorProto::INT16:
      case TensorProto::INT32:
        out.ints.push_back(sign_extended(bits, width));
        break;
      default:
        out.ints.push_back(static_cast<int64_t>(bits));
    }
  }
  return "";
}

// Some data is stored flat: where the model fixes a shape of as many elements, that one counts.
void take_shape(const onnx::TensorShapeProto& declared, TestTensor& tensor) {
  std::vector<int64_t> dims;
  int64_t count = 1;
  for (const auto& dim : declared.dim()) {
    dims.push_back(dim.dim_value());
    count *= dim.dim_value();
  }
  if (!dims.empty() && count > 0 && static_cast<size_t>(count) == tensor.count())
    tensor.shape = std::move(dims);
}

// Inputs that no node reads (the example of a CastLike, expanded or not) come with data of any
// shape: they get zeros of the shape the model declares.
void clear_unread(const onnx::GraphProto& graph,
                  const std::vector<const onnx::ValueInfoProto*>& ports,
                  std::vector<TestTensor>& inputs) {
  std::set<std::string> read;
  for (const auto& node : graph.node()) {
    const bool for_type = node.op_type() == "CastLike";  // only the type of its second input counts
    read.insert(node.input().begin(), for_type ? node.input().begin() + 1 : node.input().end());
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (read.count(inputs[i].name)) continue;
    size_t count = 1;
    inputs[i].shape.clear();
    for (const auto& dim : ports[i]->type().tensor_type().shape().dim()) {
      inputs[i].shape.push_back(dim.dim_value());
      count *= static_cast<size_t>(dim.dim_value());
    }
    inputs[i].floats.assign(inputs[i].is_float() ? count : 0, 0);
    inputs[i].ints.assign(inputs[i].is_float() ? 0 : count, 0);
  }
}

// Graph inputs that are not initializers: those a data set has tensors for.
std::vector<const onnx::ValueInfoProto*> live_inputs(const onnx::GraphProto& graph) {
  std::set<std::string> initializers;
  for (const auto& tensor : graph.initializer()) initializers.insert(tensor.name());
  std::vector<const onnx::ValueInfoProto*> inputs;
  for (const auto& input : graph.input())
    if (!initializers.count(input.name())) inputs.push_back(&input);
  return inputs;
}

// The tensors "<stem>0.pb", "<stem>1.pb", ... of a data set, named after the graph's values: files
// of the older suites carry no names. Optional outputs without a name have no file.
std::string read_tensors(const fs::path& folder, const std::string& stem,
                         const std::vector<const onnx::ValueInfoProto*>& ports,
                         std::vector<TestTensor>& out) {
  for (size_t i = 0; i < ports.size(); ++i) {
    if (!ports[i]->type().has_tensor_type()) return "sequences or optionals";
    TensorProto proto;
    if (!proto.ParseFromString(read_bytes(folder / (stem + std::to_string(i) + ".pb"))))
      return "data that is no tensor";
    // NumPy has no bfloat16: such data stands there as uint16.
    const auto& port = ports[i]->type().tensor_type();
    if (port.elem_type() == TensorProto::BFLOAT16) proto.set_data_type(TensorProto::BFLOAT16);
    TestTensor tensor;
    if (std::string why = read_tensor(proto, tensor); !why.empty()) return why;
    tensor.name = ports[i]->name();
    take_shape(port.shape(), tensor);
    out.push_back(std::move(tensor));
  }
  return "";
}

void write_tensor(const TestTensor& from, TensorProto& to) {
  to.set_name(from.name);
  to.set_data_type(from.type);
  for (int64_t dim : from.shape) to.add_dims(dim);
  const size_t width = width_of(from.type);
  std::string bytes;
  for (size_t i = 0; i < from.count(); ++i) {
    uint64_t bits = 0;
    if (from.type == TensorProto::FLOAT) {
      bits = std::bit_cast<uint32_t>(static_cast<float>(from.floats[i]));
    } else if (from.type == TensorProto::DOUBLE) {
      bits = std::bit_cast<uint64_t>(from.floats[i]);
    } else if (from.is_float()) {
      std::abort();  // freeze_parameters() leaves 16-bit floats alone
    } else {
      bits = static_cast<uint64_t>(from.ints[i]);
    }
    for (size_t b = 0; b < width; ++b) bytes.push_back(static_cast<char>(bits >> (8 * b)));
  }
  to.set_raw_data(bytes);
}

bool is_parameter(const std::string& op, int input) {
#define QRT_FROZEN(name, number) \
  if (op == #name && input == number) return true;
#include "tests/onnx/frozen.inc"
#undef QRT_FROZEN
  return false;
}

// Whether the limits of a Range depend on `name`: then it decides a shape, however far from there
// (the size of a window function).
bool decides_range(const onnx::GraphProto& graph, const std::string& name) {
  std::set<std::string> reached = {name};  // nodes stand in an order that can be run
  for (const auto& node : graph.node()) {
    const bool reads = std::any_of(node.input().begin(), node.input().end(),
                                   [&](const std::string& in) { return reached.count(in) > 0; });
    if (!reads) continue;
    if (node.op_type() == "Range") return true;
    if (node.op_type() == "Shape" || node.op_type() == "Size") continue;  // the shape, no number
    reached.insert(node.output().begin(), node.output().end());
  }
  return false;
}

// Whether every node that reads `name` reads it as a parameter. Graphs inside nodes are not looked
// into: no operator with such is claimed.
bool only_parameter(const onnx::GraphProto& graph, const std::string& name) {
  bool read = false;
  for (const auto& node : graph.node()) {
    for (int i = 0; i < node.input_size(); ++i) {
      if (node.input(i) != name) continue;
      if (!is_parameter(node.op_type(), i)) return false;
      read = true;
    }
  }
  return read;
}

}  // namespace

bool TestTensor::is_float() const {
  return type == TensorProto::FLOAT || type == TensorProto::DOUBLE ||
         type == TensorProto::FLOAT16 || type == TensorProto::BFLOAT16;
}

std::vector<std::string> case_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (fs::exists(entry.path() / "model.onnx")) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Case read_case(const std::string& folder, const std::string& name) {
  Case c;
  c.name = name;
  const fs::path path = fs::path(folder) / name;
  if (!c.model.ParseFromString(read_bytes(path / "model.onnx"))) {
    c.error = "a model that does not parse";
    return c;
  }
  for (const auto& node : c.model.graph().node())
    c.operators.insert(node.domain().empty() ? node.op_type()
                                             : node.domain() + "." + node.op_type());
  std::vector<const onnx::ValueInfoProto*> outputs;
  for (const auto& output : c.model.graph().output()) outputs.push_back(&output);
  for (int i = 0; fs::exists(path / ("test_data_set_" + std::to_string(i))); ++i) {
    const fs::path data = path / ("test_data_set_" + std::to_string(i));
    DataSet set;
    const auto inputs = live_inputs(c.model.graph());
    c.error = read_tensors(data, "input_", inputs, set.inputs);
    if (c.error.empty()) clear_unread(c.model.graph(), inputs, set.inputs);
    if (c.error.empty()) c.error = read_tensors(data, "output_", outputs, set.outputs);
    if (!c.error.empty()) return c;
    c.sets.push_back(std::move(set));
  }
  if (c.sets.empty()) c.error = "no data";
  return c;
}

std::vector<std::string> freeze_parameters(onnx::ModelProto& model, DataSet& set) {
  std::vector<std::string> frozen;
  std::vector<TestTensor> live;
  for (TestTensor& tensor : set.inputs) {
    const bool writable =
        tensor.type != TensorProto::FLOAT16 && tensor.type != TensorProto::BFLOAT16;
    const bool parameter =
        only_parameter(model.graph(), tensor.name) || decides_range(model.graph(), tensor.name);
    if (!writable || !parameter) {
      live.push_back(std::move(tensor));
      continue;
    }
    write_tensor(tensor, *model.mutable_graph()->add_initializer());
    frozen.push_back(tensor.name);
  }
  set.inputs = std::move(live);
  return frozen;
}

void add_probes(onnx::ModelProto& model, DataSet& set) {
  onnx::GraphProto& graph = *model.mutable_graph();
  for (size_t k = 0; k < set.outputs.size(); ++k) {
    TestTensor& want = set.outputs[k];
    const std::string zeros = want.name + "/zeros", cast = want.name + "/f32",
                      sum = want.name + "/probed";
    auto* input = graph.add_input();
    input->set_name(zeros);
    auto* type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(TensorProto::FLOAT);
    type->mutable_shape();
    for (int64_t dim : want.shape) type->mutable_shape()->add_dim()->set_dim_value(dim);
    auto* to_float = graph.add_node();
    to_float->set_op_type("Cast");
    to_float->add_input(want.name);
    to_float->add_output(cast);
    auto* to = to_float->add_attribute();
    to->set_name("to");
    to->set_type(onnx::AttributeProto::INT);
    to->set_i(TensorProto::FLOAT);
    auto* add = graph.add_node();
    add->set_op_type("Add");
    add->add_input(zeros);
    add->add_input(cast);
    add->add_output(sum);
    auto* output = graph.mutable_output(static_cast<int>(k));
    output->set_name(sum);
    output->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);

    TestTensor probe{zeros, TensorProto::FLOAT, want.shape, {}, {}};
    probe.floats.assign(want.count(), 0);
    set.inputs.push_back(std::move(probe));
    want.name = sum;
    want.type = TensorProto::FLOAT;
    want.floats.insert(want.floats.end(), want.ints.begin(), want.ints.end());
    want.ints.clear();
  }
}

}  // namespace qrt::test

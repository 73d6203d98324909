// Reading an ONNX file: bytes, protobuf, opset, initializers, inputs, then one
// node after the other in an order that can be run. What cannot be converted is
// collected; the rest of the graph is still looked at, so that one message tells
// everything. Problems of the file as a whole end the import at once.
#include "converter/import/onnx.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <new>
#include <utility>

#include "converter/base/file.h"
#include "converter/import/onnx_node.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

constexpr uint64_t kMaxFileBytes = std::numeric_limits<int32_t>::max();  // protobuf's own limit
constexpr int64_t kMinOpset = 1, kMaxOpset = 17;

// One node that cannot be converted, and why.
struct Problem {
  std::string op, node, shape, why;
  int id;
};

class Reader {
 public:
  Reader(const std::string& path, const OnnxOptions& options) : options_(options) {
    const size_t slash = path.rfind('/');
    import_.folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  }

  Imported run(const std::string& bytes) {
    Imported imported;
    imported.sha256 = sha256_hex(bytes.data(), bytes.size());
    parse(bytes);
    check_opset();
    collect_names();
    read_initializers();
    read_inputs();
    for (const onnx::NodeProto* node : order_nodes(import_, model_.graph())) read_node(*node);
    report();
    read_outputs();
    ir::remove_dead(import_.graph);
    Result<void> verified = ir::verify(import_.graph);
    if (!verified.ok()) throw Refusal{verified.error()};
    import_.graph.notes = import_.notes;
    imported.notes = std::move(import_.notes);
    imported.graph = std::move(import_.graph);
    return imported;
  }

 private:
  void parse(const std::string& bytes) {
    google::protobuf::LogSilencer silencer;
    google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                  static_cast<int>(bytes.size()));
    stream.SetTotalBytesLimit(std::numeric_limits<int>::max());
    const bool good = model_.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
    if (!good || !model_.has_graph() || model_.graph().node_size() == 0) {
      refuse(
          501, "is no ONNX model", good ? " with a graph" : "", " (", bytes.size(),
          " bytes read); it is truncated, damaged or of another format: export or copy it again");
    }
    if (model_.graph().node_size() > kMaxNodes) {
      refuse(502, "has ", model_.graph().node_size(), " nodes; at most ", kMaxNodes,
             " are allowed; simplify the model");
    }
    import_.graph.name = model_.graph().name();
  }

  void check_opset() {
    bool found = false;
    for (const auto& entry : model_.opset_import()) {
      if (!entry.domain().empty() && entry.domain() != "ai.onnx") continue;
      found = true;
      import_.opset = entry.version();
    }
    if (!found || import_.opset < kMinOpset || import_.opset > kMaxOpset) {
      refuse(503, found ? cat("uses opset ", import_.opset) : std::string("names no opset"),
             "; supported are ", kMinOpset, " to ", kMaxOpset,
             "; export it again with one of these (for example 13)");
    }
  }

  void define(const std::string& name, const char* what) {
    if (name.empty()) refuse(507, "a ", what, " has no name; the file is damaged");
    if (!import_.names.insert(name).second) {
      refuse(507, "the name ", name, " is defined twice (second time by a ", what,
             "); names must be unique: export the model again");
    }
  }

  void collect_names() {
    const onnx::GraphProto& graph = model_.graph();
    const int named = graph.initializer_size() + graph.input_size();
    if (named > 2 * kMaxNodes) {
      refuse(502, "has ", named, " initializers and inputs; at most ", 2 * kMaxNodes,
             " are allowed; simplify the model");
    }
    for (const auto& tensor : graph.initializer()) define(tensor.name(), "initializer");
    const std::unordered_set<std::string> initializers = import_.names;
    if (graph.sparse_initializer_size() > 0) {
      refuse(508, "has sparse initializers; save them dense");
    }
    for (const auto& input : graph.input()) {
      // Before IR version 4 every initializer is an input as well.
      if (initializers.count(input.name())) continue;
      define(input.name(), "graph input");
      inputs_.push_back(&input);
    }
    for (const auto& node : graph.node()) {
      for (const auto& name : node.output()) {
        if (!name.empty()) define(name, "node output");
      }
      for (const auto& name : node.input()) import_.read.insert(name);
    }
    for (const auto& output : graph.output()) import_.read.insert(output.name());
  }

  void read_initializers() {
    for (const auto& tensor : model_.graph().initializer()) {
      import_.values[tensor.name()] =
          import_.add_constant(tensor.name(), read_tensor(import_, tensor, tensor.name()));
    }
  }

  void read_inputs();
  void read_node(const onnx::NodeProto& proto);
  void convert(const onnx::NodeProto& proto);
  void report();
  void copy_constant(const std::string& name);
  void output_integers(const std::string& name);
  void read_outputs();

  const OnnxOptions& options_;
  onnx::ModelProto model_;
  Import import_;
  std::vector<const onnx::ValueInfoProto*> inputs_;
  std::unordered_set<std::string> unknown_;  // outputs of nodes that could not be converted
  std::vector<Problem> problems_;
};

// "name=..." as it should be written on the command line, unknown dimensions as 'D'.
std::string shape_hint(const onnx::ValueInfoProto& input) {
  std::string text = cat("--shape ", input.name(), "=");
  const auto& dims = input.type().tensor_type().shape().dim();
  for (int k = 0; k < dims.size(); ++k) {
    text += k ? "," : "";
    text += dims[k].dim_value() > 0 ? std::to_string(dims[k].dim_value()) : k == 0 ? "1" : "D";
  }
  return text;
}

// Whether the graph has the ONNX type itself, and no wider or narrower one for it.
bool holds_exactly(int32_t type) {
  using onnx::TensorProto;
  return type == TensorProto::FLOAT || type == TensorProto::INT8 || type == TensorProto::UINT8 ||
         type == TensorProto::INT32 || type == TensorProto::INT64 || type == TensorProto::BOOL;
}

// One dimension of an input: what the file fixes, else what --shape says, else free.
int64_t settle_dim(const onnx::ValueInfoProto& input, int k, const std::vector<int64_t>* given,
                   bool* batched) {
  const auto& dim = input.type().tensor_type().shape().dim(k);
  const int64_t in_file = dim.has_dim_value() ? dim.dim_value() : 0;
  const int64_t wanted = given ? (*given)[static_cast<size_t>(k)] : 0;
  if (in_file > 0 && wanted > 0 && in_file != wanted) {
    refuse(515, "--shape gives dimension ", k, " of input ", input.name(), " as ", wanted,
           "; the model fixes it to ", in_file, "; leave it or export the model anew");
  }
  const int64_t size = in_file > 0 ? in_file : wanted;
  if (size > layout::kMaxDim || wanted < -1) {
    refuse(512, "input ", input.name(), " has ", size, " as dimension ", k, "; allowed are 1 to ",
           layout::kMaxDim);
  }
  if (size > 0) return size;
  if (k == 0) return *batched = true, 1;
  refuse(511, "input ", input.name(), " leaves dimension ", k, " free (",
         dim.has_dim_param()   ? dim.dim_param()
         : dim.has_dim_value() ? "the file says " + std::to_string(dim.dim_value())
                               : "unnamed",
         "); only the batch, dimension 0, may stay free; give it as ", shape_hint(input));
}

void Reader::read_inputs() {
  for (const auto& entry : options_.shapes) {
    const std::string& name = entry.first;
    const bool known = std::any_of(inputs_.begin(), inputs_.end(),
                                   [&](const auto* input) { return input->name() == name; });
    std::vector<std::string> names;
    for (const auto* input : inputs_) names.push_back(input->name());
    if (!known) {
      refuse(515, "--shape names ", name, ", which is no input; the inputs are ",
             join(names, ", "));
    }
  }
  for (const auto* input : inputs_) {
    const auto& type = input->type().tensor_type();
    const auto element = ir::element_type_of_onnx(type.elem_type());
    if (!input->type().has_tensor_type() || !element) {
      refuse(512, "input ", input->name(), " has ONNX data type ", type.elem_type(),
             "; supported are the float types, integers up to int64 and bool; export the model ",
             "with such an input");
    }
    const auto found = options_.shapes.find(input->name());
    const std::vector<int64_t>* given = found == options_.shapes.end() ? nullptr : &found->second;
    const int rank = type.shape().dim_size();
    if (rank > layout::kMaxRank || !type.has_shape() ||
        (given && given->size() != static_cast<size_t>(rank))) {
      refuse(given ? 515 : 512, "input ", input->name(), " has ", rank, " dimensions",
             given ? cat(", --shape gives ", given->size()) : std::string(),
             type.has_shape() ? "; expected 0 to " : " that are not given; expected 0 to ",
             layout::kMaxRank, given ? ", as many on both sides" : "");
    }
    ir::Value value;
    value.name = input->name();
    value.type = ir::is_float(*element) ? ir::ElementType::f32 : *element;
    for (int k = 0; k < rank; ++k) {
      value.shape.push_back(settle_dim(*input, k, given, &value.batched));
    }
    if (!holds_exactly(type.elem_type())) {
      import_.notes.push_back(cat("input ", value.name, " was ",
                                  onnx::TensorProto::DataType_Name(type.elem_type()),
                                  " in the source; the model takes ", ir::name_of(value.type)));
    }
    import_.graph.inputs.push_back(static_cast<ir::ValueId>(import_.graph.values.size()));
    import_.values[value.name] = import_.graph.inputs.back();
    import_.graph.values.push_back(std::move(value));
  }
}

}  // namespace

// Operators that move elements work on the floats of integers on a grid as they would on the
// integers; a maximum keeps their order.
void convert_node(Import& import, const onnx::NodeProto& proto) {
  static const char* const kFollow[] = {
      "Concat",        "DepthToSpace", "Dropout", "Expand",    "Flatten",  "Gather",
      "GlobalMaxPool", "Identity",     "MaxPool", "Reshape",   "Slice",    "SpaceToDepth",
      "Split",         "Squeeze",      "Tile",    "Transpose", "Unsqueeze"};
  const OpRow* row = find_op(proto.domain(), proto.op_type());
  if (!row) refuse(504, "qrt-convert does not know this operator");
  Node node(import, proto);
  if (import.opset < 7) accept_old_form(node);
  const bool follows = std::any_of(std::begin(kFollow), std::end(kFollow),
                                   [&](const char* op) { return proto.op_type() == op; });
  if (follows) node.follow_grid();
  row->handle(node);
  node.pass_grid_on();
}

namespace {

void Reader::convert(const onnx::NodeProto& proto) {
  const OpRow* row = find_op(proto.domain(), proto.op_type());
  if (!row) refuse(504, "qrt-convert does not know this operator");
  if (proto.input_size() < row->min_inputs || proto.input_size() > row->max_inputs ||
      proto.output_size() < 1 || proto.output(0).empty()) {
    refuse(506, "has ", proto.input_size(), " inputs and ", proto.output_size(),
           " outputs; expected ", row->min_inputs, " to ", row->max_inputs,
           " inputs and an output; the file is damaged");
  }
  for (const auto& name : proto.input()) {
    if (unknown_.count(name)) refuse(0, "");  // told about already
  }
  convert_node(import_, proto);
  for (int k = 1; k < proto.output_size(); ++k) {
    const std::string& name = proto.output(k);
    if (!name.empty() && import_.read.count(name) && !import_.values.count(name)) {
      refuse(514, "its output ", k, " (", name, ") is used; it is not computed: see the ",
             "operator's limits in converter/README.md");
    }
  }
}

void Reader::read_node(const onnx::NodeProto& proto) {
  try {
    convert(proto);
  } catch (const Refusal& refusal) {
    for (const auto& name : proto.output()) unknown_.insert(name);
    if (refusal.error.id == 0) return;
    std::string op = proto.op_type(), shape = "?";
    if (!proto.domain().empty() && proto.domain() != "ai.onnx") op = cat(proto.domain(), ".", op);
    if (proto.input_size() > 0 && import_.values.count(proto.input(0))) {
      const ir::Value& value = import_.graph.values[import_.values[proto.input(0)]];
      shape = shape_text(value.shape, value.batched);
    }
    std::string name = proto.name();
    if (name.empty() && proto.output_size() > 0) name = proto.output(0);
    problems_.push_back({op, name, shape, refusal.error.message, refusal.error.id});
  }
}

// One line for all: " * " before each operator and reason, with node names and input shapes.
void Reader::report() {
  if (problems_.empty()) return;
  constexpr size_t kNamed = 8;
  std::map<std::pair<std::string, std::string>, std::vector<const Problem*>> groups;
  for (const Problem& problem : problems_) groups[{problem.op, problem.why}].push_back(&problem);
  std::string text =
      cat(problems_.size(), " of ", model_.graph().node_size(), " nodes cannot be converted:");
  for (const auto& [key, members] : groups) {
    text +=
        cat(" * ", key.first, " (", members.size(), members.size() == 1 ? " node: " : " nodes: ");
    for (size_t i = 0; i < std::min(kNamed, members.size()); ++i) {
      text += cat(i ? ", " : "", members[i]->node, " ", members[i]->shape);
    }
    if (members.size() > kNamed) text += cat(" and ", members.size() - kNamed, " more");
    text += cat("): ", key.second);
  }
  // A code of its own only if all have the same reason.
  const bool same = std::all_of(problems_.begin(), problems_.end(),
                                [&](const Problem& p) { return p.id == problems_[0].id; });
  refuse(same ? problems_[0].id : 504, text,
         " * Next: replace these nodes in the source model (a float model exported for inference, "
         "opset 13, simplified), or see the list of operators in converter/README.md");
}

// An output that is a constant is a copy of it: outputs are computed.
void Reader::copy_constant(const std::string& name) {
  ir::Graph& graph = import_.graph;
  const ir::ValueId from = import_.values[name];
  if (graph.values[from].name == name) {
    graph.values[from].name = ir::unique_name(graph, name + ".constant");
  }
  ir::Node node{name, ir::Identity{}, {from}, {}, {}};
  Result<ir::ValueId> copy = ir::append_node(graph, std::move(node), name);
  if (!copy.ok()) throw Refusal{copy.error()};
  import_.values[name] = *copy;
}

// An output of integers on a grid: they take the name, the floats get another.
void Reader::output_integers(const std::string& name) {
  ir::Graph& graph = import_.graph;
  const ir::ValueId floats = import_.values[name], whole = integers_of(import_, floats);
  if (graph.values[floats].name == name)
    graph.values[floats].name = ir::unique_name(graph, name + ".values");
  graph.values[whole].name = name;
  import_.values[name] = whole;
}

void Reader::read_outputs() {
  if (model_.graph().output_size() == 0) refuse(507, "has no output; the file is damaged");
  for (const auto& output : model_.graph().output()) {
    const auto found = import_.values.find(output.name());
    if (found == import_.values.end()) {
      refuse(507, "its output ", output.name(), " is made by nothing; the file is damaged");
    }
    const ir::ValueId id = found->second;
    if (ir::is_constant(import_.graph, id)) copy_constant(output.name());
    if (import_.grids.count(id)) output_integers(output.name());
    if (import_.graph.values[id].producer < 0 && !ir::is_constant(import_.graph, id)) {
      refuse(507, "its output ", output.name(), " is an input; a model must compute its outputs");
    }
    import_.graph.outputs.push_back(import_.values[output.name()]);
  }
}

}  // namespace

Result<Imported> import_onnx_bytes(const std::string& bytes, const std::string& path,
                                   const OnnxOptions& options) {
  try {
    if (bytes.size() > kMaxFileBytes) {
      refuse(500, "has ", bytes.size(), " bytes; at most ", kMaxFileBytes, " are allowed");
    }
    return Reader(path, options).run(bytes);
  } catch (const Refusal& refusal) {
    return fail(refusal.error.id, path, ": ", refusal.error.message);
  } catch (const std::bad_alloc&) {
    return fail(516, path, ": not enough memory to read it; use a smaller model");
  }
}

Result<Imported> import_onnx(const std::string& path, const OnnxOptions& options) {
  Result<std::string> bytes = read_file(path, kMaxFileBytes, 500);
  if (!bytes.ok()) return bytes.error();
  return import_onnx_bytes(*bytes, path, options);
}

}  // namespace qrt::import

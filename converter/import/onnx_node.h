// Inside of the ONNX door: the state of an import, and the view of one node that
// the operators in onnx_*.cc work with. Refusals are thrown as Refusal and caught
// in onnx.cc: exceptions stay inside this door.
#ifndef QRT_CONVERTER_IMPORT_ONNX_NODE_H_
#define QRT_CONVERTER_IMPORT_ONNX_NODE_H_

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "converter/base/text.h"
#include "converter/eval/compute.h"
#include "converter/eval/evaluate.h"
#include "converter/import/onnx.h"
#include "converter/ir/edit.h"

namespace qrt::import {

struct Refusal {
  Error error;
};
template <class... Parts>
[[noreturn]] void refuse(int id, const Parts&... parts) {
  throw Refusal{fail(id, parts...)};
}

inline constexpr int kMaxNodes = 20000;       // of a file
inline constexpr size_t kMaxIrNodes = 60000;  // that they may become

// Stands in known shapes for the size of the free batch: no dimension, and none of the limits that
// exporters write for "to the end" (INT64_MIN and its neighbours).
inline constexpr int64_t kBatchSize = INT64_MIN / 3;

// Integers that stand for scale * (integer - zero), and which the graph holds as these floats.
struct Grid {
  ir::ElementType type;            // i8 or u8
  std::vector<float> scale, zero;  // one each, or as many as the axis is long
  int32_t axis;                    // -1: one each
};

struct Import {
  std::string folder;  // of the model file, for external data
  int64_t opset = 0;
  ir::Graph graph;
  std::unordered_map<std::string, ir::ValueId> values;  // by ONNX name
  std::unordered_set<std::string> names;                // of ONNX values and of steps between
  std::unordered_map<std::string, int> node_names;      // how often each was wanted
  std::unordered_set<std::string> read;                 // names that nodes or outputs read
  // Values fixed at conversion: constants and what nodes make of constants and shapes; where small,
  // also what they are.
  std::unordered_map<ir::ValueId, bool> fixed;
  std::unordered_map<ir::ValueId, eval::Tensor> known;
  // Values that ONNX has as integers on a grid, and these integers where somebody asked for them.
  std::unordered_map<ir::ValueId, Grid> grids;
  std::unordered_map<ir::ValueId, ir::ValueId> integers;
  uint64_t bytes_left = uint64_t{4} << 30;  // for constants: a small file must not ask for more
  std::vector<std::string> notes;

  void spend(const std::string& name, uint64_t bytes);
  ir::ValueId add_constant(const std::string& name, eval::Tensor tensor);
};

// The integers of a value on a grid, made from its floats.
ir::ValueId integers_of(Import& import, ir::ValueId);
// One node: finds its operator and reads it. Throws Refusal.
void convert_node(Import& import, const onnx::NodeProto& proto);

// A tensor of the file as floats or integers, checked against its dims and its own length.
eval::Tensor read_tensor(Import& import, const onnx::TensorProto& proto, const std::string& name);
// Bytes of a tensor that lie in a file beside the model.
std::string read_external(const Import& import, const onnx::TensorProto& proto, uint64_t expected,
                          const std::string& name);

// The nodes of the file in an order that can be run.
std::vector<const onnx::NodeProto*> order_nodes(const Import& import,
                                                const onnx::GraphProto& graph);

class Node {
 public:
  Node(Import& import, const onnx::NodeProto& proto);

  Import& import() { return import_; }
  int64_t opset() const { return import_.opset; }
  const std::string& name() const { return name_; }
  const std::string& op() const { return proto_.op_type(); }

  // Inputs. Optional ones may be absent or have an empty name.
  size_t inputs() const { return static_cast<size_t>(proto_.input_size()); }
  bool has(size_t input) const;
  ir::ValueId in(size_t input) const;
  // The same, but the floats where the file has integers on a grid.
  ir::ValueId raw(size_t input) const;
  // From now on in() is raw(), if all data inputs lie on one grid, and the outputs will lie on it.
  void follow_grid();
  void pass_grid_on();
  const ir::Value& value(ir::ValueId id) const { return import_.graph.values[id]; }
  bool fixed(ir::ValueId id) const;
  // From now on in(input) is `id`.
  void replace_input(size_t input, ir::ValueId id) { replaced_[input] = id; }
  // What an input is, if that is known now.
  std::optional<eval::View> known(size_t input) const;
  // The value of an input that must be known now: 0513 otherwise.
  std::vector<int64_t> known_ints(size_t input, const char* what) const;
  float known_float(size_t input, const char* what) const;

  const std::string& input_name(size_t i) const { return proto_.input(static_cast<int>(i)); }
  const std::string& output_name(size_t i) const { return proto_.output(static_cast<int>(i)); }
  ir::ValueId made(size_t output) const { return import_.values.at(output_name(output)); }
  // A name that no value has, for a step on the way.
  std::string free_name(const char* step);

  // Attributes, type-checked; absent ones give the default.
  const google::protobuf::RepeatedPtrField<onnx::AttributeProto>& attributes() const {
    return proto_.attribute();
  }
  bool has_attribute(const char* key) const { return find(key) != nullptr; }
  int64_t integer(const char* key, int64_t otherwise) const;
  float real(const char* key, float otherwise) const;
  std::string text(const char* key, const char* otherwise) const;
  std::vector<int64_t> integers(const char* key) const;
  const onnx::AttributeProto* find(const char* key) const;
  const onnx::AttributeProto* find(const char* key, onnx::AttributeProto::AttributeType) const;

  // Adds an IR node: a step on the way (named after this node and `step`, which one node uses
  // once), or the one that makes this node's output.
  ir::ValueId step(const std::string& step, ir::Attr attr, std::vector<ir::ValueId> in);
  // A step that is what the node is about: it takes the node's name, emit() then a longer one.
  ir::ValueId heart(ir::Attr attr, std::vector<ir::ValueId> in);
  void emit(ir::Attr attr, std::vector<ir::ValueId> in);
  // The same for output `output`; an output nobody named is no error and makes nothing.
  void emit_output(size_t output, ir::Attr attr, std::vector<ir::ValueId> in);
  size_t outputs() const { return static_cast<size_t>(proto_.output_size()); }
  // Whether a node or the graph reads that output.
  bool is_read(size_t output) const;
  // A value [1, ...] that is the same for the whole batch, repeated as often as the free batch.
  void emit_along_batch(ir::ValueId x);
  // This node's output is a constant.
  void emit_constant(eval::Tensor tensor);
  ir::ValueId constant(const char* step, std::vector<int64_t> shape, std::vector<float> data);

  template <class... Parts>
  [[noreturn]] void unsupported(const Parts&... parts) const {
    refuse(514, parts...);
  }

 private:
  ir::ValueId add(const std::string& node_name, const std::string& value_name, ir::Attr attr,
                  std::vector<ir::ValueId> in);
  void learn(ir::ValueId id);

  Import& import_;
  const onnx::NodeProto& proto_;
  std::string name_;
  bool name_taken_ = false;
  std::unordered_map<size_t, ir::ValueId> replaced_;
  std::optional<Grid> grid_;  // that the operator moves along
};

// One row of onnx_ops.inc.
struct OpRow {
  const char* name;
  int min_inputs, max_inputs;
  void (*handle)(Node&);
};
// nullptr if qrt-convert does not know the operator of this domain.
const OpRow* find_op(const std::string& domain, const std::string& op_type);

// Before opset 7: brings the node's inputs into the later form. Throws Refusal where that cannot
// be.
void accept_old_form(Node& n);

// The handlers the rows name.
#define QRT_ONNX_OP(name, min_inputs, max_inputs, handler) void handler(Node&);
#include "converter/import/onnx_ops.inc"
#undef QRT_ONNX_OP
#define QRT_DOMAIN_OP(domain, name, min_inputs, max_inputs, handler) void handler(Node&);
#include "converter/import/onnx_domain_ops.inc"
#undef QRT_DOMAIN_OP

// A list that is an attribute before `opset` and an input since; empty where absent.
std::vector<int64_t> list_of(const Node&, const char* key, size_t input, int64_t opset);
std::vector<int32_t> to_int32s(const std::vector<int64_t>& list, const char* what);
int32_t to_int32(int64_t value, int64_t lowest, int64_t highest, const char* what);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_ONNX_NODE_H_

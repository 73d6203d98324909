// One ONNX node as its operator sees it: inputs, attributes, and the IR nodes it
// becomes. Small values that depend on constants and shapes alone are computed
// as they are emitted, so that a Reshape knows its target at once.
#include "converter/import/onnx_node.h"

#include <algorithm>
#include <utility>

namespace qrt::import {
namespace {

constexpr int64_t kMaxKnown = 4096;  // elements: shapes and the like, never weights

bool holds_batch(const eval::View& view) {
  return std::find(view.ints.begin(), view.ints.end(), kBatchSize) != view.ints.end();
}

// Operators that move integers without looking at them may carry the batch size.
template <class... Ops>
bool is_one_of(const ir::Attr& attr) {
  return (std::holds_alternative<Ops>(attr) || ...);
}
bool moves_only(const ir::Attr& attr) {
  return is_one_of<ir::Concat, ir::Transpose, ir::Reshape, ir::Pad, ir::Gather, ir::Cast,
                   ir::Identity, ir::Unsqueeze, ir::Squeeze, ir::Slice, ir::Tile, ir::Select>(attr);
}

// "Is it -1?", asked of a shape: a batch size is not, whatever it will be. PyTorch's expand() asks.
bool asks_for_negative(const ir::Attr& attr, const std::vector<eval::View>& in) {
  const auto* binary = std::get_if<ir::Binary>(&attr);
  if (!binary || binary->op != ir::Binary::Op::equal) return false;
  for (const eval::View& view : in) {
    const bool negative = std::all_of(view.ints.begin(), view.ints.end(),
                                      [](int64_t i) { return i < 0 && i != kBatchSize; });
    if (negative && !view.ints.empty()) return true;
  }
  return false;
}

}  // namespace

void Import::spend(const std::string& name, uint64_t bytes) {
  if (bytes > bytes_left) {
    refuse(516, "constant ", name, " needs ", bytes, " bytes; only ", bytes_left,
           " of the 4 GiB for constants are left; use a smaller model");
  }
  bytes_left -= bytes;
}

ir::ValueId Import::add_constant(const std::string& name, eval::Tensor tensor) {
  ir::Constant constant;
  constant.type = tensor.type;
  constant.data = std::move(tensor.data);
  constant.ints = std::move(tensor.ints);
  const ir::ValueId id =
      ir::add_constant(graph, name, std::move(tensor.shape), std::move(constant));
  fixed[id] = true;
  return id;
}

int32_t to_int32(int64_t value, int64_t lowest, int64_t highest, const char* what) {
  if (value >= lowest && value <= highest) return static_cast<int32_t>(value);
  refuse(505, what, " is ", value, "; allowed are ", lowest, " to ", highest,
         "; check the source model");
}

Node::Node(Import& import, const onnx::NodeProto& proto)
    : import_(import), proto_(proto), name_(proto.name()) {
  if (name_.empty()) name_ = proto.output_size() > 0 ? proto.output(0) : proto.op_type();
}

bool Node::is_read(size_t output) const {
  return output < outputs() && import_.read.count(proto_.output(static_cast<int>(output))) > 0;
}

bool Node::has(size_t input) const {
  return input < inputs() && !proto_.input(static_cast<int>(input)).empty();
}

ir::ValueId Node::in(size_t input) const {
  const ir::ValueId id = raw(input);
  if (grid_ || import_.grids.count(id) == 0) return id;
  return integers_of(import_, id);
}

ir::ValueId Node::raw(size_t input) const {
  if (!has(input)) refuse(506, "input ", input, " is missing; check the source model");
  if (const auto found = replaced_.find(input); found != replaced_.end()) return found->second;
  return import_.values.at(proto_.input(static_cast<int>(input)));
}

namespace {

bool same(const Grid& a, const Grid& b) {
  return a.type == b.type && a.scale == b.scale && a.zero == b.zero && a.axis == b.axis;
}

}  // namespace

// Scales along an axis would have to move with it; such tensors are moved as integers.
void Node::follow_grid() {
  const size_t data = op() == "Concat" ? inputs() : 1;
  const Grid* grid = nullptr;
  for (size_t i = 0; i < data && has(i); ++i) {
    const auto found = import_.grids.find(raw(i));
    if (found == import_.grids.end() || found->second.axis >= 0) return;
    if (grid != nullptr && !same(*grid, found->second)) return;
    grid = &found->second;
  }
  if (grid != nullptr) grid_ = *grid;
}

void Node::pass_grid_on() {
  if (!grid_) return;
  for (const std::string& name : proto_.output()) {
    const auto found = import_.values.find(name);
    if (found != import_.values.end()) import_.grids[found->second] = *grid_;
  }
}

bool Node::fixed(ir::ValueId id) const {
  const auto found = import_.fixed.find(id);
  return found != import_.fixed.end() && found->second;
}

namespace {

// Small constants and values learned on the way.
std::optional<eval::View> known_view(const Import& import, ir::ValueId id) {
  const ir::Value& value = import.graph.values[id];
  if (const ir::Constant* constant = ir::constant_of(import.graph, id)) {
    return eval::View{value.type, value.shape, constant->data, constant->ints};
  }
  const auto found = import.known.find(id);
  if (found == import.known.end()) return std::nullopt;
  return eval::view(found->second);
}

}  // namespace

std::optional<eval::View> Node::known(size_t input) const {
  return known_view(import_, in(input));
}

std::vector<int64_t> Node::known_ints(size_t input, const char* what) const {
  const ir::ValueId id = in(input);
  const std::optional<eval::View> view = known_view(import_, id);
  if (!view) {
    refuse(513, what, " (input ", value(id).name,
           ") is computed from the data or the free batch; make it a constant in the source "
           "model, or fix the batch with --shape");
  }
  if (ir::is_float(view->type) || view->shape.size() > 1) {
    refuse(505, what, " (input ", value(id).name, ") is ", ir::name_of(view->type),
           shape_text(value(id).shape), "; expected a list of integers");
  }
  return {view->ints.begin(), view->ints.end()};
}

float Node::known_float(size_t input, const char* what) const {
  const ir::ValueId id = in(input);
  const std::optional<eval::View> view = known_view(import_, id);
  if (!view || !ir::is_float(view->type) || view->data.size() != 1) {
    refuse(513, what, " (input ", value(id).name, ") is ", ir::name_of(value(id).type),
           shape_text(value(id).shape), "; expected one constant number");
  }
  return view->data[0];
}

const onnx::AttributeProto* Node::find(const char* key) const {
  const onnx::AttributeProto* found = nullptr;
  for (const onnx::AttributeProto& attribute : proto_.attribute()) {
    if (attribute.name() != key) continue;
    if (found) refuse(505, "attribute ", key, " stands twice; check the source model");
    found = &attribute;
  }
  return found;
}

const onnx::AttributeProto* Node::find(const char* key,
                                       onnx::AttributeProto::AttributeType type) const {
  const onnx::AttributeProto* found = find(key);
  if (found && found->type() != type) {
    refuse(505, "attribute ", key, " has type ",
           onnx::AttributeProto::AttributeType_Name(found->type()), "; expected ",
           onnx::AttributeProto::AttributeType_Name(type), "; check the source model");
  }
  return found;
}

int64_t Node::integer(const char* key, int64_t otherwise) const {
  const auto* found = find(key, onnx::AttributeProto::INT);
  return found ? found->i() : otherwise;
}

float Node::real(const char* key, float otherwise) const {
  const auto* found = find(key, onnx::AttributeProto::FLOAT);
  if (found && !(found->f() >= ir::kNoMin && found->f() <= ir::kNoMax)) {
    refuse(505, "attribute ", key, " is ", found->f(), "; expected a finite number");
  }
  return found ? found->f() : otherwise;
}

std::string Node::text(const char* key, const char* otherwise) const {
  const auto* found = find(key, onnx::AttributeProto::STRING);
  return found ? found->s() : otherwise;
}

std::vector<int64_t> Node::integers(const char* key) const {
  const auto* found = find(key, onnx::AttributeProto::INTS);
  if (!found) return {};
  return {found->ints().begin(), found->ints().end()};
}

std::string Node::free_name(const char* step) {
  std::string name = cat(proto_.output(0), "/", step);
  for (int i = 2; !import_.names.insert(name).second; ++i) {
    name = cat(proto_.output(0), "/", step, "_", i);
  }
  return name;
}

ir::ValueId Node::add(const std::string& node_name, const std::string& value_name, ir::Attr attr,
                      std::vector<ir::ValueId> in) {
  if (import_.graph.nodes.size() >= kMaxIrNodes) {
    refuse(502, "the model becomes more than ", kMaxIrNodes, " operators; simplify it");
  }
  ir::Node node;
  // ONNX does not insist on unique node names; messages, profiles and comparisons do.
  node.name = node_name;
  for (int* count = &import_.node_names[node_name]; (*count)++ > 0;) {
    node.name = cat(node_name, "_", *count);
    if (import_.node_names.emplace(node.name, 1).second) break;
  }
  node.attr = std::move(attr);
  node.in = std::move(in);
  node.origin = {name_};
  Result<ir::ValueId> id = ir::append_node(import_.graph, std::move(node), value_name);
  if (!id.ok()) throw Refusal{id.error()};
  learn(*id);
  return *id;
}

// A value is fixed if all its node reads is fixed; Shape only needs the shape.
void Node::learn(ir::ValueId id) {
  const ir::Node& node = import_.graph.nodes.back();
  const ir::Value& out = import_.graph.values[id];
  const bool is_shape = std::holds_alternative<ir::Shape>(node.attr);
  const bool all_fixed =
      is_shape || std::all_of(node.in.begin(), node.in.end(), [&](auto v) { return fixed(v); });
  import_.fixed[id] = all_fixed;
  if (!all_fixed || out.batched || ir::element_count(out.shape) > kMaxKnown) return;
  if (is_shape) {
    const ir::Value& of = value(node.in[0]);
    eval::Tensor shape{ir::ElementType::i64, out.shape, {}, of.shape};
    if (of.batched) {
      if (of.shape[0] != 1) return;
      shape.ints[0] = kBatchSize;
    }
    import_.known[id] = std::move(shape);
    return;
  }
  std::vector<eval::View> in;
  for (ir::ValueId v : node.in) {
    const std::optional<eval::View> view = known_view(import_, v);
    if (!view) return;
    in.push_back(*view);
  }
  const bool has_batch = std::any_of(in.begin(), in.end(), holds_batch);
  if (has_batch && !moves_only(node.attr) && !asks_for_negative(node.attr, in)) return;
  if (const auto* cast = std::get_if<ir::Cast>(&node.attr); cast && holds_batch(in[0])) {
    if (cast->to != 6 && cast->to != 7) return;
    import_.known[id] = {out.type, out.shape, {}, {in[0].ints.begin(), in[0].ints.end()}};
    return;
  }
  Result<eval::Tensor> result = eval::run_node(node, std::move(in), out.type, out.shape);
  if (!result.ok()) throw Refusal{result.error()};
  import_.known[id] = std::move(*result);
}

ir::ValueId Node::step(const std::string& step, ir::Attr attr, std::vector<ir::ValueId> in) {
  return add(cat(name_, "/", step), free_name(step.c_str()), std::move(attr), std::move(in));
}

ir::ValueId Node::heart(ir::Attr attr, std::vector<ir::ValueId> in) {
  name_taken_ = true;
  return add(name_, free_name("inner"), std::move(attr), std::move(in));
}

void Node::emit(ir::Attr attr, std::vector<ir::ValueId> in) {
  const std::string name = name_taken_ ? cat(name_, "/outer") : name_;
  import_.values[proto_.output(0)] = add(name, proto_.output(0), std::move(attr), std::move(in));
}

void Node::emit_output(size_t output, ir::Attr attr, std::vector<ir::ValueId> in) {
  if (output == 0) return emit(std::move(attr), std::move(in));
  if (output >= static_cast<size_t>(proto_.output_size())) return;
  const std::string& name = proto_.output(static_cast<int>(output));
  if (name.empty()) return;
  import_.values[name] = add(cat(name_, "/", output), name, std::move(attr), std::move(in));
}

// Some input takes the batch, or nobody could have asked for its size.
void Node::emit_along_batch(ir::ValueId x) {
  for (ir::ValueId id : import_.graph.inputs) {
    const ir::Value& input = value(id);
    if (!input.batched || input.shape[0] != 1) continue;
    if (value(x).type == ir::ElementType::f16) x = step("wide", ir::Cast{1}, {x});  // data are f32
    return emit(ir::Expand{}, {x, id});
  }
  refuse(536, "it asks for the size of the batch, but no input takes one");
}

void Node::emit_constant(eval::Tensor tensor) {
  import_.values[proto_.output(0)] = import_.add_constant(proto_.output(0), std::move(tensor));
}

ir::ValueId Node::constant(const char* step, std::vector<int64_t> shape, std::vector<float> data) {
  return import_.add_constant(free_name(step),
                              {ir::ElementType::f32, std::move(shape), std::move(data), {}});
}

}  // namespace qrt::import

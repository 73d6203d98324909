// Operators on shapes and constants, and those that reorder data; what cuts and
// repeats stands in onnx_moves.cc. What a Reshape asks for must be known at
// conversion; the free batch may be part of it as kBatchSize.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "converter/import/onnx_node.h"
#include "schema/layout.h"

namespace qrt::import {

std::vector<int32_t> to_int32s(const std::vector<int64_t>& list, const char* what) {
  std::vector<int32_t> out;
  for (int64_t value : list) {
    out.push_back(to_int32(value, -layout::kMaxDim, layout::kMaxDim, what));
  }
  return out;
}

std::vector<int64_t> list_of(const Node& n, const char* key, size_t input, int64_t opset) {
  if (n.opset() < opset) return n.integers(key);
  return n.has(input) ? n.known_ints(input, key) : std::vector<int64_t>();
}

namespace {

int64_t product_of(const std::vector<int64_t>& dims, size_t from, size_t to) {
  return ir::element_count(
      {dims.begin() + static_cast<int64_t>(from), dims.begin() + static_cast<int64_t>(to)});
}

[[noreturn]] void refuse_target(const std::vector<int64_t>& target, const ir::Value& x,
                                const char* why) {
  std::string text;
  for (int64_t dim : target) {
    append(text, dim == kBatchSize ? "batch" : std::to_string(dim), ",");
  }
  refuse(505, "it reshapes ", shape_text(x.shape, x.batched), " to [", text, "]: ", why);
}

// The target of a Reshape for batch 1: 0 copies the input's dimension, -1 takes what is left. With
// a free batch, dimension 0 must carry it: as 0, as -1 or as the batch size itself.
std::vector<int64_t> reshape_dims(const Node& n, const ir::Value& x,
                                  const std::vector<int64_t>& target) {
  const bool zero_copies = n.integer("allowzero", 0) == 0;
  std::vector<int64_t> dims = target;
  int64_t open = -1;
  for (size_t k = 0; k < dims.size(); ++k) {
    const bool copied = (dims[k] == 0 && zero_copies) || (dims[k] == kBatchSize && k == 0);
    if (copied) {
      if (k >= x.shape.size()) refuse_target(target, x, "a 0 has no dimension to copy");
      dims[k] = x.shape[k];
    } else if (dims[k] == -1) {
      if (open >= 0) refuse_target(target, x, "-1 stands twice");
      open = static_cast<int64_t>(k);
    } else if (dims[k] == kBatchSize) {
      refuse_target(target, x, "the batch leaves dimension 0; fix it with --shape");
    } else if (dims[k] < 0) {
      refuse_target(target, x, "a dimension is negative");
    }
  }
  if (x.batched) {
    const bool carries = !target.empty() && (target[0] == kBatchSize || target[0] == -1 ||
                                             (target[0] == 0 && zero_copies));
    if (!carries) {
      refuse_target(target, x, "dimension 0 does not follow the free batch; fix it with --shape");
    }
  }
  if (open >= 0) {
    dims[open] = 1;
    const int64_t rest = ir::element_count(dims), count = ir::element_count(x.shape);
    if (rest <= 0 || count % rest != 0) refuse_target(target, x, "the elements do not divide");
    dims[open] = count / rest;
  }
  return dims;
}

}  // namespace

void import_reshape(Node& n) {
  const ir::ValueId x = n.in(0);
  n.emit(ir::Reshape{reshape_dims(n, n.value(x), n.known_ints(1, "its target shape"))}, {x});
}

void import_flatten(Node& n) {
  const ir::ValueId x = n.in(0);
  const ir::Value& value = n.value(x);
  const int64_t rank = static_cast<int64_t>(value.shape.size());
  int64_t axis = n.integer("axis", 1);
  if (axis < -rank || axis > rank) refuse(505, "axis is ", axis, " for rank ", rank);
  if (axis < 0) axis += rank;
  if (axis == 0 && value.batched) {
    n.unsupported("it flattens the free batch; fix it with --shape ", "INPUT=1,...");
  }
  const size_t at = static_cast<size_t>(axis), end = static_cast<size_t>(rank);
  n.emit(ir::Reshape{{product_of(value.shape, 0, at), product_of(value.shape, at, end)}}, {x});
}

void import_transpose(Node& n) {
  const ir::ValueId x = n.in(0);
  std::vector<int32_t> perm = to_int32s(n.integers("perm"), "perm");
  if (!n.has_attribute("perm")) {
    perm.resize(n.value(x).shape.size());
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  n.emit(ir::Transpose{perm}, {x});
}

void import_squeeze(Node& n) {
  n.emit(ir::Squeeze{to_int32s(list_of(n, "axes", 1, 13), "axes")}, {n.in(0)});
}

void import_unsqueeze(Node& n) {
  n.emit(ir::Unsqueeze{to_int32s(list_of(n, "axes", 1, 13), "axes")}, {n.in(0)});
}

namespace {

// The second output of a Dropout that drops nothing: true, or 1 before opset 10, everywhere.
void emit_mask(Node& n) {
  const ir::Value x = n.value(n.in(0));
  if (n.outputs() < 2 || !n.is_read(1)) return;
  if (x.batched) n.unsupported("its mask has the free batch; fix it with --shape");
  const int64_t count = ir::element_count(x.shape);
  n.import().spend(n.name(), static_cast<uint64_t>(count) * 4);
  const ir::ValueId ones =
      n.constant("ones", x.shape, std::vector<float>(static_cast<size_t>(count), 1.0f));
  if (n.opset() < 10) return n.emit_output(1, ir::Identity{}, {ones});
  n.emit_output(1, ir::Cast{onnx::TensorProto::BOOL}, {ones});
}

}  // namespace

// Identity and Dropout. The copy of a constant is a constant under its new name: torchvision's
// exporter shares equal parameters this way, checkpoints know them apart.
void import_identity(Node& n) {
  const ir::ValueId x = n.in(0);
  if (n.op() == "Dropout" && n.has(2)) {
    // Training mode on would drop; inference exports leave it out or say false.
    const std::vector<int64_t> training = n.known_ints(2, "training_mode");
    const bool keeps_all = n.has(1) && n.known_float(1, "ratio") == 0;
    if (!training.empty() && training[0] != 0 && !keeps_all) {
      n.unsupported("it is in training mode; export for inference");
    }
  }
  if (n.op() == "Dropout") emit_mask(n);
  const ir::Constant* constant = ir::constant_of(n.import().graph, x);
  if (!constant) return n.emit(ir::Identity{}, {x});
  n.import().spend(n.name(), constant->data.size() * 4 + constant->ints.size() * 8);
  n.emit_constant(eval::tensor_of(*constant, n.value(x).shape));
}

void import_constant(Node& n) {
  using onnx::AttributeProto;
  eval::Tensor tensor;
  if (const auto* value = n.find("value", AttributeProto::TENSOR)) {
    tensor = read_tensor(n.import(), value->t(), n.name());
  } else if (n.has_attribute("value_float")) {
    tensor.data = {n.real("value_float", 0)};
  } else if (n.has_attribute("value_int")) {
    tensor.type = ir::ElementType::i64;
    tensor.ints = {n.integer("value_int", 0)};
  } else if (n.has_attribute("value_ints")) {
    tensor.type = ir::ElementType::i64;
    tensor.ints = n.integers("value_ints");
    tensor.shape = {static_cast<int64_t>(tensor.ints.size())};
  } else if (const auto* floats = n.find("value_floats", AttributeProto::FLOATS)) {
    tensor.data.assign(floats->floats().begin(), floats->floats().end());
    for (float x : tensor.data) {
      if (!std::isfinite(x)) refuse(509, "its value holds ", x, "; it must be finite");
    }
    tensor.shape = {static_cast<int64_t>(tensor.data.size())};
  } else {
    n.unsupported("its value is sparse or text; supported are dense numbers");
  }
  n.emit_constant(std::move(tensor));
}

void import_constant_of_shape(Node& n) {
  std::vector<int64_t> shape = n.known_ints(0, "its shape");
  const bool along_batch = !shape.empty() && shape[0] == kBatchSize;
  if (along_batch) shape[0] = 1;
  if (std::find(shape.begin(), shape.end(), kBatchSize) != shape.end()) {
    refuse(537, "it makes a constant as large as the free batch; fix the batch with --shape ",
           "INPUT=1,...");
  }
  const int64_t count = ir::element_count(shape);
  if (count < 0 || shape.size() > static_cast<size_t>(layout::kMaxRank)) {
    refuse(508, "it makes a constant of shape ", shape_text(shape), "; allowed are ",
           layout::kMaxElements, " elements in ", layout::kMaxRank, " dimensions");
  }
  eval::Tensor tensor{ir::ElementType::f32, {}, {0.0f}, {}};
  if (const auto* value = n.find("value", onnx::AttributeProto::TENSOR)) {
    tensor = read_tensor(n.import(), value->t(), n.name());
  }
  if (tensor.data.size() + tensor.ints.size() != 1) {
    refuse(505, "its value has ", tensor.data.size() + tensor.ints.size(), " elements; expected 1");
  }
  n.import().spend(n.name(), static_cast<uint64_t>(count) * (tensor.ints.empty() ? 4 : 8));
  tensor.shape = shape;
  if (tensor.ints.empty()) {
    tensor.data.assign(static_cast<size_t>(count), float{tensor.data[0]});
  } else {
    tensor.ints.assign(static_cast<size_t>(count), int64_t{tensor.ints[0]});
  }
  if (along_batch) {
    const std::string name = cat(n.name(), "/value");
    return n.emit_along_batch(n.import().add_constant(name, std::move(tensor)));
  }
  n.emit_constant(std::move(tensor));
}

void import_shape(Node& n) {
  if (n.has_attribute("start") || n.has_attribute("end")) {
    const ir::ValueId shape = n.step("all", ir::Shape{}, {n.in(0)});
    return n.emit(ir::Slice{{n.integer("start", 0)},
                            {n.integer("end", std::numeric_limits<int64_t>::max())},
                            {0},
                            {1}},
                  {shape});
  }
  n.emit(ir::Shape{}, {n.in(0)});
}

void import_size(Node& n) {
  const ir::Value& x = n.value(n.in(0));
  if (x.batched) {
    refuse(537, "it counts the elements of ", x.name, " ", shape_text(x.shape, true),
           ", which depends on the free batch; fix the batch with --shape INPUT=1,...");
  }
  n.emit_constant({ir::ElementType::i64, {}, {}, {ir::element_count(x.shape)}});
}

namespace {

// One number of a Range. Every type in use holds it exactly in double precision, i64 up to 2^53.
double range_number(const Node& n, size_t input, const char* what) {
  const auto view = n.known(input);
  const bool is_batch = view && !view->ints.empty() && view->ints[0] == kBatchSize;
  if (!view || view->count() != 1 || is_batch) {
    refuse(513, what, " (input ", n.value(n.in(input)).name,
           ") is computed from the data or the free batch; make it a constant in the source "
           "model, or fix the batch with --shape");
  }
  return ir::is_float(view->type) ? static_cast<double>(view->data[0])
                                  : static_cast<double>(view->ints[0]);
}

}  // namespace

void import_range(Node& n) {
  const double start = range_number(n, 0, "its start"), limit = range_number(n, 1, "its limit");
  const double delta = range_number(n, 2, "its delta");
  const double count = std::max(0.0, std::ceil((limit - start) / delta));
  if (!(count <= layout::kMaxDim)) {
    refuse(505, "it counts from ", start, " to ", limit, " by ", delta, ", which makes ", count,
           " numbers; allowed are 0 to ", layout::kMaxDim);
  }
  const auto length = static_cast<size_t>(count);
  n.import().spend(n.name(), length * 8);
  eval::Tensor tensor{n.value(n.in(0)).type, {static_cast<int64_t>(length)}, {}, {}};
  for (size_t i = 0; i < length; ++i) {
    const double at = start + static_cast<double>(i) * delta;
    if (ir::is_float(tensor.type)) {
      tensor.data.push_back(static_cast<float>(at));
    } else {
      tensor.ints.push_back(static_cast<int64_t>(at));
    }
  }
  n.emit_constant(std::move(tensor));
}

// The places of what is not zero, one row per dimension. How many there are is known for constants
// only.
void import_non_zero(Node& n) {
  const ir::ValueId x = n.in(0);
  const std::vector<int64_t> shape = n.value(x).shape;
  const auto view = n.known(0);
  if (!view) {
    refuse(513, "its input ", n.value(x).name,
           " is computed from the data, so the size of its result is not known; supported on "
           "constants only");
  }
  std::vector<int64_t> places;
  for (int64_t i = 0; i < view->count(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (ir::is_float(view->type) ? view->data[at] != 0 : view->ints[at] != 0) places.push_back(i);
  }
  n.import().spend(n.name(), places.size() * shape.size() * 8);
  const auto found = static_cast<int64_t>(places.size());
  eval::Tensor tensor{ir::ElementType::i64, {static_cast<int64_t>(shape.size()), found}, {}, {}};
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t inner = product_of(shape, d + 1, shape.size());
    for (int64_t place : places) tensor.ints.push_back(place / inner % shape[d]);
  }
  n.emit_constant(std::move(tensor));
}

void import_concat(Node& n) {
  if (!n.has_attribute("axis")) refuse(505, "attribute axis is missing; check the source model");
  std::vector<ir::ValueId> in;
  // Parts without elements, as of an empty history, add nothing.
  const auto is_empty = [&](ir::ValueId v) { return ir::element_count(n.value(v).shape) == 0; };
  for (size_t i = 0; i < n.inputs(); ++i) in.push_back(n.in(i));
  if (!std::all_of(in.begin(), in.end(), is_empty))
    in.erase(std::remove_if(in.begin(), in.end(), is_empty), in.end());
  n.emit(ir::Concat{to_int32(n.integer("axis", 0), -8, 8, "axis")}, in);
}

}  // namespace qrt::import

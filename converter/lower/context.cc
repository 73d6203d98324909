// Tensors and weights of the file, made where the first rule asks for them.
#include <utility>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/lower/rules.h"
#include "runtime/base/checked.h"
#include "schema/layout.h"

namespace qrt::lower {

namespace {

// OIHW rows to the order kh, kw, cin.
template <class T>
std::vector<T> to_kh_kw_cin(const std::vector<T>& oihw, int64_t outputs, int64_t channels) {
  if (oihw.empty() || channels == 1) return oihw;
  const size_t rows = static_cast<size_t>(outputs), c_count = static_cast<size_t>(channels);
  const size_t window = oihw.size() / (rows * c_count);
  std::vector<T> r(oihw.size());
  for (size_t o = 0; o < rows; ++o)
    for (size_t c = 0; c < c_count; ++c)
      for (size_t w = 0; w < window; ++w)
        r[(o * window + w) * c_count + c] = oihw[(o * c_count + c) * window + w];
  return r;
}

// Columns of a convolution's encoding in the order kh, kw, cin where it may have it: Integers and
// whatever holds its codes by weight. Codebooks, and groups that run along a kernel, keep theirs.
void order_columns(const ir::Value& v, Weights& w) {
  if (w.order == InputOrder::linear) return;
  if (const auto* dense = std::get_if<quant::Integers>(w.encoding.get())) {
    w.order = InputOrder::kh_kw_cin;
    w.encoding = std::make_shared<const quant::Encoding>(
        quant::Integers{to_kh_kw_cin(dense->values, w.outputs, v.shape.at(1)), dense->scales});
    return;
  }
  auto turned = quant::taps_first(*w.encoding, w.outputs, w.inputs, w.inputs / v.shape.at(1));
  if (!turned) return;
  w.order = InputOrder::kh_kw_cin;
  w.encoding = std::make_shared<const quant::Encoding>(std::move(*turned));
}

bool is_plain(const ir::Constant& c) {
  return c.encoding == nullptr &&
         (c.type == ir::ElementType::f32 || c.type == ir::ElementType::f16);
}

}  // namespace

Result<uint32_t> Context::tensor(ir::ValueId id) {
  int64_t& slot = tensor_of_[static_cast<size_t>(id)];
  if (slot >= 0) return static_cast<uint32_t>(slot);
  const ir::Value& v = value(id);
  if (v.type == ir::ElementType::f16 && v.constant < 0)
    return fail(604, "value ", v.name, " has element type ", ir::name_of(v.type),
                "; the engine computes in f32: cast it outside the model");

  Tensor t;
  t.name = v.name;
  t.type = ir::is_float(v.type) ? ir::ElementType::f32 : v.type;
  t.batched = v.batched;
  t.quantization = v.quantization;
  if (v.quantization.present()) t.type = ir::ElementType::u8;
  CheckedSize elements(1);
  for (int64_t d : v.shape) {
    if (d < 1 || d > layout::kMaxDim)
      return fail(603, "value ", v.name, " has shape ", shape_text(v.shape, v.batched),
                  "; dimensions must be 1 to ", layout::kMaxDim,
                  d == 0 ? "; export the model without what cuts it to nothing" : "");
    elements = elements * static_cast<uint64_t>(d);
    t.dims.push_back(static_cast<int32_t>(d));
  }
  if (v.shape.size() > layout::kMaxRank || !elements.get(layout::kMaxElements))
    return fail(603, "value ", v.name, " has shape ", shape_text(v.shape, v.batched),
                "; the format holds rank ", layout::kMaxRank, " and ", layout::kMaxElements,
                " elements at most");
  if (v.constant >= 0) {
    const ir::Constant& c = g_.constants[static_cast<size_t>(v.constant)];
    if (c.encoding != nullptr)
      return fail(604, "constant ", v.name,
                  " is encoded but used as an operand; only weights of layers may be encoded");
    t.is_constant = true;
    t.data = c.data;
    t.ints = c.ints;
  }
  file_.tensors.push_back(std::move(t));
  slot = static_cast<int64_t>(file_.tensors.size() - 1);
  return static_cast<uint32_t>(slot);
}

Result<uint32_t> Context::weights(const ir::Node& n, ir::ValueId id, InputOrder order) {
  const bool bytes = value(n.in.at(0)).quantization.present();
  const auto found = weights_of_.find({id, bytes});
  if (found != weights_of_.end()) return found->second;
  const ir::Value& v = value(id);
  if (v.constant < 0)
    return fail(602, n.name, ": the weight ", v.name,
                " is computed at run time; weights must be constants: export the model with "
                "initializers");
  const ir::Constant& c = g_.constants[static_cast<size_t>(v.constant)];
  Weights w;
  w.name = v.name;
  w.outputs = v.shape.at(0);
  w.inputs = 1;
  for (size_t i = 1; i < v.shape.size(); ++i) w.inputs *= v.shape[i];
  w.order = order;
  if (c.encoding != nullptr) {
    if (auto sound = quant::check(*c.encoding, w.outputs, w.inputs); !sound.ok())
      return fail(sound.error().id, n.name, ": ", sound.error().message);
    w.encoding = c.encoding;
    w.exact = bytes || quant::needs_integers(*c.encoding);
    order_columns(v, w);
  } else if (!is_plain(c) || static_cast<int64_t>(c.data.size()) != w.outputs * w.inputs) {
    return fail(602, n.name, ": the weight ", v.name, " has element type ", ir::name_of(c.type),
                " and ", c.data.size(), " values; expected ", w.outputs * w.inputs, " floats");
  } else if (order == InputOrder::linear) {
    w.dense = c.data;
  } else {
    w.order = InputOrder::kh_kw_cin;
    w.dense = to_kh_kw_cin(c.data, w.outputs, v.shape.at(1));
  }
  file_.weights.push_back(std::move(w));
  return weights_of_[{id, bytes}] = static_cast<uint32_t>(file_.weights.size() - 1);
}

Result<std::vector<float>> Context::vector(const ir::Node& n, ir::ValueId id, int64_t count) {
  const ir::Value& v = value(id);
  const ir::Constant* c = v.constant < 0 ? nullptr : &g_.constants[static_cast<size_t>(v.constant)];
  if (c == nullptr || !is_plain(*c) || static_cast<int64_t>(c->data.size()) != count)
    return fail(602, n.name, ": ", v.name, " is ",
                c == nullptr ? "computed at run time" : shape_text(v.shape), "; expected ", count,
                " constant floats, one per output");
  return c->data;
}

Result<void> add_inputs(Context& context, const ir::Node& n, size_t begin, size_t end,
                        Operator& op) {
  for (size_t i = begin; i < end; ++i) {
    auto t = context.tensor(n.in[i]);
    if (!t.ok()) return t.error();
    op.inputs.push_back(*t);
  }
  return {};
}

}  // namespace qrt::lower

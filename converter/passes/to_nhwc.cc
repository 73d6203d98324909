// Images channels-last. Convolutions, pools and per-channel affines ask for
// their input channels-last and give their result so; operators that do not
// care (elementwise, concat, softmax, pad, slice, tile, resize, gather, reductions)
// follow as soon as one input is channels-last; everything else, and the graph's own
// inputs and outputs, keeps the layout of the source. A transpose appears only where
// the two meet, once per value and direction. Works for any rank >= 3: axis 1 moves to
// the end.
#include <utility>
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/layout.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Graph;
using ir::Layout;
using ir::Node;
using ir::Value;
using ir::ValueId;

template <class T>
std::vector<T> permuted(const std::vector<T>& v, const std::vector<int32_t>& perm) {
  std::vector<T> r(v.size());
  for (size_t i = 0; i < v.size(); ++i) r[i] = v[static_cast<size_t>(perm[i])];
  return r;
}

void permute_resize(ir::Resize& resize, const std::vector<int32_t>& perm) {
  resize.sizes = permuted(resize.sizes, perm);
  resize.scales = permuted(resize.scales, perm);
  if (resize.roi.empty()) return;
  const auto middle = resize.roi.begin() + static_cast<int64_t>(perm.size());
  const std::vector<float> starts = permuted(std::vector<float>(resize.roi.begin(), middle), perm);
  const std::vector<float> ends = permuted(std::vector<float>(middle, resize.roi.end()), perm);
  resize.roi = starts;
  resize.roi.insert(resize.roi.end(), ends.begin(), ends.end());
}

class Rewriter {
 public:
  explicit Rewriter(Graph& g) : g_(g), twin_(g.values.size(), -1), here_(g.values.size(), true) {}

  void run() {
    std::vector<Node> source = std::move(g_.nodes);
    g_.nodes.clear();
    for (Node& n : source) {
      if (wants_last(n)) {
        make_last(n);
      } else {
        for (ValueId& v : n.in) v = first(v);
      }
      g_.nodes.push_back(std::move(n));
    }
    for (ValueId v : g_.outputs) first(v);
    ir::remove_dead(g_);
  }

 private:
  size_t rank(ValueId v) const { return value_of(g_, v).shape.size(); }
  ValueId& twin(ValueId v) { return twin_[static_cast<size_t>(v)]; }

  // A value of the source's layout, transposed back if only its twin exists so far.
  ValueId first(ValueId v) {
    if (!here_[static_cast<size_t>(v)]) {
      here_[static_cast<size_t>(v)] = true;
      g_.nodes.push_back({value_of(g_, v).name + ".nchw",
                          ir::Transpose{perm_to_first(rank(v))},
                          {twin(v)},
                          {v},
                          {}});
    }
    return v;
  }

  ValueId new_twin(ValueId v) {
    Value t = value_of(g_, v);
    t.shape = permuted(t.shape, perm_to_last(t.shape.size()));
    t.name = ir::unique_name(g_, t.name + ".nhwc");
    t.producer = t.constant = -1;
    g_.values.push_back(std::move(t));
    return twin(v) = static_cast<ValueId>(g_.values.size() - 1);
  }

  // The channels-last twin of a value.
  ValueId last(ValueId v) {
    if (twin(v) >= 0) return twin(v);
    if (const ir::Constant* constant = ir::constant_of(g_, v); constant && !constant->encoding) {
      ir::Constant moved = *constant;
      const std::vector<int64_t> shape = value_of(g_, v).shape;
      moved.data = channels_last(moved.data, shape);
      moved.ints = channels_last(moved.ints, shape);
      if (ir::is_float(moved.type)) moved.type = ir::ElementType::f32;
      Value& value = g_.values[static_cast<size_t>(new_twin(v))];
      value.type = moved.type;
      value.constant = static_cast<int32_t>(g_.constants.size());
      g_.constants.push_back(std::move(moved));
      return twin(v);
    }
    const ValueId t = new_twin(v);
    g_.nodes.push_back(
        {value_of(g_, v).name + ".nhwc", ir::Transpose{perm_to_last(rank(v))}, {v}, {t}, {}});
    return t;
  }

  // An operand of a broadcasting node whose result has rank `r`: ranks are filled up in front.
  ValueId last_operand(ValueId v, size_t r) {
    if (rank(v) == r) return last(v);
    Value full = value_of(g_, v);
    if (ir::element_count(full.shape) == 1 && full.constant >= 0) return v;
    full.shape.insert(full.shape.begin(), r - full.shape.size(), 1);
    full.name = ir::unique_name(g_, full.name + ".full");
    full.producer = -1;
    g_.values.push_back(full);
    twin_.resize(g_.values.size(), -1);
    here_.resize(g_.values.size(), true);
    const auto id = static_cast<ValueId>(g_.values.size() - 1);
    if (full.constant < 0) g_.nodes.push_back({full.name, ir::Reshape{full.shape}, {v}, {id}, {}});
    return last(id);
  }

  bool wants_last(const Node& n) {
    if (const auto* c = std::get_if<ir::Conv2d>(&n.attr)) return c->layout == Layout::nchw;
    if (const auto* t = std::get_if<ir::ConvTranspose>(&n.attr)) return t->layout == Layout::nchw;
    if (const auto* p = std::get_if<ir::Pool2d>(&n.attr)) return p->layout == Layout::nchw;
    if (const auto* a = std::get_if<ir::Affine>(&n.attr))
      return a->layout == Layout::nchw && rank(n.in[0]) >= 3;
    if (reduces(n)) return rank(n.in[0]) >= 3 && twin(n.in[0]) >= 0 && !drops_first(n);
    const bool follows =
        std::holds_alternative<ir::Unary>(n.attr) || std::holds_alternative<ir::Binary>(n.attr) ||
        std::holds_alternative<ir::Concat>(n.attr) || std::holds_alternative<ir::Softmax>(n.attr) ||
        std::holds_alternative<ir::Pad>(n.attr) || std::holds_alternative<ir::Slice>(n.attr) ||
        std::holds_alternative<ir::Resize>(n.attr) || std::holds_alternative<ir::Tile>(n.attr) ||
        std::holds_alternative<ir::Cast>(n.attr) || std::holds_alternative<ir::Select>(n.attr) ||
        quantizes(n);
    const size_t r = rank(n.out[0]);
    if (std::holds_alternative<ir::Gather>(n.attr)) return gathers_last(n);
    if (!follows || r < 3) return false;
    if (quantizes(n)) return twin(n.in[0]) >= 0;
    bool any = false;
    for (ValueId v : n.in) {
      any = any || (value_of(g_, v).constant < 0 && rank(v) == r && twin(v) >= 0);
      // The batch of a shorter operand would stand beside another axis than the result's.
      if (rank(v) < r && value_of(g_, v).batched) return false;
      const ir::Constant* constant = ir::constant_of(g_, v);
      if (constant != nullptr && constant->encoding) return false;
    }
    return any;
  }

  // Its constants are rows along the axis, whatever the layout.
  static bool quantizes(const Node& n) {
    return std::holds_alternative<ir::FakeQuantize>(n.attr) ||
           std::holds_alternative<ir::Steps>(n.attr);
  }

  // A gather by a list of indices keeps the rank, so its data may be channels-last. Others change
  // the meaning of the axes behind.
  bool gathers_last(const Node& n) {
    return rank(n.in[0]) >= 3 && rank(n.in[1]) == 1 && value_of(g_, n.in[0]).constant < 0 &&
           twin(n.in[0]) >= 0;
  }

  // ---- reductions and rankings along axes ----

  static bool reduces(const Node& n) {
    return std::holds_alternative<ir::Reduce>(n.attr) ||
           std::holds_alternative<ir::ArgReduce>(n.attr) ||
           std::holds_alternative<ir::TopK>(n.attr);
  }

  // Which axes of the input the output lacks.
  std::vector<bool> dropped(const Node& n) const {
    const size_t r = rank(n.in[0]);
    if (const auto* a = std::get_if<ir::Reduce>(&n.attr))
      return a->keep_dims ? std::vector<bool>(r) : ir::axis_set(a->axes, r);
    if (const auto* a = std::get_if<ir::ArgReduce>(&n.attr))
      return a->keep_dims ? std::vector<bool>(r) : ir::axis_set({a->axis}, r);
    return std::vector<bool>(r);
  }

  // Without axis 0 the channels would stand where no layout expects them.
  bool drops_first(const Node& n) const { return dropped(n)[0]; }

  // Left without channels, or with nothing beside them, the axes stand in the source's order.
  void reduce_last(Node& n) {
    const size_t r = rank(n.in[0]);
    const bool same_order = dropped(n)[1] || rank(n.out[0]) < 3;
    const auto moved = [r](int32_t a) {
      return perm_to_first(r)[static_cast<size_t>(a < 0 ? a + static_cast<int32_t>(r) : a)];
    };
    n.in[0] = last(n.in[0]);
    if (auto* a = std::get_if<ir::Reduce>(&n.attr))
      for (int32_t& axis : a->axes) axis = moved(axis);
    if (auto* a = std::get_if<ir::ArgReduce>(&n.attr)) a->axis = moved(a->axis);
    if (auto* a = std::get_if<ir::TopK>(&n.attr)) a->axis = moved(a->axis);
    if (same_order) return;
    const ValueId y = n.out[0];
    n.out[0] = new_twin(y);
    here_[static_cast<size_t>(y)] = false;
  }

  void make_last(Node& n) {
    if (reduces(n)) return reduce_last(n);
    const size_t r = rank(n.out[0]);
    const auto axis = [&](int32_t a) {
      if (a < 0) a += static_cast<int32_t>(r);
      return perm_to_first(r)[static_cast<size_t>(a)];
    };
    // A quantizer of one row may name any axis.
    const auto row_axis = [&](int32_t a) {
      const auto whole = static_cast<int32_t>(r);
      return a >= -whole && a < whole ? axis(a) : a;
    };
    if (is_layer(n)) {
      LayerInputs in = inputs_of(n);
      in.x = last(in.x);
      if (in.residual >= 0) in.residual = last(in.residual);
      set_inputs(n, in);
    } else if (std::holds_alternative<ir::Affine>(n.attr) || quantizes(n)) {
      n.in[0] = last(n.in[0]);
    } else if (auto* gather = std::get_if<ir::Gather>(&n.attr)) {
      gather->axis = axis(gather->axis);
      n.in = {last(n.in[0]), first(n.in[1])};
    } else {
      for (ValueId& v : n.in) v = last_operand(v, r);
    }
    if (auto* c = std::get_if<ir::Conv2d>(&n.attr)) c->layout = Layout::nhwc;
    if (auto* t = std::get_if<ir::ConvTranspose>(&n.attr)) t->layout = Layout::nhwc;
    if (auto* p = std::get_if<ir::Pool2d>(&n.attr)) p->layout = Layout::nhwc;
    if (auto* a = std::get_if<ir::Affine>(&n.attr)) a->layout = Layout::nhwc;
    if (auto* f = std::get_if<ir::FakeQuantize>(&n.attr)) f->axis = row_axis(f->axis);
    if (auto* s = std::get_if<ir::Steps>(&n.attr)) s->axis = row_axis(s->axis);
    if (auto* s = std::get_if<ir::Softmax>(&n.attr)) s->axis = axis(s->axis);
    if (auto* c = std::get_if<ir::Concat>(&n.attr)) c->axis = axis(c->axis);
    if (auto* p = std::get_if<ir::Pad>(&n.attr)) {
      p->before = permuted(p->before, perm_to_last(r));
      p->after = permuted(p->after, perm_to_last(r));
    }
    if (auto* s = std::get_if<ir::Slice>(&n.attr))
      for (int64_t& a : s->axes) a = axis(static_cast<int32_t>(a));
    if (auto* t = std::get_if<ir::Tile>(&n.attr))
      t->repeats = permuted(t->repeats, perm_to_last(r));
    if (auto* s = std::get_if<ir::Resize>(&n.attr)) permute_resize(*s, perm_to_last(r));
    const ValueId y = n.out[0];
    n.out[0] = new_twin(y);
    here_[static_cast<size_t>(y)] = false;
  }

  Graph& g_;
  std::vector<ValueId> twin_;  // of a value in the source's layout: its channels-last form, or -1
  std::vector<bool> here_;     // whether the form of the source exists (so far)
};

}  // namespace

Result<void> to_nhwc(Graph& g) {
  Rewriter(g).run();
  return {};
}

}  // namespace qrt::passes

// Operators: indices, arity, and the options table of each kind. Shapes are
// compared afterwards (validate.h), when all of this can be relied on.
#include <cfloat>
#include <cmath>
#include <cstring>

#include "runtime/model/codes.h"
#include "runtime/model/node_options.h"

namespace qrt {

Status read_axis(const Reader& r, const Node& node, int32_t axis, int32_t* out) {
  const int32_t rank = input_shape(r, node).rank;
  QRT_TRY(in_range(axis, -rank, rank - 1, 166, "the axis is out of range"));
  *out = axis < 0 ? axis + rank : axis;
  return {};
}

namespace {

// Nothing in a network needs more, and every sum of a window's fields stays small.
constexpr int64_t kMaxWindow = 1 << 16;
constexpr int64_t kMaxArity = 4096;

Status check_finite_value(float v, const char* what) {
  if (!std::isfinite(v)) return Status(kBadModel, 165, what);
  return {};
}

template <class T>  // a table with activation, min and max
Status read_clamp(const T& t, Clamp* out) {
  QRT_TRY(read_enum(t.activation(), &out->activation, "the activation is unknown"));
  QRT_REQUIRE(std::isfinite(t.min()) && std::isfinite(t.max()) && t.min() <= t.max(), kBadModel,
              165, "the clamp's bounds are not finite and in order");
  out->min = t.min();
  out->max = t.max();
  return {};
}

template <class T>  // Conv2d, ConvTranspose or Pool2d
Status read_window(const T& t, Window* w) {
  const struct {
    uint32_t value;
    int64_t least;
    uint32_t* out;
    const char* what;
  } rows[] = {
      {t.kernel_h(), 1, &w->kernel_h, "kernel_h is out of range"},
      {t.kernel_w(), 1, &w->kernel_w, "kernel_w is out of range"},
      {t.stride_h(), 1, &w->stride_h, "stride_h is out of range"},
      {t.stride_w(), 1, &w->stride_w, "stride_w is out of range"},
      {t.dilation_h(), 1, &w->dilation_h, "dilation_h is out of range"},
      {t.dilation_w(), 1, &w->dilation_w, "dilation_w is out of range"},
      {t.pad_top(), 0, &w->pad_top, "pad_top is out of range"},
      {t.pad_left(), 0, &w->pad_left, "pad_left is out of range"},
      {t.pad_bottom(), 0, &w->pad_bottom, "pad_bottom is out of range"},
      {t.pad_right(), 0, &w->pad_right, "pad_right is out of range"},
  };
  for (const auto& row : rows) {
    QRT_TRY(in_range(row.value, row.least, kMaxWindow, 162, row.what));
    *row.out = row.value;
  }
  return {};
}

// Starts and steps that give thresholds of 32 bits which do not fall, or take the rows listed
// behind them one after the other.
Status check_even_thresholds(Span<const int64_t> lines, size_t listed) {
  constexpr int64_t kMostStart = int64_t{1} << 61, kMostStep = int64_t{1} << 52;
  size_t row = 0;
  for (size_t i = 0; i < lines.size(); i += 2) {
    const int64_t start = lines[i], step = lines[i + 1];
    if (step == -1) {
      QRT_REQUIRE(start == static_cast<int64_t>(row) && row < listed, kBadModel, 156,
                  "thresholds that are listed do not follow each other");
      ++row;
      continue;
    }
    QRT_REQUIRE(start >= -kMostStart && start <= kMostStart && step >= 0 && step <= kMostStep,
                kBadModel, 156, "even thresholds fall, or are beyond 32 bits");
  }
  QRT_REQUIRE(row == listed, kBadModel, 156, "thresholds are listed that no output takes");
  return {};
}

Status check_rising(Span<const int32_t> rows, size_t count) {
  for (size_t i = 1; i < rows.size(); ++i)
    QRT_REQUIRE(i % count == 0 || rows[i - 1] <= rows[i], kBadModel, 156,
                "the thresholds of an output fall");
  return {};
}

// The thresholds' buffer: i32 of every output; or starts and steps, then i32 of the outputs that
// are listed.
Status read_threshold_rows(Reader& r, const fb::Epilogue& e, uint32_t outputs, Epilogue* out) {
  const size_t count = out->threshold_count;
  Bytes bytes;
  QRT_TRY(read_buffer(r, e.thresholds(), &bytes));
  size_t lines = 0;
  if (e.even_thresholds()) {
    const auto least = (CheckedSize(outputs) * 16).get();
    QRT_REQUIRE(least && bytes.size() >= *least && (bytes.size() - *least) % (count * 4) == 0,
                kBadModel, 156, "the thresholds' buffer has the wrong size");
    lines = *least;
  } else {
    QRT_TRY(equal_size(bytes.size(), CheckedSize(outputs) * (count * 4), 156,
                       "the thresholds' buffer has the wrong size"));
  }
  QRT_TRY(claim(r, e.thresholds()));
  out->even_thresholds = {reinterpret_cast<const int64_t*>(bytes.data()), lines / 8};
  out->thresholds = {reinterpret_cast<const int32_t*>(bytes.data() + lines),
                     (bytes.size() - lines) / 4};
  if (e.even_thresholds())
    QRT_TRY(check_even_thresholds(out->even_thresholds, out->thresholds.size() / count));
  return check_rising(out->thresholds, count);
}

// Counts of thresholds that a sum reaches become bytes, so both ends must be one, and the sum is
// compared as it is: nothing may be beside them.
Status read_thresholds(Reader& r, const fb::Epilogue& e, const Weights& w, Epilogue* out) {
  const int64_t count = e.threshold_count(), first = e.threshold_first(), step = e.threshold_step();
  if (count == 0) {
    QRT_REQUIRE(e.thresholds() == 0 && first == 0 && step == 0 && !e.even_thresholds(), kBadModel,
                155, "the epilogue has a step or a buffer of thresholds, but none of them");
    return {};
  }
  QRT_TRY(in_range(count, 1, 255, 155, "threshold_count is out of range"));
  QRT_TRY(in_range(step, 1, 255, 155, "threshold_step is out of range"));
  QRT_TRY(in_range(first + step * count, 0, 255, 155, "the last threshold's byte is out of range"));
  QRT_REQUIRE(e.scale() == nullptr && e.bias() == nullptr && !e.residual() &&
                  out->clamp.activation == Activation::none,
              kBadModel, 155, "thresholds stand beside a scale, bias, residual or clamp");
  QRT_REQUIRE(w.numerics == Numerics::exact, kBadModel, 157,
              "thresholds are for layers of exact numerics only");
  QRT_REQUIRE(w.encoding != Encoding::table || w.table.scales.axis != ScaleAxis::group, kBadModel,
              157, "thresholds of sums with a scale per group of inputs");
  out->threshold_count = static_cast<uint32_t>(count);
  out->threshold_first = static_cast<uint32_t>(first);
  out->threshold_step = static_cast<uint32_t>(step);
  return read_threshold_rows(r, e, w.outputs, out);
}

// The bias is in units of the sum, so nothing in others may stand beside it.
Status read_bias_first(const fb::Epilogue& e, const Weights& w, Epilogue* out) {
  out->bias_first = e.bias_first();
  if (!out->bias_first) return {};
  QRT_REQUIRE(out->bias.present() && !out->residual && out->threshold_count == 0, kBadModel, 149,
              "a bias before the scale is missing, or has a residual or thresholds beside it");
  QRT_REQUIRE(w.numerics == Numerics::exact && w.encoding != Encoding::codebook, kBadModel, 149,
              "a bias before the scale is for exact numerics without codebooks");
  return {};
}

Status read_epilogue(Reader& r, const fb::Epilogue* e, const Weights& w, Epilogue* out) {
  const uint32_t outputs = w.outputs;
  out->clamp = {Activation::none, -FLT_MAX, FLT_MAX};
  if (e == nullptr) return {};
  QRT_TRY(fill_constant(r, e->scale(), &out->scale));
  QRT_TRY(fill_constant(r, e->bias(), &out->bias));
  if (out->scale.present())
    QRT_TRY(
        equal(out->scale.count, outputs, 164, "the epilogue's scales do not count the outputs"));
  if (out->bias.present())
    QRT_TRY(equal(out->bias.count, outputs, 164, "the epilogue's biases do not count the outputs"));
  out->residual = e->residual();
  QRT_TRY(read_clamp(*e, &out->clamp));
  QRT_TRY(read_thresholds(r, *e, w, out));
  return read_bias_first(*e, w, out);
}

Status find_weights(const Reader& r, uint32_t index, const Weights** out) {
  if (index >= r.model.weights.size()) {
    return Status(kBadModel, 111, "the index of the weights is out of range")
        .at_most(index, static_cast<int64_t>(r.model.weights.size()) - 1);
  }
  *out = &r.model.weights[index];
  return {};
}

template <class Table, class Attr>  // Conv2d or ConvTranspose
Status read_convolution(Reader& r, const Table& o, Attr& a) {
  QRT_TRY(find_weights(r, o.weights(), &a.weights));
  QRT_TRY(read_window(o, &a.window));
  QRT_TRY(in_range(o.groups(), 1, a.weights->outputs, 163, "groups are out of range"));
  a.groups = o.groups();
  QRT_REQUIRE(a.weights->outputs % a.groups == 0, kBadModel, 163,
              "the outputs are not a multiple of the groups");
  QRT_REQUIRE(
      a.weights->order != InputOrder::linear || (a.window.kernel_h == 1 && a.window.kernel_w == 1),
      kBadModel, 162, "a window larger than 1 x 1 needs an input order other than linear");
  return read_epilogue(r, o.epilogue(), *a.weights, &a.epilogue);
}

Status read_options(Reader& r, const fb::Conv2d& o, const Node&, Conv2dAttr& a) {
  return read_convolution(r, o, a);
}

Status read_options(Reader& r, const fb::ConvTranspose& o, const Node&, ConvTransposeAttr& a) {
  QRT_TRY(in_range(o.adjust_h(), 0, kMaxWindow, 162, "adjust_h is out of range"));
  QRT_TRY(in_range(o.adjust_w(), 0, kMaxWindow, 162, "adjust_w is out of range"));
  a.adjust_h = o.adjust_h();
  a.adjust_w = o.adjust_w();
  QRT_TRY(read_convolution(r, o, a));
  QRT_REQUIRE(a.epilogue.threshold_count == 0, kBadModel, 157,
              "a transposed convolution has thresholds");
  QRT_REQUIRE(!a.epilogue.bias_first, kBadModel, 149,
              "a transposed convolution adds its bias before the scale");
  return {};
}

Status read_options(Reader& r, const fb::Linear& o, const Node&, LinearAttr& a) {
  QRT_TRY(find_weights(r, o.weights(), &a.weights));
  return read_epilogue(r, o.epilogue(), *a.weights, &a.epilogue);
}

// A global pool's window is its input: said here, so that operators need not ask.
Status global_window(const Reader& r, const fb::Pool2d& o, const Node& node, Window* w) {
  const Shape& in = r.model.tensors[node.inputs[0]].shape;
  if (in.rank != 4) return equal(in.rank, 4, 182, "the input's rank does not suit the operator");
  QRT_REQUIRE(
      (o.kernel_h() == 0 && o.kernel_w() == 0) || (static_cast<int64_t>(o.kernel_h()) == in[1] &&
                                                   static_cast<int64_t>(o.kernel_w()) == in[2]),
      kBadModel, 162, "a global pool's kernel is neither 0 x 0 nor the size of its input");
  QRT_REQUIRE(o.pad_top() == 0 && o.pad_left() == 0 && o.pad_bottom() == 0 && o.pad_right() == 0,
              kBadModel, 162, "a global pool has padding");
  *w = {static_cast<uint32_t>(in[1]), static_cast<uint32_t>(in[2]), 1, 1, 1, 1, 0, 0, 0, 0};
  return {};
}

Status read_options(Reader& r, const fb::Pool2d& o, const Node& node, Pool2dAttr& a) {
  QRT_TRY(read_enum(o.mode(), &a.mode, "the pooling mode is unknown"));
  a.count_include_pad = o.count_include_pad();
  a.is_global = o.is_global();
  const bool is_lp = a.mode == PoolMode::lp;
  QRT_TRY(in_range(o.power(), is_lp ? 1 : 0, is_lp ? layout::kMaxPoolPower : 0, 162,
                   "the power of a pool is out of range"));
  a.power = o.power();
  if (a.is_global) return global_window(r, o, node, &a.window);
  QRT_TRY(read_window(o, &a.window));
  const Window& w = a.window;
  const uint64_t reach_h = uint64_t{w.kernel_h - 1} * w.dilation_h;
  const uint64_t reach_w = uint64_t{w.kernel_w - 1} * w.dilation_w;
  QRT_REQUIRE(w.pad_top <= reach_h && w.pad_bottom <= reach_h && w.pad_left <= reach_w &&
                  w.pad_right <= reach_w,
              kBadModel, 162, "a pool's padding is as wide as its window");
  return {};
}

Status read_options(Reader&, const fb::Binary& o, const Node&, BinaryAttr& a) {
  QRT_TRY(read_enum(o.op(), &a.op, "the binary operation is unknown"));
  return read_clamp(o, &a.clamp);
}

Status read_options(Reader&, const fb::Unary& o, const Node&, UnaryAttr& a) {
  QRT_TRY(read_enum(o.op(), &a.op, "the unary operation is unknown"));
  QRT_TRY(check_finite_value(o.alpha(), "alpha is not finite"));
  QRT_TRY(check_finite_value(o.beta(), "beta is not finite"));
  QRT_REQUIRE(a.op != UnaryOp::clamp || o.alpha() <= o.beta(), kBadModel, 165,
              "the clamp's bounds are not finite and in order");
  a.alpha = o.alpha();
  a.beta = o.beta();
  return {};
}

Status read_options(Reader& r, const fb::Affine1& o, const Node&, AffineAttr& a) {
  QRT_TRY(fill_constant(r, o.scale(), &a.scale));
  QRT_TRY(fill_constant(r, o.bias(), &a.bias));
  QRT_TRY(equal(a.bias.count, a.scale.count, 164, "scale and bias have different lengths"));
  return read_clamp(o, &a.clamp);
}

int32_t input_rank(const Reader& r, const Node& node) {
  return input_shape(r, node).rank;
}

Status read_options(Reader& r, const fb::Softmax& o, const Node& node, SoftmaxAttr& a) {
  a.log = o.log();
  return read_axis(r, node, o.axis(), &a.axis);
}

Status read_options(Reader& r, const fb::Concat& o, const Node& node, ConcatAttr& a) {
  return read_axis(r, node, o.axis(), &a.axis);
}

Status read_options(Reader& r, const fb::Transpose& o, const Node& node, TransposeAttr& a) {
  const int32_t rank = input_rank(r, node);
  QRT_TRY(equal(o.perm()->size(), rank, 166, "the permutation's length is not the input's rank"));
  uint32_t seen = 0;
  for (int32_t i = 0; i < rank; ++i) {
    const int32_t from = o.perm()->Get(static_cast<uint32_t>(i));
    QRT_TRY(in_range(from, 0, rank - 1, 166, "an axis of the permutation is out of range"));
    a.perm[i] = from;
    seen |= 1u << from;
  }
  QRT_REQUIRE(seen == (1u << rank) - 1, kBadModel, 166, "the permutation repeats an axis");
  return {};
}

Status read_options(Reader& r, const fb::Pad& o, const Node& node, PadAttr& a) {
  QRT_TRY(read_enum(o.mode(), &a.mode, "the padding mode is unknown"));
  QRT_TRY(check_finite_value(o.value(), "the padding value is not finite"));
  a.value = o.value();
  const Shape& in = r.model.tensors[node.inputs[0]].shape;
  QRT_TRY(equal(o.before()->size(), in.rank, 166, "`before` does not count the input's axes"));
  QRT_TRY(equal(o.after()->size(), in.rank, 166, "`after` does not count the input's axes"));
  for (int32_t i = 0; i < in.rank; ++i) {
    a.before[i] = o.before()->Get(static_cast<uint32_t>(i));
    a.after[i] = o.after()->Get(static_cast<uint32_t>(i));
    // Reflection repeats no edge: an axis of n elements has n - 1 to give.
    const int64_t most = a.mode == PadMode::reflect ? in[i] - 1 : layout::kMaxDim;
    QRT_TRY(in_range(a.before[i], 0, most, 166, "padding before an axis is out of range"));
    QRT_TRY(in_range(a.after[i], 0, most, 166, "padding after an axis is out of range"));
  }
  return {};
}

template <class Attr, class Table>
Status read_attr(Reader& r, const Table* table, const Node& node, const Attr** out) {
  QRT_REQUIRE(table != nullptr, kBadModel, 161, "the operator lacks the options of its kind");
  Attr* attr = r.keep.make<Attr>();
  if (attr == nullptr) return out_of_memory();
  QRT_TRY(read_options(r, *table, node, *attr));
  *out = attr;
  return {};
}

// The kind exists; one options table at most, and it belongs to the kind.
Status check_tables(const fb::Operator& o) {
  const struct {
    OpKind kind;
    const void* table;
  } rows[] = {
      {OpKind::conv2d, o.conv2d()},
      {OpKind::linear, o.linear()},
      {OpKind::pool2d, o.pool2d()},
      {OpKind::binary, o.binary()},
      {OpKind::unary, o.unary()},
      {OpKind::affine, o.affine()},
      {OpKind::softmax, o.softmax()},
      {OpKind::concat, o.concat()},
      {OpKind::transpose, o.transpose()},
      {OpKind::pad, o.pad()},
      {OpKind::slice, o.slice()},
      {OpKind::resize, o.resize()},
      {OpKind::gather, o.gather()},
      {OpKind::tile, o.tile()},
      {OpKind::conv_transpose, o.conv_transpose()},
      {OpKind::reduce, o.reduce()},
      {OpKind::arg_reduce, o.arg_reduce()},
      {OpKind::top_k, o.top_k()},
      {OpKind::fake_quantize, o.fake_quantize()},
      {OpKind::steps, o.steps()},
  };
  for (const auto& row : rows) {
    QRT_REQUIRE(row.table == nullptr || static_cast<int>(row.kind) == static_cast<int>(o.kind()),
                kBadModel, 161, "the operator holds options of another kind");
  }
  return {};
}

Status read_indices(const Reader& r, const flatbuffers::Vector<uint32_t>& v, int64_t least,
                    int64_t most, const char* what, Span<const uint32_t>* out) {
  QRT_TRY(in_range(v.size(), least, most, 160, what));
  *out = {v.data(), v.size()};
  for (const uint32_t tensor : *out) {
    QRT_TRY(in_range(tensor, 0, static_cast<int64_t>(r.model.tensors.size()) - 1, 111,
                     "a tensor's index is out of range"));
  }
  return {};
}

Status read_attrs(Reader& r, const fb::Operator& o, Node& node) {
  switch (node.kind) {
    case OpKind::conv2d:
      return read_attr(r, o.conv2d(), node, &node.conv2d);
    case OpKind::linear:
      return read_attr(r, o.linear(), node, &node.linear);
    case OpKind::pool2d:
      return read_attr(r, o.pool2d(), node, &node.pool2d);
    case OpKind::binary:
      return read_attr(r, o.binary(), node, &node.binary);
    case OpKind::unary:
      return read_attr(r, o.unary(), node, &node.unary);
    case OpKind::affine:
      return read_attr(r, o.affine(), node, &node.affine);
    case OpKind::softmax:
      return read_attr(r, o.softmax(), node, &node.softmax);
    case OpKind::concat:
      return read_attr(r, o.concat(), node, &node.concat);
    case OpKind::transpose:
      return read_attr(r, o.transpose(), node, &node.transpose);
    case OpKind::pad:
      return read_attr(r, o.pad(), node, &node.pad);
    case OpKind::slice:
      return read_attr(r, o.slice(), node, &node.slice);
    case OpKind::resize:
      return read_attr(r, o.resize(), node, &node.resize);
    case OpKind::gather:
      return read_attr(r, o.gather(), node, &node.gather);
    case OpKind::tile:
      return read_attr(r, o.tile(), node, &node.tile);
    case OpKind::conv_transpose:
      return read_attr(r, o.conv_transpose(), node, &node.conv_transpose);
    case OpKind::reduce:
      return read_attr(r, o.reduce(), node, &node.reduce);
    case OpKind::arg_reduce:
      return read_attr(r, o.arg_reduce(), node, &node.arg_reduce);
    case OpKind::top_k:
      return read_attr(r, o.top_k(), node, &node.top_k);
    case OpKind::fake_quantize:
      return read_attr(r, o.fake_quantize(), node, &node.fake_quantize);
    case OpKind::steps:
      return read_attr(r, o.steps(), node, &node.steps);
    case OpKind::reshape:
    case OpKind::matmul:
    case OpKind::select:
    case OpKind::cast:
    case OpKind::expand:
    case OpKind::quantize:
      return {};
  }
  // A number between two kinds: the format has gaps.
  return Status(kBadModel, 110, "the operator's kind is unknown")
      .values(static_cast<int64_t>(node.kind), 0);
}

bool may_have_residual(OpKind kind) {
  return kind == OpKind::conv2d || kind == OpKind::linear || kind == OpKind::conv_transpose;
}

bool takes_two(OpKind kind) {
  return kind == OpKind::binary || kind == OpKind::gather || kind == OpKind::expand ||
         kind == OpKind::matmul;
}

Status read_node(Reader& r, const fb::Operator& o, Node& node) {
  QRT_TRY(read_enum(o.kind(), &node.kind, "the operator's kind is unknown"));
  QRT_REQUIRE(std::strcmp(name_of(node.kind), "unknown") != 0, kBadModel, 110,
              "the operator's kind is unknown");  // the numbers have gaps
  QRT_TRY(check_tables(o));
  int64_t least = 1, most = 1;
  if (node.kind == OpKind::concat) most = kMaxArity;
  if (takes_two(node.kind)) least = most = 2;
  if (node.kind == OpKind::select) least = most = 3;
  if (may_have_residual(node.kind)) most = 2;
  QRT_TRY(read_indices(r, *o.inputs(), least, most, "the number of inputs is out of range",
                       &node.inputs));
  QRT_TRY(
      read_indices(r, *o.outputs(), 1, 1, "the number of outputs is out of range", &node.outputs));
  QRT_TRY(read_attrs(r, o, node));
  if (const Epilogue* epilogue = epilogue_of(node)) {
    QRT_TRY(equal(static_cast<int64_t>(node.inputs.size()), epilogue->residual ? 2 : 1, 160,
                  "the number of inputs does not fit the epilogue's residual"));
  }
  return {};
}

}  // namespace

Status read_nodes(Reader& r) {
  for (uint32_t i = 0; i < r.model.nodes.size(); ++i) {
    auto& node = const_cast<Node&>(r.model.nodes[i]);  // ours until open_model() returns
    QRT_TRY(read_node(r, *r.root.operators()->Get(i), node).at(Where::op, i));
  }
  return {};
}

}  // namespace qrt

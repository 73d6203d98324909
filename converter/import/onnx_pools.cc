// Pools. Automatic padding and ceil mode become plain padding. The graph knows
// pools over images: a signal is an image of height 1, and a pool over a volume is
// the one over height and width, then the one over depth, because maxima, sums,
// norms and the counts of averages are products over the axes.
#include <algorithm>

#include "converter/import/onnx_windows.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

// Ceil mode asks for ceil((in + pads - span) / stride) + 1 outputs, but for windows that would
// start behind the input and its padding before: those see nothing and are dropped (as PyTorch and
// the later ONNX text have it). Returns the rows that the last window sticks out.
int64_t ceil_overhang(const Axis& axis) {
  const int64_t padded = axis.input + axis.before + axis.after;
  if (padded < axis.span()) return 0;  // refused by shape inference
  int64_t outputs = (padded - axis.span() + axis.stride - 1) / axis.stride + 1;
  if ((outputs - 1) * axis.stride >= axis.input + axis.before) --outputs;
  return std::max<int64_t>((outputs - 1) * axis.stride + axis.span() - padded, 0);
}

// The padding as zeros in front of the pool, which then counts its input alone.
ir::ValueId pad_before_pool(Node& n, ir::ValueId x, Axes& axes) {
  ir::Pad pad;
  pad.before = pad.after = {0, 0};
  bool any = false;
  for (Axis& axis : axes) {
    pad.before.push_back(static_cast<int32_t>(axis.before));
    pad.after.push_back(static_cast<int32_t>(axis.after));
    any = any || axis.before + axis.after > 0;
    axis.input += axis.before + axis.after;
    axis.before = axis.after = 0;
  }
  return any ? n.step("padded", pad, {x}) : x;
}

// Ceil mode becomes padding. Averages that count the padding count the declared one, not what ceil
// mode adds; and a pool's own padding is narrower than its window, which zeros need not be.
ir::ValueId settle_padding(Node& n, ir::ValueId x, Axes& axes, ir::Pool2d& pool) {
  // Automatic padding says the output size by itself, whatever the ceil mode.
  const bool is_ceil = padding_mode(n) == "NOTSET" && n.integer("ceil_mode", 0) != 0;
  std::vector<int64_t> overhang;
  bool any = false, wide = false;
  for (const Axis& axis : axes) {
    overhang.push_back(is_ceil ? ceil_overhang(axis) : 0);
    any = any || overhang.back() > 0;
    wide = wide || axis.before >= axis.span() || axis.after >= axis.span();
  }
  const bool zeros_count = pool.mode == ir::Pool2d::Mode::lp || pool.count_include_pad;
  if ((any && pool.count_include_pad) || (wide && zeros_count)) {
    x = pad_before_pool(n, x, axes);
    pool.count_include_pad = false;
  }
  for (size_t k = 0; k < axes.size(); ++k) axes[k].after += overhang[k];
  return x;
}

ir::Pool2d pool_of(const Node& n) {
  ir::Pool2d pool;
  const bool is_lp = n.op() == "LpPool" || n.op() == "GlobalLpPool";
  if (is_lp) pool.mode = ir::Pool2d::Mode::lp;
  if (is_lp) pool.power = to_int32(n.integer("p", 2), 1, layout::kMaxPoolPower, "p");
  if (n.op() == "AveragePool" || n.op() == "GlobalAveragePool") {
    pool.mode = ir::Pool2d::Mode::average;
    pool.count_include_pad = n.integer("count_include_pad", 0) != 0;
  }
  return pool;
}

// A pool over an image of these four dimensions, a reshape of x; the result keeps them.
ir::ValueId pool_reshaped(Node& n, const char* step, ir::ValueId x, std::vector<int64_t> dims,
                          const ir::Pool2d& pool) {
  const ir::ValueId image = n.step(cat(step, "_image"), ir::Reshape{std::move(dims)}, {x});
  return n.step(step, pool, {image});
}

}  // namespace

// Maxima of bytes (since opset 12) are those of the floats that they are exactly.
void import_pool(Node& n) {
  std::vector<int64_t> shape = windowed_shape(n);
  const ir::ElementType type = n.value(n.in(0)).type;
  const bool is_bytes = type == ir::ElementType::u8 || type == ir::ElementType::i8;
  if (is_bytes && n.op() != "MaxPool") n.unsupported("it takes bytes; supported are floats");
  const auto emit = [&](ir::Attr attr, ir::ValueId in) {
    if (!is_bytes) return n.emit(std::move(attr), {in});
    const ir::ValueId y = n.heart(std::move(attr), {in});
    n.emit(ir::Cast{type == ir::ElementType::u8 ? 2 : 3}, {y});
  };
  ir::Pool2d pool = pool_of(n);
  if (n.integer("storage_order", 0) != 0) n.unsupported("storage_order 1 is not supported");
  Axes axes = read_axes(n, shape, n.integers("kernel_shape"));
  pad_to_same(n, axes);
  const ir::ValueId floats = is_bytes ? n.step("floats", ir::Cast{1}, {n.in(0)}) : n.in(0);
  const ir::ValueId x = settle_padding(n, floats, axes, pool);
  shape = n.value(x).shape;
  pool.window = window_of(axes);
  if (axes.size() == 2) return emit(pool, x);
  if (axes.size() == 1) {
    const ir::ValueId y = pool_reshaped(n, "pool", x, {shape[0], shape[1], 1, shape[2]}, pool);
    const std::vector<int64_t> s = n.value(y).shape;
    return emit(ir::Reshape{{s[0], s[1], s[3]}}, y);
  }
  const ir::ValueId flat =
      pool_reshaped(n, "slices", x, {shape[0], shape[1] * shape[2], shape[3], shape[4]}, pool);
  const std::vector<int64_t> s = n.value(flat).shape;
  pool.window = window_of(&axes[0], nullptr);
  const ir::ValueId y =
      pool_reshaped(n, "depth", flat, {shape[0], shape[1], shape[2], s[2] * s[3]}, pool);
  emit(ir::Reshape{{shape[0], shape[1], n.value(y).shape[2], s[2], s[3]}}, y);
}

void import_global_pool(Node& n) {
  const std::vector<int64_t> shape = windowed_shape(n);
  ir::Pool2d pool = pool_of(n);
  pool.global = true;
  pool.count_include_pad = false;
  if (shape.size() == 4) return n.emit(pool, {n.in(0)});
  const int64_t height = shape.size() == 5 ? shape[2] : 1;
  const int64_t rest = ir::element_count(shape) / (shape[0] * shape[1] * height);
  const ir::ValueId y = pool_reshaped(n, "pool", n.in(0), {shape[0], shape[1], height, rest}, pool);
  std::vector<int64_t> dims(shape.size(), 1);
  std::copy_n(shape.begin(), 2, dims.begin());
  n.emit(ir::Reshape{dims}, {y});
}

}  // namespace qrt::import

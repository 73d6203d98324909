// See int8_inside.h.
#include "runtime/ops/int8_inside.h"

#include <limits>

#include "runtime/dense/geometry.h"

namespace qrt {
namespace {

// A part of this size is not worth the shorter tiles.
constexpr float kWorth = 0.985f;

// One axis of a window.
struct Axis {
  size_t in, out, kernel, stride, dilation, before;
};
Axis rows_of(const Int8Layer& l) {
  const Window& w = l.window;
  return {l.in_h, l.out_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top};
}
Axis columns_of(const Int8Layer& l) {
  const Window& w = l.window;
  return {l.in_w, l.out_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left};
}

// Positions [begin, end) of an axis have taps [first, last) inside the image.
struct Stretch {
  size_t begin, end, first, last;
};

TapRange taps_at(const Axis& a, size_t position) {
  const auto start = static_cast<int64_t>(position * a.stride) - static_cast<int64_t>(a.before);
  return taps_inside(start, a.kernel, a.dilation, a.in);
}

Stretch stretch_from(const Axis& a, size_t begin) {
  const TapRange taps = taps_at(a, begin);
  size_t end = begin + 1;
  for (; end < a.out; ++end) {
    const TapRange next = taps_at(a, end);
    if (next.first != taps.first || next.last != taps.last) break;
  }
  return {begin, end, taps.first, taps.last};
}

// A class before its rows are placed: an area of every image of the batch.
struct Area {
  Stretch y, x;
  size_t inputs;
  kernels::int8::Runs runs;
};

template <class F>
void each_area(const Int8Layer& l, F&& f) {
  const Axis rows = rows_of(l), columns = columns_of(l);
  const size_t c = l.channels, line = columns.kernel * c;
  for (size_t oy = 0; oy < rows.out;) {
    const Stretch y = stretch_from(rows, oy);
    oy = y.end;
    const size_t lines = y.last - y.first;
    if (lines < rows.kernel) {
      f(Area{y, {0, columns.out, 0, columns.kernel}, lines * line, {y.first * line, 1, 0}});
      continue;
    }
    for (size_t ox = 0; ox < columns.out;) {
      const Stretch x = stretch_from(columns, ox);
      ox = x.end;
      const size_t width = x.last - x.first;
      if (width == columns.kernel)
        f(Area{y, x, lines * line, {}});
      else
        f(Area{y, x, width * c, {x.first * c, lines, line}});
    }
  }
}

bool is_whole_steps(const Int8Layer& l) {
  return l.channels % kernels::int8::kStep == 0;
}

}  // namespace

float inside_part(const Int8Layer& l) {
  if (l.taps == 1 || !is_whole_steps(l) || l.x.zero != l.kit->run->part_zero) return 1.0f;
  float some = 0;
  each_area(l, [&](const Area& a) {
    some += static_cast<float>((a.y.end - a.y.begin) * (a.x.end - a.x.begin)) *
            static_cast<float>(a.inputs * a.runs.count);
  });
  const float all = static_cast<float>(l.out_h * l.out_w) * static_cast<float>(l.inputs);
  return some < kWorth * all ? some / all : 1.0f;
}

Status RowClasses::prepare(const Int8Layer& l, Arena& keep) {
  const bool sorts =
      l.rows != 0 && l.rows <= std::numeric_limits<uint32_t>::max() && inside_part(l) < 1.0f;
  size_t count = 1;
  if (sorts) count = 0, each_area(l, [&](const Area&) { ++count; });
  classes_ = keep.array<RowClass>(count);
  if (classes_.size() != count) return layer_too_large();
  if (!sorts) {
    classes_[0] = {0, l.rows, l.inputs, {}};
    return {};
  }
  const Span<uint32_t> order = keep.array<uint32_t>(l.rows);
  if (order.size() != l.rows) return layer_too_large();
  order_ = order.data();
  size_t row = 0, i = 0;
  each_area(l, [&](const Area& a) {
    const size_t first = row;
    for (size_t n = 0; n < l.batch; ++n)
      for (size_t oy = a.y.begin; oy < a.y.end; ++oy)
        for (size_t ox = a.x.begin; ox < a.x.end; ++ox)
          order_[row++] = static_cast<uint32_t>((n * l.out_h + oy) * l.out_w + ox);
    classes_[i++] = {first, row - first, a.inputs, a.runs};
  });
  return {};
}

const RowClass& RowClasses::of(size_t row) const {
  size_t i = classes_.size() - 1;
  while (classes_[i].first > row) --i;
  return classes_[i];
}

}  // namespace qrt

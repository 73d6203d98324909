// Operators that move data without computing. Most are one strided copy:
// out[i] = in[offset + sum of index * stride].
#include <algorithm>
#include <cmath>

#include "converter/eval/compute.h"

namespace qrt::eval {
namespace {

std::vector<int64_t> strides_of(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t length = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    strides[d] = length;
    length *= shape[d];
  }
  return strides;
}

// Calls step(i, at) for every output element i in order, `at` its place by `strides`.
template <class Step>
void walk(const std::vector<int64_t>& shape, int64_t offset, const std::vector<int64_t>& strides,
          const Step& step) {
  std::vector<int64_t> index(shape.size());
  const size_t count = static_cast<size_t>(ir::element_count(shape));
  for (size_t i = 0; i < count; ++i) {
    step(i, offset);
    for (size_t d = shape.size(); d-- > 0;) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

void copy_strided(Call& call, int64_t offset, const std::vector<int64_t>& strides) {
  const View& x = call.in[0];
  walk(call.out.shape, offset, strides, [&](size_t i, int64_t at) {
    if (x.ints.empty()) {
      call.out.data[i] = x.data[at];
    } else {
      call.out.ints[i] = x.ints[at];
    }
  });
}

void copy_all(Call& call) {
  std::copy(call.in[0].data.begin(), call.in[0].data.end(), call.out.data.begin());
  std::copy(call.in[0].ints.begin(), call.in[0].ints.end(), call.out.ints.begin());
}

template <class From, class To>
void copy_run(const From& from, int64_t at, int64_t count, To& to, int64_t to_at) {
  std::copy_n(from.begin() + at, count, to.begin() + to_at);
}

// `count` elements of x at `at` to the output at `to`.
void copy_block(Call& call, const View& x, int64_t at, int64_t count, int64_t to) {
  if (x.ints.empty()) {
    copy_run(x.data, at, count, call.out.data, to);
  } else {
    copy_run(x.ints, at, count, call.out.ints, to);
  }
}

int64_t product(std::span<const int64_t> dims) {
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  return count;
}

}  // namespace

Result<void> compute(Call& call, const ir::Identity&) {
  return copy_all(call), Result<void>();
}
Result<void> compute(Call& call, const ir::Reshape&) {
  return copy_all(call), Result<void>();
}
Result<void> compute(Call& call, const ir::Unsqueeze&) {
  return copy_all(call), Result<void>();
}
Result<void> compute(Call& call, const ir::Squeeze&) {
  return copy_all(call), Result<void>();
}

Result<void> compute(Call& call, const ir::Shape&) {
  std::copy(call.in[0].shape.begin(), call.in[0].shape.end(), call.out.ints.begin());
  return {};
}

Result<void> compute(Call& call, const ir::Transpose& transpose) {
  const std::vector<int64_t> from = strides_of(call.in[0].shape);
  std::vector<int64_t> strides;
  for (int32_t axis : transpose.perm) strides.push_back(from[axis]);
  copy_strided(call, 0, strides);
  return {};
}

Result<void> compute(Call& call, const ir::Slice& slice) {
  std::vector<int64_t> strides = strides_of(call.in[0].shape);
  std::vector<int64_t> starts(strides.size()), steps(strides.size(), 1);
  const int64_t rank = static_cast<int64_t>(strides.size());
  for (size_t k = 0; k < slice.starts.size(); ++k) {
    const int64_t axis = slice.axes[k] < 0 ? slice.axes[k] + rank : slice.axes[k];
    const ir::SliceRange range = ir::slice_range(slice, k, call.in[0].shape[axis]);
    starts[axis] = range.start;
    steps[axis] = range.count > 1 ? range.step : 1;
  }
  int64_t offset = 0;
  for (int64_t d = 0; d < rank; ++d) {
    offset += starts[d] * strides[d];
    strides[d] *= steps[d];
  }
  copy_strided(call, offset, strides);
  return {};
}

Result<void> compute(Call& call, const ir::Concat& concat) {
  const int64_t rank = static_cast<int64_t>(call.out.shape.size());
  const int64_t axis = concat.axis < 0 ? concat.axis + rank : concat.axis;
  const std::span<const int64_t> shape = call.out.shape;
  const int64_t outer = product(shape.first(axis));
  const int64_t total = product(shape.subspan(axis));
  int64_t start = 0;
  for (const View& x : call.in) {
    const int64_t run = product(x.shape.subspan(axis));
    for (int64_t i = 0; i < outer; ++i) copy_block(call, x, i * run, run, i * total + start);
    start += run;
  }
  return {};
}

Result<void> compute(Call& call, const ir::Gather& gather) {
  const View &data = call.in[0], &indices = call.in[1];
  const int64_t rank = static_cast<int64_t>(data.shape.size());
  const int64_t axis = gather.axis < 0 ? gather.axis + rank : gather.axis;
  const int64_t outer = product(data.shape.first(axis));
  const int64_t inner = product(data.shape.subspan(axis + 1));
  const int64_t length = data.shape[axis];
  int64_t to = 0;
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t index : indices.ints) {
      if (index < -length || index >= length) {
        return call.error("index ", index, " is outside of the ", length,
                          " entries; the source model is damaged");
      }
      const int64_t from = index < 0 ? index + length : index;
      copy_block(call, data, (i * length + from) * inner, inner, to);
      to += inner;
    }
  }
  return {};
}

Result<void> compute(Call& call, const ir::Tile&) {
  const View& x = call.in[0];
  const std::vector<int64_t> strides = strides_of(x.shape),
                             out_strides = strides_of(call.out.shape);
  const int64_t count = product(call.out.shape);
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < strides.size(); ++d) {
      at += i / out_strides[d] % call.out.shape[d] % x.shape[d] * strides[d];
    }
    copy_block(call, x, at, 1, i);
  }
  return {};
}

Result<void> compute(Call& call, const ir::Quantize&) {
  copy_all(call);
  return {};
}

Result<void> compute(Call& call, const ir::Expand&) {
  const View& x = call.in[0];
  for (int64_t i = 0; i < call.out.shape[0]; ++i) {
    copy_block(call, x, 0, x.count(), i * x.count());
  }
  return {};
}

Result<void> compute(Call& call, const ir::Pad& pad) {
  const View& x = call.in[0];
  const size_t rank = call.out.shape.size();
  // source[d][i]: which input index output index i takes, -1 for the fill value.
  std::vector<std::vector<int64_t>> source(rank);
  for (size_t d = 0; d < rank; ++d) {
    const int64_t size = x.shape[d];
    for (int64_t i = 0; i < call.out.shape[d]; ++i) {
      int64_t at = i - pad.before[d];
      if (at < 0 || at >= size) {
        switch (pad.mode) {
          case ir::Pad::Mode::constant:
            at = -1;
            break;
          case ir::Pad::Mode::edge:
            at = std::clamp<int64_t>(at, 0, size - 1);
            break;
          case ir::Pad::Mode::reflect:
            at = at < 0 ? -at : 2 * (size - 1) - at;
            break;
        }
      }
      source[d].push_back(at);
    }
  }
  const std::vector<int64_t> strides = strides_of(x.shape),
                             out_strides = strides_of(call.out.shape);
  const int64_t count = product(call.out.shape);
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    bool inside = true;
    for (size_t d = 0; d < rank; ++d) {
      const int64_t from = source[d][i / out_strides[d] % call.out.shape[d]];
      inside = inside && from >= 0;
      at += from * strides[d];
    }
    if (ir::is_float(call.out.type)) {
      call.out.data[i] = inside ? x.data[at] : pad.value;
    } else {
      call.out.ints[i] = inside ? x.ints[at] : std::llround(pad.value);
    }
  }
  return {};
}

}  // namespace qrt::eval

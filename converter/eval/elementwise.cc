// Arithmetic value by value: unary and binary operators and the choice between two
// (functions.h has the formulas), affine and batch normalization, softmax.
#include <algorithm>
#include <array>
#include <cmath>

#include "converter/eval/compute.h"
#include "converter/eval/functions.h"
#include "converter/eval/integer_layers.h"
#include "schema/layout.h"

namespace qrt::eval {
namespace {

// Walks the output in order and keeps the offsets of up to three inputs, 0 along broadcast
// dimensions. Calls step(i, offsets).
using Offsets = std::array<int64_t, 3>;
template <class Step>
void broadcast(const Call& call, const Step& step) {
  const auto& shape = call.out.shape;
  const size_t rank = shape.size(), inputs = call.in.size();
  std::array<std::array<int64_t, layout::kMaxRank>, 3> stride{};
  for (size_t k = 0; k < inputs; ++k) {
    const auto& from = call.in[k].shape;
    int64_t length = 1;
    for (size_t d = 0; d < from.size(); ++d) {
      const size_t at = from.size() - 1 - d;
      if (from[at] != 1) stride[k][rank - 1 - d] = length;
      length *= from[at];
    }
  }
  std::array<int64_t, layout::kMaxRank> index{};
  Offsets at{};
  const size_t count = static_cast<size_t>(ir::element_count(shape));
  for (size_t i = 0; i < count; ++i) {
    step(i, at);
    for (size_t d = rank; d-- > 0;) {
      for (size_t k = 0; k < inputs; ++k) at[k] += stride[k][d];
      if (++index[d] < shape[d]) break;
      for (size_t k = 0; k < inputs; ++k) at[k] -= stride[k][d] * shape[d];
      index[d] = 0;
    }
  }
}

// y = scale[c] * x + bias[c], c along dimension `axis`.
void scale_channels(Call& call, size_t axis, const float* scale, const float* bias,
                    const ir::Clamp& clamp) {
  int64_t inner = 1;
  for (size_t d = axis + 1; d < call.out.shape.size(); ++d) inner *= call.out.shape[d];
  const int64_t channels = call.out.shape[axis];
  const float* x = call.in[0].data.data();
  for (size_t i = 0; i < call.out.data.size(); ++i) {
    const int64_t c = static_cast<int64_t>(i) / inner % channels;
    call.out.data[i] = clamped(scale[c] * x[i] + bias[c], clamp);
  }
}

}  // namespace

Result<void> compute(Call& call, const ir::Unary& unary) {
  const View& x = call.in[0];
  for (size_t i = 0; i < x.data.size(); ++i) call.out.data[i] = apply(unary, x.data[i]);
  bool exact = true;
  for (size_t i = 0; i < x.ints.size(); ++i)
    call.out.ints[i] = apply(unary.op, x.type, x.ints[i], &exact);
  if (call.strict && !exact) return call.error("an integer overflows; check the source model");
  return {};
}

Result<void> compute(Call& call, const ir::Binary& binary) {
  const View &p = call.in[0], &q = call.in[1];
  if (binary.op == ir::Binary::Op::add && has_bytes(p) && has_bytes(q) &&
      std::equal(p.shape.begin(), p.shape.end(), q.shape.begin(), q.shape.end())) {
    add_bytes(call, binary.clamp);
    return {};
  }
  if (ir::is_float(call.out.type)) {
    broadcast(call, [&](size_t i, const Offsets& at) {
      call.out.data[i] = clamped(apply(binary.op, p.data[at[0]], q.data[at[1]]), binary.clamp);
    });
    return {};
  }
  if (binary.op >= ir::Binary::Op::equal) {
    broadcast(call, [&](size_t i, const Offsets& at) {
      call.out.ints[i] = ir::is_float(p.type) ? compare(binary.op, p.data[at[0]], q.data[at[1]])
                                              : compare(binary.op, p.ints[at[0]], q.ints[at[1]]);
    });
    return {};
  }
  bool exact = true;
  broadcast(call, [&](size_t i, const Offsets& at) {
    call.out.ints[i] = apply(binary.op, p.type, p.ints[at[0]], q.ints[at[1]], &exact);
  });
  if (exact || !call.strict) return {};
  return call.error("integers overflow or are divided by zero; check the source model");
}

Result<void> compute(Call& call, const ir::Select&) {
  const auto& condition = call.in[0].ints;
  broadcast(call, [&](size_t i, const Offsets& at) {
    const size_t k = condition[at[0]] != 0 ? 1 : 2;
    if (ir::is_float(call.out.type)) {
      call.out.data[i] = call.in[k].data[at[k]];
    } else {
      call.out.ints[i] = call.in[k].ints[at[k]];
    }
  });
  return {};
}

Result<void> compute(Call& call, const ir::Affine& affine) {
  const size_t axis = affine.layout == ir::Layout::nchw ? 1 : call.out.shape.size() - 1;
  scale_channels(call, axis, call.in[1].data.data(), call.in[2].data.data(), affine.clamp);
  return {};
}

Result<void> compute(Call& call, const ir::BatchNorm& norm) {
  const auto &scale = call.in[1].data, &bias = call.in[2].data;
  const auto &mean = call.in[3].data, &variance = call.in[4].data;
  std::vector<float> factor(scale.size()), offset(scale.size());
  for (size_t c = 0; c < scale.size(); ++c) {
    const double f = scale[c] / std::sqrt(static_cast<double>(variance[c]) + norm.eps);
    factor[c] = static_cast<float>(f);
    offset[c] = static_cast<float>(bias[c] - f * mean[c]);
  }
  scale_channels(call, 1, factor.data(), offset.data(), ir::kNoClamp);
  return {};
}

Result<void> compute(Call& call, const ir::Softmax& softmax) {
  const auto& shape = call.out.shape;
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = softmax.axis < 0 ? softmax.axis + rank : softmax.axis;
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < rank; ++d) inner *= shape[d];
  const int64_t length = shape[axis], total = call.in[0].count();
  for (int64_t start = 0; start < total; start += length * inner) {
    for (int64_t i = 0; i < inner; ++i) {
      const float* x = call.in[0].data.data() + start + i;
      float* y = call.out.data.data() + start + i;
      float top = x[0];
      for (int64_t k = 1; k < length; ++k) top = std::max(top, x[k * inner]);
      double sum = 0;
      for (int64_t k = 0; k < length; ++k) sum += std::exp(static_cast<double>(x[k * inner] - top));
      for (int64_t k = 0; k < length; ++k) {
        const double shifted = x[k * inner] - top;
        y[k * inner] =
            static_cast<float>(softmax.log ? shifted - std::log(sum) : std::exp(shifted) / sum);
      }
    }
  }
  return {};
}

}  // namespace qrt::eval

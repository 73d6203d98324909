#include "tests/support/exact_interpreter.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "converter/quant/encoding.h"

namespace qrt::testing {
namespace {

using Shape = std::vector<int64_t>;
using Doubles = std::vector<double>;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

int64_t count(const Shape& s) {
  return std::accumulate(s.begin(), s.end(), int64_t{1}, std::multiplies<>());
}

// A weight on a grid of integers is the integer times the scale, which the float may have rounded.
Exact constant(const ir::Value& v, const ir::Constant& c) {
  Exact r{v.shape, {c.data.begin(), c.data.end()}};
  if (r.data.empty()) r.data.assign(c.ints.begin(), c.ints.end());
  if (c.encoding == nullptr || v.shape.empty()) return r;
  const int64_t outputs = v.shape[0], inputs = count(v.shape) / outputs;
  if (!quant::is_integer(*c.encoding)) {
    const auto floats = quant::decode(*c.encoding, outputs, inputs);
    r.data.assign(floats.begin(), floats.end());
    return r;
  }
  const auto integers = quant::integers_of(*c.encoding, outputs, inputs);
  r.data.resize(integers.size());
  for (int64_t i = 0; i < outputs * inputs; ++i)
    r.data[at(i)] = double{quant::weight_scale(*c.encoding, i / inputs)} * integers[at(i)];
  return r;
}

double clamped(double v, ir::Clamp c) {
  if (c == ir::kNoClamp) return v;
  return std::clamp(v, double{c.min}, double{c.max});
}

// One number, or one per element of `axis`.
double by_axis(const Exact& v, const Shape& shape, size_t axis, int64_t i) {
  if (v.data.size() == 1) return v.data[0];
  int64_t inner = 1;
  for (size_t k = axis + 1; k < shape.size(); ++k) inner *= shape[k];
  return v.data[at(i / inner % shape[axis])];
}

double round_by(ir::FakeQuantize::Rounding rounding, double v) {
  using R = ir::FakeQuantize::Rounding;
  const double down = std::floor(v), part = v - down;
  switch (rounding) {
    case R::half_even:
      return part > 0.5 || (part == 0.5 && std::fmod(down, 2) != 0) ? down + 1 : down;
    case R::half_away:
      return v < 0 ? -std::floor(-v + 0.5) : std::floor(v + 0.5);
    case R::half_to_zero:
      return v < 0 ? -std::ceil(-v - 0.5) : std::ceil(v - 0.5);
    case R::floor:
      return down;
    case R::ceil:
      return part > 0 ? down + 1 : down;
    case R::to_zero:
      return v < 0 ? std::ceil(v) : down;
    case R::away:
      return v < 0 ? down : std::ceil(v);
  }
  return v;
}

struct Run {
  const ir::Graph& g;
  std::map<ir::ValueId, Exact> values;

  const Exact& in(const ir::Node& n, size_t k) { return values.at(n.in[k]); }
  Shape out_shape(const ir::Node& n) { return g.values[at(n.out[0])].shape; }

  // Scale, bias and residual as flagged, then the clamp; channels on `axis`.
  template <class Layer>
  void finish(const ir::Node& n, const Layer& layer, size_t axis, Exact& y) {
    size_t next = 2;
    const Exact* scale = layer.scale ? &in(n, next++) : nullptr;
    const Exact* bias = layer.bias ? &in(n, next++) : nullptr;
    const Exact* residual = layer.residual ? &in(n, next++) : nullptr;
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      double& v = y.data[at(i)];
      if (scale) v *= by_axis(*scale, y.shape, axis, i);
      if (bias) v += by_axis(*bias, y.shape, axis, i);
      if (residual) v += residual->data[at(i)];
      v = clamped(v, layer.clamp);
    }
  }

  bool run(const ir::Node& n, const ir::Conv2d& c, Exact& y) {
    if (c.layout != ir::Layout::nchw) return false;
    const Exact &x = in(n, 0), &w = in(n, 1);
    const int64_t channels = w.shape[1], each = w.shape[0] / c.groups;
    const auto& [kernel, stride, dilation, pad] = c.window;
    int64_t i = 0;
    for (int64_t b = 0; b < y.shape[0]; ++b)
      for (int64_t o = 0; o < y.shape[1]; ++o)
        for (int64_t h = 0; h < y.shape[2]; ++h)
          for (int64_t v = 0; v < y.shape[3]; ++v, ++i) {
            double sum = 0;
            for (int64_t k = 0; k < channels * kernel[0] * kernel[1]; ++k) {
              const int64_t ch = k / (kernel[0] * kernel[1]), t = k % (kernel[0] * kernel[1]);
              const int64_t ih = h * stride[0] - pad[0] + t / kernel[1] * dilation[0];
              const int64_t iw = v * stride[1] - pad[1] + t % kernel[1] * dilation[1];
              if (ih < 0 || iw < 0 || ih >= x.shape[2] || iw >= x.shape[3]) continue;
              const int64_t from = o / each * channels + ch;
              sum += x.data[at(((b * x.shape[1] + from) * x.shape[2] + ih) * x.shape[3] + iw)] *
                     w.data[at(o * channels * kernel[0] * kernel[1] + k)];
            }
            y.data[at(i)] = sum;
          }
    finish(n, c, 1, y);
    return true;
  }

  bool run(const ir::Node& n, const ir::Linear& l, Exact& y) {
    const Exact &x = in(n, 0), &w = in(n, 1);
    const int64_t outputs = w.shape[0], inputs = w.shape[1];
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      double sum = 0;
      for (int64_t k = 0; k < inputs; ++k)
        sum += x.data[at(i / outputs * inputs + k)] * w.data[at(i % outputs * inputs + k)];
      y.data[at(i)] = sum;
    }
    finish(n, l, y.shape.size() - 1, y);
    return true;
  }

  bool run(const ir::Node& n, const ir::Pool2d& p, Exact& y) {
    const Exact& x = in(n, 0);
    if (p.layout != ir::Layout::nchw || p.mode == ir::Pool2d::Mode::lp || x.shape.size() != 4)
      return false;
    ir::Window2d w = p.window;
    if (p.global) w.kernel = {static_cast<int32_t>(x.shape[2]), static_cast<int32_t>(x.shape[3])};
    const bool max = p.mode == ir::Pool2d::Mode::max;
    int64_t i = 0;
    for (int64_t plane = 0; plane < y.shape[0] * y.shape[1]; ++plane)
      for (int64_t h = 0; h < y.shape[2]; ++h)
        for (int64_t v = 0; v < y.shape[3]; ++v, ++i) {
          double best = -INFINITY, sum = 0, inside = 0;
          for (int64_t t = 0; t < int64_t{w.kernel[0]} * w.kernel[1]; ++t) {
            const int64_t ih = h * w.stride[0] - w.pad[0] + t / w.kernel[1] * w.dilation[0];
            const int64_t iw = v * w.stride[1] - w.pad[1] + t % w.kernel[1] * w.dilation[1];
            if (ih < 0 || iw < 0 || ih >= x.shape[2] || iw >= x.shape[3]) continue;
            const double e = x.data[at((plane * x.shape[2] + ih) * x.shape[3] + iw)];
            best = std::max(best, e), sum += e, ++inside;
          }
          if (p.count_include_pad) inside = double(w.kernel[0]) * w.kernel[1];
          y.data[at(i)] = max ? best : sum / inside;
        }
    return true;
  }

  bool run(const ir::Node& n, const ir::Binary& b, Exact& y) {
    const auto fetch = [&](size_t k, int64_t i) {
      const Exact& v = in(n, k);
      int64_t index = 0, step = 1, rest = i;
      for (size_t d = y.shape.size(), e = v.shape.size(); d-- > 0;) {
        const int64_t place = rest % y.shape[d];
        rest /= y.shape[d];
        if (e == 0) continue;
        --e;
        if (v.shape[e] != 1) index += place * step;
        step *= v.shape[e];
      }
      return v.data[at(index)];
    };
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const double p = fetch(0, i), q = fetch(1, i);
      using Op = ir::Binary::Op;
      double r = 0;
      if (b.op == Op::add)
        r = p + q;
      else if (b.op == Op::sub)
        r = p - q;
      else if (b.op == Op::mul)
        r = p * q;
      else if (b.op == Op::div)
        r = p / q;
      else
        return false;
      y.data[at(i)] = clamped(r, b.clamp);
    }
    return true;
  }

  bool run(const ir::Node& n, const ir::Unary& u, Exact& y) {
    const Exact& x = in(n, 0);
    for (size_t i = 0; i < y.data.size(); ++i) {
      const double v = x.data[i];
      if (u.op == ir::Unary::Op::clamp)
        y.data[i] = std::clamp(v, double{u.alpha}, double{u.beta});
      else if (u.op == ir::Unary::Op::sign)
        y.data[i] = (v > 0) - (v < 0);
      else if (u.op == ir::Unary::Op::neg)
        y.data[i] = -v;
      else if (u.op == ir::Unary::Op::leaky_relu)
        y.data[i] = v < 0 ? v * double{u.alpha} : v;
      else
        return false;
    }
    return true;
  }

  bool run(const ir::Node& n, const ir::BatchNorm& b, Exact& y) {
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const auto p = [&](size_t k) { return by_axis(in(n, k), y.shape, 1, i); };
      y.data[at(i)] = (in(n, 0).data[at(i)] - p(3)) / std::sqrt(p(4) + double{b.eps}) * p(1) + p(2);
    }
    return true;
  }

  bool run(const ir::Node& n, const ir::Affine& a, Exact& y) {
    const size_t axis =
        a.layout == ir::Layout::nchw || y.shape.size() == 2 ? 1 : y.shape.size() - 1;
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i)
      y.data[at(i)] = clamped(in(n, 0).data[at(i)] * by_axis(in(n, 1), y.shape, axis, i) +
                                  by_axis(in(n, 2), y.shape, axis, i),
                              a.clamp);
    return true;
  }

  bool run(const ir::Node& n, const ir::FakeQuantize& f, Exact& y) {
    const size_t axis = at(f.axis < 0 ? f.axis + static_cast<int64_t>(y.shape.size()) : f.axis);
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const double scale = by_axis(in(n, 1), y.shape, axis, i),
                   zero = by_axis(in(n, 2), y.shape, axis, i);
      const double x = in(n, 0).data[at(i)] / scale;
      const double q =
          f.zero_after ? round_by(f.rounding, x) + zero : round_by(f.rounding, x + zero);
      y.data[at(i)] = (std::clamp(q, double{f.low}, double{f.high}) - zero) * scale;
    }
    return true;
  }

  bool run(const ir::Node& n, const ir::Steps& s, Exact& y) {
    const Exact& t = in(n, 1);
    const size_t axis = at(s.axis < 0 ? s.axis + static_cast<int64_t>(y.shape.size()) : s.axis);
    int64_t inner = 1;
    for (size_t k = axis + 1; k < y.shape.size(); ++k) inner *= y.shape[k];
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const int64_t row = t.shape[0] == 1 ? 0 : i / inner % y.shape[axis];
      int64_t reached = 0;
      for (int64_t k = 0; k < t.shape[1]; ++k)
        reached += in(n, 0).data[at(i)] >= t.data[at(row * t.shape[1] + k)];
      y.data[at(i)] = double{s.bias} + double{s.scale} * static_cast<double>(reached);
    }
    return true;
  }

  bool run(const ir::Node& n, const ir::Reshape&, Exact& y) {
    y.data = in(n, 0).data;
    return true;
  }
  bool run(const ir::Node& n, const ir::Identity&, Exact& y) {
    y.data = in(n, 0).data;
    return true;
  }
  bool run(const ir::Node& n, const ir::Squeeze&, Exact& y) {
    y.data = in(n, 0).data;
    return true;
  }
  bool run(const ir::Node& n, const ir::Unsqueeze&, Exact& y) {
    y.data = in(n, 0).data;
    return true;
  }

  bool run(const ir::Node& n, const ir::Transpose& t, Exact& y) {
    const Exact& x = in(n, 0);
    const size_t rank = x.shape.size();
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      Shape place(rank);
      int64_t rest = i, from = 0;
      for (size_t d = rank; d-- > 0; rest /= y.shape[d]) place[at(t.perm[d])] = rest % y.shape[d];
      for (size_t d = 0; d < rank; ++d) from = from * x.shape[d] + place[d];
      y.data[at(i)] = x.data[at(from)];
    }
    return true;
  }

  template <class Other>
  bool run(const ir::Node&, const Other&, Exact&) {
    return false;
  }
};

}  // namespace

std::map<ir::ValueId, Exact> run_exactly(const ir::Graph& g, const std::vector<Exact>& inputs,
                                         std::string* unknown) {
  Run r{g, {}};
  for (size_t i = 0; i < inputs.size(); ++i) r.values[g.inputs[i]] = inputs[i];
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].constant >= 0)
      r.values[static_cast<ir::ValueId>(v)] =
          constant(g.values[v], g.constants[at(g.values[v].constant)]);
  for (const ir::Node& n : g.nodes) {
    if (n.out.empty()) continue;
    const bool known =
        std::all_of(n.in.begin(), n.in.end(), [&](ir::ValueId v) { return r.values.count(v) > 0; });
    Exact y{r.out_shape(n), Doubles(at(count(r.out_shape(n))))};
    if (known && std::visit([&](const auto& attr) { return r.run(n, attr, y); }, n.attr)) {
      r.values[n.out[0]] = std::move(y);
    } else if (unknown->empty()) {
      *unknown = n.name + " (" + ir::name_of(n.attr) + ")";
    }
  }
  return std::move(r.values);
}

}  // namespace qrt::testing

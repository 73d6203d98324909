#include "tests/support/exact_interpreter.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "converter/ir/edit.h"
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

// y = conv(x, w), plane by plane.
void convolve(const ir::Conv2d& c, const Exact& x, const Exact& w, Exact& y) {
  const int64_t channels = w.shape[1], each = w.shape[0] / c.groups;
  const auto& [kernel, stride, dilation, pad] = c.window;
  const int64_t taps = int64_t{kernel[0]} * kernel[1], height = x.shape[2], width = x.shape[3];
  std::fill(y.data.begin(), y.data.end(), 0.0);
  for (int64_t plane = 0; plane < y.shape[0] * y.shape[1]; ++plane) {
    const int64_t b = plane / y.shape[1], o = plane % y.shape[1];
    double* to = &y.data[at(plane * y.shape[2] * y.shape[3])];
    for (int64_t k = 0; k < channels * taps; ++k) {
      const int64_t from = b * x.shape[1] + o / each * channels + k / taps;
      const int64_t up = k % taps / kernel[1] * dilation[0] - pad[0];
      const int64_t left = k % kernel[1] * dilation[1] - pad[1];
      const double weight = w.data[at(o * channels * taps + k)];
      for (int64_t h = 0; h < y.shape[2]; ++h) {
        const int64_t ih = h * stride[0] + up;
        if (ih < 0 || ih >= height) continue;
        const double* line = &x.data[at((from * height + ih) * width)];
        for (int64_t v = 0; v < y.shape[3]; ++v) {
          const int64_t iw = v * stride[1] + left;
          if (iw >= 0 && iw < width) to[h * y.shape[3] + v] += line[iw] * weight;
        }
      }
    }
  }
}

void multiply(const Exact& x, const Exact& w, Exact& y) {
  const int64_t outputs = w.shape[0], inputs = w.shape[1];
  for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
    double sum = 0;
    for (int64_t k = 0; k < inputs; ++k)
      sum += x.data[at(i / outputs * inputs + k)] * w.data[at(i % outputs * inputs + k)];
    y.data[at(i)] = sum;
  }
}

// A layer whose operands both lie on grids, as the integers there. A sum of them times unit[output]
// is what it stands for.
struct Whole {
  Exact x, w;
  std::vector<double> unit;
  std::vector<float> unit32;  // the same product in f32
};

// Sums of integers, their bias included, in front of a quantizer.
struct Sums {
  Exact sums;
  std::vector<float> unit;
  size_t axis;
};

// What a quantizer of a sum or an average of levels sees: levels[i] times factors[i].
struct Terms {
  std::vector<Doubles> levels;
  std::vector<float> factors;
};

struct Run {
  const ir::Graph& g;
  std::map<ir::ValueId, Exact> values;
  std::map<ir::ValueId, float> grids;  // values that are whole multiples of a scale
  std::map<ir::ValueId, Sums> sums;
  std::map<ir::ValueId, Terms> terms;

  const Exact& in(const ir::Node& n, size_t k) { return values.at(n.in[k]); }
  Shape out_shape(const ir::Node& n) { return g.values[at(n.out[0])].shape; }

  Doubles levels_of(ir::ValueId v) const {
    Doubles r = values.at(v).data;
    for (double& d : r) d = std::nearbyint(d / double{grids.at(v)});
    return r;
  }

  std::optional<Whole> integers(const ir::Node& n) const {
    const ir::Constant* c = ir::constant_of(g, n.in[1]);
    const auto grid = grids.find(n.in[0]);
    if (grid == grids.end() || c == nullptr || c->encoding == nullptr) return {};
    const quant::Encoding& e = *c->encoding;
    if (!quant::is_integer(e) || quant::group_scales(e) != nullptr) return {};
    const Shape& shape = g.values[at(n.in[1])].shape;
    const auto w = quant::integers_of(e, shape[0], count(shape) / shape[0]);
    Whole r{{values.at(n.in[0]).shape, levels_of(n.in[0])}, {shape, {w.begin(), w.end()}}, {}, {}};
    for (int64_t o = 0; o < shape[0]; ++o) {
      r.unit.push_back(double{grid->second} * double{quant::weight_scale(e, o)});
      r.unit32.push_back(grid->second * quant::weight_scale(e, o));
    }
    return r;
  }

  // From integers to what they stand for. Where nothing but a bias of integers is beside them, they
  // are kept for a quantizer.
  template <class Layer>
  void scale_sums(const ir::Node& n, const Layer& layer, const Whole& w, size_t axis, Exact& y) {
    int64_t inner = 1;
    for (size_t k = axis + 1; k < y.shape.size(); ++k) inner *= y.shape[k];
    const auto output = [&](size_t i) { return i / at(inner) % w.unit.size(); };
    Sums s{y, w.unit32, axis};
    bool kept = !layer.scale && !layer.residual && layer.clamp == ir::kNoClamp;
    for (size_t i = 0; kept && layer.bias && i < y.data.size(); ++i) {
      const Doubles& b = in(n, 2).data;
      const double bias = b[b.size() == 1 ? 0 : output(i)] / w.unit[output(i)];
      kept = std::fabs(bias - std::nearbyint(bias)) <= 1e-6 * std::fabs(bias);
      s.sums.data[i] += std::nearbyint(bias);
    }
    if (kept) sums[n.out[0]] = std::move(s);
    for (size_t i = 0; i < y.data.size(); ++i) y.data[i] *= w.unit[output(i)];
  }

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
    const auto whole = integers(n);
    convolve(c, whole ? whole->x : in(n, 0), whole ? whole->w : in(n, 1), y);
    if (whole) scale_sums(n, c, *whole, 1, y);
    finish(n, c, 1, y);
    return true;
  }

  bool run(const ir::Node& n, const ir::Linear& l, Exact& y) {
    const auto whole = integers(n);
    multiply(whole ? whole->x : in(n, 0), whole ? whole->w : in(n, 1), y);
    if (whole) scale_sums(n, l, *whole, y.shape.size() - 1, y);
    finish(n, l, y.shape.size() - 1, y);
    return true;
  }

  bool run(const ir::Node& n, const ir::Pool2d& p, Exact& y) {
    const Exact& x = in(n, 0);
    if (p.layout != ir::Layout::nchw || p.mode == ir::Pool2d::Mode::lp || x.shape.size() != 4)
      return false;
    if (p.global && p.mode == ir::Pool2d::Mode::average && grids.count(n.in[0]))
      average_levels(n, x.shape[2] * x.shape[3]);
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

  void average_levels(const ir::Node& n, int64_t pixels) {
    const Doubles levels = levels_of(n.in[0]);
    Doubles planes(levels.size() / at(pixels));
    for (size_t i = 0; i < levels.size(); ++i) planes[i / at(pixels)] += levels[i];
    terms[n.out[0]] = {{std::move(planes)}, {grids.at(n.in[0]) / static_cast<float>(pixels)}};
  }

  bool run(const ir::Node& n, const ir::Binary& b, Exact& y) {
    if (b.op == ir::Binary::Op::add && b.clamp == ir::kNoClamp && grids.count(n.in[0]) &&
        grids.count(n.in[1]) && in(n, 0).shape == in(n, 1).shape)
      terms[n.out[0]] = {{levels_of(n.in[0]), levels_of(n.in[1])},
                         {grids.at(n.in[0]), grids.at(n.in[1])}};
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

  // Element i of the quantizer's input in steps of its scale. As QLinear operators and pairs of
  // QuantizeLinear and DequantizeLinear have it, in f32 and in the order of schema/README.md: a sum
  // of integers is rounded once and meets one factor.
  double steps_of(const ir::Node& n, const ir::FakeQuantize& f, int64_t i, double scale) {
    const auto sum = sums.find(n.in[0]);
    const auto term = terms.find(n.in[0]);
    if (!f.zero_after || (sum == sums.end() && term == terms.end()))
      return in(n, 0).data[at(i)] / scale;
    const auto to = static_cast<float>(scale);
    if (sum != sums.end()) {
      const auto& [s, unit, axis] = sum->second;
      int64_t inner = 1;
      for (size_t k = axis + 1; k < s.shape.size(); ++k) inner *= s.shape[k];
      return double{static_cast<float>(s.data[at(i)]) * (unit[at(i / inner) % unit.size()] / to)};
    }
    float t = 0;
    for (size_t k = 0; k < term->second.levels.size(); ++k) {
      const float part = static_cast<float>(term->second.levels[k][at(i)]) *
                         (term->second.factors[k] * (1.0f / to));
      t = k == 0 ? part : t + part;
    }
    return double{t};
  }

  bool run(const ir::Node& n, const ir::FakeQuantize& f, Exact& y) {
    const size_t axis = at(f.axis < 0 ? f.axis + static_cast<int64_t>(y.shape.size()) : f.axis);
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const double scale = by_axis(in(n, 1), y.shape, axis, i),
                   zero = by_axis(in(n, 2), y.shape, axis, i);
      const double x = steps_of(n, f, i, scale);
      const double q =
          f.zero_after ? round_by(f.rounding, x) + zero : round_by(f.rounding, x + zero);
      y.data[at(i)] = (std::clamp(q, double{f.low}, double{f.high}) - zero) * scale;
    }
    const double zero = in(n, 2).data[0];
    if (in(n, 1).data.size() == 1 && in(n, 2).data.size() == 1 && zero == std::floor(zero))
      grids[n.out[0]] = static_cast<float>(in(n, 1).data[0]);
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
    if (std::fmod(2 * s.bias, s.scale) == 0) grids[n.out[0]] = s.scale / 2;
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

  // The elements along an axis: calls line(first, step) for each line.
  template <class Line>
  static void lines(const Shape& shape, int32_t axis, const Line& line) {
    const size_t k = at(axis < 0 ? axis + static_cast<int32_t>(shape.size()) : axis);
    int64_t inner = 1;
    for (size_t d = k + 1; d < shape.size(); ++d) inner *= shape[d];
    for (int64_t i = 0; i < count(shape) / shape[k]; ++i)
      line(i / inner * inner * shape[k] + i % inner, inner);
  }

  bool run(const ir::Node& n, const ir::Softmax& s, Exact& y) {
    const Exact& x = in(n, 0);
    const int64_t size =
        x.shape[at(s.axis < 0 ? s.axis + static_cast<int32_t>(x.shape.size()) : s.axis)];
    lines(x.shape, s.axis, [&](int64_t first, int64_t step) {
      double most = -INFINITY, sum = 0;
      for (int64_t k = 0; k < size; ++k) most = std::max(most, x.data[at(first + k * step)]);
      for (int64_t k = 0; k < size; ++k) sum += std::exp(x.data[at(first + k * step)] - most);
      for (int64_t k = 0; k < size; ++k) {
        const double v = x.data[at(first + k * step)] - most;
        y.data[at(first + k * step)] = s.log ? v - std::log(sum) : std::exp(v) / sum;
      }
    });
    return true;
  }

  // Of equal elements the first comes first.
  bool run(const ir::Node& n, const ir::TopK& t, Exact& y) {
    const Exact& x = in(n, 0);
    const int32_t axis = t.axis < 0 ? t.axis + static_cast<int32_t>(x.shape.size()) : t.axis;
    std::vector<int64_t> starts;
    lines(y.shape, axis, [&](int64_t first, int64_t) { starts.push_back(first); });
    size_t next = 0;
    lines(x.shape, axis, [&](int64_t first, int64_t step) {
      std::vector<int64_t> order(at(x.shape[at(axis)]));
      std::iota(order.begin(), order.end(), int64_t{0});
      const auto value = [&](int64_t k) { return x.data[at(first + k * step)]; };
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return t.smallest ? value(a) < value(b) : value(a) > value(b);
      });
      for (int64_t k = 0; k < t.k; ++k)
        y.data[at(starts[next] + k * step)] =
            t.indices ? static_cast<double>(order[at(k)]) : value(order[at(k)]);
      ++next;
    });
    return true;
  }

  // The mean over the last axes, as exporters average images.
  bool run(const ir::Node& n, const ir::Reduce& r, Exact& y) {
    const Exact& x = in(n, 0);
    if (r.mode != ir::Reduce::Mode::mean) return false;
    const std::vector<bool> gone = ir::axis_set(r.axes, x.shape.size());
    if (!std::is_sorted(gone.begin(), gone.end())) return false;
    const size_t each = x.data.size() / y.data.size();
    for (size_t i = 0; i < x.data.size(); ++i) y.data[i / each] += x.data[i];
    for (double& v : y.data) v /= static_cast<double>(each);
    return true;
  }

  template <class Other>
  bool run(const ir::Node&, const Other&, Exact&) {
    return false;
  }
};

}  // namespace

bool keeps_levels(const ir::Attr& attr) {
  const auto* pool = std::get_if<ir::Pool2d>(&attr);
  return ir::moves(attr) || std::holds_alternative<ir::Identity>(attr) ||
         std::holds_alternative<ir::Squeeze>(attr) || std::holds_alternative<ir::Unsqueeze>(attr) ||
         (pool != nullptr && pool->mode == ir::Pool2d::Mode::max);
}

std::map<ir::ValueId, Exact> run_exactly(const ir::Graph& g, const std::vector<Exact>& inputs,
                                         std::string* unknown) {
  Run r{g, {}, {}, {}, {}};
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
      if (n.in.size() == 1 && keeps_levels(n.attr) && r.grids.count(n.in[0]))
        r.grids[n.out[0]] = r.grids[n.in[0]];
    } else if (unknown->empty()) {
      *unknown = n.name + " (" + ir::name_of(n.attr) + ")";
    }
  }
  return std::move(r.values);
}

}  // namespace qrt::testing

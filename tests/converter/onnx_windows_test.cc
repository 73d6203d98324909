// Convolutions, transposed convolutions and pools of one to three dimensions, read
// from ONNX and taken through all passes, against their definition in plain loops
// over any number of axes.
#include <doctest/doctest.h>

#include <limits>
#include <random>

#include "converter/ir/edit.h"
#include "tests/support/onnx_run.h"

namespace qrt {
namespace {

using test::Floats;
using test::one;
using test::OnnxBuilder;
using test::run;
using test::set;
using Ints = std::vector<int64_t>;

// One window over some axes. Pads: all before, then all after, as ONNX has them.
struct Window {
  Ints kernel, stride, dilation, pads;
  Ints adjust = Ints(kernel.size(), 0);

  int64_t span(size_t k) const { return (kernel[k] - 1) * dilation[k] + 1; }
};

// Calls visit(position) for every position of a box, the last axis fastest.
template <class F>
void each(const Ints& dims, F&& visit) {
  Ints at(dims.size(), 0);
  for (int64_t left = ir::element_count(dims); left > 0; --left) {
    visit(at);
    for (size_t k = dims.size(); k-- > 0;) {
      if (++at[k] < dims[k]) break;
      at[k] = 0;
    }
  }
}

int64_t offset(const Ints& dims, const Ints& at) {
  int64_t r = 0;
  for (size_t k = 0; k < dims.size(); ++k) r = r * dims[k] + at[k];
  return r;
}

Ints spatial(const Ints& shape) {
  return {shape.begin() + 2, shape.end()};
}

Ints joined(int64_t n, int64_t c, const Ints& rest) {
  Ints r = {n, c};
  r.insert(r.end(), rest.begin(), rest.end());
  return r;
}

// The place a tap reads or writes: at * stride + tap * dilation - pad, or false outside of `dims`.
bool reach(const Window& w, const Ints& at, const Ints& tap, const Ints& dims, Ints* place) {
  place->resize(dims.size());
  for (size_t k = 0; k < dims.size(); ++k) {
    (*place)[k] = at[k] * w.stride[k] + tap[k] * w.dilation[k] - w.pads[k];
    if ((*place)[k] < 0 || (*place)[k] >= dims[k]) return false;
  }
  return true;
}

struct Case {
  Window window;
  Ints in;  // N, C, ...
  int64_t outputs = 1, groups = 1;
};

Ints conv_size(const Case& c) {
  Ints r = spatial(c.in);
  for (size_t k = 0; k < r.size(); ++k) {
    const int64_t pads = c.window.pads[k] + c.window.pads[k + r.size()];
    r[k] = (r[k] + pads - c.window.span(k)) / c.window.stride[k] + 1;
  }
  return r;
}

Ints transposed_size(const Case& c) {
  Ints r = spatial(c.in);
  for (size_t k = 0; k < r.size(); ++k) {
    const int64_t pads = c.window.pads[k] + c.window.pads[k + r.size()];
    r[k] = (r[k] - 1) * c.window.stride[k] + c.window.span(k) + c.window.adjust[k] - pads;
  }
  return r;
}

// weight [O, C/groups, taps].
std::vector<double> convolved(const Case& c, const Floats& x, const Floats& w, const Floats& bias) {
  const Ints in = spatial(c.in), out = conv_size(c);
  const int64_t channels = c.in[1] / c.groups, outputs = c.outputs / c.groups;
  const Ints shape = joined(c.in[0], c.outputs, out);
  std::vector<double> y(static_cast<size_t>(ir::element_count(shape)));
  Ints place;
  each(shape, [&](const Ints& at) {
    double sum = bias[at[1]];
    for (int64_t i = 0; i < channels; ++i) {
      each(c.window.kernel, [&](const Ints& tap) {
        if (!reach(c.window, spatial(at), tap, in, &place)) return;
        const int64_t channel = at[1] / outputs * channels + i;
        sum += double{x[offset(c.in, joined(at[0], channel, place))]} *
               w[offset(joined(c.outputs, channels, c.window.kernel), joined(at[1], i, tap))];
      });
    }
    y[offset(shape, at)] = sum;
  });
  return y;
}

// weight [C, O/groups, taps].
std::vector<double> transposed(const Case& c, const Floats& x, const Floats& w,
                               const Floats& bias) {
  const Ints out = transposed_size(c);
  const int64_t channels = c.in[1] / c.groups, outputs = c.outputs / c.groups;
  const Ints shape = joined(c.in[0], c.outputs, out);
  std::vector<double> y(static_cast<size_t>(ir::element_count(shape)));
  each(shape, [&](const Ints& at) { y[offset(shape, at)] = bias[at[1]]; });
  Ints place;
  each(c.in, [&](const Ints& at) {
    for (int64_t o = 0; o < outputs; ++o) {
      each(c.window.kernel, [&](const Ints& tap) {
        if (!reach(c.window, spatial(at), tap, out, &place)) return;
        const int64_t output = at[1] / channels * outputs + o;
        y[offset(shape, joined(at[0], output, place))] +=
            double{x[offset(c.in, at)]} *
            w[offset(joined(c.in[1], outputs, c.window.kernel), joined(at[1], o, tap))];
      });
    }
  });
  return y;
}

std::vector<double> pooled(const Case& c, const Floats& x, const std::string& op, bool count_pad,
                           double power) {
  const Ints in = spatial(c.in), out = conv_size(c);
  const Ints shape = joined(c.in[0], c.in[1], out);
  std::vector<double> y(static_cast<size_t>(ir::element_count(shape)));
  Ints place;
  each(shape, [&](const Ints& at) {
    double best = -std::numeric_limits<double>::infinity(), sum = 0, norm = 0, count = 0;
    each(c.window.kernel, [&](const Ints& tap) {
      const bool inside = reach(c.window, spatial(at), tap, in, &place);
      count += inside || count_pad;
      if (!inside) return;
      const double v = x[offset(c.in, joined(at[0], at[1], place))];
      best = std::max(best, v);
      sum += v;
      norm += std::pow(std::fabs(v), power);
    });
    y[offset(shape, at)] = op == "MaxPool"       ? best
                           : op == "AveragePool" ? sum / count
                                                 : std::pow(norm, 1 / power);
  });
  return y;
}

Floats random_floats(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> draw(-1, 1);
  Floats out(static_cast<size_t>(count));
  for (float& value : out) value = draw(random);
  return out;
}

void check_close(const Floats& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-5).scale(1));
  }
}

void set_window(onnx::NodeProto& n, const Window& w) {
  set(n, "kernel_shape", w.kernel);
  set(n, "strides", w.stride);
  set(n, "pads", w.pads);
}

// A window of `axes` axes that fits inputs of 5 and more.
Case random_case(size_t axes, unsigned seed, bool with_dilation = true) {
  std::mt19937 bits(seed);
  const auto draw = [&](int64_t from, int64_t to) {
    return from + static_cast<int64_t>((bits() >> 8) % static_cast<uint32_t>(to - from + 1));
  };
  Case c;
  c.groups = draw(1, 2);
  c.outputs = c.groups * draw(1, 3);
  c.in = {draw(1, 2), c.groups * draw(1, 2)};
  Window& w = c.window;
  for (size_t k = 0; k < axes; ++k) {
    c.in.push_back(draw(5, 7));
    w.kernel.push_back(draw(1, 3));
    w.stride.push_back(draw(1, 3));
    w.dilation.push_back(with_dilation ? draw(1, 2) : 1);
    w.adjust.push_back(draw(0, w.stride.back() - 1));
  }
  for (size_t side = 0; side < 2; ++side) {
    for (size_t k = 0; k < axes; ++k) w.pads.push_back(draw(0, w.kernel[k] - 1));
  }
  return c;
}

OnnxBuilder layer_of(const char* op, const Case& c, const Ints& weight_shape, const Floats& w,
                     const Floats& bias) {
  auto builder = one(op, c.in,
                     [&](auto& n) {
                       set_window(n, c.window);
                       set(n, "dilations", c.window.dilation);
                       set(n, "group", c.groups);
                       if (n.op_type() == "ConvTranspose") {
                         set(n, "output_padding", c.window.adjust);
                       }
                     },
                     11, {"w", "b"});
  builder.floats("w", weight_shape, w);
  builder.floats("b", {c.outputs}, bias);
  return builder;
}

Floats run_all(const OnnxBuilder& builder, const Ints& shape, const Floats& x) {
  return test::run_through_passes(builder, {{ir::ElementType::f32, shape, x, {}}});
}

TEST_CASE("convolutions of one to three axes") {
  for (size_t axes = 1; axes <= 3; ++axes) {
    for (unsigned seed = 0; seed < 8; ++seed) {
      CAPTURE(axes);
      CAPTURE(seed);
      const Case c = random_case(axes, 100 * static_cast<unsigned>(axes) + seed);
      const Ints shape = joined(c.outputs, c.in[1] / c.groups, c.window.kernel);
      const Floats x = random_floats(ir::element_count(c.in), seed + 1);
      const Floats w = random_floats(ir::element_count(shape), seed + 2);
      const Floats b = random_floats(c.outputs, seed + 3);
      check_close(run_all(layer_of("Conv", c, shape, w, b), c.in, x), convolved(c, x, w, b));
    }
  }
}

TEST_CASE("transposed convolutions of one to three axes") {
  for (size_t axes = 1; axes <= 3; ++axes) {
    for (unsigned seed = 0; seed < 8; ++seed) {
      CAPTURE(axes);
      CAPTURE(seed);
      const Case c = random_case(axes, 200 * static_cast<unsigned>(axes) + seed);
      const Ints shape = joined(c.in[1], c.outputs / c.groups, c.window.kernel);
      const Floats x = random_floats(ir::element_count(c.in), seed + 1);
      const Floats w = random_floats(ir::element_count(shape), seed + 2);
      const Floats b = random_floats(c.outputs, seed + 3);
      check_close(run_all(layer_of("ConvTranspose", c, shape, w, b), c.in, x),
                  transposed(c, x, w, b));
    }
  }
}

TEST_CASE("pools of one to three axes") {
  for (const char* op : {"MaxPool", "AveragePool", "LpPool"}) {
    for (size_t axes = 1; axes <= 3; ++axes) {
      for (unsigned seed = 0; seed < 6; ++seed) {
        CAPTURE(op);
        CAPTURE(axes);
        CAPTURE(seed);
        const bool is_max = std::string(op) == "MaxPool", is_lp = std::string(op) == "LpPool";
        const Case c = random_case(axes, 300 * static_cast<unsigned>(axes) + seed, is_max);
        const bool count_pad = std::string(op) == "AveragePool" && seed % 2 == 0;
        const int64_t power = 1 + seed % 3;
        const auto builder = one(
            op, c.in,
            [&](auto& n) {
              set_window(n, c.window);
              if (is_max) set(n, "dilations", c.window.dilation);
              if (is_lp) set(n, "p", power);
              if (count_pad) set(n, "count_include_pad", 1);
            },
            11);
        const Floats x = random_floats(ir::element_count(c.in), seed + 1);
        check_close(run_all(builder, c.in, x),
                    pooled(c, x, op, count_pad, static_cast<double>(power)));
      }
    }
  }
}

TEST_CASE("global pools of any rank, and of a norm") {
  const Floats x = {1, -2, 3, -4, 5, -6, 7, -8};
  for (const Ints& shape : {Ints{1, 1, 8}, Ints{1, 1, 2, 4}, Ints{1, 1, 2, 2, 2}}) {
    CHECK(run_all(one("GlobalMaxPool", shape), shape, x) == Floats{7});
    CHECK(run_all(one("GlobalAveragePool", shape), shape, x) == Floats{-0.5f});
    const auto norm = one("GlobalLpPool", shape, [](auto& n) { set(n, "p", 1); });
    CHECK(run_all(norm, shape, x) == Floats{36});
  }
}

TEST_CASE("a batch that stays free passes through volumes") {
  const Case c = random_case(3, 7);
  const Ints conv = joined(c.outputs, c.in[1] / c.groups, c.window.kernel);
  const Floats b = random_floats(c.outputs, 5), w = random_floats(ir::element_count(conv), 6);
  Case two = c;
  two.in[0] = 2;
  auto builder = layer_of("Conv", c, conv, w, b);
  builder.graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_param("batch");
  const Floats x = random_floats(ir::element_count(two.in), 8);
  check_close(run_all(builder, two.in, x), convolved(two, x, w, b));
}

TEST_CASE("ConvTranspose: the output's size decides the padding") {
  // Input 1, weights 1 2 3 4 at stride 1: uncut, the output is 1 2 3 4.
  const auto sized = [](const std::string& mode, const Ints& size, int64_t stride) {
    auto builder = one("ConvTranspose", {1, 1, 1},
                       [&](auto& n) {
                         set(n, "auto_pad", mode.c_str());
                         set(n, "strides", Ints{stride});
                         if (!size.empty()) set(n, "output_shape", size);
                       },
                       13, {"w"});
    builder.floats("w", {1, 1, 4}, {1, 2, 3, 4});
    return run(builder, {1, 1, 1}, {1});
  };
  CHECK(sized("NOTSET", {}, 1) == Floats{1, 2, 3, 4});
  CHECK(sized("VALID", {}, 1) == Floats{1, 2, 3, 4});
  CHECK(sized("NOTSET", {2}, 1) == Floats{2, 3});
  CHECK(sized("NOTSET", {1, 1, 2}, 1) == Floats{2, 3});
  CHECK(sized("NOTSET", {3}, 1) == Floats{2, 3, 4});      // the larger half in front
  CHECK(sized("SAME_UPPER", {3}, 1) == Floats{1, 2, 3});  // behind
  CHECK(sized("SAME_LOWER", {}, 1) == Floats{3});         // 3 to cut: 2 and 1
  CHECK(sized("SAME_UPPER", {}, 1) == Floats{2});
  CHECK(sized("NOTSET", {6}, 1) == Floats{1, 2, 3, 4, 0, 0});  // more than the windows reach
  CHECK(sized("SAME_UPPER", {}, 6) == Floats{1, 2, 3, 4, 0, 0});
}

TEST_CASE("pools: padding wider than the window, and windows that meet none of the input") {
  const auto pool = [](const char* op, const Ints& pads, int64_t kernel, int64_t dilation,
                       bool count) {
    return one(op, {1, 1, 2}, [&](auto& n) {
      set(n, "kernel_shape", Ints{kernel});
      set(n, "pads", pads);
      if (std::string(op) == "MaxPool") set(n, "dilations", Ints{dilation});
      if (count) set(n, "count_include_pad", 1);
    });
  };
  CHECK(run(pool("AveragePool", {2, 1}, 2, 1, true), {1, 1, 2}, {2, 4}) == Floats{0, 1, 3, 2});
  CHECK(run(pool("LpPool", {2, 1}, 2, 1, false), {1, 1, 2}, {3, 4}) == Floats{0, 3, 5, 4});
  CHECK(test::refusal(pool("MaxPool", {2, 0}, 2, 1, false)) == 553);
  CHECK(test::refusal(pool("AveragePool", {2, 0}, 2, 1, false)) == 553);
  // Taps two apart around an input of one: neither meets it.
  const auto straddling = one("MaxPool", {1, 1, 1}, [](auto& n) {
    set(n, "kernel_shape", Ints{2});
    set(n, "dilations", Ints{2});
    set(n, "pads", Ints{1, 1});
  });
  CHECK(run(straddling, {1, 1, 1}, {5}) == Floats{-std::numeric_limits<float>::infinity()});
}

TEST_CASE("the maximum of bytes is a byte") {
  for (const bool is_signed : {false, true}) {
    OnnxBuilder builder(12);
    builder.input("x", {1, 1, 4}, is_signed ? onnx::TensorProto::INT8 : onnx::TensorProto::UINT8);
    set(builder.node("MaxPool", {"x"}, "y"), "kernel_shape", Ints{2});
    builder.output("y");
    const eval::Tensor x{is_signed ? ir::ElementType::i8 : ir::ElementType::u8,
                         {1, 1, 4},
                         {},
                         is_signed ? Ints{-128, -7, -9, 127} : Ints{0, 255, 3, 2}};
    const auto y = eval::evaluate(test::folded(builder), {&x, 1});
    REQUIRE_MESSAGE(y.ok(), y.error().message);
    CHECK((*y)[0].type == x.type);
    CHECK((*y)[0].ints == (is_signed ? Ints{-7, -7, 127} : Ints{255, 255, 3}));
  }
}

TEST_CASE("windows are refused with a reason") {
  const auto layer = [](const char* op, const Ints& dims, const Ints& weight,
                        const test::Attributes& attributes) {
    auto builder = one(op, dims, attributes, 13, {"w"});
    builder.floats("w", weight, Floats(static_cast<size_t>(ir::element_count(weight)), 1.0f));
    return test::refusal(builder);
  };
  CHECK(layer("Conv", {1, 1, 4}, {1, 1, 3}, {}) == 0);
  CHECK(layer("Conv", {1, 1}, {1, 1}, {}) == 514);
  CHECK(layer("Conv", {1, 1, 2, 2, 2, 2}, {1, 1, 1, 1, 1, 1}, {}) == 514);
  CHECK(layer("Conv", {1, 1, 4}, {1, 1, 3, 3}, {}) == 506);
  CHECK(layer("Conv", {1, 1, 4, 4, 4}, {1, 1, 3, 3, 3}, [](auto& n) {
          set(n, "kernel_shape", Ints{2, 3, 3});
        }) == 505);
  CHECK(layer("ConvTranspose", {1, 3, 4}, {3, 1, 2}, [](auto& n) { set(n, "group", 2); }) == 506);
  CHECK(layer("ConvTranspose", {1, 3, 4}, {2, 1, 2}, {}) == 550);
  CHECK(layer("ConvTranspose", {1, 1, 4}, {1, 1, 2},
              [](auto& n) { set(n, "kernel_shape", Ints{3}); }) == 505);
  CHECK(layer("ConvTranspose", {1, 1, 1}, {1, 1, 2}, [](auto& n) {
          set(n, "pads", Ints{1, 1});
        }) == 553);
  CHECK(layer("ConvTranspose", {1, 1, 1}, {1, 1, 2}, [](auto& n) {
          set(n, "output_shape", Ints{1, 2});
        }) == 505);
  CHECK(layer("ConvTranspose", {1, 1, 1}, {1, 1, 2},
              [](auto& n) { set(n, "auto_pad", "SOMETIMES"); }) == 505);
  CHECK(test::refusal(one("LpPool", {1, 1, 4}, [](auto& n) {
          set(n, "kernel_shape", Ints{2});
          set(n, "p", 0);
        })) == 505);
}

}  // namespace
}  // namespace qrt

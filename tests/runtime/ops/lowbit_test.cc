// conv2d and linear on weights of few bits with f32 activations, against what the weights mean:
// every encoding, every instruction set, windows that hurt, and the same bits for any number of
// threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/codebook/codebook.h"
#include "runtime/ops/decode_weights.h"
#include "tests/runtime/ops/lowbit_weights.h"
#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

struct Layer {
  LowbitWeights w;
  Conv2dAttr conv{};
  LinearAttr linear{};
  std::vector<float> scale, bias;
  Node node;
  std::vector<HostTensor> in;
  HostTensor out;
  std::vector<double> want;
  double magnitude = 1;
};

// Sums so far become y = clamp(scale * sum + bias + residual).
void add_epilogue(Epilogue* e, Layer* l) {
  const uint32_t outputs = l->w.weights.outputs;
  l->scale = random_floats(outputs, 2), l->bias = random_floats(outputs, 3);
  e->scale = constant_of(l->scale), e->bias = constant_of(l->bias);
  e->residual = true, e->clamp = {Activation::clamp, -0.75f, 6};
  l->in.push_back(random_tensor(l->out.shape, 5));
  for (size_t i = 0; i < l->want.size(); ++i) {
    const size_t n = i % outputs;
    const double y = l->want[i] * double{l->scale[n]} + double{l->bias[n]} + double{l->in[1][i]};
    l->want[i] = std::min(6.0, std::max(-0.75, y));
  }
}

struct ConvCase {
  int batch, height, width, channels, outputs;
  Window window;
  uint32_t groups = 1;
};

void make_conv(const ConvCase& c, const LowbitSpec& spec, Layer* l) {
  const Window& w = c.window;
  const int taps = static_cast<int>(w.kernel_h * w.kernel_w);
  const int per_group = c.channels / static_cast<int>(c.groups);
  const int group_outputs = c.outputs / static_cast<int>(c.groups);
  const size_t inputs = static_cast<size_t>(per_group * taps);
  make_lowbit(spec, static_cast<uint32_t>(c.outputs), static_cast<uint32_t>(inputs), &l->w);
  l->out.shape = shape(
      {c.batch, out_extent(c.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
       out_extent(c.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right),
       c.outputs});
  l->in.push_back(random_tensor(shape({c.batch, c.height, c.width, c.channels}), 4));
  l->want.assign(l->out.count(), 0);
  std::vector<double> magnitude(l->out.count());
  for_taps(
      l->in[0].shape, l->out.shape, w, [&](int n, int y, int x, int iy, int ix, int ky, int kx) {
        const int tap = ky * static_cast<int>(w.kernel_w) + kx;
        for (int o = 0; o < c.outputs; ++o)
          for (int i = 0; i < per_group; ++i) {
            const int k =
                spec.order == InputOrder::kh_kw_cin ? tap * per_group + i : i * taps + tap;
            const int channel = o / group_outputs * per_group + i;
            const double product = l->w.values[size_t(o) * inputs + size_t(k)] *
                                   double{l->in[0][offset4(l->in[0].shape, n, iy, ix, channel)]};
            const size_t at = offset4(l->out.shape, n, y, x, o);
            l->want[at] += product, magnitude[at] += std::fabs(product);
          }
      });
  for (double m : magnitude) l->magnitude = std::max(l->magnitude, m);
  l->conv = {&l->w.weights, w, c.groups, {}};
  add_epilogue(&l->conv.epilogue, l);
  l->node.name = "conv", l->node.kind = OpKind::conv2d, l->node.conv2d = &l->conv;
}

void make_linear(int rows, int inputs, int outputs, const LowbitSpec& spec, Layer* l) {
  make_lowbit(spec, static_cast<uint32_t>(outputs), static_cast<uint32_t>(inputs), &l->w);
  l->w.weights.order = InputOrder::linear;
  l->in.push_back(random_tensor(shape({rows, inputs}), 4));
  l->out.shape = shape({rows, outputs});
  for (size_t at = 0; at < l->out.count(); ++at) {
    const size_t k0 = at % size_t(outputs) * size_t(inputs);
    double sum = 0, magnitude = 0;
    for (size_t k = 0; k < size_t(inputs); ++k) {
      const double product =
          l->w.values[k0 + k] * double{l->in[0][at / size_t(outputs) * size_t(inputs) + k]};
      sum += product, magnitude += std::fabs(product);
    }
    l->want.push_back(sum), l->magnitude = std::max(l->magnitude, magnitude);
  }
  l->linear = {&l->w.weights, {}};
  add_epilogue(&l->linear.epilogue, l);
  l->node.name = "linear", l->node.kind = OpKind::linear, l->node.linear = &l->linear;
}

// On every instruction set, in both modes. Bound: terms * 2^-24 * sum of |products|, twice for
// weights that are rounded themselves; a table's offset is among the terms of the weights.
void check(const Layer& l, bool many_threads = false) {
  const double bound = 4 * (l.w.weights.inputs + 16) * 0x1p-24 * (l.magnitude + 4);
  for (const auto& row : kernels::codebook::kKits) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    CAPTURE(std::string(row.name));
    for (const Mode mode : {Mode::compressed, Mode::dense}) {
      CAPTURE(static_cast<int>(mode));
      std::vector<unsigned char> one_thread;
      for (const uint32_t threads : {1u, 2u, 3u, 8u}) {
        if (threads > 1 && (!many_threads || mode == Mode::dense)) continue;
        OpRun run;
        run.isa = row.isa, run.mode = mode, run.threads = threads, run.repeats = threads;
        HostTensor out = l.out;
        const Status s = run(l.node, l.in, &out);
        REQUIRE_MESSAGE(s.ok(), s.what());
        double worst = 0;
        for (size_t i = 0; i < l.want.size(); ++i)
          worst = std::isfinite(out[i]) ? std::max(worst, std::fabs(double{out[i]} - l.want[i]))
                                        : double{kInf};
        CHECK(worst <= bound);
        CHECK(run.guards_held);
        CHECK(run.repeatable);
        CHECK(run.leaked == 0);
        if (threads == 1) one_thread = out.bytes;
        CHECK(out.bytes == one_thread);
      }
    }
  }
}

constexpr Window kOne{1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
constexpr Window kSame{3, 3, 1, 1, 1, 1, 1, 1, 1, 1};

TEST_CASE("lowbit weights: the reference decoder gives what they were made of") {
  for (const LowbitSpec& spec : every_lowbit_spec())
    for (const uint32_t inputs : {1u, 5u, 64u, 83u}) {
      CAPTURE(spec.str());
      LowbitWeights w;
      make_lowbit(spec, 7, inputs, &w);
      std::vector<float> decoded(w.values.size(), kNan);
      REQUIRE(decode_weights(w.weights, decoded.data()).ok());
      double worst = 0;
      for (size_t i = 0; i < decoded.size(); ++i)
        worst = std::max(worst, std::fabs(double{decoded[i]} - w.values[i]));
      // Eight planes of at most 1 each, or a product of two rounded numbers below 2^8.
      CHECK(worst <= 0x1p-16);
      for (size_t i = 0;
           i < w.integers.size() && spec.offsets == 0 && spec.axis != ScaleAxis::group; ++i)
        if (spec.encoding != Encoding::table || spec.integers)
          CHECK(w.values[i] ==
                doctest::Approx(w.integers[i] * double{w.scales_of[i / inputs]}).epsilon(1e-12));
    }
}

TEST_CASE("lowbit linear: every encoding, f32") {
  for (const LowbitSpec& spec : every_lowbit_spec()) {
    CAPTURE(spec.str());
    for (const int rows : {1, 15}) {
      Layer l;
      make_linear(rows, 83, 37, spec, &l);
      check(l);
    }
  }
}

TEST_CASE("lowbit linear: sizes that hurt, inputs in several steps") {
  LowbitSpec planes;
  planes.encoding = Encoding::bit_planes, planes.bits = 3, planes.group = 50;
  LowbitSpec table;
  table.encoding = Encoding::table, table.axis = ScaleAxis::group, table.group = 7, table.bits = 3;
  for (const LowbitSpec& spec : {LowbitSpec(), planes, table})
    for (const auto& [rows, inputs, outputs] :
         {std::array{1, 1, 1}, {2, 650, 3}, {14, 1300, 33}, {31, 1999, 65}}) {
      if (int(spec.group) > inputs) continue;
      CAPTURE(spec.str());
      CAPTURE(inputs);
      Layer l;
      make_linear(rows, inputs, outputs, spec, &l);
      check(l, inputs == 1300);
    }
}

TEST_CASE("lowbit conv2d: windows, strides, dilation, padding, groups, both orders, f32") {
  for (const InputOrder order : {InputOrder::kh_kw_cin, InputOrder::cin_kh_kw})
    for (const bool planes : {false, true}) {
      LowbitSpec spec;
      spec.order = order, spec.zeros = Zeros::output, spec.odd_zeros = true;
      if (planes) spec.encoding = Encoding::bit_planes, spec.bits = 2, spec.group = 4;
      CAPTURE(spec.str());
      for (const ConvCase& c : {ConvCase{1, 7, 7, 16, 40, kSame},
                                {2, 5, 6, 8, 24, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}},
                                {1, 9, 8, 4, 8, {3, 2, 2, 1, 2, 3, 2, 0, 1, 3}},
                                {1, 6, 6, 12, 36, kOne},
                                {1, 5, 5, 12, 36, kSame, 3},
                                {1, 4, 4, 6, 6, kSame, 6},   // depthwise
                                {1, 4, 4, 6, 12, kSame, 6},  // with a multiplier
                                {1, 4, 4, 150, 18, kSame}}) {
        Layer l;
        make_conv(c, spec, &l);
        check(l, c.height == 7);
      }
    }
}

TEST_CASE("lowbit layers: what contradicts itself is refused, by stable ids") {
  const auto id_of = [](const LowbitSpec& spec, auto&& edit) {
    Layer l;
    make_linear(2, 24, 10, spec, &l);
    edit(l);
    OpRun run;
    HostTensor out = l.out;
    const int id = run(l.node, l.in, &out).id();
    CHECK(run.leaked == 0);
    return id;
  };
  LowbitSpec affine, table, planes;
  affine.zeros = Zeros::output;
  table.encoding = Encoding::table, table.offsets = 2;
  planes.encoding = Encoding::bit_planes, planes.bits = 1, planes.one_plane = true;
  for (const LowbitSpec& spec : {affine, table, planes}) CHECK(id_of(spec, [](Layer&) {}) == 0);
  CHECK(id_of(affine, [](Layer& l) { l.in[0].dtype = DType::i32; }) == 335);
  CHECK(id_of(affine, [](Layer& l) { l.w.weights.affine.bits = 9; }) == 256);
  CHECK(id_of(affine, [](Layer& l) { l.w.weights.affine.bits = 5; }) == 256);
  CHECK(id_of(affine, [](Layer& l) {
          l.w.weights.affine.zero_halves = {l.w.zeros.data(), 9};
        }) == 256);
  CHECK(id_of(affine, [](Layer& l) { l.w.weights.affine.scales.values.count = 1; }) == 256);
  CHECK(id_of(table, [](Layer& l) { l.w.weights.table.values.count = 15; }) == 256);
  CHECK(id_of(table, [](Layer& l) { l.w.weights.table.offset.count = 9; }) == 256);
  CHECK(id_of(planes, [](Layer& l) { l.w.counts[3] = 2; }) == 256);
  CHECK(id_of(planes, [](Layer& l) { l.w.weights.bit_planes.alphas.count = 9; }) == 256);
  CHECK(id_of(planes, [](Layer& l) { l.w.weights.bit_planes.group = 12; }) == 256);
}

TEST_CASE("lowbit layers: an allocator that fails at any request is reported") {
  LowbitSpec planes;
  planes.encoding = Encoding::bit_planes, planes.bits = 2, planes.group = 5;
  Layer l;
  make_linear(2, 24, 10, planes, &l);
  int64_t after = 0;
  for (Status s = Status(Code::out_of_memory, 334, ""); !s.ok(); ++after) {
    REQUIRE(after < 20);
    OpRun run;
    run.fail_after = after;
    HostTensor out = l.out;
    s = run(l.node, l.in, &out);
    CHECK(run.leaked == 0);
    if (!s.ok()) CHECK(s.code() == Code::out_of_memory);
  }
  CHECK(after > 1);
}

}  // namespace
}  // namespace qrt::test

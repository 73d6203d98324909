// conv2d and linear on codebook weights against their definition: every strategy and
// instruction set in turn, every form of entries and codes, windows that hurt, and
// the same bits for any number of threads.
#include <doctest/doctest.h>

#include "kernels/codebook/codebook.h"
#include "runtime/ops/decode_weights.h"
#include "schema/layout.h"
#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

struct Coded {
  uint32_t dim = 9, count = 256, books = 1, scope_rows = 0;
  DType entry = DType::f16;
  InputOrder order = InputOrder::cin_kh_kw;
};

struct Layer {
  Weights weights;
  std::vector<uint8_t> entries, codes;
  std::vector<float> entry_scales, decoded, scale, bias;
  Conv2dAttr conv{};
  LinearAttr linear{};
  Node node;
  std::vector<HostTensor> in;
  HostTensor out;
  std::vector<double> want;
  double magnitude = 1;  // the largest sum of absolute products
};

void make_weights(const Coded& c, uint32_t outputs, uint32_t inputs, Layer* l) {
  std::mt19937 bits(outputs * 7 + inputs + c.dim + c.count);
  const uint32_t scopes = c.scope_rows == 0 ? 1 : (outputs + c.scope_rows - 1) / c.scope_rows;
  const uint32_t blocks = (inputs + c.dim - 1) / c.dim, width = layout::code_bits(c.count);
  const size_t entries = size_t{scopes} * c.books * c.count, values = entries * c.dim;
  if (c.entry == DType::i8) {
    l->entry_scales = random_floats(entries, 8);
    for (size_t i = 0; i < values; ++i) l->entries.push_back(static_cast<uint8_t>(bits() >> 8));
  } else if (c.entry == DType::f32) {
    const std::vector<float> v = random_floats(values, 9);
    l->entries.resize(values * 4);
    std::memcpy(l->entries.data(), v.data(), l->entries.size());
  } else {  // halves of magnitude 2^-14 ... 2
    for (size_t i = 0; i < values; ++i) {
      const uint32_t half = (bits() >> 8 & 0x83ffu) | (1 + bits() % 15) << 10;
      l->entries.push_back(static_cast<uint8_t>(half & 255));
      l->entries.push_back(static_cast<uint8_t>(half >> 8));
    }
  }
  const uint64_t row = layout::codebook_row_bytes(outputs, width);
  l->codes.resize(layout::codebook_code_bytes(c.books, blocks, outputs, width));
  for (uint64_t r = 0; r < uint64_t{c.books} * blocks; ++r)
    for (uint32_t n = 0; n < outputs; ++n)
      layout::write_code(l->codes.data() + r * row, n, width, (bits() >> 4) % c.count);
  l->weights.outputs = outputs, l->weights.inputs = inputs;
  l->weights.encoding = Encoding::codebook, l->weights.order = c.order;
  l->weights.codebook = {c.books,
                         c.count,
                         c.dim,
                         width,
                         c.scope_rows,
                         c.entry,
                         {l->entries.data(), l->entries.size()},
                         constant_of(l->entry_scales),
                         {l->codes.data(), l->codes.size()}};
  l->decoded.resize(size_t{outputs} * inputs);
  REQUIRE(decode_weights(l->weights, l->decoded.data()).ok());
}

struct Finishing {
  bool scale = false, bias = false, residual = false;
  Clamp clamp{};
};

// Constants of the epilogue, and what it makes of sums.
void add_epilogue(const Finishing& f, Epilogue* e, Layer* l) {
  const uint32_t outputs = l->weights.outputs;
  l->scale = random_floats(outputs, 2), l->bias = random_floats(outputs, 3);
  if (f.scale) e->scale = constant_of(l->scale);
  if (f.bias) e->bias = constant_of(l->bias);
  e->residual = f.residual, e->clamp = f.clamp;
  if (f.residual) l->in.push_back(random_tensor(l->out.shape, 5));
  for (size_t i = 0; i < l->want.size(); ++i) {
    double& y = l->want[i];
    if (f.scale) y *= double{l->scale[i % outputs]};
    if (f.bias) y += double{l->bias[i % outputs]};
    if (f.residual) y += double{l->in[1][i]};
    if (f.clamp.activation == Activation::clamp)
      y = std::min<double>(f.clamp.max, std::max<double>(f.clamp.min, y));
  }
}

struct ConvCase {
  int batch, height, width, channels, outputs;
  Window window;
  uint32_t groups = 1;
  Coded coded{};
  Finishing finish{};
};

void make_conv(const ConvCase& c, Layer* l) {
  const Window& w = c.window;
  const int taps = static_cast<int>(w.kernel_h * w.kernel_w);
  const int per_group = c.channels / static_cast<int>(c.groups);
  const int group_outputs = c.outputs / static_cast<int>(c.groups);
  make_weights(c.coded, static_cast<uint32_t>(c.outputs), static_cast<uint32_t>(per_group * taps),
               l);
  l->out.shape = shape(
      {c.batch, out_extent(c.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
       out_extent(c.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right),
       c.outputs});
  l->in.push_back(random_tensor(shape({c.batch, c.height, c.width, c.channels}), 4));
  l->want.assign(l->out.count(), 0);
  std::vector<double> magnitude(l->out.count());
  const bool taps_first = c.coded.order == InputOrder::kh_kw_cin;
  for_taps(
      l->in[0].shape, l->out.shape, w, [&](int n, int y, int x, int iy, int ix, int ky, int kx) {
        const int tap = ky * static_cast<int>(w.kernel_w) + kx;
        for (int o = 0; o < c.outputs; ++o)
          for (int i = 0; i < per_group; ++i) {
            const int k = taps_first ? tap * per_group + i : i * taps + tap;
            const int channel = o / group_outputs * per_group + i;
            const double product = double{l->decoded[size_t(o) * per_group * taps + k]} *
                                   double{l->in[0][offset4(l->in[0].shape, n, iy, ix, channel)]};
            const size_t at = offset4(l->out.shape, n, y, x, o);
            l->want[at] += product, magnitude[at] += std::fabs(product);
          }
      });
  for (double m : magnitude) l->magnitude = std::max(l->magnitude, m);
  l->conv = {&l->weights, w, c.groups, {}};
  add_epilogue(c.finish, &l->conv.epilogue, l);
  l->node.name = "conv", l->node.kind = OpKind::conv2d, l->node.conv2d = &l->conv;
}

void make_linear(int rows, int inputs, int outputs, const Coded& coded, const Finishing& f,
                 Layer* l) {
  make_weights(coded, static_cast<uint32_t>(outputs), static_cast<uint32_t>(inputs), l);
  l->weights.order = InputOrder::linear;
  l->in.push_back(random_tensor(shape({rows, inputs}), 4));
  l->out.shape = shape({rows, outputs});
  l->want.assign(l->out.count(), 0);
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < outputs; ++n) {
      double magnitude = 0;
      for (int k = 0; k < inputs; ++k) {
        const double product =
            double{l->decoded[size_t(n) * inputs + k]} * double{l->in[0][size_t(m) * inputs + k]};
        l->want[size_t(m) * outputs + n] += product, magnitude += std::fabs(product);
      }
      l->magnitude = std::max(l->magnitude, magnitude);
    }
  l->linear = {&l->weights, {}};
  add_epilogue(f, &l->linear.epilogue, l);
  l->node.name = "linear", l->node.kind = OpKind::linear, l->node.linear = &l->linear;
}

// Every strategy on every instruction set, by one thread and by many. Where a strategy
// cannot compute the layer the cost model's choice runs, and must be right as well.
// Bound: terms * 2^-24 * sum of |products| (any order of summation; Winograd
// at most nine times that), the epilogue adds a little.
// Spinning threads on few cores are slow: most layers are run by two, and by `decode` only.
void check(const Layer& l, bool many_threads = false) {
  const double terms = l.weights.inputs * l.weights.codebook.books + 8;
  const double bound = 9 * terms * 0x1p-24 * (l.magnitude + 4);
  for (const auto& row : kernels::codebook::kKits) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    for (const char* strategy : {"decode", "lookup", "dot", "winograd"}) {
      CAPTURE(std::string(row.name));
      CAPTURE(strategy);
      std::vector<unsigned char> one_thread;
      for (uint32_t threads : {1u, 2u, 3u, 8u}) {
        if (threads > 1 && !many_threads && std::strcmp(strategy, "decode") != 0) continue;
        if (threads > 2 && !many_threads) continue;
        OpRun run;
        run.isa = row.isa, run.strategy = strategy, run.threads = threads, run.repeats = threads;
        HostTensor out = l.out;
        const Status s = run(l.node, l.in, &out);
        REQUIRE_MESSAGE(s.ok(), s.what());
        double worst = 0;
        bool finite = true;
        for (size_t i = 0; i < l.want.size(); ++i) {
          finite = finite && std::isfinite(out[i]);
          worst = std::max(worst, std::fabs(double{out[i]} - l.want[i]));
        }
        CHECK(finite);
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

void check_conv(const ConvCase& c, bool many_threads = false) {
  Layer l;
  make_conv(c, &l);
  check(l, many_threads);
}

void check_linear(int rows, int inputs, int outputs, const Coded& coded, const Finishing& f = {}) {
  CAPTURE(rows);
  CAPTURE(inputs);
  CAPTURE(outputs);
  CAPTURE(coded.dim);
  CAPTURE(coded.count);
  Layer l;
  make_linear(rows, inputs, outputs, coded, f, &l);
  check(l);
}

constexpr Finishing kAll{true, true, true, {Activation::clamp, -0.75f, 6}};
constexpr Window kSame{3, 3, 1, 1, 1, 1, 1, 1, 1, 1};

TEST_CASE("codebook conv2d: windows, strides, dilation, padding and groups") {
  check_conv({1, 7, 7, 16, 40, kSame, 1, {}, kAll}, true);
  check_conv({2, 5, 6, 8, 24, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 1, {18}, {false, true}});
  check_conv({1, 9, 8, 4, 8, {3, 2, 2, 1, 2, 3, 2, 0, 1, 3}, 1, {4, 16}, kAll});
  check_conv({1, 6, 6, 12, 36, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 1, {4}, kAll});
  check_conv({1, 6, 7, 12, 20, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, 1, {4, 100}, {}});
  check_conv({1, 5, 5, 12, 36, kSame, 3, {9, 32}, kAll});
  check_conv({1, 5, 5, 12, 36, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 2, {2, 32}, kAll});
  check_conv({1, 4, 4, 6, 6, kSame, 6, {9, 8}, {true, true}});                 // depthwise
  check_conv({1, 3, 3, 5, 9, {3, 3, 1, 1, 1, 1, 5, 4, 5, 4}, 1, {5, 7}, {}});  // rows of pad only
}

TEST_CASE("codebook conv2d: blocks across taps, taps before channels, K in several steps") {
  check_conv({1, 5, 5, 7, 17, kSame, 1, {4, 60}, kAll});
  check_conv({1, 5, 5, 7, 17, kSame, 1, {32, 60}, {}});
  check_conv({1, 5, 5, 16, 17, kSame, 1, {8, 256, 1, 0, DType::f16, InputOrder::kh_kw_cin}, kAll});
  check_conv({1, 4, 4, 150, 18, kSame, 1, {7, 50, 1, 0, DType::f32, InputOrder::kh_kw_cin}, kAll});
  check_conv({1, 4, 4, 150, 18, kSame, 1, {9, 256}, kAll});
  check_conv({1, 4, 4, 70, 18, kSame, 1, {16, 256}, kAll});
}

TEST_CASE("codebook conv2d: books, scopes and types of entries") {
  check_conv({1, 6, 6, 8, 33, kSame, 1, {9, 16, 2, 0, DType::f32}, kAll});
  check_conv({1, 6, 6, 8, 33, kSame, 1, {9, 16, 3, 10, DType::i8}, kAll});
  check_conv({1, 6, 6, 8, 48, kSame, 2, {9, 200, 4, 20, DType::f16}, kAll});
}

TEST_CASE("codebook linear: sizes that hurt") {
  for (int rows : {1, 2, 13, 14, 15, 31})
    for (int outputs : {1, 31, 32, 65}) check_linear(rows, 40, outputs, {8, 256});
  check_linear(3, 1, 1, {1, 2});
  check_linear(2, 1031, 130, {4, 2048}, kAll);  // deep, wide codes, a short block
  check_linear(1, 64, 1000, {4, 1024}, {false, true});
}

TEST_CASE("codebook linear: dims and code widths") {
  for (uint32_t dim : {1u, 2u, 3u, 4u, 7u, 8u, 9u, 16u, 18u, 32u})
    check_linear(5, 50, 19, {dim, 64}, kAll);
  for (uint32_t count : {1u, 2u, 3u, 8u, 9u, 31u, 64u, 65u, 129u, 257u, 600u, 1025u, 4096u, 65536u})
    check_linear(3, 24, 21, {4, count});
}

TEST_CASE("codebook layers: what contradicts itself is refused, by stable ids") {
  auto id_of = [](auto&& edit) {
    Layer l;
    make_linear(2, 24, 10, {4, 16}, kAll, &l);
    edit(l);
    OpRun run;
    HostTensor out = l.out;
    return run(l.node, l.in, &out).id();
  };
  CHECK(id_of([](Layer&) {}) == 0);
  CHECK(id_of([](Layer& l) { l.weights.numerics = Numerics::exact; }) == 337);
  CHECK(id_of([](Layer& l) { l.in[0] = random_tensor(shape({2, 23}), 1); }) == 331);
  CHECK(id_of([](Layer& l) { l.out.shape = shape({2, 11}); }) == 332);
  CHECK(id_of([](Layer& l) { l.linear.epilogue.bias.count = 9; }) == 333);
  CHECK(id_of([](Layer& l) { l.in[0].dtype = DType::i32; }) == 335);
  CHECK(id_of([](Layer& l) {
          l.weights.codebook.codes = {l.codes.data(), l.codes.size() - 1};
        }) == 336);
  CHECK(id_of([](Layer& l) {
          l.weights.codebook.entries = {l.entries.data(), l.entries.size() - 1};
        }) == 336);
}

TEST_CASE("codebook layers: an allocator that fails at any request is reported") {
  Layer l;
  make_linear(2, 24, 10, {4, 16}, kAll, &l);
  for (int64_t after = 0; after < 2; ++after) {
    OpRun run;
    run.fail_after = after;
    HostTensor out = l.out;
    const Status s = run(l.node, l.in, &out);
    if (!s.ok()) CHECK(s.code() == Code::out_of_memory);
    CHECK(run.leaked == 0);
  }
}

TEST_CASE("codebook layers: a forced strategy is obeyed where it can be") {
  Layer l;
  make_linear(20, 64, 64, {8, 256}, {}, &l);
  for (const char* strategy : {"decode", "lookup", "dot"}) {
    OpRun run;
    run.strategy = strategy;
    HostTensor out = l.out;
    REQUIRE(run(l.node, l.in, &out).ok());
    CHECK(run.kernel.find(strategy) != std::string::npos);
  }
  OpRun run;
  run.strategy = "winograd";  // not for a linear layer
  HostTensor out = l.out;
  REQUIRE(run(l.node, l.in, &out).ok());
  CHECK(run.kernel.find("winograd") == std::string::npos);
}

TEST_CASE("codebook layers: winograd is for 3x3 kernels in moderation") {
  const auto kernel_of = [](const ConvCase& c) {
    Layer l;
    make_conv(c, &l);
    OpRun run;
    run.strategy = "winograd";
    HostTensor out = l.out;
    REQUIRE(run(l.node, l.in, &out).ok());
    return run.kernel;
  };
  const ConvCase good{1, 5, 5, 4, 3, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}};
  CHECK(kernel_of(good).find("winograd") == 0);
  ConvCase c = good;
  c.window.stride_w = 2;
  CHECK(kernel_of(c).find("winograd") != 0);
  c = good;
  c.window.dilation_h = 2;
  CHECK(kernel_of(c).find("winograd") != 0);
  c = good;
  c.groups = 2, c.outputs = 4;
  CHECK(kernel_of(c).find("winograd") != 0);
  c = good;
  c.coded.dim = 6;  // not whole 3x3 kernels
  CHECK(kernel_of(c).find("winograd") != 0);
  c = good;
  c.coded.order = InputOrder::kh_kw_cin;
  CHECK(kernel_of(c).find("winograd") != 0);
  c = good;
  c.coded.count = 65536;  // 4 MB of transformed entries
  CHECK(kernel_of(c).find("winograd") != 0);
  c = good;
  c.channels = 65537, c.height = c.width = 1, c.outputs = 1;  // scratch grows with channels
  CHECK(kernel_of(c).find("winograd") != 0);
}

}  // namespace
}  // namespace qrt::test

// conv2d and linear of integers against their definition, bit for bit: every strategy, mode and
// instruction set in turn, every form of weights, windows that hurt, any number of threads.
#include <cstring>

#include "kernels/int8/int8.h"
#include "kernels/tables/tables.h"
#include "tests/runtime/ops/int8_layer.h"

namespace qrt::test {
namespace {

constexpr Window kSame{3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
constexpr Window kPoint{1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
constexpr IntegerFinish kAll{true, true, true, false, {Activation::clamp, -20, 45}};
constexpr IntegerFinish kFloats{true, true, true, true, {Activation::clamp, -20, 45}};

// Where a strategy cannot compute the layer the choice by cost runs, and must be right as well.
// Spinning threads on few cores are slow: panels that are kept run with the first count alone.
void check(const IntegerLayer& l, std::initializer_list<uint32_t> counts) {
  for (const auto& row : kernels::int8::kKits) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    for (const char* strategy : {"dense8", "dot8", "decode8", "coded_dot", "depthwise8"}) {
      const bool depthwise = std::strcmp(strategy, "depthwise8") == 0;
      if (depthwise && (l.node.kind != OpKind::conv2d || l.conv.groups == 1)) continue;
      if (!depthwise && (std::strstr(strategy, "cod") != nullptr) != (l.kind.dim != 0)) continue;
      for (const Mode mode : {Mode::compressed, Mode::dense})
        for (const uint32_t threads : counts) {
          if (mode == Mode::dense && threads != *counts.begin()) continue;
          CAPTURE(std::string(row.name));
          CAPTURE(strategy);
          CAPTURE(threads);
          OpRun run;
          run.isa = row.isa, run.mode = mode, run.strategy = strategy, run.threads = threads;
          run.repeats = 2;
          HostTensor out = l.out;
          const Status s = run(l.node, l.in, &out);
          REQUIRE_MESSAGE(s.ok(), s.what());
          CHECK(out.bytes == l.out.bytes);
          CHECK(run.guards_held);
          CHECK(run.repeatable);
          CHECK(run.leaked == 0);
          const bool panels = run.kernel.find("dot8") == std::string::npos &&
                              run.kernel.find("coded_dot") == std::string::npos &&
                              run.kernel.find("winograd8") == std::string::npos;
          CHECK((run.weight_bytes != 0) == (panels && mode == Mode::dense));
        }
    }
  }
}

void check_conv(const IntegerConv& c, std::initializer_list<uint32_t> threads = {1u}) {
  CAPTURE(c.channels);
  CAPTURE(c.outputs);
  IntegerLayer l;
  make_conv(c, &l);
  check(l, threads);
}

void check_linear(int rows, int inputs, int outputs, const IntegerWeights& w,
                  const IntegerFinish& f = kAll) {
  CAPTURE(rows);
  CAPTURE(inputs);
  CAPTURE(outputs);
  IntegerLayer l;
  make_linear(rows, inputs, outputs, w, f, &l);
  check(l, {1u});
}

IntegerWeights codes(uint32_t dim, uint32_t count, InputOrder order = InputOrder::cin_kh_kw) {
  IntegerWeights w;
  w.dim = dim, w.count = count, w.order = order;
  return w;
}

TEST_CASE("int8 conv2d: windows, strides, dilation, padding and groups, dense and coded") {
  for (const IntegerWeights& w : {IntegerWeights{}, codes(9, 256)}) {
    check_conv({1, 7, 7, 16, 70, kSame, 1, w, kAll}, {1u, 2u, 3u, 8u});
    check_conv({2, 5, 6, 8, 24, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 1, w, {false, true}});
    check_conv({1, 9, 8, 4, 8, {3, 2, 2, 1, 2, 3, 2, 0, 1, 3}, 1, w, kAll});
    check_conv({1, 6, 6, 12, 36, kPoint, 1, w, kAll}, {1u, 3u});
    check_conv({1, 6, 7, 12, 20, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, 1, w, {true, false}});
    check_conv({1, 5, 5, 12, 36, kSame, 3, w, kAll});
    check_conv({1, 5, 5, 12, 36, kPoint, 2, w, kAll});
    check_conv({1, 4, 4, 6, 6, kSame, 6, w, kFloats});                           // depthwise
    check_conv({1, 3, 3, 5, 9, {3, 3, 1, 1, 1, 1, 5, 4, 5, 4}, 1, w, kAll});     // rows of pad only
    check_conv({1, 11, 13, 3, 16, {7, 7, 2, 2, 1, 1, 3, 3, 3, 3}, 1, w, kAll});  // a stem
  }
}

TEST_CASE("int8 conv2d: images smaller than their windows, steps larger") {
  for (const IntegerWeights& w : {IntegerWeights{}, codes(4, 16), codes(64, 2)}) {
    check_conv({1, 1, 1, 1, 1, {7, 7, 1, 1, 1, 1, 3, 3, 3, 3}, 1, w, kAll});
    check_conv({3, 2, 2, 1, 5, {2, 2, 5, 5, 1, 1, 2, 3, 2, 3}, 1, w, kAll}, {1u, 3u});
    check_conv({1, 1, 40, 3, 2, {1, 9, 1, 4, 1, 4, 0, 16, 0, 16}, 1, w, kFloats});
    check_conv({17, 1, 1, 65, 3, kPoint, 1, w, kAll}, {1u, 8u});
  }
}

// Inputs whose zero is 0: products with the padding are left out, rows sorted for it.
TEST_CASE("int8 conv2d: windows that leave the image, where padding is zero") {
  IntegerFinish f = kAll;
  f.x.zero = 0;
  IntegerFinish floats = f;
  floats.to_f32 = true, floats.residual = false;
  for (const IntegerWeights& w : {IntegerWeights{}, codes(9, 256)}) {
    check_conv({1, 7, 7, 16, 70, kSame, 1, w, f}, {1u, 2u, 3u, 8u});
    check_conv({3, 5, 6, 8, 24, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 1, w, floats});
    check_conv({2, 9, 8, 4, 8, {3, 2, 2, 1, 2, 3, 2, 0, 1, 3}, 1, w, f}, {1u, 3u});
    check_conv({1, 5, 5, 12, 36, kSame, 3, w, f});
    check_conv({1, 12, 9, 4, 33, {5, 5, 1, 1, 2, 1, 4, 2, 4, 2}, 1, w, f}, {1u, 2u});
    check_conv({1, 3, 3, 8, 9, {3, 3, 1, 1, 1, 1, 5, 4, 5, 4}, 1, w, f});  // rows of pad only
    check_conv({1, 2, 3, 4, 9, {7, 7, 1, 1, 1, 1, 3, 3, 3, 3}, 1, w, f});  // no window inside
    check_conv({1, 1, 40, 4, 2, {1, 9, 1, 4, 1, 4, 0, 16, 0, 16}, 1, w, f});
    check_conv({1, 5, 5, 6, 9, kSame, 1, w, f});  // channels that are no whole steps
  }
  check_conv({1, 7, 7, 512, 96, kSame, 1, codes(9, 256), f}, {1u, 2u, 8u});  // rows are shared
  check_conv({1, 30, 30, 96, 96, kSame, 1, {}, f}, {1u, 3u});
}

TEST_CASE("int8 conv2d: depthwise") {
  for (const IntegerWeights& w : {IntegerWeights{}, codes(9, 64, InputOrder::kh_kw_cin)})
    for (const int channels : {2, 33, 70}) {
      const auto groups = static_cast<uint32_t>(channels);
      check_conv({1, 9, 9, channels, channels, kSame, groups, w, kAll}, {1u, 2u, 3u});
      check_conv({2, 8, 7, channels, channels, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, groups, w, kFloats});
      check_conv({1, 7, 9, channels, channels, {5, 4, 1, 1, 2, 3, 4, 5, 2, 6}, groups, w, {}});
      check_conv({1, 6, 6, channels, 2 * channels, kSame, groups, w, kAll});  // two of each
    }
}

TEST_CASE("int8 conv2d: rows that stay in L2 and panels that do") {
  check_conv({1, 7, 7, 512, 96, kSame, 1, codes(9, 256), kAll}, {1u, 2u, 8u});
  check_conv({1, 30, 30, 96, 96, kSame, 1, {}, kAll}, {1u, 3u});
  IntegerWeights first = {};
  first.order = InputOrder::cin_kh_kw;  // rows of the source are turned before they are panels
  check_conv({1, 6, 5, 24, 40, kSame, 1, first, kAll});
}

TEST_CASE("int8 layers: books, scopes, levels and types of entries") {
  IntegerWeights w = codes(9, 16);
  w.books = 2;
  check_conv({1, 6, 6, 8, 33, kSame, 1, w, kAll});
  w.books = 3, w.scope_rows = 10, w.entry = DType::i8, w.levels = 4;
  check_conv({1, 6, 6, 8, 33, kSame, 1, w, kAll});
  w = codes(9, 200), w.books = 4, w.scope_rows = 20, w.entry = DType::f16, w.levels = 16;
  check_conv({1, 6, 6, 8, 48, kSame, 2, w, kFloats});
  w = codes(8, 256, InputOrder::kh_kw_cin), w.levels = 2, w.entry = DType::f16;
  check_conv({1, 5, 5, 16, 17, kSame, 1, w, kAll});
}

TEST_CASE("int8 linear: sizes that hurt") {
  for (const int rows : {1, 2, 13, 14, 15, 31})
    for (const int outputs : {1, 31, 32, 65}) {
      check_linear(rows, 40, outputs, codes(8, 256));
      check_linear(rows, 39, outputs, {});
    }
  check_linear(3, 1, 1, codes(1, 2));
  check_linear(2, 1031, 130, codes(4, 2048));  // deep, wide codes, a short block
  check_linear(1, 64, 1000, codes(4, 1024), kFloats);
  IntegerWeights one = {};
  one.axis = ScaleAxis::layer;
  check_linear(5, 70, 40, one);
}

// The name of the kernel that computes a layer for which one is asked for by name.
std::string kernel_for(const IntegerConv& c, const char* strategy) {
  IntegerLayer l;
  make_conv(c, &l);
  OpRun run;
  run.strategy = strategy;
  HostTensor out = l.out;
  REQUIRE(run(l.node, l.in, &out).ok());
  CHECK(out.bytes == l.out.bytes);
  return run.kernel;
}

void check_winograd(const IntegerConv& c, std::initializer_list<uint32_t> counts) {
  CAPTURE(c.channels);
  CAPTURE(c.outputs);
  IntegerLayer l;
  make_conv(c, &l);
  for (const auto& row : kernels::int8::kKits) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    for (const char* strategy : {"winograd8_2x2", "winograd8_4x4"})
      for (const uint32_t threads : counts) {
        CAPTURE(std::string(row.name));
        CAPTURE(strategy);
        CAPTURE(threads);
        OpRun run;
        run.isa = row.isa, run.strategy = strategy, run.threads = threads;
        HostTensor out = l.out;
        REQUIRE(run(l.node, l.in, &out).ok());
        CHECK(run.kernel.find(strategy) != std::string::npos);
        CHECK(out.bytes == l.out.bytes);
        CHECK(run.guards_held);
        CHECK(run.leaked == 0);
        CHECK(run.weight_bytes == 0);
      }
  }
}

TEST_CASE("int8 conv2d: Winograd on codes: paddings, odd maps, zeros, blocks, any threads") {
  const std::initializer_list<uint32_t> threads = {1u, 2u, 3u, 8u};
  IntegerFinish f = kAll;
  for (const int zero : {0, 128, 255}) {
    f.x.zero = zero;
    check_winograd({2, 11, 13, 24, 70, kSame, 1, codes(9, 256), f}, threads);
  }
  check_winograd({1, 7, 7, 150, 130, kSame, 1, codes(18, 64), kAll},
                 threads);  // chunks of channels
  check_winograd({3, 5, 6, 20, 33, {3, 3, 1, 1, 1, 1, 2, 0, 1, 3}, 1, codes(27, 16), kFloats},
                 threads);
  check_winograd({1, 52, 51, 70, 12, kSame, 1, codes(9, 16), kAll}, {1u, 3u});  // blocks of tiles
  IntegerWeights w = codes(9, 60);
  w.scope_rows = 10, w.levels = 4, w.entry = DType::i8;
  check_winograd({1, 9, 6, 12, 45, kSame, 1, w, kAll}, threads);
}

TEST_CASE("int8 conv2d: Winograd on codes is offered where it can be") {
  const IntegerWeights nine = codes(9, 256);
  const auto winograd = [](const IntegerConv& c, const char* strategy) {
    return kernel_for(c, strategy).find(strategy) != std::string::npos;
  };
  for (const char* s : {"winograd8_2x2", "winograd8_4x4"}) {
    CHECK(winograd({1, 6, 6, 8, 16, kSame, 1, nine, kAll}, s));
    CHECK_FALSE(winograd({1, 6, 6, 8, 16, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 1, nine, kAll}, s));
    CHECK_FALSE(winograd({1, 6, 6, 8, 16, {3, 3, 1, 1, 2, 2, 1, 1, 1, 1}, 1, nine, kAll}, s));
    CHECK_FALSE(winograd({1, 6, 6, 8, 16, kSame, 2, nine, kAll}, s));
    CHECK_FALSE(winograd({1, 6, 6, 8, 16, kSame, 1, codes(4, 256), kAll}, s));
    CHECK_FALSE(winograd({1, 6, 6, 8, 16, kSame, 1, codes(9, 16, InputOrder::kh_kw_cin), kAll}, s));
    IntegerWeights books = codes(9, 16);
    books.books = 2;
    CHECK_FALSE(winograd({1, 6, 6, 8, 16, kSame, 1, books, kAll}, s));
  }
}

IntegerWeights rounded(uint32_t dim, uint32_t count, uint32_t keep, uint32_t shift) {
  IntegerWeights w = codes(dim, count);
  w.table_bits = keep, w.table_shift = shift;
  return w;
}

// All ways give the bits of the definition.
void check_rounded(const IntegerLayer& l, std::initializer_list<uint32_t> counts = {1u, 2u}) {
  for (const auto& row : kernels::tables::kWays) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    for (const Mode mode : {Mode::compressed, Mode::dense})
      for (const uint32_t threads : counts) {
        CAPTURE(std::string(row.name));
        CAPTURE(threads);
        OpRun run;
        run.mode = mode, run.strategy = row.name, run.threads = threads;
        HostTensor out = l.out;
        const Status s = run(l.node, l.in, &out);
        REQUIRE_MESSAGE(s.ok(), s.what());
        CHECK(out.bytes == l.out.bytes);
        CHECK(run.guards_held);
        CHECK(run.weight_bytes == 0);
      }
  }
}

TEST_CASE("int8 layers: rounded numerics, every way") {
  const IntegerConv convs[] = {
      {1, 9, 8, 18, 70, kSame, 1, rounded(9, 256, 8, 9), kAll},
      {1, 8, 8, 16, 33, kPoint, 1, rounded(8, 16, 7, 8), kAll},
      {2, 7, 7, 12, 36, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 3, rounded(4, 60, 12, 4), kFloats},
      {1, 6, 6, 12, 200, kPoint, 2, rounded(4, 64, 8, 8), {true, false}}};
  for (const IntegerConv& c : convs) {
    IntegerLayer l;
    make_conv(c, &l);
    check_rounded(l, {1u, 2u, 3u, 8u});
  }
  IntegerWeights scoped = rounded(8, 16, 12, 5);
  scoped.books = 3, scoped.scope_rows = 24, scoped.entry = DType::f16;
  for (const int rows : {1, 3, 65}) {
    IntegerLayer l;
    make_linear(rows, 130, 100, scoped, kAll, &l);
    check_rounded(l);
    IntegerLayer wide;
    make_linear(rows, 64, 300, rounded(8, 256, 12, 6), kAll, &wide);
    check_rounded(wide, {1u, 3u, 8u});
  }
}

TEST_CASE("int8 layers: zeros, scales and clamps at their ends") {
  IntegerFinish f = kAll;
  for (const int zero : {0, 255}) {
    f.x.zero = f.y.zero = f.r.zero = zero;
    check_linear(9, 30, 20, codes(4, 64), f);
  }
  f.clamp = {Activation::clamp, 0, 3.4028234e38f};  // ReLU
  check_linear(9, 30, 20, {}, f);
  f.clamp = {Activation::clamp, 500, 900};  // beyond what bytes can say
  check_linear(9, 30, 20, {}, f);
  f = {false, false, false, false, {}, {1.17549435e-38f, 0}, {8e37f, 3}, {}};
  check_linear(9, 30, 20, {}, f);
  for (const float y_scale : {1e-10f, 1e-5f, 1e-2f}) {  // results far beyond int32, or just so
    f = {false, false, false, false, {}, {1, 7}, {y_scale, 3}, {}};
    check_linear(29, 30, 33, {}, f);
  }
}

TEST_CASE("int8 layers: a bias before the scale") {
  IntegerFinish f;
  f.bias_first = true;
  for (const bool scale : {false, true}) {
    f.scale = scale;
    check_linear(9, 30, 20, {}, f);
    check_linear(1, 64, 33, {}, f);
    check_conv({2, 7, 7, 16, 70, kSame, 1, {}, f}, {1u, 3u});
    check_conv({1, 9, 9, 70, 70, kSame, 70, {}, f}, {1u, 2u});
    f.clamp = {Activation::clamp, 0, 30};
  }
}

TEST_CASE("int8 layers: what contradicts itself is refused, by stable ids") {
  const auto id_of = [](const IntegerWeights& w, auto&& edit) {
    IntegerLayer l;
    make_linear(2, 24, 10, w, kAll, &l);
    edit(l);
    OpRun run;
    HostTensor out = l.out;
    return run(l.node, l.in, &out).id();
  };
  const IntegerWeights coded = codes(4, 16), dense = {};
  CHECK(id_of(coded, [](IntegerLayer&) {}) == 0);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.in[0].shape = shape({3, 16}); }) == 331);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.out.shape = shape({2, 9}); }) == 332);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.linear.epilogue.bias.count = 9; }) == 333);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.in[0].quantization = {}; }) == 337);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.in[1].dtype = DType::i8; }) == 337);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.out.quantization = {}; }) == 337);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.in.pop_back(); }) == 251);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.linear.epilogue.clamp.min = kNan; }) == 257);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.weights.codebook.levels.count = 0; }) == 336);
  CHECK(id_of(coded, [](IntegerLayer& l) {
          l.weights.codebook.codes = {l.codes.data(), l.codes.size() - 1};
        }) == 336);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.in[0].quantization.scale = 1e38f; }) == 0);
  CHECK(id_of(coded, [](IntegerLayer& l) {
          l.in[0].quantization.scale = 1e38f, l.out.quantization.scale = 1e-38f;
        }) == 340);
  CHECK(id_of(coded, [](IntegerLayer& l) { l.in[1].quantization.scale = 1e37f; }) == 340);
  CHECK(id_of(coded,
              [](IntegerLayer& l) { l.bias[3] = 3e38f, l.out.quantization.scale = 0.01f; }) == 340);
  CHECK(id_of(dense, [](IntegerLayer& l) { l.weights.dense.dtype = DType::f32; }) == 338);
  CHECK(id_of(dense, [](IntegerLayer& l) {
          l.weights.dense.data = {l.data.data(), l.data.size() - 1};
        }) == 338);
  CHECK(id_of(dense, [](IntegerLayer& l) { l.weights.dense.scales.values.count = 9; }) == 338);
  CHECK(id_of(dense, [](IntegerLayer& l) { l.weights.dense.scales.axis = ScaleAxis::group; }) ==
        338);
}

TEST_CASE("int8 layers: strategies are obeyed where they can compute the layer") {
  const auto kernel_of = [](const IntegerWeights& w, const char* strategy) {
    IntegerLayer l;
    make_linear(2, 24, 10, w, kAll, &l);
    OpRun run;
    run.strategy = strategy, run.isa = 0;
    HostTensor out = l.out;
    REQUIRE(run(l.node, l.in, &out).ok());
    return run.kernel;
  };
  CHECK(kernel_of({}, "dense8") == "int8_dense8_reference");
  CHECK(kernel_of({}, "decode8").find("int8_d") == 0);
  CHECK(kernel_of(codes(4, 16), "decode8") == "int8_decode8_reference");
  CHECK(kernel_of({}, "dot8") == "int8_dot8_reference");
  CHECK(kernel_of(codes(4, 16), "coded_dot") == "int8_coded_dot_reference");
  CHECK(kernel_of(codes(4, 16), "dense8").find("cod") != std::string::npos);
  CHECK(kernel_of(rounded(4, 16, 8, 8), "decode8") == "tables_reference");
  CHECK(kernel_of(codes(4, 16), "tables").find("cod") != std::string::npos);
}

TEST_CASE("int8 layers: an allocator that fails at any request is reported") {
  for (const Mode mode : {Mode::compressed, Mode::dense})
    for (int64_t after = 0; after < 6; ++after) {
      IntegerLayer l;
      make_linear(2, 24, 10, codes(4, 16), kAll, &l);
      OpRun run;
      run.fail_after = after, run.mode = mode;
      HostTensor out = l.out;
      const Status s = run(l.node, l.in, &out);
      if (!s.ok()) CHECK(s.code() == Code::out_of_memory);
      CHECK(run.leaked == 0);
    }
}

}  // namespace
}  // namespace qrt::test

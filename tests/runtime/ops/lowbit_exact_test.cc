// conv2d and linear of integers whose weights are codes of few bits, bit for bit against their
// definition: every exact encoding, strategy, mode and instruction set, any number of threads.
#include "kernels/int8/int8.h"
#include "kernels/lowbit/lowbit.h"
#include "runtime/ops/decode_lowbit.h"
#include "tests/runtime/ops/int8_layer.h"

namespace qrt::test {
namespace {

constexpr Window kSame{3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
constexpr Window kPoint{1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
constexpr IntegerFinish kAll{true, true, true, false, {Activation::clamp, -20, 45}};
constexpr IntegerFinish kFloats{true, true, true, true, {Activation::clamp, -20, 45}};

void check(const IntegerLayer& l, std::initializer_list<const char*> strategies,
           std::initializer_list<uint32_t> counts) {
  for (const auto& row : kernels::int8::kKits) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    for (const char* strategy : strategies)
      for (const uint32_t threads : counts) {
        CAPTURE(std::string(row.name));
        CAPTURE(strategy);
        CAPTURE(threads);
        OpRun run;
        run.isa = row.isa, run.strategy = strategy, run.threads = threads, run.repeats = 2;
        run.mode = threads == 2 ? Mode::dense : Mode::compressed;
        HostTensor out = l.out;
        const Status s = run(l.node, l.in, &out);
        REQUIRE_MESSAGE(s.ok(), s.what());
        CHECK(run.kernel.find(strategy) != std::string::npos);
        CHECK(out.bytes == l.out.bytes);
        CHECK(run.guards_held);
        CHECK(run.repeatable);
        CHECK(run.leaked == 0);
      }
  }
}

IntegerWeights weights_of(const LowbitSpec& spec, InputOrder order = InputOrder::kh_kw_cin) {
  IntegerWeights w;
  w.lowbit = &spec, w.order = order;
  return w;
}

bool has_masked_dot(const LowbitSpec& s) {
  return s.encoding != Encoding::table && (s.bits == 1 || s.bits == 2 || s.bits == 4);
}

// Tables and other widths, on the instruction sets whose kit can multiply them as they lie.
void check_masked_dot(const LowbitSpec& spec, const IntegerLayer& l) {
  if (has_masked_dot(spec)) return check(l, {"masked_dot"}, {1u});
  for (const auto& row : kernels::lowbit::kKits) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    int8_t map[256] = {};
    const Weights& w = *l.node.linear->weights;
    const bool mapped = spec.encoding == Encoding::table;
    for (size_t c = 0; mapped && c < size_t{1} << spec.bits; ++c)
      map[c] = static_cast<int8_t>(table_value(w.table, static_cast<uint32_t>(c)));
    if (!row.run->can_dot(spec.bits, mapped ? map : nullptr)) continue;
    CAPTURE(std::string(row.name));
    OpRun run;
    run.isa = row.isa, run.strategy = "masked_dot";
    HostTensor out = l.out;
    const Status s = run(l.node, l.in, &out);
    REQUIRE_MESSAGE(s.ok(), s.what());
    CHECK(run.kernel.find("masked_dot") != std::string::npos);
    CHECK(out.bytes == l.out.bytes);
    CHECK(run.guards_held);
  }
}

TEST_CASE("lowbit integers: linear, every exact encoding, odd sizes") {
  for (const LowbitSpec& spec : exact_lowbit_specs()) {
    CAPTURE(spec.str());
    for (const auto& [rows, inputs, outputs] :
         {std::array{1, 83, 37}, {1, 1, 1}, {3, 641, 70}, {17, 40, 33}, {2, 700, 130}}) {
      CAPTURE(inputs);
      IntegerLayer l;
      make_linear(rows, inputs, outputs, weights_of(spec), inputs == 83 ? kFloats : kAll, &l);
      check(l, {"unpack8", "unpack_dot"}, {1u});
      check_masked_dot(spec, l);
    }
  }
}

TEST_CASE("lowbit integers: a bias before the scale") {
  IntegerFinish f;
  f.bias_first = true;
  for (const LowbitSpec& spec : exact_lowbit_specs())
    for (const int rows : {1, 17}) {
      CAPTURE(spec.str());
      IntegerLayer l;
      make_linear(rows, 83, 37, weights_of(spec), f, &l);
      check(l, {"unpack8", "unpack_dot"}, {1u});
      check_masked_dot(spec, l);
    }
}

// Codes of 8 bits less zero points inside of them: a third of the outputs has weights beyond s8.
TEST_CASE("lowbit integers: weights of 9 bits") {
  LowbitSpec wide;
  wide.bits = 8, wide.zeros = Zeros::output;
  for (const int shifted : {-40, 3, 254}) {
    wide.shifted = 2 * (shifted / 2);
    CAPTURE(wide.str());
    IntegerFinish first;
    first.bias_first = true;
    for (const IntegerFinish& f : {kAll, kFloats, first, IntegerFinish{false, false}}) {
      IntegerLayer l;
      make_linear(3, 83, 37, weights_of(wide), f, &l);
      check(l, {"unpack8", "unpack_dot"}, {1u, 2u});
    }
    for (const InputOrder order : {InputOrder::kh_kw_cin, InputOrder::cin_kh_kw})
      for (const IntegerConv& c : {IntegerConv{1, 7, 7, 16, 70, kSame, 1, {}, kAll},
                                   {2, 9, 8, 5, 5, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 5, {}, first},
                                   {1, 6, 7, 4, 12, kSame, 2, {}, kAll},
                                   {2, 5, 6, 8, 24, kPoint, 1, {}, first}}) {
        IntegerConv conv = c;
        conv.weights = weights_of(wide, order);
        IntegerLayer l;
        make_conv(conv, &l);
        check(l, {"unpack8"}, {1u, 2u, 3u});
      }
  }
}

// Kept weights of 16 bits are little beside the file, or none, however many outputs there are.
TEST_CASE("lowbit integers: weights of 9 bits in every output, or in few of them") {
  const auto weight_bytes = [](const IntegerLayer& l, Mode mode, std::string* choice) {
    OpRun run;
    run.mode = mode, run.strategy = "unpack_dot";
    HostTensor out = l.out;
    REQUIRE(run(l.node, l.in, &out).ok());
    CHECK(out.bytes == l.out.bytes);
    *choice = run.choice;
    return run.weight_bytes;
  };
  std::string all, few;
  for (const uint32_t bits : {8u, 6u}) {
    LowbitSpec wide;  // of 8 bits the codes as they are, of 6 bits 168 and more above them
    wide.bits = bits, wide.zeros = Zeros::layer, wide.shifted = bits == 8 ? -256 : -400;
    IntegerLayer l;
    make_linear(35, 500, 64, weights_of(wide), kAll, &l);
    check(l, {"unpack8", "unpack_dot"}, {1u, 2u, 3u});
    CHECK(weight_bytes(l, Mode::compressed, &all) <= l.weights.affine.codes.size() / 8);
    CHECK(weight_bytes(l, Mode::dense, &all) >= 2 * 500 * 64);
    for (const InputOrder order : {InputOrder::kh_kw_cin, InputOrder::cin_kh_kw}) {
      IntegerConv conv{1, 7, 7, 5, 70, kSame, 1, {}, kAll};
      conv.weights = weights_of(wide, order);
      IntegerLayer windows;
      make_conv(conv, &windows);
      check(windows, {"unpack8"}, {1u, 2u});
    }
  }
  LowbitSpec one;
  one.bits = 8, one.zeros = Zeros::output;
  IntegerLayer l;
  make_linear(35, 500, 64, weights_of(one), kAll, &l);
  std::vector<int16_t> zeros(64, 256);
  zeros[7] = 100;
  l.weights.affine.zero_halves = {zeros.data(), zeros.size()};
  HostTensor want = l.out;  // by the other mode
  OpRun dense;
  dense.mode = Mode::dense;
  REQUIRE(dense(l.node, l.in, &want).ok());
  CHECK(dense.kernel.find("+1 wide") != std::string::npos);
  l.out = want;
  CHECK(weight_bytes(l, Mode::compressed, &few) == 2 * 500);
  // The cost of them stands beside what the strategies cost.
  const auto cost = [](const std::string& choice) {
    const size_t at = choice.find(", and wide outputs ");
    REQUIRE_MESSAGE(at != std::string::npos, choice);
    return std::atof(choice.c_str() + at + 19);
  };
  CHECK(cost(all) > 32 * cost(few));
}

TEST_CASE("lowbit integers: thresholds among the sums of weights of 9 bits") {
  const std::vector<uint8_t> codes = {255, 4};
  const std::vector<int16_t> zeros = {0, 510};  // 255 and 4 - 255
  const std::vector<float> scales = {1, 1};
  const std::vector<int32_t> thresholds = {50000, 65025, -64005, -50000};
  Weights w{};
  w.outputs = 2, w.inputs = 1, w.numerics = Numerics::exact, w.encoding = Encoding::affine;
  w.affine = {8,
              false,
              {zeros.data(), zeros.size()},
              {codes.data(), codes.size()},
              {ScaleAxis::output, 0, constant_of(scales)}};
  LinearAttr linear{&w, {}};
  linear.epilogue.thresholds = {thresholds.data(), thresholds.size()};
  linear.epilogue.threshold_count = 2, linear.epilogue.threshold_step = 1;
  Node node;
  node.name = "fc", node.kind = OpKind::linear, node.linear = &linear;
  HostTensor x = tensor_of(DType::u8, shape({5, 1}), std::vector<uint8_t>{0, 196, 197, 254, 255});
  x.quantization = {1, 0};
  HostTensor y{DType::u8, shape({5, 2}), std::vector<unsigned char>(10), false, {1, 0}};
  OpRun run;
  REQUIRE(run(node, {x}, &y).ok());
  CHECK(y.bytes == std::vector<unsigned char>{0, 2, 0, 2, 1, 2, 1, 1, 2, 1});
  CHECK(run.kernel.find("+2 wide") != std::string::npos);
}

TEST_CASE("lowbit integers: any number of threads, kept panels") {
  const std::vector<LowbitSpec> specs = exact_lowbit_specs();
  for (const size_t i : {size_t{3}, specs.size() - 2}) {
    IntegerLayer l;
    make_linear(5, 700, 200, weights_of(specs[i]), kAll, &l);
    REQUIRE(has_masked_dot(specs[i]));
    check(l, {"unpack8", "unpack_dot", "masked_dot"}, {1u, 2u, 3u, 8u});
  }
}

TEST_CASE("lowbit integers: trits as they lie, and kept as codes of two bits") {
  const LowbitSpec trits = exact_lowbit_specs().back();
  REQUIRE(trits.trits);
  for (const size_t inputs :
       {1u,   2u,   3u,   4u,   5u,   6u,   59u,  60u,  61u,  64u,  159u, 160u,
        161u, 319u, 320u, 321u, 322u, 323u, 324u, 325u, 400u, 401u, 1283u})
    for (const size_t outputs : {1u, 6u, 131u}) {
      CAPTURE(inputs);
      CAPTURE(outputs);
      IntegerLayer l;
      make_linear(static_cast<int>(inputs % 3 + 1), static_cast<int>(inputs),
                  static_cast<int>(outputs), weights_of(trits), kAll, &l);
      for (const auto& row : kernels::lowbit::kKits) {
        if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
        CAPTURE(std::string(row.name));
        for (const Mode mode : {Mode::compressed, Mode::dense})
          for (const uint32_t threads : {1u, 3u})
            for (const char* strategy : {"masked_dot", static_cast<const char*>(nullptr)}) {
              OpRun run;
              run.isa = row.isa, run.strategy = strategy, run.threads = threads, run.mode = mode;
              run.repeats = 2;
              HostTensor out = l.out;
              const Status s = run(l.node, l.in, &out);
              REQUIRE_MESSAGE(s.ok(), s.what());
              CHECK(out.bytes == l.out.bytes);
              CHECK(run.guards_held);
              CHECK(run.repeatable);
              CHECK(run.leaked == 0);
              if (mode == Mode::compressed) CHECK(run.weight_bytes == 0);
              if (mode == Mode::dense && strategy != nullptr)
                CHECK(run.weight_bytes == outputs * ((inputs + 3) / 4));
            }
      }
    }
}

TEST_CASE("lowbit integers: windows, strides, dilation, padding, groups, both orders") {
  const std::vector<LowbitSpec> specs = exact_lowbit_specs();
  for (const InputOrder order : {InputOrder::kh_kw_cin, InputOrder::cin_kh_kw})
    for (const LowbitSpec& spec : {specs[3], specs[9], specs.back()}) {
      CAPTURE(spec.str());
      for (const IntegerConv& c :
           {IntegerConv{1, 7, 7, 16, 70, kSame, 1, {}, kAll},
            {2, 5, 6, 8, 24, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 1, {}, {false, true}},
            {1, 9, 8, 4, 8, {3, 2, 2, 1, 2, 3, 2, 0, 1, 3}, 1, {}, kAll},
            {1, 6, 6, 12, 36, kPoint, 1, {}, kFloats},
            {1, 5, 5, 12, 36, kSame, 3, {}, kAll},
            {1, 3, 3, 5, 9, {3, 3, 1, 1, 1, 1, 5, 4, 5, 4}, 1, {}, kAll}}) {
        IntegerConv conv = c;
        conv.weights = weights_of(spec, order);
        CAPTURE(conv.channels);
        CAPTURE(conv.height);
        CAPTURE(static_cast<int>(order));
        IntegerLayer l;
        make_conv(conv, &l);
        check(l, {"unpack8"}, {1u, 2u});
        const bool interleaved = order == InputOrder::cin_kh_kw && l.weights.inputs > 12;
        if (!interleaved) check(l, {"unpack_dot"}, {1u, 3u});
        if (!interleaved && has_masked_dot(spec)) check(l, {"masked_dot"}, {1u, 3u});
      }
    }
}

TEST_CASE("lowbit integers: depthwise") {
  for (const LowbitSpec& spec : exact_lowbit_specs()) {
    CAPTURE(spec.str());
    for (const uint32_t k : {3u, 11u}) {
      IntegerLayer l;
      make_conv({1,
                 6,
                 5,
                 35,
                 35,
                 {k, k, 1, 1, 1, 1, k / 2, k / 2, k / 2, k / 2},
                 35,
                 weights_of(spec),
                 kAll},
                &l);
      check(l, {"depthwise8"}, {1u, 2u});
    }
  }
}

TEST_CASE("lowbit integers: weights that are none are refused, by stable ids") {
  const auto id_of = [](LowbitSpec spec, auto&& edit) {
    spec.zeros = Zeros::layer;
    IntegerLayer l;
    make_linear(2, 24, 10, weights_of(spec), kAll, &l);
    edit(l);
    OpRun run;
    HostTensor out = l.out;
    const int id = run(l.node, l.in, &out).id();
    CHECK(run.leaked == 0);
    return id;
  };
  LowbitSpec affine, grouped, table, values, planes, groups;
  CHECK(id_of(affine, [](IntegerLayer&) {}) == 0);
  CHECK(id_of(affine, [](IntegerLayer& l) { l.low.zeros[0] = 240; }) == 0);
  CHECK(id_of(affine, [](IntegerLayer& l) { l.low.zeros[0] = 600; }) == 142);
  CHECK(id_of(affine, [](IntegerLayer& l) { l.in[0].quantization = {}; }) == 337);
  grouped.axis = ScaleAxis::group, grouped.group = 8;
  CHECK(id_of(grouped, [](IntegerLayer&) {}) == 142);
  table.encoding = Encoding::table, table.integers = true;
  CHECK(id_of(table, [](IntegerLayer&) {}) == 0);
  CHECK(id_of(table, [](IntegerLayer& l) { l.low.integer_bytes[3] = 1; }) == 0);
  CHECK(id_of(table, [](IntegerLayer& l) {
          l.low.integer_bytes[2] = 0xff, l.low.integer_bytes[3] = 0x7f;
        }) == 142);
  values.encoding = Encoding::table;
  CHECK(id_of(values, [](IntegerLayer&) {}) == 142);
  table.offsets = 1;
  CHECK(id_of(table, [](IntegerLayer&) {}) == 142);
  planes.encoding = Encoding::bit_planes, planes.bits = 1, planes.one_plane = true;
  CHECK(id_of(planes, [](IntegerLayer&) {}) == 0);
  CHECK(id_of(planes, [](IntegerLayer& l) { l.low.counts[0] = 0; }) == 256);
  groups = planes, groups.group = 12;
  CHECK(id_of(groups, [](IntegerLayer&) {}) == 159);
}

}  // namespace
}  // namespace qrt::test

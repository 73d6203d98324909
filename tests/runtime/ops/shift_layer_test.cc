// conv2d and linear of integers through kernels/shift, bit for bit against their definition: every
// way on every instruction set, integers of one and of two bytes, scales per layer, output and
// group.
#include "kernels/shift/shift.h"
#include "runtime/ops/decode_lowbit.h"
#include "tests/runtime/ops/int8_layer.h"

namespace qrt::test {
namespace {

namespace sh = kernels::shift;

constexpr Window kSame{3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
constexpr Window kPoint{1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
constexpr IntegerFinish kAll{true, true, true, false, {Activation::clamp, -20, 45}};
constexpr IntegerFinish kFloats{true, true, true, true, {Activation::clamp, -20, 45}};

const char* strategy_of(sh::Kind kind) {
  return kind == sh::Kind::shift     ? "shift_add"
         : kind == sh::Kind::grouped ? "shift_grouped"
         : kind == sh::Kind::decode  ? "shift_decode"
                                     : "shift_dot";
}

// Groups of whole 16 bytes of codes as they are looked up, of integers of one byte.
bool dots_groups(const IntegerLayer& l) {
  const TableWeights& t = l.weights.table;
  for (uint32_t c = 0; c < 1u << t.bits; ++c)
    if (table_value(t, c) < -128 || table_value(t, c) > 127) return false;
  return (t.bits == 4 && t.scales.group % 32 == 0) || (t.bits == 6 && t.scales.group % 16 == 0);
}

// Runs every way that this CPU has and that can compute the layer; how many did.
int check(const IntegerLayer& l, std::initializer_list<uint32_t> counts) {
  int ran = 0;
  for (const sh::Row& row : sh::kWays) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    const bool windows = l.node.kind == OpKind::conv2d && l.weights.order == InputOrder::cin_kh_kw;
    if (row.kind == sh::Kind::dot && (windows || (l.has_group_scales() && !dots_groups(l))))
      continue;
    for (const uint32_t threads : counts) {
      CAPTURE(std::string(row.name));
      CAPTURE(threads);
      OpRun run;
      run.isa = row.isa, run.strategy = strategy_of(row.kind), run.threads = threads;
      run.repeats = 2;
      HostTensor out = l.out;
      const Status s = run(l.node, l.in, &out);
      REQUIRE_MESSAGE(s.ok(), s.what());
      const char* isa = std::strchr(row.name, '_');
      CHECK(run.kernel == std::string("int8_") + run.strategy + isa);
      CHECK(out.bytes == l.out.bytes);
      CHECK(run.guards_held);
      CHECK(run.repeatable);
      CHECK(run.leaked == 0);
      ++ran;
    }
  }
  return ran;
}

LowbitSpec table(uint32_t bits, int most, ScaleAxis axis = ScaleAxis::output, uint32_t group = 0) {
  LowbitSpec s;
  s.encoding = Encoding::table, s.integers = true, s.bits = bits, s.most = most;
  s.axis = axis, s.group = group;
  return s;
}

IntegerWeights weights_of(const LowbitSpec& spec, InputOrder order = InputOrder::kh_kw_cin) {
  IntegerWeights w;
  w.lowbit = &spec, w.order = order;
  return w;
}

TEST_CASE("shift layers: linear, bits 1 to 8, one and two bytes, odd sizes") {
  for (uint32_t bits = 1; bits <= 8; ++bits)
    for (const int most : {1, 127, 448, 6000}) {
      if (most > 1 << 2 * bits && most > 127) continue;
      const LowbitSpec spec =
          table(bits, most, bits % 3 == 0 ? ScaleAxis::layer : ScaleAxis::output);
      CAPTURE(spec.str());
      CAPTURE(most);
      for (const auto& [rows, inputs, outputs] :
           {std::array{1, 83, 37}, {1, 1, 1}, {3, 641, 70}, {17, 40, 33}, {70, 300, 65}}) {
        if (uint64_t(inputs) * 383 * uint64_t(most + 128) > INT32_MAX) continue;
        CAPTURE(inputs);
        IntegerLayer l;
        make_linear(rows, inputs, outputs, weights_of(spec), inputs == 83 ? kFloats : kAll, &l);
        CHECK(check(l, {1u}) >= 2);
      }
    }
}

TEST_CASE("shift layers: a scale per group of inputs") {
  for (const uint32_t group : {32u, 64u, 16u, 7u, 1u, 600u}) {
    LowbitSpec spec =
        table(group % 2 == 0 ? 4 : 6, group == 16 ? 448 : 12, ScaleAxis::group, group);
    CAPTURE(group);
    for (const auto& [rows, inputs, outputs] :
         {std::array{1, 83, 37}, {3, 641, 70}, {17, 600, 33}, {1, 601, 1}}) {
      if (group > uint32_t(inputs)) continue;
      CAPTURE(inputs);
      for (const bool powers : {false, true}) {
        spec.powers = powers;
        IntegerLayer l;
        make_linear(rows, inputs, outputs, weights_of(spec), inputs == 83 ? kFloats : kAll, &l);
        CHECK(check(l, {1u, 3u}) >= 4);
      }
    }
  }
}

TEST_CASE("shift layers: any number of threads") {
  const LowbitSpec narrow = table(4, 12), wide = table(6, 448);
  for (const LowbitSpec& spec : {narrow, wide})
    for (const auto& [rows, outputs] : {std::array{5, 200}, {150, 40}, {1, 700}}) {
      CAPTURE(rows);
      IntegerLayer l;
      make_linear(rows, 700, outputs, weights_of(spec), kAll, &l);
      check(l, {1u, 2u, 3u, 8u});
    }
}

TEST_CASE("shift layers: windows, strides, dilation, padding, groups, both orders") {
  const LowbitSpec specs[] = {table(4, 12), table(6, 448), table(4, 12, ScaleAxis::group, 8)};
  for (const InputOrder order : {InputOrder::kh_kw_cin, InputOrder::cin_kh_kw})
    for (const LowbitSpec& spec : specs) {
      CAPTURE(spec.str());
      for (const IntegerConv& c :
           {IntegerConv{1, 7, 7, 16, 70, kSame, 1, {}, kAll},
            {2, 5, 6, 8, 24, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 1, {}, {false, true}},
            {1, 9, 8, 4, 8, {3, 2, 2, 1, 2, 3, 2, 0, 1, 3}, 1, {}, kAll},
            {1, 6, 6, 12, 36, kPoint, 1, {}, kFloats},
            {1, 6, 6, 12, 36, {1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, 1, {}, kFloats},
            {1, 5, 5, 12, 36, kSame, 3, {}, kAll},
            {1, 6, 5, 9, 9, kSame, 9, {}, kAll}}) {
        IntegerConv conv = c;
        conv.weights = weights_of(spec, order);
        CAPTURE(conv.channels);
        CAPTURE(conv.groups);
        CAPTURE(static_cast<int>(order));
        IntegerLayer l;
        make_conv(conv, &l);
        CHECK(check(l, {1u, 2u}) >= 4);
      }
    }
}

TEST_CASE("shift layers: by prediction, integers beyond a byte never fall back to bytes") {
  for (const LowbitSpec& spec : {table(6, 448), table(4, 12, ScaleAxis::group, 32)})
    for (const auto& kit : kernels::int8::kKits) {
      if (!kernels::includes(kernels::detect_isa(), kit.isa)) continue;
      IntegerLayer l;
      make_linear(20, 96, 40, weights_of(spec), kAll, &l);
      for (const char* wanted : {static_cast<const char*>(nullptr), "unpack8", "unpack_dot"}) {
        OpRun run;
        run.isa = kit.isa, run.strategy = wanted;
        HostTensor out = l.out;
        REQUIRE(run(l.node, l.in, &out).ok());
        CHECK(run.kernel.find("shift_") != std::string::npos);
        CHECK(out.bytes == l.out.bytes);
      }
    }
}

TEST_CASE("shift layers: sums that may leave int32 are refused before they are made") {
  const auto id_of = [](const LowbitSpec& spec, int inputs) {
    IntegerLayer l;
    make_linear(1, inputs, 2, weights_of(spec), kFloats, &l);
    const int16_t most = 6000;
    std::memcpy(l.low.integer_bytes.data(), &most, sizeof most);
    OpRun run;
    HostTensor out = l.out;
    return run(l.node, l.in, &out).id();
  };
  const LowbitSpec wide = table(8, 6000);
  const int fits = INT32_MAX / (383 * (6000 + 128));
  CHECK(id_of(wide, fits) == 0);
  CHECK(id_of(wide, fits + 1) == 153);
  // Groups have sums of their own.
  LowbitSpec groups = wide;
  groups.axis = ScaleAxis::group, groups.group = 32;
  CHECK(id_of(groups, fits + 1) == 0);
}

}  // namespace
}  // namespace qrt::test

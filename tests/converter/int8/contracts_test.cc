// Which layers are worth rounded tables, and how far to shift.
#include "converter/int8/contracts.h"

#include <doctest/doctest.h>

#include <random>

namespace qrt::int8 {
namespace {

quant::Codebook book(int32_t count, int32_t dim, int64_t outputs, int64_t inputs) {
  std::mt19937 rng(11);
  std::normal_distribution<float> normal;
  quant::Codebook c;
  c.count = count, c.dim = dim, c.entry = quant::EntryType::f32;
  for (int32_t i = 0; i < count * dim; ++i) c.entries.push_back(normal(rng));
  for (int64_t i = 0; i < (inputs + dim - 1) / dim * outputs; ++i)
    c.codes.push_back(static_cast<uint16_t>(rng() % static_cast<uint32_t>(count)));
  c.levels = {3.5f / 127};
  return c;
}

TEST_CASE("contracts: small books, long blocks and wide layers gain; VNNI gains least") {
  const LayerShape wide{196, 1024, 256, 1};
  const auto gain = [&](Target t, int32_t count, int32_t dim, int32_t bits = 8) {
    return table_gain(t, wide, book(count, dim, wide.outputs, wide.inputs), bits);
  };
  CHECK(gain(Target::x86_vnni, 16, 8) > 1.5);
  CHECK(gain(Target::x86_vnni, 256, 4) < 1);
  CHECK(gain(Target::x86_avx2, 16, 8) > gain(Target::x86_vnni, 16, 8));
  CHECK(gain(Target::x86_vnni, 16, 8) > gain(Target::x86_vnni, 64, 8));
  CHECK(gain(Target::x86_vnni, 16, 8) > gain(Target::x86_vnni, 16, 8, 12));
  CHECK(gain(Target::portable, 16, 8) <= gain(Target::x86_vnni, 16, 8));
  CHECK(least_gain(Target::portable) > least_gain(Target::x86_avx2));
}

TEST_CASE("contracts: what the format has no tables for gains nothing") {
  const LayerShape s{196, 64, 128, 1};
  CHECK(table_gain(Target::x86_avx2, s, book(512, 4, 64, 128), 8) == 0);
  CHECK(table_gain(Target::x86_avx2, s, book(16, 128, 64, 128), 8) == 0);
  quant::Codebook scoped = book(16, 4, 64, 128);
  scoped.scope_rows = 32;
  CHECK(table_gain(Target::x86_avx2, s, scoped, 8) == 0);
  CHECK(table_gain(Target::x86_avx2, {196, 64, 128, 2}, book(16, 4, 64, 128), 8) == 0);
}

TEST_CASE("contracts: names of targets") {
  CHECK(target_of("portable") == Target::portable);
  CHECK(target_of("arm-dotprod") == Target::arm_dotprod);
  CHECK(!target_of("riscv"));
}

TEST_CASE("contracts: more bits lose less, and the shift fits the products") {
  const quant::Codebook c = book(32, 8, 40, 100);  // the last block is short
  std::mt19937 rng(2);
  std::vector<float> rows;
  for (int i = 0; i < 64 * 100; ++i) rows.push_back(static_cast<float>(rng() % 256));
  double seven = 0, eight = 0, twelve = 0;
  best_shift(c, 40, 100, 7, rows, &seven);
  const int32_t shift = best_shift(c, 40, 100, 8, rows, &eight);
  best_shift(c, 40, 100, 12, rows, &twelve);
  CHECK(shift >= 8);
  CHECK(shift <= 15);
  CHECK(eight < seven);
  CHECK(twelve < eight);
  CHECK(eight < 0.02);
  CHECK(twelve < 1e-4);
  // Inputs that are small leave small products.
  for (float& v : rows) v = static_cast<float>(static_cast<int>(v) / 16);
  double small = 0;
  CHECK(best_shift(c, 40, 100, 12, rows, &small) <
        best_shift(c, 40, 100, 12, std::vector<float>(6400, 255), &small));
}

}  // namespace
}  // namespace qrt::int8

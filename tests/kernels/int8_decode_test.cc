// Coded weights of the int8 family on guarded memory: what a decoded panel multiplies to, against
// the weights decoded the plain way and summed in 64 bits; rounding of entries by its formula.
#include <cmath>
#include <limits>

#include "tests/kernels/int8_case.h"

namespace qrt::kernels::int8 {
namespace {

using test::CodedCase;
using test::CodedData;
using test::each_int8_kit;
using test::GuardedBuffer;
using test::Int8Random;
using Row = Kernel<const Kit>;

constexpr size_t kRows = 5;

// Panels end where memory ends; wrong sums of all tiles are counted.
size_t wrong_sums(const Row& row, const CodedCase& c, const CodedData& data, int x_zero) {
  GuardedBuffer<uint8_t> panel(panel_bytes(*row.run, c.inputs));
  GuardedBuffer<uint8_t> x(kRows * c.inputs + kRowSlack);
  GuardedBuffer<float> y(kRows * c.outputs);
  Int8Random random(c.inputs + c.outputs);
  for (uint8_t& v : x) v = static_cast<uint8_t>(random.between(0, 255));
  for (size_t n = 0; n < c.outputs; n += row.tile.n) {
    const size_t outputs = std::min<size_t>(row.tile.n, c.outputs - n);
    row.run->decode({data.source(), n, outputs, c.inputs, c.taps, x_zero != 0, panel.data()});
    GemmArgs a{};
    a.rows = kRows, a.inputs = c.inputs, a.outputs = outputs;
    a.x = x.data(), a.x_stride = c.inputs, a.x_zero = x_zero, a.panel = panel.data();
    a.y32 = y.data() + n, a.y_stride = c.outputs;
    a.finish.min = -1e30f, a.finish.max = 1e30f;
    row.run->gemm(a);
  }
  size_t wrong = 0;
  for (size_t m = 0; m < kRows; ++m) {
    for (size_t n = 0; n < c.outputs; ++n) {
      int64_t sum = 0;
      for (size_t k = 0; k < c.inputs; ++k)
        sum += (int64_t{x[m * c.inputs + k]} - x_zero) * data.weight(n, k);
      wrong += y[m * c.outputs + n] != static_cast<float>(sum);
    }
  }
  return wrong;
}

void check_all(const std::vector<CodedCase>& cases) {
  for (const CodedCase& c : cases) {
    const CodedData data(c);
    const std::string shape = c.str();
    CAPTURE(shape);
    each_int8_kit([&](const Row& row) {
      CHECK(wrong_sums(row, c, data, 0) == 0);
      CHECK(wrong_sums(row, c, data, 113) == 0);
    });
  }
}

TEST_CASE("int8: decode: every length of a block, last blocks cut") {
  std::vector<CodedCase> cases;
  for (const uint32_t dim : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, 12u, 16u, 17u, 18u, 36u, 64u, 100u})
    for (const size_t inputs : {1u, 4u, 9u, 36u, 64u, 71u, 144u})
      cases.push_back({37, inputs, dim});
  check_all(cases);
}

TEST_CASE("int8: decode: every width of a code") {
  std::vector<CodedCase> cases;
  for (uint32_t bits = 0; bits <= 16; ++bits)
    for (const uint32_t dim : {4u, 8u, 9u})
      for (const size_t outputs : {1u, 8u, 33u, 64u, 131u})
        cases.push_back({outputs, 40, dim, bits});
  check_all(cases);
}

TEST_CASE("int8: decode: books that add up and saturate") {
  std::vector<CodedCase> cases;
  for (const uint32_t books : {2u, 3u, 4u})
    for (const uint32_t dim : {4u, 6u, 8u, 9u, 18u})
      for (const uint32_t bits : {4u, 8u})
        for (const size_t taps : {size_t{1}, size_t{9}})
          cases.push_back({50, 72, dim, bits, books, 0, 1, taps});
  check_all(cases);
}

TEST_CASE("int8: decode: scopes and levels, within a tile and across") {
  std::vector<CodedCase> cases;
  for (const size_t scope_rows : {0u, 1u, 5u, 16u, 64u})
    for (const uint32_t levels : {1u, 2u, 7u})
      for (const uint32_t dim : {4u, 8u, 9u})
        for (const uint32_t bits : {3u, 4u, 8u, 10u})
          cases.push_back({70, 36, dim, bits, 1, scope_rows, levels, dim == 9 ? size_t{9} : 1});
  cases.push_back({70, 72, 9, 4, 2, 16, 3, 9});
  check_all(cases);
}

TEST_CASE("int8: decode: windows come out tap by tap") {
  std::vector<CodedCase> cases;
  for (const size_t taps : {2u, 4u, 9u, 25u, 49u})
    for (const size_t channels : {1u, 2u, 3u, 4u, 5u, 8u, 12u, 18u, 20u})
      for (const uint32_t dim : {4u, 8u, 9u, 18u, 25u, 27u, 49u})
        cases.push_back({35, taps * channels, dim, 8, 1, 0, 1, taps});
  check_all(cases);
}

// Wrong elements of coded_dot with scale, bias and residual, as u8 and as f32, on memory that ends
// with the last byte of x.
size_t wrong_dots(const Row& row, const CodedCase& c, const CodedData& data, size_t rows, int zero,
                  size_t first) {
  const size_t count = c.outputs - first;
  GuardedBuffer<uint8_t> x(rows * c.inputs), y8(rows * count), residual(rows * count);
  GuardedBuffer<float> y32(rows * count), scale(count), bias(count);
  Int8Random random(c.inputs + rows);
  for (uint8_t& v : x) v = static_cast<uint8_t>(random.between(0, 255));
  for (uint8_t& v : residual) v = static_cast<uint8_t>(random.between(0, 255));
  for (float& v : scale) v = 1e-4f + random.real(1e-3f);
  for (float& v : bias) v = random.real(20);
  Finish f{};
  f.scale = scale.data(), f.bias = bias.data(), f.residual = residual.data();
  f.residual_stride = count, f.residual_scale = 0.5f, f.residual_zero = 100;
  f.min = -20, f.max = 235, f.zero = 20;
  CodedDotArgs a{data.source(), first, count,     c.inputs, rows,  x.data(),
                 c.inputs,      zero,  y8.data(), nullptr,  count, f};
  row.run->coded_dot(a);
  a.y8 = nullptr, a.y32 = y32.data();
  row.run->coded_dot(a);
  size_t wrong = 0;
  for (size_t m = 0; m < rows; ++m) {
    for (size_t n = 0; n < count; ++n) {
      int64_t sum = 0;
      for (size_t k = 0; k < c.inputs; ++k)
        sum += (int64_t{x[m * c.inputs + k]} - zero) * data.weight(first + n, k);
      volatile float t = static_cast<float>(sum);  // no operation may be fused
      t = t * scale[n];
      t = t + bias[n];
      volatile float r = static_cast<float>(residual[m * count + n] - 100);
      r = r * 0.5f;
      const float want = std::min(235.0f, std::max(-20.0f, t + r));
      wrong += y32[m * count + n] != want;
      wrong += y8[m * count + n] != static_cast<int>(std::nearbyint(want)) + 20;
    }
  }
  return wrong;
}

TEST_CASE("int8: coded_dot: any block, width, rows, books and scopes") {
  std::vector<CodedCase> cases;
  for (const uint32_t dim : {1u, 3u, 4u, 7u, 8u, 9u, 12u, 16u, 18u, 20u, 64u})
    for (const uint32_t bits : {0u, 1u, 4u, 8u, 11u, 16u})
      for (const size_t inputs : {8u, 71u, 144u, 300u}) cases.push_back({45, inputs, dim, bits});
  for (const uint32_t books : {2u, 3u, 4u})
    for (const uint32_t dim : {4u, 8u, 9u, 28u}) cases.push_back({45, 148, dim, 6, books});
  for (const size_t scope_rows : {1u, 7u, 32u})
    for (const uint32_t dim : {4u, 8u, 9u}) cases.push_back({70, 80, dim, 8, 1, scope_rows, 3});
  for (const CodedCase& c : cases) {
    const CodedData data(c);
    const std::string shape = c.str();
    CAPTURE(shape);
    each_int8_kit([&](const Row& row) {
      for (size_t rows = 0; rows <= kMaxDotRows; ++rows) {
        CHECK(wrong_dots(row, c, data, rows, 0, 0) == 0);
        CHECK(wrong_dots(row, c, data, rows, 128, 32) == 0);
        CHECK(wrong_dots(row, c, data, rows, 77, 3) == 0);
      }
    });
  }
}

// The formula of int8.h with the rounding of the C library.
TEST_CASE("int8: round: entries to nearest even, clamped; a NaN is the lowest") {
  for (const size_t count : {0u, 1u, 3u, 4u, 5u, 8u, 16u, 17u, 31u, 100u}) {
    GuardedBuffer<float> values(count);
    Int8Random random(count + 1);
    for (float& v : values) v = 0.5f * static_cast<float>(random.between(-600, 600));
    if (count > 3) {
      values[0] = std::numeric_limits<float>::quiet_NaN();
      values[1] = std::numeric_limits<float>::infinity(), values[2] = -values[1];
    }
    each_int8_kit([&](const Row& row) {
      GuardedBuffer<int8_t> entries(count);
      row.run->round({values.data(), count, 0.5f, entries.data()});
      size_t wrong = 0;
      for (size_t i = 0; i < count; ++i) {
        const float t = std::isnan(values[i]) ? -127.0f : values[i] * 0.5f;
        const float limited = std::min(127.0f, std::max(-127.0f, t));
        wrong += entries[i] != static_cast<int>(std::nearbyint(limited));
      }
      CHECK(wrong == 0);
    });
  }
}

}  // namespace
}  // namespace qrt::kernels::int8

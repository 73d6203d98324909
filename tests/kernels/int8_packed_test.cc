// Packed codes of the int8 family on guarded memory: what a panel made of them multiplies to,
// against the integers of codes that are known from how they were packed, summed in 64 bits.
#include "tests/kernels/int8_case.h"

namespace qrt::kernels::int8 {
namespace {

using test::each_int8_kit;
using test::GuardedBuffer;
using test::Int8Random;
using Row = Kernel<const Kit>;

enum class Value { plain, is_signed, doubled, mixed, mapped };

// Codes end where memory ends; what is behind those of a row is random.
struct PackedData {
  PackedData(uint32_t code_bits, size_t n, size_t k, Value v)
      : bits(code_bits),
        outputs(n),
        inputs(k),
        row_bytes(bits == 0 ? (k + 4) / 5 : (k * bits + 7) / 8),
        codes(n * row_bytes),
        map(bits <= 4 ? 16 : 256),
        zero(n),
        doubled(n),
        weights(n * k) {
    Int8Random random(n * 1000 + k * 10 + bits);
    for (uint8_t& c : codes) c = static_cast<uint8_t>(random.between(0, bits == 0 ? 242 : 255));
    for (int8_t& m : map) m = static_cast<int8_t>(random.between(-128, 127));
    mapped = v == Value::mapped && bits != 0;
    flip = static_cast<uint8_t>(v == Value::is_signed && bits != 0 ? 1u << (bits - 1) : 0);
    for (size_t i = 0; i < n && !mapped; ++i) {
      doubled[i] = v == Value::doubled || (v == Value::mixed && i % 3 == 1) ? 1 : 0;
      if (bits == 0) doubled[i] = 0;
      zero[i] = static_cast<int8_t>(v == Value::plain ? 1 : random.between(-128, 127));
    }
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < k; ++j) weights[i * k + j] = weight(i, j);
  }
  uint32_t code(size_t n, size_t k) const {
    const uint8_t* row = codes.data() + n * row_bytes;
    if (bits == 0) {
      constexpr uint32_t kPower[] = {1, 3, 9, 27, 81};
      return row[k / 5] / kPower[k % 5] % 3;
    }
    uint32_t c = 0;
    for (uint32_t b = 0; b < bits; ++b)
      c |= (row[(k * bits + b) / 8] >> (k * bits + b) % 8 & 1u) << b;
    return c;
  }
  int8_t weight(size_t n, size_t k) const {
    const uint32_t c = code(n, k);
    if (mapped) return map[c];
    return static_cast<int8_t>(
        static_cast<uint8_t>(((c ^ flip) << doubled[n]) - static_cast<uint32_t>(zero[n])));
  }

  uint32_t bits;
  size_t outputs, inputs, row_bytes;
  GuardedBuffer<uint8_t> codes;
  GuardedBuffer<int8_t> map, zero;
  GuardedBuffer<uint8_t> doubled;
  std::vector<int8_t> weights;
  bool mapped = false;
  uint8_t flip = 0;
};

constexpr size_t kRows = 3;

// Panels end where memory ends; wrong sums of all tiles are counted.
size_t wrong_sums(const Row& row, const PackedData& d, int x_zero) {
  GuardedBuffer<uint8_t> panel(panel_bytes(*row.run, d.inputs));
  GuardedBuffer<uint8_t> x(kRows * d.inputs + kRowSlack);
  GuardedBuffer<float> y(kRows * d.outputs);
  Int8Random random(d.inputs + d.outputs);
  for (uint8_t& v : x) v = static_cast<uint8_t>(random.between(0, 255));
  for (size_t n = 0; n < d.outputs; n += row.tile.n) {
    PackedArgs p{};
    p.codes = d.codes.data() + n * d.row_bytes, p.end = d.codes.end();
    p.row_bytes = d.row_bytes, p.bits = d.bits, p.map = d.mapped ? d.map.data() : nullptr;
    p.flip = d.flip, p.doubled = d.doubled.data() + n, p.zero = d.zero.data() + n;
    p.outputs = std::min<size_t>(row.tile.n, d.outputs - n), p.inputs = d.inputs;
    p.sums = x_zero != 0, p.panel = panel.data();
    row.run->packed(p);
    GemmArgs a{};
    a.rows = kRows, a.inputs = d.inputs, a.outputs = p.outputs;
    a.x = x.data(), a.x_stride = d.inputs, a.x_zero = x_zero, a.panel = panel.data();
    a.y32 = y.data() + n, a.y_stride = d.outputs;
    a.finish.min = -1e30f, a.finish.max = 1e30f;
    row.run->gemm(a);
  }
  size_t wrong = 0;
  for (size_t m = 0; m < kRows; ++m)
    for (size_t n = 0; n < d.outputs; ++n) {
      int64_t sum = 0;
      for (size_t k = 0; k < d.inputs; ++k)
        sum += (int64_t{x[m * d.inputs + k]} - x_zero) * d.weights[n * d.inputs + k];
      wrong += y[m * d.outputs + n] != static_cast<float>(sum);
    }
  return wrong;
}

void check_all(size_t outputs, size_t inputs) {
  for (uint32_t bits = 0; bits <= 8; ++bits)
    for (const Value v :
         {Value::plain, Value::is_signed, Value::doubled, Value::mixed, Value::mapped}) {
      const PackedData data(bits, outputs, inputs, v);
      CAPTURE(bits);
      CAPTURE(outputs);
      CAPTURE(inputs);
      CAPTURE(static_cast<int>(v));
      each_int8_kit([&](const Row& row) {
        CHECK(wrong_sums(row, data, 0) == 0);
        CHECK(wrong_sums(row, data, 113) == 0);
      });
    }
}

TEST_CASE("int8: packed codes: every width, odd numbers of inputs") {
  for (const size_t inputs :
       {0u,  1u,  2u,  3u,  4u,  5u,  7u,   8u,   15u,  16u,  17u,  20u,  31u, 33u,
        63u, 64u, 65u, 79u, 80u, 81u, 127u, 128u, 129u, 255u, 257u, 320u, 577u})
    check_all(35, inputs);
}

TEST_CASE("int8: packed codes: every number of outputs") {
  for (size_t outputs = 1; outputs <= 34; ++outputs) check_all(outputs, 131);
}

TEST_CASE("int8: packed codes: every byte of trits") {
  PackedData data(0, 32, 5 * 243, Value::plain);
  for (size_t n = 0; n < 32; ++n)
    for (size_t i = 0; i < 243; ++i) data.codes[n * 243 + i] = static_cast<uint8_t>((i + n) % 243);
  for (size_t n = 0; n < 32; ++n)
    for (size_t k = 0; k < data.inputs; ++k) data.weights[n * data.inputs + k] = data.weight(n, k);
  each_int8_kit([&](const Row& row) { CHECK(wrong_sums(row, data, 113) == 0); });
}

}  // namespace
}  // namespace qrt::kernels::int8

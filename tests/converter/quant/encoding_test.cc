// Codebook encodings: what they mean, what they cost, what is refused.
#include "converter/quant/encoding.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "converter/base/half.h"

using namespace qrt;
using quant::Codebook;
using quant::EntryType;

namespace {

// 3 outputs, 5 inputs, blocks of 2 (the last is short), 3 centroids.
Codebook small() {
  Codebook c;
  c.count = 3;
  c.dim = 2;
  c.entries = {1, 2, 3, 4, 5, 6};
  c.codes = {0, 1, 2, 2, 1, 0, 1, 1, 2};
  return c;
}

int refused(const Codebook& c, int64_t outputs = 3, int64_t inputs = 5) {
  const auto r = quant::check(c, outputs, inputs);
  return r.ok() ? 0 : r.error().id;
}

}  // namespace

TEST_CASE("half: every f16 survives the round trip, ties go to even") {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    if ((h & 0x7c00u) == 0x7c00u && (h & 0x3ffu)) continue;  // NaN
    REQUIRE(float_to_half(half_to_float(static_cast<uint16_t>(h))) == h);
  }
  CHECK(float_to_half(1.0f + 0x1p-11f) == 0x3c00);
  CHECK(float_to_half(1.0f + 3 * 0x1p-11f) == 0x3c02);
  CHECK(float_to_half(0x1p-25f) == 0);
  CHECK(float_to_half(std::nextafter(0x1p-25f, 1.0f)) == 1);
  CHECK(float_to_half(1.5f * 0x1p-24f) == 2);
  CHECK(float_to_half(65519.996f) == 0x7bff);
  CHECK(float_to_half(65520.0f) == 0x7c00);
  CHECK(float_to_half(-1e30f) == 0xfc00);
  CHECK(std::isnan(half_to_float(float_to_half(std::nanf("")))));
}

TEST_CASE("codebook: decode puts block b of output o where codes[b][o] says") {
  const Codebook c = small();
  REQUIRE(refused(c) == 0);
  const std::vector<float> want = {1, 2, 5, 6, 3,  //
                                   3, 4, 3, 4, 3,  //
                                   5, 6, 1, 2, 5};
  CHECK(quant::decode(c, 3, 5) == want);
}

TEST_CASE("codebook: books add up, scopes split outputs, i8 entries scale") {
  Codebook c;
  c.books = 2;
  c.count = 2;
  c.dim = 1;
  c.scope_rows = 2;  // outputs 0,1 and output 2
  c.entry = EntryType::i8;
  c.entries = {1, 2, 10, 20, 3, 4, 30, 40};
  c.entry_scales = {1, 1, 1, 1, 0.5f, 0.5f, 2, 2};
  c.codes = {0, 1, 0, 1, 0, 1};
  REQUIRE(refused(c, 3, 1) == 0);
  CHECK(quant::decode(c, 3, 1) == std::vector<float>{21, 12, 81.5f});
  const auto bytes = quant::stored_bytes(c, 3, 1);
  CHECK(bytes.codes == 2);    // 2 books x 1 block x ceil(3 bits / 8)
  CHECK(bytes.entries == 8);  // i8
  CHECK(bytes.scales == 16);  // f16 holds them
}

TEST_CASE("codebook: stored bytes pack codes and count entries by type") {
  Codebook c = small();
  CHECK(quant::stored_bytes(c, 3, 5).codes == 3);  // 3 blocks x ceil(3 x 2 bits / 8)
  CHECK(quant::stored_bytes(c, 3, 5).entries == 12);
  c.entry = EntryType::f32;
  CHECK(quant::stored_bytes(c, 3, 5).entries == 24);
  c.count = 1;
  c.entries.resize(2);
  c.codes.assign(9, 0);
  CHECK(quant::stored_bytes(c, 3, 5).codes == 0);  // one entry needs no code
}

TEST_CASE("codebook: check refuses what cannot be meant or stored") {
  const float inf = std::numeric_limits<float>::infinity();
  Codebook c = small();
  c.codes[4] = 3;
  CHECK(refused(c) == 701);
  CHECK(refused(small(), 3, 6) == 0);
  CHECK(refused(small(), 3, 7) == 700);
  CHECK(refused(small(), 4, 5) == 700);
  CHECK(refused(small(), 0, 5) == 700);
  CHECK(refused(small(), 3, int64_t{1} << 40) == 700);
  for (const int32_t bad : {-1, 0, 65537, 1 << 30}) {
    c = small(), c.count = bad;
    CHECK(refused(c) == 700);
    c = small(), c.dim = bad;
    CHECK(refused(c) == 700);
    c = small(), c.books = bad;
    CHECK(refused(c) == 700);
  }
  c = small(), c.scope_rows = -1;
  CHECK(refused(c) == 700);
  c = small(), c.entries[1] = inf;
  CHECK(refused(c) == 700);
  c = small(), c.entries[1] = 1.0f + 0x1p-20f;  // no f16
  CHECK(refused(c) == 700);
  c.entry = EntryType::f32;
  CHECK(refused(c) == 0);
  c = small(), c.entry_scales = {1};
  CHECK(refused(c) == 700);
  c = small(), c.entry = EntryType::i8, c.entry_scales = {1, 1, 1};
  CHECK(refused(c) == 0);
  c.entries[0] = 128;
  CHECK(refused(c) == 700);
}

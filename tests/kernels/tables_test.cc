// Every way of the tables family that this CPU runs, on guarded memory. The test tabulates and adds
// in 64 bits by the formulas of tables.h; ways must be right to the bit wherever outputs are split.
#include "kernels/tables/tables.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "tests/support/guarded_buffer.h"

namespace qrt::kernels::tables {
namespace {

using test::Guard;
using test::GuardedBuffer;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  int between(int lo, int hi) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return lo + static_cast<int>((state_ >> 33) % static_cast<uint64_t>(hi - lo + 1));
  }
  float real(float most) {
    return most * static_cast<float>(between(-1000000, 1000000)) / 1000000.0f;
  }

 private:
  uint64_t state_;
};

struct Case {
  uint32_t keep, shift, bits, dim;
  size_t rows, inputs, outputs;
  uint32_t books = 1;
  size_t scope_rows = 0, taps = 1;
  int x_zero = 0;
  bool extreme = false;  // only the ends of the ranges
  bool residual = false;
  size_t split = 0;  // units of outputs per call; 0: all
  std::string str() const {
    std::string s;
    for (const size_t v : {size_t{keep}, size_t{shift}, size_t{bits}, size_t{dim}, rows, inputs,
                           outputs, size_t{books}, scope_rows, taps, static_cast<size_t>(x_zero)})
      s += std::to_string(v) + " ";
    return s + (extreme ? "extreme" : "");
  }
  size_t blocks() const { return (inputs + dim - 1) / dim; }
  size_t scopes() const { return scope_rows == 0 ? 1 : (outputs + scope_rows - 1) / scope_rows; }
  Shape shape() const {
    return {rows, outputs, inputs,     blocks(), bits, books, dim, static_cast<uint32_t>(scopes()),
            keep, shift,   x_zero != 0};
  }
};

// A layer, its guarded memory and its exact result.
struct Layer {
  explicit Layer(const Case& shape)
      : c(shape),
        stride((c.dim + 3) / 4 * 4),
        row_bytes((c.outputs * c.bits + 7) / 8),
        x(c.rows * c.inputs + kRowSlack),
        residual(c.rows * c.outputs),
        codes(row_bytes * c.blocks() * c.books, Guard::after, 0),
        entries(c.scopes() * c.books * (stride << c.bits) + int8::kEntrySlack, Guard::before, 0),
        scale(c.outputs),
        bias(c.outputs) {
    Random random(c.rows * 131 + c.inputs * 7 + c.outputs + c.bits * 31 + c.keep + c.shift * 1009);
    for (uint8_t& v : x)
      v = static_cast<uint8_t>(c.extreme ? random.between(0, 1) * 255 : random.between(0, 255));
    for (uint8_t& v : residual) v = static_cast<uint8_t>(random.between(0, 255));
    for (uint8_t& v : codes) v = static_cast<uint8_t>(random.between(0, 255));
    for (size_t e = 0; e < c.scopes() * c.books << c.bits; ++e)
      for (size_t t = 0; t < c.dim; ++t)
        entries[e * stride + t] = static_cast<int8_t>(c.extreme ? random.between(0, 1) * 254 - 127
                                                                : random.between(-127, 127));
    // Scales that spread results over the whole range of u8 and beyond it.
    const float deep = std::sqrt(static_cast<float>(c.blocks() * c.books));
    const float table = std::min(
        static_cast<float>(1 << (c.keep - 1)),
        15000.0f * std::sqrt(static_cast<float>(c.dim)) / static_cast<float>(1 << c.shift));
    for (float& v : scale) v = (80.0f + random.real(30.0f)) / (deep * std::max(table, 1.0f));
    for (float& v : bias) v = random.real(60);
    make_sums();
  }

  uint32_t code(size_t book, size_t block, size_t n) const {
    uint32_t value = 0;
    for (size_t i = 0; i < c.bits; ++i) {
      const size_t bit = n * c.bits + i;
      const uint8_t byte = codes[(book * c.blocks() + block) * row_bytes + bit / 8];
      value += (byte >> bit % 8 & 1u) << i;
    }
    return value;
  }
  int64_t rounded(int64_t dot) const {
    const int64_t most = int64_t{1} << (c.keep - 1), step = int64_t{1} << c.shift;
    const int64_t up = dot + step / 2;
    const int64_t floor = up >= 0 ? up / step : -((-up + step - 1) / step);
    return std::clamp(floor, -most, most - 1);
  }
  int64_t table(size_t r, size_t b, const int8_t* entry) const {
    int64_t dot = 0;
    for (size_t t = 0; t < c.dim && b * c.dim + t < c.inputs; ++t) {
      const size_t input = b * c.dim + t, channels = c.inputs / c.taps;
      const size_t place = input % c.taps * channels + input / c.taps;
      dot += (int64_t{x[r * c.inputs + place]} - c.x_zero) * entry[t];
    }
    return rounded(dot);
  }
  void make_sums() {
    sums.assign(c.rows * c.outputs, 0);
    for (size_t k = 0; k < c.books; ++k) {
      for (size_t b = 0; b < c.blocks(); ++b) {
        std::vector<int64_t> all(c.rows * c.scopes() << c.bits);
        for (size_t e = 0; e < c.scopes() << c.bits; ++e) {
          const size_t low = e & ((size_t{1} << c.bits) - 1);
          const size_t at = (((e >> c.bits) * c.books + k) << c.bits) + low;
          for (size_t r = 0; r < c.rows; ++r)
            all[e * c.rows + r] = table(r, b, entries.data() + at * stride);
        }
        for (size_t n = 0; n < c.outputs; ++n) {
          const size_t scope = c.scope_rows == 0 ? 0 : n / c.scope_rows;
          const size_t e = (scope << c.bits) + code(k, b, n);
          for (size_t r = 0; r < c.rows; ++r) sums[r * c.outputs + n] += all[e * c.rows + r];
        }
      }
    }
  }
  int8::Finish finish(bool to_u8) const {
    int8::Finish f{};
    f.scale = scale.data(), f.bias = bias.data();
    if (c.residual) f.residual = residual.data();
    f.residual_stride = c.outputs, f.residual_scale = 0.37f, f.residual_zero = 100;
    f.zero = 90;
    f.min = to_u8 ? -90.0f : -50.0f;
    f.max = to_u8 ? 150.0f : 1e9f;
    return f;
  }
  float t(size_t r, size_t n, bool to_u8) const {
    const int8::Finish f = finish(to_u8);
    volatile float t = static_cast<float>(sums[r * c.outputs + n]);  // no operation may be fused
    t = t * scale[n];
    t = t + bias[n];
    if (c.residual) {
      volatile float q = static_cast<float>(int{residual[r * c.outputs + n]} - 100);
      q = q * 0.37f;
      t = t + q;
    }
    return std::min(f.max, std::max(f.min, static_cast<float>(t)));
  }

  Case c;
  size_t stride, row_bytes;
  GuardedBuffer<uint8_t> x, residual, codes;
  GuardedBuffer<int8_t> entries;
  GuardedBuffer<float> scale, bias;
  std::vector<int64_t> sums;
};

// The calls that a caller would make: rows by tiles, outputs by scopes and by units.
void call(const Way& way, const Layer& layer, void* scratch, uint8_t* y8, float* y32) {
  const Case& c = layer.c;
  const size_t scope = c.scope_rows == 0 ? c.outputs : c.scope_rows;
  const size_t step = c.split == 0 ? c.outputs : c.split * way.unit;
  for (size_t r = 0; r < c.rows; r += way.rows) {
    for (size_t n = 0; n < c.outputs;) {
      Args a{};
      int8::Coded& s = a.source;
      s.codes = layer.codes.data(), s.codes_end = layer.codes.end();
      s.row_bytes = layer.row_bytes, s.book_bytes = layer.row_bytes * c.blocks();
      s.entries = layer.entries.data(), s.entry_stride = layer.stride;
      s.book_stride = layer.stride << c.bits, s.scope_stride = s.book_stride * c.books;
      s.level_stride = s.scope_stride * c.scopes(), s.scope_rows = c.scope_rows;
      s.bits = c.bits, s.books = c.books, s.dim = c.dim;
      a.keep = c.keep, a.shift = c.shift, a.first_output = n;
      const size_t scope_end = std::min(c.outputs, (n / scope + 1) * scope);
      a.outputs = std::min(scope_end, (n / step + 1) * step) - n;
      a.inputs = c.inputs, a.taps = c.taps, a.rows = std::min(way.rows, c.rows - r);
      a.x = layer.x.data() + r * c.inputs, a.x_stride = c.inputs, a.x_zero = c.x_zero;
      a.scratch = scratch;
      a.y8 = y8 ? y8 + r * c.outputs + n : nullptr;
      a.y32 = y32 ? y32 + r * c.outputs + n : nullptr;
      a.y_stride = c.outputs, a.finish = layer.finish(y8 != nullptr);
      a.finish.scale += n, a.finish.bias += n;
      if (a.finish.residual) a.finish.residual += r * c.outputs + n;
      way.run(a);
      n += a.outputs;
    }
  }
}

size_t wrong_results(const Way& way, const Layer& layer) {
  const Case& c = layer.c;
  Shape shape = c.shape();
  shape.rows = std::min(shape.rows, way.rows);
  const size_t bytes = (way.scratch(shape) + 63) / 64 * 64;
  GuardedBuffer<uint8_t> scratch(bytes, Guard::after, 0xee), y8(c.rows * c.outputs);
  GuardedBuffer<float> y32(c.rows * c.outputs);
  call(way, layer, scratch.data(), y8.data(), nullptr);
  call(way, layer, scratch.data(), nullptr, y32.data());
  size_t wrong = 0;
  for (size_t r = 0; r < c.rows; ++r) {
    for (size_t n = 0; n < c.outputs; ++n) {
      const int q = static_cast<int>(std::nearbyint(layer.t(r, n, true))) + 90;
      wrong += y8[r * c.outputs + n] != q;
      wrong += y32[r * c.outputs + n] != layer.t(r, n, false);
    }
  }
  return wrong;
}

// Calls f(row) for every way that this CPU runs and that can do the case.
template <class F>
void each_way(const Case& c, F&& f) {
  for (const Row& row : kWays) {
    if (!includes(detect_isa(), row.isa)) continue;
    const bool can = row.way->scratch(c.shape()) != 0;
    CHECK(can == (row.way->cost_ns(c.shape()) >= 0));
    if (can) f(row);
  }
}

void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const Layer layer(c);
    const std::string shape = c.str();
    CAPTURE(shape);
    each_way(c, [&](const Row& row) {
      CAPTURE(std::string(row.name));
      CHECK(wrong_results(*row.way, layer) == 0);
    });
  }
}

constexpr uint32_t kKeeps[] = {7, 8, 12, kExactBits};

// A shift, and all that are tested, of a number of bits kept.
uint32_t shift_of(uint32_t keep) {
  return keep == kExactBits ? 0 : 9;
}
std::vector<uint32_t> shifts_of(uint32_t keep) {
  if (keep == kExactBits) return {0};
  if (keep == 8) return {8, 9, 11, 15};
  return {1, 3, 4, 5, 8, 9, 10, 13, 20};
}

TEST_CASE("tables: every way can be told by its name, the last can do everything") {
  std::set<std::string> names;
  for (const Row& row : kWays) names.insert(row.name);
  CHECK(names.size() == sizeof kWays / sizeof kWays[0]);
  const Row& last = kWays[sizeof kWays / sizeof kWays[0] - 1];
  CHECK(last.isa == isa_none);
  for (const uint32_t keep : kKeeps)
    for (const uint32_t bits : {0u, 4u, 8u})
      CHECK(last.way->scratch(Case{keep, shift_of(keep), bits, 64, 65, 640, 9}.shape()) > 0);
}

TEST_CASE("tables: bits kept, shifts and widths of codes") {
  std::vector<Case> cases;
  for (const uint32_t keep : kKeeps)
    for (const uint32_t shift : shifts_of(keep))
      for (const uint32_t bits : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u})
        for (const bool extreme : {false, true})
          cases.push_back({keep, shift, bits, 8, 17, 120, 41, 1, 0, 1, extreme ? 255 : 0, extreme});
  check(cases);
}

// The last vectors of codes end the buffer: with few bits a step is less than half a vector.
TEST_CASE("tables: chunks of codes of every width up to the end of the file") {
  std::vector<Case> cases;
  for (const uint32_t keep : kKeeps)
    for (const uint32_t bits : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u})
      for (const size_t outputs : {64u, 128u, 192u, 256u, 300u, 512u})
        for (const size_t inputs : {72u, 136u})
          cases.push_back({keep, shift_of(keep), bits, 8, 2, inputs, outputs, 1, 0, 1, 7});
  check(cases);
}

TEST_CASE("tables: lengths of blocks, short last blocks, taps, books, zeros") {
  std::vector<Case> cases;
  for (const uint32_t keep : kKeeps) {
    for (const uint32_t dim : {1u, 2u, 3u, 4u, 5u, 6u, 8u, 9u, 12u, 16u, 18u, 27u, 64u}) {
      for (const uint32_t bits : {4u, 6u, 8u}) {
        for (const size_t taps : {1u, 9u}) {
          const uint32_t books = 1 + (dim + bits) % 3;
          const uint32_t shift = keep == 12 ? 5 : shift_of(keep);
          const int zero = static_cast<int>(dim * 19 + bits) % 256;
          cases.push_back({keep, shift, bits, dim, 19, 171, 33, books, 0, taps, zero, false, true});
          cases.push_back({keep, shift, bits, dim, 3, 360, 24, books, 0, taps, 0});
          cases.push_back({keep, shift, bits, dim, 2, 720, 70, 1, 0, taps, zero});
        }
      }
    }
  }
  check(cases);
}

TEST_CASE("tables: rows and outputs, split anywhere, scopes of every length") {
  std::vector<Case> cases;
  for (const uint32_t keep : kKeeps) {
    for (const uint32_t bits : {4u, 6u, 8u}) {
      for (const size_t rows : {1u, 2u, 3u, 4u, 7u, 16u, 17u, 33u, 48u, 49u, 64u, 65u}) {
        for (const size_t outputs : {1u, 7u, 8u, 31u, 64u, 100u, 197u}) {
          Case c{keep, shift_of(keep), bits, 8, rows, 72, outputs};
          c.split = (rows + outputs) % 3, c.residual = outputs % 2 == 0;
          c.x_zero = rows % 2 == 0 ? 128 : 0;
          cases.push_back(c);
        }
      }
      for (const size_t scope : {1u, 8u, 13u, 40u})
        for (const uint32_t books : {1u, 2u})
          cases.push_back(
              {keep, shift_of(keep), bits, 8, 18, 64, 75, books, scope, 1, 3, false, true, 1});
    }
  }
  check(cases);
}

// Most entries of trained codebooks are small, and AVX2 adds their products in 16 bits. Here they
// are as large as that allows, one more, or far too large for it, in turn.
TEST_CASE("tables: entries at the limits of sums of 16 bits") {
  for (const uint32_t shift : {8u, 9u, 12u, 15u}) {
    for (const uint32_t dim : {1u, 2u, 4u, 7u, 8u, 9u, 18u}) {
      for (const uint32_t bits : {4u, 8u}) {
        for (const int zero : {0, 1, 128, 255}) {
          for (const bool extreme : {false, true}) {
            Layer layer({8, shift, bits, dim, 61, dim * 19, 40, 1, 0, 1, zero, extreme});
            Random random(dim + shift);
            for (size_t e = 0; e < size_t{1} << bits; ++e) {
              int8_t* const entry = layer.entries.data() + e * layer.stride;
              const int most = e % 7 == 6 ? 127 : 64 + static_cast<int>(e % 3);
              const int sign = e % 2 == 0 ? 1 : -1;
              int left = e % 7 == 6 ? 9999 : 126 + static_cast<int>(e % 5);
              for (size_t t = 0; t < dim; ++t) {
                const bool other = e % 4 == 3 && t % 2 == 1;  // and as much of the other sign
                const int value = e % 7 == 5 ? random.between(0, 20) : std::min(left, most);
                entry[t] = static_cast<int8_t>(other ? -sign * most / 8 : sign * value);
                if (!other) left -= value;
              }
            }
            layer.make_sums();
            const std::string shape = layer.c.str();
            CAPTURE(shape);
            each_way(layer.c, [&](const Row& row) {
              CAPTURE(std::string(row.name));
              CHECK(wrong_results(*row.way, layer) == 0);
            });
          }
        }
      }
    }
  }
}

TEST_CASE("tables: layers so deep that sums pass 16 bits, all sums at an end") {
  for (const uint32_t keep : kKeeps) {
    for (const uint32_t bits : {0u, 4u, 6u, 7u, 8u}) {
      for (const size_t blocks : {15u, 16u, 17u, 31u, 255u, 256u, 257u, 512u, 700u}) {
        for (const int8_t sign : {-127, 127}) {
          Layer layer({keep, shift_of(keep), bits, 4, 18, blocks * 4, 20, 1});
          std::fill(layer.x.begin(), layer.x.end(), uint8_t{255});
          for (int8_t& v : layer.entries) v = sign;
          layer.make_sums();
          for (float& v : layer.scale) v = 100.0f / static_cast<float>(std::abs(layer.sums[0]));
          const std::string shape = layer.c.str();
          CAPTURE(shape);
          each_way(layer.c, [&](const Row& row) {
            CAPTURE(std::string(row.name));
            CHECK(wrong_results(*row.way, layer) == 0);
          });
        }
      }
    }
  }
}

TEST_CASE("tables: groups of sixteen and more blocks, of one book and of several") {
  std::vector<Case> cases;
  for (const uint32_t keep : {7u, 8u})
    for (const uint32_t bits : {4u, 5u, 6u, 8u})
      for (const size_t blocks : {16u, 24u, 40u, 64u})
        for (const size_t rows : {20u, 33u, 61u})
          cases.push_back({keep, 9, bits, 4, rows, blocks * 4, 37, blocks == 24 ? 2u : 1u});
  check(cases);
}

// With x = 255 a block of entry (k, 0, 0, 0) gives k at a shift of 8. Averages of neighbours are
// rounded up at every level of a tree if line i of it is the number of ones in i.
TEST_CASE("tables: sums whose averages are rounded up at every level") {
  for (const uint32_t bits : {4u, 6u, 8u}) {
    Layer layer({8, 8, bits, 4, 49, 256, 40, 1});
    std::fill(layer.x.begin(), layer.x.end(), uint8_t{255});
    for (size_t e = 0; e < size_t{1} << bits; ++e)
      for (size_t t = 0; t < 4; ++t)
        layer.entries[e * 4 + t] = t == 0 ? static_cast<int8_t>(static_cast<int>(e % 128) - 8) : 0;
    std::fill(layer.codes.begin(), layer.codes.end(), uint8_t{0});
    for (size_t b = 0; b < 64; ++b) {
      for (size_t n = 0; n < 40; ++n) {
        size_t code = n % 8;
        for (size_t ones = b; ones != 0; ones >>= 1) code += ones & 1;
        for (size_t i = 0; i < bits; ++i) {
          const size_t bit = n * bits + i;
          uint8_t& byte = layer.codes[b * layer.row_bytes + bit / 8];
          byte = static_cast<uint8_t>(byte | (code >> i & 1) << bit % 8);
        }
      }
    }
    layer.make_sums();
    CAPTURE(bits);
    each_way(layer.c, [&](const Row& row) {
      CAPTURE(std::string(row.name));
      CHECK(wrong_results(*row.way, layer) == 0);
    });
  }
}

TEST_CASE("tables: results far outside of bytes and of int32, infinite and none at all") {
  for (const uint32_t keep : kKeeps) {
    for (const size_t rows : {1u, 20u, 64u}) {
      Layer layer({keep, shift_of(keep), 4, 8, rows, 64, 37});
      const float inf = std::numeric_limits<float>::infinity();
      const float wild[] = {1e30f, -1e30f, inf, -inf, std::numeric_limits<float>::quiet_NaN(),
                            1e6f};
      for (size_t i = 0; i < 6; ++i) layer.scale[16 + i] = layer.bias[24 + i] = wild[i];
      CAPTURE(keep);
      CAPTURE(rows);
      each_way(layer.c, [&](const Row& row) {
        CAPTURE(std::string(row.name));
        CHECK(wrong_results(*row.way, layer) == 0);
      });
    }
  }
}

TEST_CASE("tables: nothing is written where there are no rows or no outputs") {
  for (const auto& [rows, outputs] : {std::pair<size_t, size_t>{0, 8}, {8, 0}})
    check({{8, 9, 4, 8, rows, 64, outputs}, {12, 4, 8, 8, rows, 64, outputs}});
}

}  // namespace
}  // namespace qrt::kernels::tables

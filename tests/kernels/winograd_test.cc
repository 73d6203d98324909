// Every row of kWinograd against a direct convolution in double precision.
//
// Inputs are small integers and weights small multiples of four, so that every step
// of F(2x2,3x3) is exact in f32 (its only fractions are quarters of the weights): rows must
// be right to the bit. One test with real numbers then checks the derived bound.
#include "kernels/winograd/winograd.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/guarded_buffer.h"

namespace qrt::kernels {
namespace {

using test::GuardedBuffer;

struct Case {
  size_t in_h = 5, in_w = 6, cin = 3, cout = 5;
  size_t pad_top = 1, pad_left = 1, pad_bottom = 1, pad_right = 1, batch = 1;
  uint32_t dim = 9, count = 256, books = 1, scope_rows = 0;
  bool epilogue = false;
  bool real = false;
};

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint32_t below(uint32_t n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>((state_ >> 33) % n);
  }
  float integer(int most) {
    return static_cast<float>(below(2 * most + 1)) - static_cast<float>(most);
  }
  float real() { return static_cast<float>(below(1u << 20)) / (1 << 19) - 1.0f; }

 private:
  uint64_t state_;
};

// A layer, its guarded memory and its exact result.
class Layer {
 public:
  explicit Layer(const Case& c)
      : a_(shape(c)),
        count_(c.count),
        input_(c.batch * c.in_h * c.in_w * c.cin),
        output_(c.batch * a_.out_h * a_.out_w * c.cout),
        residual_(output_.size()),
        scale_(c.cout),
        bias_(c.cout),
        entries_(scopes() * c.books * lines() * stride()),
        codes_(c.books * blocks() * ((c.cout * a_.code_bits + 7) / 8)),
        table_(winograd_table_bytes(a_) / sizeof(float)),
        scratch_(winograd_scratch_bytes(a_)),
        want_(output_.size()),
        bound_(output_.size()) {
    Random r(c.in_h * 131 + c.in_w * 17 + c.cin * 7 + c.cout + c.dim + c.count + c.books);
    for (float& x : input_) x = c.real ? r.real() : r.integer(4);
    for (float& x : entries_) x = c.real ? r.real() : 4 * r.integer(4);
    for (float& x : residual_) x = r.integer(100);
    for (float& x : scale_) x = c.real ? r.real() : r.integer(2);
    for (float& x : bias_) x = r.integer(50);
    make_codes(r);
    a_.input = input_.data();
    a_.output = output_.data();
    a_.codes = codes_.data();
    a_.table = table_.data();
    a_.scratch = scratch_.data();
    a_.min = -std::numeric_limits<float>::infinity();
    a_.max = std::numeric_limits<float>::infinity();
    if (c.epilogue) {
      a_.scale = scale_.data(), a_.bias = bias_.data(), a_.residual = residual_.data();
      a_.min = c.real ? -1e3f : -120, a_.max = c.real ? 1e3f : 200;
    }
    winograd_build_table(a_, entries_.data(), stride(), table_.data());
    solve();
  }

  // Runs all tiles, in `pieces` calls.
  void run(WinogradFn* row, size_t pieces = 1) {
    for (float& y : output_) y = std::numeric_limits<float>::quiet_NaN();
    const size_t tiles = winograd_tiles(a_);
    for (size_t i = 0; i < pieces; ++i) {
      WinogradArgs part = a_;
      part.tile_begin = tiles * i / pieces;
      part.tile_end = tiles * (i + 1) / pieces;
      row(part);
    }
  }
  void poison() { input_[0] = std::numeric_limits<float>::quiet_NaN(); }
  std::vector<float> output() const { return {output_.begin(), output_.end()}; }

  // How many outputs are further from the truth than allowed: `units` times the bound.
  size_t wrong(double units) const {
    size_t bad = 0;
    for (size_t i = 0; i < want_.size(); ++i)
      bad += !(std::fabs(output_[i] - want_[i]) <= units * bound_[i]);
    return bad;
  }

 private:
  static WinogradArgs shape(const Case& c) {
    WinogradArgs a{};
    a.batch = c.batch, a.in_h = c.in_h, a.in_w = c.in_w, a.cin = c.cin, a.cout = c.cout;
    a.pad_top = c.pad_top, a.pad_left = c.pad_left;
    a.out_h = c.in_h + c.pad_top + c.pad_bottom - 2;
    a.out_w = c.in_w + c.pad_left + c.pad_right - 2;
    a.books = c.books, a.dim = c.dim, a.scope_rows = c.scope_rows;
    while ((1u << a.code_bits) < c.count) ++a.code_bits;
    return a;
  }
  size_t scopes() const {
    return a_.scope_rows == 0 ? 1 : (a_.cout + a_.scope_rows - 1) / a_.scope_rows;
  }
  size_t lines() const { return size_t{1} << a_.code_bits; }
  size_t stride() const { return a_.dim + 3; }
  size_t blocks() const { return (a_.cin * 9 + a_.dim - 1) / a_.dim; }

  void make_codes(Random& r) {
    const size_t row_bytes = (a_.cout * a_.code_bits + 7) / 8;
    for (uint8_t& byte : codes_) byte = 0;
    plain_.resize(a_.books * blocks() * a_.cout);
    for (size_t i = 0; i < plain_.size(); ++i) {
      plain_[i] = r.below(count_);
      const size_t row = i / a_.cout, bit = i % a_.cout * a_.code_bits;
      for (uint32_t k = 0; k < a_.code_bits; ++k)
        codes_[row * row_bytes + (bit + k) / 8] |=
            static_cast<uint8_t>(((plain_[i] >> k) & 1) << ((bit + k) % 8));
    }
  }
  double weight(size_t n, size_t c, size_t tap) const {
    const size_t k = c * 9 + tap, scope = a_.scope_rows == 0 ? 0 : n / a_.scope_rows;
    double sum = 0;
    for (size_t b = 0; b < a_.books; ++b) {
      const size_t code = plain_[(b * blocks() + k / a_.dim) * a_.cout + n];
      sum += entries_[((scope * a_.books + b) * lines() + code) * stride() + k % a_.dim];
    }
    return sum;
  }
  void solve() {
    std::vector<double> w(a_.cout * a_.cin * 9);
    for (size_t i = 0; i < w.size(); ++i) w[i] = weight(i / 9 / a_.cin, i / 9 % a_.cin, i % 9);
    for (size_t i = 0; i < want_.size(); ++i) solve(i, w);
  }
  // The sum of one output, and how far an f32 sum in the transform domain may be from it:
  // each product there is at most 4 max|d| * 9/4 max|g|, 9 of 16 positions make an output,
  // and each product goes through books * cin additions and less than 20 other roundings.
  void solve(size_t i, const std::vector<double>& w) {
    const size_t n = i % a_.cout, x = i / a_.cout % a_.out_w;
    const size_t y = i / a_.cout / a_.out_w % a_.out_h, image = i / a_.cout / a_.out_w / a_.out_h;
    double sum = 0;
    for (size_t c = 0; c < a_.cin; ++c)
      for (size_t tap = 0; tap < 9; ++tap) {
        const size_t iy = y + tap / 3 - a_.pad_top, ix = x + tap % 3 - a_.pad_left;
        if (iy >= a_.in_h || ix >= a_.in_w) continue;
        sum += input_[((image * a_.in_h + iy) * a_.in_w + ix) * a_.cin + c] *
               w[(n * a_.cin + c) * 9 + tap];
      }
    const double largest = 4.0 * 9 / 4 * 9;  // real inputs and centroids are within -1..1
    const double terms = static_cast<double>(a_.books * a_.cin);
    bound_[i] = (terms + 20) * std::ldexp(1.0, -24) * largest * terms;
    if (a_.scale != nullptr) sum = scale_[n] * sum + bias_[n] + residual_[i];
    sum = sum < a_.min ? a_.min : sum;
    want_[i] = sum > a_.max ? a_.max : sum;
  }

  WinogradArgs a_;
  uint32_t count_;
  GuardedBuffer<float> input_, output_, residual_, scale_, bias_, entries_;
  GuardedBuffer<uint8_t> codes_;
  GuardedBuffer<float> table_;
  GuardedBuffer<char> scratch_;
  std::vector<uint32_t> plain_;
  std::vector<double> want_, bound_;
};

// Runs `c` on every row this machine has; the results must be exact.
void check(const Case& c) {
  Layer layer(c);
  for (const Kernel<WinogradFn>& row : kWinograd) {
    if (!includes(detect_isa(), row.isa)) continue;
    layer.run(row.run);
    INFO(row.name << ": " << c.batch << "x" << c.in_h << "x" << c.in_w << "x" << c.cin << " -> "
                  << c.cout << ", pad " << c.pad_top << c.pad_left << c.pad_bottom << c.pad_right
                  << ", dim " << c.dim << ", count " << c.count << ", books " << c.books
                  << ", scope " << c.scope_rows);
    CHECK(layer.wrong(0) == 0);
  }
}

TEST_CASE("winograd: every map size and padding") {
  for (size_t size : {1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 28})
    for (size_t pad : {0, 1, 2}) {
      Case c;
      c.in_h = c.in_w = size;
      c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = pad;
      if (size + 2 * pad < 3) continue;
      check(c);
      c.in_w += 3;
      check(c);
    }
}

TEST_CASE("winograd: paddings that differ on every side, batches") {
  Case c;
  c.pad_top = 0, c.pad_left = 2, c.pad_bottom = 1, c.pad_right = 0;
  check(c);
  c.pad_top = 2, c.pad_left = 0, c.pad_bottom = 0, c.pad_right = 2, c.batch = 3;
  check(c);
}

TEST_CASE("winograd: channel counts, block sizes, epilogue") {
  for (size_t cin : {1, 2, 3, 5, 16, 17, 64})
    for (size_t cout : {1, 2, 3, 5, 16, 17, 64})
      for (uint32_t dim : {9, 18, 27}) {
        Case c;
        c.cin = cin, c.cout = cout, c.dim = dim, c.epilogue = (cin + cout) % 2 == 0;
        check(c);
      }
}

TEST_CASE("winograd: code widths, books, scopes") {
  for (uint32_t count : {1, 2, 5, 16, 37, 256, 600, 4096})
    for (uint32_t books : {1, 2, 4})
      for (uint32_t scope_rows : {0, 1, 4, 7}) {
        if (count > 256 && scope_rows == 1) continue;
        Case c;
        c.cout = 18, c.dim = 18, c.count = count, c.books = books, c.scope_rows = scope_rows;
        check(c);
      }
}

TEST_CASE("winograd: more tiles than a band holds; pieces add up to the whole, bit for bit") {
  Case c;
  c.in_h = 37, c.in_w = 31, c.cin = 33, c.cout = 7, c.real = true, c.epilogue = true;
  Layer layer(c);
  for (const Kernel<WinogradFn>& row : kWinograd) {
    if (!includes(detect_isa(), row.isa)) continue;
    layer.run(row.run);
    const std::vector<float> whole = layer.output();
    for (size_t pieces : {2, 3, 50}) {
      layer.run(row.run, pieces);
      CHECK_MESSAGE(layer.output() == whole, row.name, " in ", pieces, " pieces");
    }
  }
}

TEST_CASE("winograd: real numbers within the derived bound") {
  for (size_t cin : {64, 512}) {
    Case c;
    c.in_h = c.in_w = 7, c.cin = cin, c.cout = 20, c.dim = 18, c.real = true;
    Layer layer(c);
    for (const Kernel<WinogradFn>& row : kWinograd) {
      if (!includes(detect_isa(), row.isa)) continue;
      layer.run(row.run);
      CHECK_MESSAGE(layer.wrong(1) == 0, row.name);
      // Errors are independent: in practice a hundredth of the worst case is never reached.
      CHECK_MESSAGE(layer.wrong(0.01) == 0, row.name);
    }
  }
}

TEST_CASE("winograd: a NaN in the input is not clamped away") {
  Case c;
  c.epilogue = true;
  for (const Kernel<WinogradFn>& row : kWinograd) {
    if (!includes(detect_isa(), row.isa)) continue;
    Layer layer(c);
    layer.poison();
    layer.run(row.run);
    CHECK_MESSAGE(std::isnan(layer.output()[0]), row.name);
  }
}

TEST_CASE("winograd: sizes that cannot be addressed are refused") {
  WinogradArgs a{};
  a.batch = a.in_h = a.in_w = a.out_h = a.out_w = a.cin = a.cout = 1;
  a.books = 1, a.dim = 9, a.code_bits = 8;
  CHECK(winograd_table_bytes(a) == 256 * 64);
  a.books = 4, a.dim = 1017, a.code_bits = 16;
  CHECK(winograd_table_bytes(a) == size_t{4} * 113 * 65536 * 64);
  a.cout = 2, a.scope_rows = 1;
  CHECK(winograd_table_bytes(a) == 0);
}

}  // namespace
}  // namespace qrt::kernels

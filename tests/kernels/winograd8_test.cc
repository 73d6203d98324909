// Exact Winograd on codes against the convolution itself, summed in 64 bits, bit for bit: every kit
// and both sizes, on memory that ends where the arguments say.
#include "kernels/winograd8/winograd8.h"

#include <cmath>

#include "tests/kernels/int8_case.h"

namespace qrt::kernels::winograd8 {
namespace {

using test::CodedCase;
using test::CodedData;
using test::GuardedBuffer;
using test::Int8Random;

struct Conv {
  size_t batch = 1, in_h = 8, in_w = 8, channels = 6, outputs = 40;
  size_t pad_top = 1, pad_left = 1, pad_bottom = 1, pad_right = 1;
  int zero = 0;
  uint32_t dim = 9, bits = 8;
  size_t scope_rows = 0;
  uint32_t levels = 1;
  bool extreme = false;  // activations 0 and 255 only
};

class Layer {
 public:
  explicit Layer(const Conv& c)
      : c_(c),
        out_h_(c.in_h + c.pad_top + c.pad_bottom - 2),
        out_w_(c.in_w + c.pad_left + c.pad_right - 2),
        codes_(coded_case(c)),
        x_(c.batch * c.in_h * c.in_w * c.channels),
        residual_(rows() * c.outputs),
        scale_(c.outputs),
        bias_(c.outputs) {
    Int8Random random(c.channels * 7 + c.outputs);
    for (uint8_t& v : x_)
      v = static_cast<uint8_t>(c.extreme ? 255 * random.between(0, 1) : random.between(0, 255));
    for (uint8_t& v : residual_) v = static_cast<uint8_t>(random.between(0, 255));
    for (float& v : scale_) v = 1e-4f + random.real(1e-4f);
    for (float& v : bias_) v = random.real(20);
    make_sums();
  }

  size_t rows() const { return c_.batch * out_h_ * out_w_; }
  int64_t most() const { return most_; }

  // Elements that are wrong, as f32 and as u8, with tiles and outputs cut into calls.
  size_t wrong(const Row& row, size_t edge, size_t tiles, size_t outputs) const {
    const Way& way = edge == 2 ? row.kit->two : row.kit->four;
    GuardedBuffer<uint8_t> y8(rows() * c_.outputs);
    GuardedBuffer<float> y32(rows() * c_.outputs);
    Args a = args();
    const size_t kernels = c_.dim / 9, words = line_words(edge);
    const size_t count = c_.levels * scopes() << c_.bits;
    GuardedBuffer<int16_t> lines(count * kernels * words);
    way.entries({a.table.entries, a.table.entry_stride, count, kernels, lines.data()});
    a.table.entries = reinterpret_cast<const int8_t*>(lines.data());
    a.table.entry_stride = kernels * words * sizeof(int16_t);
    a.table.book_stride = a.table.scope_stride = a.table.entry_stride << c_.bits;
    a.table.level_stride = a.table.scope_stride * scopes();
    for (const bool bytes : {true, false}) {
      a.y8 = bytes ? y8.data() : nullptr, a.y32 = bytes ? nullptr : y32.data();
      run_all(way, a, tiles_of(a, edge), tiles, outputs);
    }
    size_t wrong = 0;
    for (size_t i = 0; i < sums_.size(); ++i) {
      const float t = finished(i);
      wrong += y32[i] != t;
      wrong += y8[i] != static_cast<int>(std::nearbyint(t)) + 20;
    }
    return wrong;
  }

 private:
  static CodedCase coded_case(const Conv& c) {
    return {c.outputs, c.channels * 9, c.dim, c.bits, 1, c.scope_rows, c.levels, 1};
  }
  size_t scopes() const {
    return c_.scope_rows == 0 ? 1 : (c_.outputs + c_.scope_rows - 1) / c_.scope_rows;
  }

  // Blocks of twice the tiles of a call, so that calls lie at both ends of one.
  void run_all(const Way& way, const Args& all, size_t end, size_t tiles, size_t outputs) const {
    for (size_t block = 0; block < end; block += 2 * tiles) {
      Args a = all;
      a.block_begin = block, a.block_end = std::min(end, block + 2 * tiles);
      GuardedBuffer<uint8_t> input((way.input_bytes(a) + 63) / 64 * 64);
      a.input = input.data();
      each_call(way, a, tiles, outputs, way.transform);
      each_call(way, a, tiles, outputs, way.run);
    }
  }
  void each_call(const Way& way, Args a, size_t tiles, size_t outputs,
                 void (*call)(const Args&)) const {
    for (size_t t = a.block_begin; t < a.block_end; t += tiles)
      for (size_t n = 0; n < c_.outputs; n += outputs) {
        a.tile_begin = t, a.tile_end = std::min(a.block_end, t + tiles);
        a.output_begin = n, a.output_end = std::min(c_.outputs, n + outputs);
        GuardedBuffer<uint8_t> scratch((way.scratch_bytes(a) + 63) / 64 * 64);
        a.scratch = scratch.data();
        call(a);
      }
  }

  Args args() const {
    Args a{};
    a.batch = c_.batch, a.in_h = c_.in_h, a.in_w = c_.in_w, a.channels = c_.channels;
    a.out_h = out_h_, a.out_w = out_w_, a.outputs = c_.outputs;
    a.pad_top = c_.pad_top, a.pad_left = c_.pad_left;
    a.x = x_.data(), a.x_zero = c_.zero;
    a.finish.scale = scale_.data(), a.finish.bias = bias_.data();
    a.finish.residual = residual_.data(), a.finish.residual_stride = c_.outputs;
    a.finish.residual_scale = 0.5f, a.finish.residual_zero = 100;
    a.finish.min = -20, a.finish.max = 235, a.finish.zero = 20;
    a.table = codes_.source();
    return a;
  }

  int64_t sum_of(size_t image, size_t oy, size_t ox, size_t n) const {
    int64_t sum = 0;
    for (size_t k = 0; k < 9; ++k) {
      const size_t y = oy + k / 3 - c_.pad_top, x = ox + k % 3 - c_.pad_left;
      if (y >= c_.in_h || x >= c_.in_w) continue;
      const uint8_t* pixel = x_.data() + ((image * c_.in_h + y) * c_.in_w + x) * c_.channels;
      for (size_t c = 0; c < c_.channels; ++c)
        sum += (int64_t{pixel[c]} - c_.zero) * codes_.weight(n, c * 9 + k);
    }
    return sum;
  }
  void make_sums() {
    for (size_t i = 0; i < c_.batch; ++i)
      for (size_t y = 0; y < out_h_; ++y)
        for (size_t x = 0; x < out_w_; ++x)
          for (size_t n = 0; n < c_.outputs; ++n) {
            sums_.push_back(sum_of(i, y, x, n));
            most_ = std::max(most_, std::abs(sums_.back()));
          }
  }
  float finished(size_t i) const {
    volatile float t = static_cast<float>(sums_[i]);  // no operation may be fused
    t = t * scale_[i % c_.outputs];
    t = t + bias_[i % c_.outputs];
    volatile float r = static_cast<float>(residual_[i] - 100);
    r = r * 0.5f;
    return std::min(235.0f, std::max(-20.0f, t + r));
  }

  Conv c_;
  size_t out_h_, out_w_;
  CodedData codes_;
  GuardedBuffer<uint8_t> x_, residual_;
  GuardedBuffer<float> scale_, bias_;
  std::vector<int64_t> sums_;
  int64_t most_ = 0;
};

void check(const Conv& c) {
  CAPTURE(c.in_h);
  CAPTURE(c.in_w);
  CAPTURE(c.channels);
  CAPTURE(c.outputs);
  CAPTURE(c.dim);
  CAPTURE(c.bits);
  const Layer layer(c);
  for (const Row& row : kRows) {
    if (!includes(detect_isa(), row.isa)) continue;
    CAPTURE(std::string(row.name));
    for (const size_t edge : {2u, 4u}) {
      CAPTURE(edge);
      REQUIRE(layer.most() < limit(edge));
      CHECK(layer.wrong(row, edge, 1000, c.outputs) == 0);
      CHECK(layer.wrong(row, edge, 3, row.tile_n) == 0);
    }
  }
}

TEST_CASE("winograd8: maps of every size, borders of every width") {
  for (size_t h = 1; h <= 9; ++h) check({1, h, 10 - h, 5, 9});
  check({2, 7, 6, 32, 64});
  check({3, 5, 4, 33, 33, 0, 0, 0, 0, 128});
  check({1, 6, 5, 8, 12, 2, 0, 0, 2, 255});
  check({1, 4, 3, 8, 12, 3, 4, 4, 3, 7});
  check({1, 30, 27, 16, 35, 1, 1, 1, 1, 40});  // more tiles than any register tile
}

TEST_CASE("winograd8: any number of channels and outputs, chunks of channels") {
  for (const size_t channels : {1u, 2u, 3u, 15u, 16u, 17u, 31u, 32u, 64u, 127u, 129u, 255u, 300u})
    check({1, 5, 6, channels, 20, 1, 1, 1, 1, 99});
  for (const size_t outputs : {1u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 48u, 65u, 100u})
    check({1, 6, 5, 10, outputs, 1, 1, 1, 1, 3});
  check({1, 17, 17, 140, 33});
}

TEST_CASE("winograd8: blocks of several kernels, widths of codes, scopes and levels") {
  for (const uint32_t dim : {9u, 18u, 27u, 63u})
    for (const uint32_t bits : {0u, 1u, 4u, 7u, 8u, 11u})
      check({1, 5, 5, 35, 70, 1, 1, 1, 1, 60, dim, bits});
  for (const size_t scope_rows : {0u, 1u, 20u, 32u})
    for (const uint32_t levels : {1u, 3u})
      check({1, 5, 5, 12, 70, 1, 1, 1, 1, 60, 18, 5, scope_rows, levels});
}

TEST_CASE("winograd8: factors and sums at their ends") {
  for (const int zero : {0, 255, 128}) {
    Conv c{1, 9, 9, 40, 64, 1, 1, 1, 1, zero};
    c.extreme = true;
    check(c);
  }
}

}  // namespace
}  // namespace qrt::kernels::winograd8

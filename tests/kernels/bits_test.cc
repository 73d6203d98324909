// Every way of the bits family that this CPU runs, on guarded memory, against bits compared one by
// one.
#include "kernels/bits/bits.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/bits/border.h"
#include "tests/kernels/int8_case.h"
#include "tests/support/guarded_buffer.h"

namespace qrt::kernels::bits {
namespace {

using test::GuardedBuffer;
using test::Int8Random;

struct Case {
  size_t rows, inputs, outputs;
  uint32_t x_planes = 1, w_planes = 1;
  size_t classes = 1;
  std::string str() const {
    return std::to_string(rows) + " x " + std::to_string(inputs) + " x " + std::to_string(outputs) +
           " planes " + std::to_string(x_planes) + " x " + std::to_string(w_planes) + " classes " +
           std::to_string(classes);
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const size_t inputs : {1u, 2u, 23u, 24u, 25u, 63u, 64u, 65u, 95u, 96u, 97u, 127u, 200u})
    for (const size_t outputs : {1u, 8u, 63u, 64u, 65u, 128u, 200u, 257u})
      all.push_back({5, inputs, outputs, 1, 1, 1 + inputs % 3});
  for (const size_t rows : {0u, 1u, 3u, 15u, 16u, 17u, 64u, 127u, 128u, 129u, 300u, 600u, 1100u})
    all.push_back({rows, 130, 70, 1, 1, 9});
  for (const size_t outputs : {511u, 512u, 513u, 700u, 769u, 1000u, 1024u})
    all.push_back({3, 72, outputs, 1, 1, 2});
  for (const size_t inputs : {512u, 1152u, 2304u, 4608u}) all.push_back({19, inputs, 130, 1, 1, 2});
  for (const uint32_t w : {1u, 2u, 3u, 8u})
    for (const uint32_t x : {1u, 2u, 3u, 8u}) all.push_back({140, 150, 67, x, w, 2});
  // Whole runs of `lines` on every ISA, every rest of them, and more outputs than it counts at
  // once.
  for (const size_t inputs : {1024u, 4096u, 8192u}) all.push_back({2, inputs, 141, 1, 1, 2});
  all.push_back({1, 4096, 77, 2, 3});
  for (size_t inputs = 100; inputs < 4096; inputs += 317) all.push_back({1, inputs, 75});
  for (const size_t outputs : {510u, 576u, 1100u}) all.push_back({1, 192, outputs});
  // Low bits of triples end anywhere in a byte, in few chunks or many.
  for (size_t inputs = 145; inputs < 2000; inputs += 1 + inputs / 7)
    all.push_back({35, inputs, 65, 1, 1, 2});
  all.push_back({300, 500, 600}), all.push_back({130, 1200, 190, 2, 2});
  return all;
}

// Random rows of bits, zeros behind the last.
void fill(GuardedBuffer<uint64_t>& to, size_t bits, Int8Random& random) {
  const size_t words = words_of(bits);
  for (size_t i = 0; i < to.size(); ++i) {
    uint64_t v = 0;
    for (int b = 0; b < 64; b += 16) v |= static_cast<uint64_t>(random.between(0, 65535)) << b;
    const size_t left = bits - i % words * kWord;
    to[i] = left >= kWord ? v : v & ((uint64_t{1} << left) - 1);
  }
}

struct Layer {
  explicit Layer(const Case& shape)
      : c(shape),
        words(words_of(c.inputs)),
        x(c.rows * c.x_planes * words),
        w(c.outputs * c.w_planes * words),
        flips(words_of(c.outputs)),
        bounds(c.classes * c.outputs),
        base(c.classes * c.outputs),
        class_of(c.rows),
        scale(c.outputs),
        bias(c.outputs),
        residual(c.rows * c.outputs),
        differ(c.rows * c.outputs) {
    Int8Random random(c.rows * 131 + c.inputs * 7 + c.outputs + c.x_planes * 3 + c.w_planes);
    fill(x, c.inputs, random), fill(w, c.inputs, random), fill(flips, c.outputs, random);
    const int most = static_cast<int>(most_differ(of(Form::sums)));
    // About half of the sums below their bounds, and bounds that all or none are below.
    for (int32_t& v : bounds) v = most / 2 + random.between(-most / 8 - 1, most / 8 + 1);
    if (c.outputs > 7) bounds[3] = 0, bounds[5] = most + 1, bounds[6] = 1, bounds[7] = most;
    for (int32_t& v : base) v = most + random.between(-9, 9);
    for (uint8_t& v : class_of)
      v = static_cast<uint8_t>(random.between(0, static_cast<int>(c.classes) - 1));
    for (float& v : scale) v = 30.0f / std::sqrt(static_cast<float>(most)) + random.real(1.0f);
    for (float& v : bias) v = random.real(100);
    for (uint8_t& v : residual) v = static_cast<uint8_t>(random.between(0, 255));
    count();
  }
  Shape of(Form form) const {
    return {c.rows, c.outputs, c.inputs, c.x_planes, c.w_planes, c.classes, form};
  }
  bool bit(const uint64_t* row, size_t k) const { return row[k / kWord] >> k % kWord & 1u; }
  int32_t sum(size_t r, size_t n) const {
    return base[class_of[r] * c.outputs + n] - 2 * differ[r * c.outputs + n];
  }
  int8::Finish finish(bool to_u8) const {
    int8::Finish f{};
    if (c.inputs % 3 != 0) f.scale = scale.data();
    if (c.inputs % 2 == 0) f.bias = bias.data();
    if (c.outputs % 2 == 0) f.residual = residual.data();
    f.residual_stride = c.outputs, f.residual_scale = 0.37f, f.residual_zero = 100;
    f.zero = 17;
    f.min = to_u8 ? -17.0f : -50.0f, f.max = to_u8 ? 238.0f : 1e9f;
    return f;
  }
  float t(size_t r, size_t n, const int8::Finish& f) const {
    volatile float t = static_cast<float>(sum(r, n));  // no operation may be fused
    if (f.scale) t = t * scale[n];
    if (f.bias) t = t + bias[n];
    if (f.residual) {
      volatile float q = static_cast<float>(int{residual[r * c.outputs + n]} - 100);
      q = q * 0.37f;
      t = t + q;
    }
    return std::min(f.max, std::max(f.min, static_cast<float>(t)));
  }

  Case c;
  size_t words;
  GuardedBuffer<uint64_t> x, w, flips;
  GuardedBuffer<int32_t> bounds, base;
  GuardedBuffer<uint8_t> class_of;
  GuardedBuffer<float> scale, bias;
  GuardedBuffer<uint8_t> residual;
  std::vector<int32_t> differ;

 private:
  void count() {
    for (size_t r = 0; r < c.rows; ++r)
      for (size_t n = 0; n < c.outputs; ++n)
        for (size_t i = 0; i < c.w_planes; ++i)
          for (size_t j = 0; j < c.x_planes; ++j)
            for (size_t k = 0; k < c.inputs; ++k)
              differ[r * c.outputs + n] += (bit(&x[(r * c.x_planes + j) * words], k) !=
                                            bit(&w[(n * c.w_planes + i) * words], k))
                                           << (i + j);
  }
};

struct Part {
  size_t row, rows, output, outputs;
};

// One layer packed for one way; outputs of all forms end where memory does.
class Run {
 public:
  Run(const Layer& layer, const Way& way, Form form)
      : layer_(layer),
        way_(way),
        shape_(layer.of(form)),
        kept_(up(way.kept(shape_)), test::Guard::after, 0x5a),
        scratch_(up(way.scratch(shape_)), test::Guard::after, 0x5a) {
    way.pack({shape_, layer.w.data(), layer.words * layer.c.w_planes, layer.words,
              form == Form::bits ? layer.bounds.data() : nullptr,
              form == Form::bits && layer.c.inputs % 5 != 0 ? layer.flips.data() : nullptr,
              kept_.data()});
  }
  Args args(const Part& p) const {
    const Case& c = layer_.c;
    Args a{};
    a.shape = shape_;
    a.shape.rows = p.rows;
    a.first_output = p.output, a.outputs = p.outputs;
    a.x_stride = layer_.words * c.x_planes, a.x_plane = layer_.words;
    a.x = layer_.x.data() + p.row * a.x_stride;
    if (c.classes > 1) a.class_of = layer_.class_of.data() + p.row;
    a.weights = layer_.w.data(), a.w_stride = layer_.words * c.w_planes;
    a.w_plane = layer_.words;
    a.kept = kept_.data(), a.scratch = scratch_.data();
    if (shape_.form != Form::bits) a.base = layer_.base.data() + p.output;
    a.base_stride = c.outputs;
    a.y_stride = shape_.form == Form::bits ? words_of(c.outputs) : c.outputs;
    return a;
  }
  void finish(Args& a, const Part& p, bool to_u8) const {
    a.finish = layer_.finish(to_u8);
    if (a.finish.scale) a.finish.scale += p.output;
    if (a.finish.bias) a.finish.bias += p.output;
    if (a.finish.residual) a.finish.residual += p.row * layer_.c.outputs + p.output;
  }

 private:
  static size_t up(size_t bytes) { return (bytes + 63) / 64 * 64; }
  const Layer& layer_;
  const Way& way_;
  Shape shape_;
  GuardedBuffer<uint8_t> kept_, scratch_;
};

template <class F>
void each_way(const Layer& layer, Form form, F&& f) {
  size_t ways = 0;
  for (const Row& row : kWays) {
    if (!includes(detect_isa(), row.isa)) continue;
    CAPTURE(std::string(row.name));
    if (row.way->cost_ns(layer.of(form)) < 0.0f) continue;
    ++ways;
    f(*row.way);
  }
  CHECK(ways > 0);
}

std::vector<Part> whole(const Case& c) {
  return {{0, c.rows, 0, c.outputs}};
}
// Split where threads may.
std::vector<Part> split(const Case& c, size_t unit) {
  std::vector<Part> parts;
  const size_t at = c.rows / 3, first = c.outputs > unit ? unit : c.outputs;
  for (const auto& [row, rows] : {std::pair<size_t, size_t>{0, at}, {at, c.rows - at}}) {
    parts.push_back({row, rows, 0, first});
    if (first < c.outputs) parts.push_back({row, rows, first, c.outputs - first});
  }
  return parts;
}

size_t wrong_bits(const Layer& layer, const Way& way, const std::vector<Part>& parts) {
  const Case& c = layer.c;
  const Run run(layer, way, Form::bits);
  const size_t stride = words_of(c.outputs);
  GuardedBuffer<uint64_t> y(c.rows * stride);
  for (const Part& p : parts) {
    Args a = run.args(p);
    a.bits = y.data() + p.row * stride + p.output / kWord;
    way.run(a);
  }
  size_t wrong = 0;
  for (size_t r = 0; r < c.rows; ++r) {
    for (size_t n = 0; n < stride * kWord; ++n) {
      bool want = false;
      if (n < c.outputs) {
        want = layer.differ[r * c.outputs + n] <
               layer.bounds[(c.classes > 1 ? layer.class_of[r] : 0u) * c.outputs + n];
        if (c.inputs % 5 != 0) want = want != layer.bit(layer.flips.data(), n);
      }
      wrong += layer.bit(&y[r * stride], n) != want;
    }
  }
  return wrong;
}

size_t wrong_sums(const Layer& layer, const Way& way, const std::vector<Part>& parts) {
  const Case& c = layer.c;
  const Run run(layer, way, Form::sums);
  GuardedBuffer<int32_t> y(c.rows * c.outputs);
  for (const Part& p : parts) {
    Args a = run.args(p);
    a.sums = y.data() + p.row * c.outputs + p.output;
    way.run(a);
  }
  size_t wrong = 0;
  for (size_t r = 0; r < c.rows; ++r)
    for (size_t n = 0; n < c.outputs; ++n) wrong += y[r * c.outputs + n] != layer.sum(r, n);
  return wrong;
}

size_t wrong_finish(const Layer& layer, const Way& way, const std::vector<Part>& parts) {
  const Case& c = layer.c;
  const Run run(layer, way, Form::finish);
  GuardedBuffer<uint8_t> y8(c.rows * c.outputs);
  GuardedBuffer<float> y32(c.rows * c.outputs);
  for (const Part& p : parts) {
    Args a = run.args(p);
    const size_t at = p.row * c.outputs + p.output;
    a.y8 = y8.data() + at, run.finish(a, p, true), way.run(a);
    a.y8 = nullptr, a.y32 = y32.data() + at, run.finish(a, p, false), way.run(a);
  }
  size_t wrong = 0;
  for (size_t r = 0; r < c.rows; ++r) {
    for (size_t n = 0; n < c.outputs; ++n) {
      const float t = layer.t(r, n, layer.finish(true));
      wrong += y8[r * c.outputs + n] != static_cast<int>(std::nearbyint(t)) + 17;
      wrong += y32[r * c.outputs + n] != layer.t(r, n, layer.finish(false));
    }
  }
  return wrong;
}

TEST_CASE("bits: every way counts what differs, whole and split") {
  for (const Case& c : cases()) {
    const Layer layer(c);
    const std::string shape = c.str();
    CAPTURE(shape);
    each_way(layer, Form::bits, [&](const Way& way) {
      CHECK(wrong_bits(layer, way, whole(c)) == 0);
      CHECK(wrong_bits(layer, way, split(c, way.unit)) == 0);
    });
    each_way(layer, Form::sums, [&](const Way& way) {
      CHECK(wrong_sums(layer, way, whole(c)) == 0);
      CHECK(wrong_sums(layer, way, split(c, way.unit)) == 0);
    });
    each_way(layer, Form::finish, [&](const Way& way) {
      CHECK(wrong_finish(layer, way, whole(c)) == 0);
      CHECK(wrong_finish(layer, way, split(c, way.unit)) == 0);
    });
  }
}

TEST_CASE("bits: all inputs may differ, or none") {
  for (const size_t inputs : {63u, 64u, 200u, 512u, 1023u, 1024u, 2300u, 4096u, 9000u}) {
    Layer layer({1, inputs, 75});
    std::memset(layer.x.data(), 0, layer.x.size() * sizeof(uint64_t));
    for (size_t i = 0; i < layer.w.size(); ++i) {
      const size_t n = i / layer.words, left = inputs - i % layer.words * kWord;
      const uint64_t live = left >= kWord ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
      layer.w[i] = n % 3 == 0 ? 0 : live;
    }
    for (size_t n = 0; n < 75; ++n) layer.differ[n] = n % 3 == 0 ? 0 : static_cast<int32_t>(inputs);
    CAPTURE(inputs);
    each_way(layer, Form::sums,
             [&](const Way& way) { CHECK(wrong_sums(layer, way, whole(layer.c)) == 0); });
  }
}

TEST_CASE("bits: a bound is the threshold it stands for") {
  for (const int32_t base : {0, 1, 9, 10}) {
    for (int64_t theta = -12; theta <= 12; ++theta) {
      for (int32_t differ = 0; differ <= 10; ++differ) {
        const int32_t sum = base - 2 * differ;
        CHECK((differ < bound_of(base, theta, false)) == (sum >= theta));
        CHECK((differ < bound_of(base, theta, true)) == !(sum <= theta));
      }
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::bits

// One layer coded: clipping, kinds of entries, metrics, several books, refusals,
// and the same bytes for any number of threads.
#include "converter/quant/pq_layer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "converter/base/half.h"
#include "converter/quant/entries.h"
#include "converter/quant/random.h"

using namespace qrt::quant;

namespace {

constexpr int64_t kOutputs = 48, kInputs = 72;

// Rows of a few hidden patterns and noise: something to share.
std::vector<float> weights(int64_t outputs = kOutputs, int64_t inputs = kInputs,
                           uint64_t seed = 1) {
  Random r(seed);
  std::vector<float> w(static_cast<size_t>(outputs * inputs));
  for (size_t i = 0; i < w.size(); ++i)
    w[i] = static_cast<float>(0.05 * r.normal() * (1 + static_cast<double>(i / 4 % 3)));
  return w;
}

// Gram matrices of the blocks of correlated inputs whose scales differ by block.
std::vector<double> grams_for(int64_t inputs, int32_t dim, uint64_t seed = 2) {
  Random r(seed);
  const int64_t blocks = (inputs + dim - 1) / dim;
  const size_t d = static_cast<size_t>(dim);
  std::vector<double> all;
  for (int64_t b = 0; b < blocks; ++b) {
    std::vector<double> g(d * d, 0.0), x(d);
    for (int row = 0; row < 40; ++row) {
      double level = 0;
      for (double& v : x)
        v = (level = 0.7 * level + r.normal()) * std::pow(3.0, static_cast<double>(b % 4) - 2);
      for (size_t i = 0; i < d; ++i)
        for (size_t j = 0; j < d; ++j) g[i * d + j] += x[i] * x[j];
    }
    all.insert(all.end(), g.begin(), g.end());
  }
  return all;
}

PqLayer encoded(const PqLayerSettings& s, const std::vector<double>& grams = {},
                int32_t threads = 1, int64_t outputs = kOutputs, int64_t inputs = kInputs) {
  auto layer = encode_pq_layer(weights(outputs, inputs), outputs, inputs, s, grams, 7, threads);
  REQUIRE_MESSAGE(layer.ok(), (layer.ok() ? "" : layer.error().message));
  CHECK(check(Encoding(layer->book), outputs, inputs).ok());
  return std::move(*layer);
}

PqLayerSettings settings(int32_t dim, int32_t centroids, int32_t books = 1) {
  PqLayerSettings s;
  s.dim = dim, s.centroids = centroids, s.books = books;
  return s;
}

// What decode() gives against the weights, by the definition of the two errors.
void check_errors(const PqLayer& layer, const std::vector<float>& w,
                  const std::vector<double>& grams, int64_t outputs, int64_t inputs) {
  const auto got = decode(Encoding(layer.book), outputs, inputs);
  const int64_t d = layer.book.dim, blocks = (inputs + d - 1) / d;
  double plain[2] = {0, 0}, weighted[2] = {0, 0};  // error, energy
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t i = 0; i < d && b * d + i < inputs; ++i)
        for (int64_t j = 0; j < d && b * d + j < inputs; ++j) {
          const auto at = [&](int64_t t) { return static_cast<size_t>(o * inputs + b * d + t); };
          const double product[2] = {
              (double{w[at(i)]} - got[at(i)]) * (double{w[at(j)]} - got[at(j)]),
              double{w[at(i)]} * double{w[at(j)]}};
          const size_t block =
              grams.size() > static_cast<size_t>(d * d) ? static_cast<size_t>(b) : 0;
          const double g = grams.empty()
                               ? (i == j)
                               : grams[(block * static_cast<size_t>(d) + static_cast<size_t>(i)) *
                                           static_cast<size_t>(d) +
                                       static_cast<size_t>(j)];
          for (int k = 0; k < 2; ++k) {
            plain[k] += i == j ? product[k] : 0;
            weighted[k] += g * product[k];
          }
        }
  CHECK(layer.weight_error == doctest::Approx(plain[0] / plain[1]).epsilon(1e-5));
  CHECK(layer.output_error == doctest::Approx(weighted[0] / weighted[1]).epsilon(1e-5));
}

int refused(const PqLayerSettings& s, const std::vector<double>& grams = {},
            std::vector<float> w = weights()) {
  const auto layer = encode_pq_layer(w, kOutputs, kInputs, s, grams, 1, 1);
  REQUIRE(!layer.ok());
  CHECK(layer.error().message.size() > 20);
  return layer.error().id;
}

}  // namespace

TEST_CASE("pq layer: k is clipped by the rule asked for") {
  CHECK(clipped_centroids(256, 512, Clip::code) == 64);  // ResNet-50 layer1.0.conv1: 512 / 4 = 128
  CHECK(clipped_centroids(256, 512, Clip::paper) == 128);
  CHECK(clipped_centroids(256, 512, Clip::largest) == 128);
  CHECK(clipped_centroids(256, 600, Clip::code) == 128);
  CHECK(clipped_centroids(256, 600, Clip::paper) == 150);
  CHECK(clipped_centroids(256, 600, Clip::largest) == 128);
  CHECK(clipped_centroids(100, 600, Clip::largest) == 100);
  for (const Clip clip : {Clip::code, Clip::paper, Clip::largest}) {
    CHECK(clipped_centroids(256, 0, clip) == 0);
    CHECK(clipped_centroids(256, 3, clip) == 0);
    CHECK(clipped_centroids(256, 1 << 20, clip) == 256);
    CHECK(clipped_centroids(65536, int64_t{1} << 40, clip) == 65536);
  }
  CHECK(clipped_centroids(256, 4, Clip::code) == 0);
  CHECK(clipped_centroids(256, 4, Clip::paper) == 1);
  CHECK(clipped_centroids(256, 4, Clip::largest) == 1);
  CHECK(clipped_centroids(256, 5, Clip::code) == 1);

  PqLayerSettings s = settings(9, 256);  // 384 blocks
  CHECK(encoded(s).book.count == 64);
  s.clip = Clip::paper;
  CHECK(encoded(s).book.count == 96);
}

TEST_CASE("pq layer: blocks in the order of the codes, a short last one filled with zeros") {
  const std::vector<float> w = {1, 2, 3, 4, 5, 6};
  CHECK(blocks_of(w, 2, 3, 2) == std::vector<float>{1, 2, 4, 5, 3, 0, 6, 0});
}

TEST_CASE("pq layer: the errors are those of decode(), for every kind of entry and metric") {
  for (const int64_t inputs : {kInputs, kInputs - 3})
    for (const EntryType entry : {EntryType::f32, EntryType::f16, EntryType::i8})
      for (const int32_t books : {1, 2, 3}) {
        PqLayerSettings s = settings(4, 16, books);
        s.entry = entry, s.iterations = 12;
        const auto all = grams_for(inputs, 4);
        for (const GramKind kind : {GramKind::none, GramKind::shared, GramKind::per_block}) {
          s.gram = kind;
          const PqLayer layer = encoded(s, all, 1, kOutputs, inputs);
          CHECK(layer.book.books == books);
          CHECK(layer.book.entry == entry);
          check_errors(layer, weights(kOutputs, inputs), all, kOutputs, inputs);
          CHECK(layer.weight_error < 0.6);
        }
      }
}

TEST_CASE("pq layer: each metric wins by its own measure") {
  const auto all = grams_for(kInputs, 4);
  std::vector<double> sum(16, 0.0);
  for (size_t i = 0; i < all.size(); ++i) sum[i % 16] += all[i];
  for (const int32_t books : {1, 2}) {
    CAPTURE(books);
    PqLayerSettings s = settings(4, 32, books);
    s.gram = GramKind::none;
    const PqLayer plain = encoded(s, all);
    s.gram = GramKind::shared;
    const PqLayer shared = encoded(s, all);
    CHECK(encoded(s, sum).book.codes == shared.book.codes);
    s.gram = GramKind::per_block;
    const PqLayer per_block = encoded(s, all);
    CHECK(per_block.output_error < 0.8 * shared.output_error);
    CHECK(plain.weight_error < shared.weight_error);
    CHECK(plain.weight_error < per_block.weight_error);
    s.gram = GramKind::shared;
    const auto by_sum = [&](const PqLayer& l) {
      return measured(l.book, weights(), kOutputs, kInputs, sum).output_error;
    };
    CHECK(by_sum(shared) < by_sum(plain));
    CHECK(by_sum(shared) < by_sum(per_block));
  }
}

TEST_CASE("pq layer: no code can be improved, one book at a time") {
  for (const int32_t books : {1, 2, 3})
    for (const EntryType entry : {EntryType::f16, EntryType::i8}) {
      PqLayerSettings s = settings(6, 16, books);
      s.entry = entry;
      const PqLayer layer = encoded(s);
      const auto w = weights();
      const auto points = blocks_of(w, kOutputs, kInputs, 6);
      const auto values = entry_values(layer.book);
      const size_t n = points.size() / 6;
      const auto distance = [&](size_t p, size_t book, size_t other) {
        double sum = 0;
        for (size_t t = 0; t < 6; ++t) {
          double e = double{points[p * 6 + t]};
          for (size_t m = 0; m < static_cast<size_t>(books); ++m) {
            const size_t code = m == book ? other : layer.book.codes[m * n + p];
            e -= double{values[(m * static_cast<size_t>(layer.book.count) + code) * 6 + t]};
          }
          sum += e * e;
        }
        return sum;
      };
      for (size_t p = 0; p < n; ++p)
        for (size_t m = 0; m < static_cast<size_t>(books); ++m)
          for (size_t c = 0; c < static_cast<size_t>(layer.book.count); ++c)
            CHECK(distance(p, m, layer.book.codes[m * n + p]) <= distance(p, m, c) * (1 + 1e-5));
      CHECK(choose_codes(w, kOutputs, kInputs, layer.book, GramKind::none, {}, 1) ==
            layer.book.codes);
    }
}

TEST_CASE("pq layer: entries of i8 cost next to nothing, with scales of f16 or f32") {
  PqLayerSettings s = settings(8, 32);
  s.entry = EntryType::f32;
  const PqLayer exact = encoded(s);
  s.entry = EntryType::i8;
  const PqLayer coarse = encoded(s);
  CHECK(coarse.weight_error < exact.weight_error * 1.001);
  CHECK(coarse.book.entry_scales.size() == 32);
  for (const float scale : coarse.book.entry_scales) CHECK(qrt::is_half(scale));

  Codebook book;
  book.dim = 3, book.count = 3, book.entry = EntryType::i8;
  // Ordinary, zero, and so small that an f16 scale would be a coarse subnormal.
  const std::vector<float> values = {0.5f, -1, 0.25f, 0, 0, 0, 1e-5f, -3e-6f, 0};
  set_entries(values, book);
  CHECK(!qrt::is_half(book.entry_scales[2]));
  CHECK(book.entry_scales[1] == 0);
  const auto back = entry_values(book);
  for (size_t i = 0; i < values.size(); ++i)
    CHECK(std::abs(back[i] - values[i]) <= 0.51 * book.entry_scales[i / 3]);
  set_entries(std::span(values).first(6), book);
  CHECK(qrt::is_half(book.entry_scales[0]));
  for (const float v : book.entries) CHECK(std::abs(v) <= 127);
}

TEST_CASE("pq layer: the same bytes for any number of threads, others for another seed") {
  const int64_t outputs = 96, inputs = 144;
  for (const int32_t books : {1, 2})
    for (const GramKind kind : {GramKind::shared, GramKind::per_block}) {
      PqLayerSettings s = settings(9, 64, books);
      s.gram = kind, s.iterations = 8;
      const auto grams = grams_for(inputs, 9);
      const PqLayer one = encoded(s, grams, 1, outputs, inputs);
      for (const int32_t threads : {2, 5}) {
        const PqLayer many = encoded(s, grams, threads, outputs, inputs);
        CHECK(many.book.codes == one.book.codes);
        CHECK(many.book.entries == one.book.entries);
      }
      auto other = encode_pq_layer(weights(outputs, inputs), outputs, inputs, s, grams, 8, 2);
      REQUIRE(other.ok());
      CHECK(other->book.entries != one.book.entries);
    }
}

TEST_CASE("pq layer: dead blocks, constant weights and k of one book beyond 256 stay sound") {
  auto grams = grams_for(kInputs, 4);
  std::fill(grams.begin(), grams.begin() + 5 * 16, 0.0);  // five blocks never see anything
  PqLayerSettings s = settings(4, 32);
  s.gram = GramKind::per_block;
  CHECK(encoded(s, grams).weight_error < 1);
  s.books = 2;
  CHECK(encoded(s, grams).weight_error < 1);
  const std::vector<double> zero(grams.size(), 0.0);
  s.books = 1;
  const PqLayer blind = encoded(s, zero);
  CHECK(blind.output_error == 0);
  CHECK(blind.weight_error == encoded(settings(4, 32)).weight_error);

  const std::vector<float> same(static_cast<size_t>(kOutputs * kInputs), 0.25f);
  for (const int32_t books : {1, 2, 4}) {
    auto layer = encode_pq_layer(same, kOutputs, kInputs, settings(4, 16, books), {}, 1, 1);
    REQUIRE(layer.ok());
    CHECK(layer->weight_error < 1e-6);
  }
  s = settings(1, 700);
  s.clip = Clip::paper, s.iterations = 3;
  CHECK(encoded(s).book.count == 700);
  s.books = 2;
  CHECK(encoded(s).weight_error < 1e-5);
}

TEST_CASE("pq layer: what cannot be done is refused, by stable ids") {
  const auto with = [](auto edit) {
    PqLayerSettings s;
    edit(s);
    return s;
  };
  CHECK(refused(with([](auto& s) { s.dim = 0; })) == 715);
  CHECK(refused(with([](auto& s) { s.dim = 1025; })) == 715);
  CHECK(refused(with([](auto& s) { s.books = 0; })) == 715);
  CHECK(refused(with([](auto& s) { s.books = 5; })) == 715);
  CHECK(refused(with([](auto& s) { s.centroids = 1; })) == 715);
  CHECK(refused(with([](auto& s) { s.centroids = 65537; })) == 715);
  CHECK(refused(with([](auto& s) { s.centroids = 4097, s.books = 2; })) == 715);
  CHECK(refused(with([](auto& s) { s.iterations = 0; })) == 715);
  CHECK(refused(with([](auto& s) { s.dense = true; })) == 715);
  CHECK(refused({}, std::vector<double>(17, 1.0)) == 716);
  std::vector<double> bad(16, 1.0);
  CHECK(refused(with([](auto& s) { s.gram = GramKind::per_block; }), bad) == 716);
  bad[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK(refused({}, bad) == 716);
  CHECK(encode_pq_layer(std::vector<float>(16, 1.0f), 4, 4, {}, {}, 1, 1).error().id == 717);
  auto w = weights();
  w[5] = std::numeric_limits<float>::infinity();
  CHECK(refused({}, {}, w) == 713);
  w[5] = 7e4f;
  CHECK(refused({}, {}, w) == 713);
  PqLayerSettings s;
  s.entry = EntryType::i8, s.iterations = 2;
  CHECK(encode_pq_layer(w, kOutputs, kInputs, s, {}, 1, 1).ok());
}

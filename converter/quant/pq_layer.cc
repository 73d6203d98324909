// Checks, clipping, clustering, rounding of the entries, and a last choice of
// codes among the rounded ones.
#include "converter/quant/pq_layer.h"

#include <algorithm>
#include <cmath>

#include "converter/base/parallel.h"
#include "converter/base/text.h"
#include "converter/quant/additive.h"
#include "converter/quant/entries.h"
#include "converter/quant/kmeans.h"
#include "schema/layout.h"

namespace qrt::quant {
namespace {

constexpr int kBadWeights = 713;
constexpr int kBadSettings = 715;
constexpr int kBadGrams = 716;
constexpr int kTooSmall = 717;

// The table of all pairs of two books takes 4 bytes times the square of this.
constexpr int32_t kMostAdditive = 4096;
// Rounds of joint refinement per iteration of k-means allowed, and at most: on the layers of
// ResNet-20, 25 more would gain another 1 %.
constexpr int kSweeps = 4;  // of the last choice of codes
constexpr int32_t kIterationsPerRound = 4, kMostRounds = 25;

Error refuse(const char* what, int64_t found, int64_t least, int64_t most) {
  return fail(kBadSettings, what, " is ", found, "; ", least, " to ", most, " are allowed");
}

Result<void> check_settings(const PqLayerSettings& s) {
  if (s.dense)
    return fail(kBadSettings, "the settings ask for a dense layer; it needs no encoding");
  if (s.dim < 1 || s.dim > static_cast<int32_t>(layout::kMaxBlockDim))
    return refuse("the block length", s.dim, 1, layout::kMaxBlockDim);
  if (s.books < 1 || s.books > static_cast<int32_t>(layout::kMaxBooks))
    return refuse("the number of books", s.books, 1, layout::kMaxBooks);
  const int32_t most = s.books > 1 ? kMostAdditive : static_cast<int32_t>(layout::kMaxCentroids);
  if (s.centroids < 2 || s.centroids > most)
    return refuse(
        s.books > 1 ? "the number of entries of each of several books" : "the number of entries",
        s.centroids, 2, most);
  if (s.iterations < 1) return refuse("the number of iterations", s.iterations, 1, INT32_MAX);
  return {};
}

Result<void> check_weights(std::span<const float> weights, EntryType entry) {
  for (const float v : weights) {
    const bool fits = entry != EntryType::f16 || std::abs(v) <= 65504.0f;
    if (!std::isfinite(v) || !fits)
      return fail(kBadWeights, "it has a weight of ", v,
                  std::isfinite(v) ? "; entries of f16 reach 65504, choose entries=f32"
                                   : "; only finite weights can be coded, check the model");
  }
  return {};
}

Result<void> check_grams(std::span<const double> grams, const PqLayerSettings& s, int64_t blocks) {
  const size_t square = static_cast<size_t>(s.dim) * static_cast<size_t>(s.dim);
  const size_t all = square * static_cast<size_t>(blocks);
  if (!grams.empty() && grams.size() != square && grams.size() != all)
    return fail(kBadGrams, "its Gram matrices hold ", grams.size(), " numbers; ", square,
                " for the layer or ", all, " for ", blocks, " blocks are expected");
  if (s.gram == GramKind::per_block && !grams.empty() && grams.size() != all)
    return fail(kBadGrams, "it has one Gram matrix where one per block is asked for: ", blocks,
                " are expected");
  for (const double v : grams)
    if (!std::isfinite(v))
      return fail(kBadGrams, "a Gram matrix holds ", v, "; check the calibration data");
  return {};
}

// The metric a kind asks for, from what there is.
Metric metric_of(GramKind kind, std::span<const double> grams, int32_t dim) {
  const size_t square = static_cast<size_t>(dim) * static_cast<size_t>(dim);
  if (kind == GramKind::none || grams.empty()) return Metric({}, dim);
  if (kind == GramKind::per_block || grams.size() == square) return Metric(grams, dim);
  std::vector<double> sum(square, 0.0);
  for (size_t i = 0; i < grams.size(); ++i) sum[i % square] += grams[i];
  return Metric(sum, dim);
}

std::vector<int32_t> codes_for(std::span<const float> points, const Metric& metric,
                               const Codebook& book, std::vector<int32_t> start, size_t threads) {
  const std::vector<float> values = entry_values(book);
  if (book.books == 1) return assign(points, metric, values, threads);
  choose_additive(points, metric, values, book.books, start, kSweeps, threads);
  return start;
}

double relative(double error, double energy) {
  return energy > 0 ? error / energy : 0;
}

}  // namespace

int32_t clipped_centroids(int32_t wanted, int64_t points, Clip clip) {
  int64_t most = points / 4;
  if (clip != Clip::paper) {
    int64_t power = 1;
    const auto fits = [&](int64_t k) {
      return clip == Clip::code ? k * 4 < points : k * 4 <= points;
    };
    while (fits(power * 2)) power *= 2;
    most = fits(power) ? power : 0;
  }
  return static_cast<int32_t>(std::min<int64_t>(wanted, most));
}

std::vector<float> blocks_of(std::span<const float> weights, int64_t outputs, int64_t inputs,
                             int32_t dim) {
  const int64_t blocks = (inputs + dim - 1) / dim;
  std::vector<float> out(static_cast<size_t>(blocks * outputs * dim), 0.0f);
  size_t at = 0;
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t o = 0; o < outputs; ++o, at += static_cast<size_t>(dim)) {
      const int64_t length = std::min<int64_t>(dim, inputs - b * dim);
      std::copy_n(weights.begin() + o * inputs + b * dim, length,
                  out.begin() + static_cast<std::ptrdiff_t>(at));
    }
  return out;
}

std::vector<uint16_t> choose_codes(std::span<const float> weights, int64_t outputs, int64_t inputs,
                                   const Codebook& book, GramKind kind,
                                   std::span<const double> grams, int32_t threads) {
  const std::vector<float> points = blocks_of(weights, outputs, inputs, book.dim);
  const std::vector<int32_t> codes =
      codes_for(points, metric_of(kind, grams, book.dim), book,
                {book.codes.begin(), book.codes.end()}, thread_count(threads));
  return {codes.begin(), codes.end()};
}

PqLayer measured(Codebook book, std::span<const float> weights, int64_t outputs, int64_t inputs,
                 std::span<const double> grams) {
  PqLayer layer;
  const std::vector<float> points = blocks_of(weights, outputs, inputs, book.dim);
  // Zeros behind a short last block on both sides: what stands there multiplies nothing.
  const std::vector<float> chosen =
      blocks_of(decode(Encoding(book), outputs, inputs), outputs, inputs, book.dim);
  const std::vector<float> zero(points.size(), 0.0f);
  layer.weight_error =
      relative(error_of(points, chosen, book.dim, {}), error_of(points, zero, book.dim, {}));
  layer.output_error =
      relative(error_of(points, chosen, book.dim, grams), error_of(points, zero, book.dim, grams));
  layer.book = std::move(book);
  return layer;
}

Result<PqLayer> encode_pq_layer(std::span<const float> weights, int64_t outputs, int64_t inputs,
                                const PqLayerSettings& settings, std::span<const double> grams,
                                uint64_t seed, int32_t threads) {
  QRT_CHECK_OK(check_settings(settings));
  QRT_CHECK_OK(check_weights(weights, settings.entry));
  const int64_t blocks = (inputs + settings.dim - 1) / settings.dim;
  QRT_CHECK_OK(check_grams(grams, settings, blocks));
  Codebook book;
  book.books = settings.books;
  book.dim = settings.dim;
  book.entry = settings.entry;
  book.count = clipped_centroids(settings.centroids, outputs * blocks, settings.clip);
  if (book.count < 2)
    return fail(kTooSmall, "its ", outputs * blocks, " blocks are too few to share entries");

  const size_t workers = thread_count(threads);
  const std::vector<float> points = blocks_of(weights, outputs, inputs, settings.dim);
  const Metric metric = metric_of(settings.gram, grams, settings.dim);
  const KmeansOptions options{book.count, settings.iterations, seed, workers};
  const int32_t rounds = std::clamp(settings.iterations / kIterationsPerRound, 1, kMostRounds);
  const Additive found = additive_kmeans(points, metric, book.books, options, rounds);
  set_entries(found.entries, book);
  const std::vector<int32_t> codes = codes_for(points, metric, book, found.codes, workers);
  book.codes.assign(codes.begin(), codes.end());
  const auto sound = check(Encoding(book), outputs, inputs);
  if (!sound.ok()) return sound.error();
  return measured(std::move(book), weights, outputs, inputs, grams);
}

}  // namespace qrt::quant

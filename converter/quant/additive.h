// Several books whose entries add up: v ~ c1 + c2 + ... Started by k-means on what
// the books before left over, then refined jointly by turns: codes, two books at a
// time and among entries slightly shaken at first, and all entries by least squares.
#ifndef QRT_CONVERTER_QUANT_ADDITIVE_H_
#define QRT_CONVERTER_QUANT_ADDITIVE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "converter/quant/kmeans.h"
#include "converter/quant/metric.h"

namespace qrt::quant {

struct Additive {
  int32_t books = 0, clusters = 0;
  std::vector<float> entries;  // [book][clusters][dim]
  std::vector<int32_t> codes;  // [book][points]
  // After the start and after every round that was the best so far, in the metric's scale.
  std::vector<double> objective;
};

// `points` [n][dim] in the order of metric.h. Options are those of each book's k-means; `rounds` of
// joint refinement follow. Deterministic as k-means is.
Additive additive_kmeans(std::span<const float> points, const Metric&, int32_t books,
                         const KmeansOptions& options, int32_t rounds);

// Better codes for entries [book][clusters][dim], in place, codes [book][points]. Two books at a
// time, over all pairs until no point changes, at most `sweeps` times. For two books of up to 256
// entries the result is the best there is; beyond, of the first book of a pair only the entries
// nearest to the point are tried. No point ends farther than it began.
void choose_additive(std::span<const float> points, const Metric&, std::span<const float> entries,
                     int32_t books, std::span<int32_t> codes, int sweeps, size_t threads);

// Entries of all books by least squares with fixed codes, in place: conjugate gradients on
//   min sum over points |U (v - sum over books of c)|^2
// from the entries given. The result is never worse.
void refit_entries(std::span<const float> points, const Metric&, std::span<const int32_t> codes,
                   int32_t books, std::vector<float>& entries, size_t threads);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ADDITIVE_H_

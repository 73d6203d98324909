// With r a point, a and b entries of the two books,
//   |r - a - b|^2 = |r|^2 + (|a|^2 - 2 r.a) + (|b|^2 - 2 r.b) + 2 a.b.
// The last term is a table of all pairs, made once for all points; the two brackets
// are one vector each per point. So a pair costs an addition and a minimum, whatever
// its dim. |r|^2 is the same for all and left out; what cancellation takes
// from the sums decides only between pairs that are equal to some 1e-6 of |r|^2, and a
// pair replaces the old one only if the distance itself, computed plainly, is less.
// Vectorised over entries of the second book in 32 lanes, as nearest.cc.
#include "converter/quant/pairs.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "converter/quant/lanes.h"

namespace qrt::quant {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Pairs looked at for one point, at most: all of two books of 256. Beyond, at least eight entries
// of the first book are tried, enough for a greedy choice to be mended.
constexpr size_t kPairs = 65536, kLeastTried = 8;

// scores[j] = norms[j] - 2 r.c[j], c in lanes.
[[gnu::always_inline]] inline void score(const float* r, const float* lanes, const float* norms,
                                         size_t tiles, size_t dim, float* scores) {
  for (size_t tile = 0; tile < tiles; ++tile) {
    float sum[kLanes] = {};
    for (size_t t = 0; t < dim; ++t, lanes += kLanes)
      for (size_t j = 0; j < kLanes; ++j) sum[j] += r[t] * lanes[j];
    for (size_t j = 0; j < kLanes; ++j)
      scores[tile * kLanes + j] = norms[tile * kLanes + j] - 2.0f * sum[j];
  }
}

struct Pair {
  int32_t first, second;
};

// The least first[a] + second[b] + cross[a][b] over the entries `tried` of the first book, which
// ascend; ties to the lowest a, then b.
[[gnu::always_inline]] inline Pair scan(std::span<const int32_t> tried, const float* first,
                                        const float* second, const float* cross, size_t tiles) {
  // First the entry of the first book: its row's least sum, without asking where it stands.
  float best[kLanes];
  int32_t where[kLanes];
  for (size_t j = 0; j < kLanes; ++j) best[j] = kInfinity, where[j] = tried[0];
  for (const int32_t a : tried) {
    const float* row = cross + static_cast<size_t>(a) * tiles * kLanes;
    float least[kLanes];
    for (size_t j = 0; j < kLanes; ++j) least[j] = second[j] + row[j];
    for (size_t i = kLanes; i < tiles * kLanes; i += kLanes)
      for (size_t j = 0; j < kLanes; ++j) {
        const float sum = second[i + j] + row[i + j];
        least[j] = sum < least[j] ? sum : least[j];
      }
    for (size_t j = 0; j < kLanes; ++j) {
      const float sum = first[a] + least[j];
      const bool is_less = sum < best[j];
      best[j] = is_less ? sum : best[j];
      where[j] = is_less ? a : where[j];
    }
  }
  int32_t keys[kLanes];
  for (size_t j = 0; j < kLanes; ++j) keys[j] = sortable(best[j]);
  const int32_t a = place_of_least(keys, where, kLanes);
  // Then the place in that row.
  const float* row = cross + static_cast<size_t>(a) * tiles * kLanes;
  for (size_t j = 0; j < kLanes; ++j)
    best[j] = second[j] + row[j], where[j] = static_cast<int32_t>(j);
  for (size_t i = kLanes; i < tiles * kLanes; i += kLanes)
    for (size_t j = 0; j < kLanes; ++j) {
      const float sum = second[i + j] + row[i + j];
      const bool is_less = sum < best[j];
      best[j] = is_less ? sum : best[j];
      where[j] = is_less ? static_cast<int32_t>(i + j) : where[j];
    }
  for (size_t j = 0; j < kLanes; ++j) keys[j] = sortable(best[j]);
  return {a, place_of_least(keys, where, kLanes)};
}

using Score = void (*)(const float*, const float*, const float*, size_t, size_t, float*);
using Scan = Pair (*)(std::span<const int32_t>, const float*, const float*, const float*, size_t);

void score_plain(const float* r, const float* lanes, const float* norms, size_t tiles, size_t dim,
                 float* scores) {
  score(r, lanes, norms, tiles, dim, scores);
}
Pair scan_plain(std::span<const int32_t> tried, const float* first, const float* second,
                const float* cross, size_t tiles) {
  return scan(tried, first, second, cross, tiles);
}

struct Loops {
  Score score;
  Scan scan;
};

#if defined(__x86_64__) && defined(__GNUC__)
#define QRT_LOOPS(name, isa)                                                                     \
  [[gnu::target(isa)]] void score_##name(const float* r, const float* lanes, const float* norms, \
                                         size_t tiles, size_t dim, float* scores) {              \
    score(r, lanes, norms, tiles, dim, scores);                                                  \
  }                                                                                              \
  [[gnu::target(isa)]] Pair scan_##name(std::span<const int32_t> tried, const float* first,      \
                                        const float* second, const float* cross, size_t tiles) { \
    return scan(tried, first, second, cross, tiles);                                             \
  }
QRT_LOOPS(avx2, "avx2")
QRT_LOOPS(avx512, "avx512f,prefer-vector-width=512")
#undef QRT_LOOPS
Loops pick() {
  if (__builtin_cpu_supports("avx512f")) return {score_avx512, scan_avx512};
  if (__builtin_cpu_supports("avx2")) return {score_avx2, scan_avx2};
  return {score_plain, scan_plain};
}
#else
Loops pick() {
  return {score_plain, scan_plain};
}
#endif

// [count][dim] as [tile][dim][lane], zeros behind count.
std::vector<float> in_lanes(std::span<const float> entries, size_t dim, size_t tiles) {
  std::vector<float> out(tiles * dim * kLanes, 0.0f);
  for (size_t i = 0; i < entries.size(); ++i) {
    const size_t entry = i / dim, t = i % dim;
    out[(entry / kLanes * dim + t) * kLanes + entry % kLanes] = entries[i];
  }
  return out;
}

std::vector<float> norms_of(std::span<const float> entries, size_t dim, size_t tiles) {
  std::vector<float> out(tiles * kLanes, kInfinity);
  for (size_t c = 0; c < entries.size() / dim; ++c) {
    float sum = 0;
    for (size_t t = 0; t < dim; ++t) sum += entries[c * dim + t] * entries[c * dim + t];
    out[c] = sum;
  }
  return out;
}

// How many entries of the first of two books are tried.
size_t tried_of(size_t count) {
  const size_t padded = (count + kLanes - 1) / kLanes * kLanes;
  return std::min(count, std::max(kLeastTried, kPairs / padded));
}

float distance(const float* r, const float* a, const float* b, size_t dim) {
  float sum = 0;
  for (size_t t = 0; t < dim; ++t) {
    const float e = r[t] - (a[t] + b[t]);
    sum += e * e;
  }
  return sum;
}

}  // namespace

bool PairSearch::is_exhaustive(size_t count) {
  return tried_of(count) == count;
}

PairSearch::PairSearch(std::span<const float> first, std::span<const float> second, int32_t dim)
    : dim_(static_cast<size_t>(dim)),
      count_(first.size() / dim_),
      tiles_((count_ + kLanes - 1) / kLanes),
      tried_(tried_of(count_)),
      first_(first.begin(), first.end()),
      second_(second.begin(), second.end()),
      first_lanes_(in_lanes(first, dim_, tiles_)),
      second_lanes_(in_lanes(second, dim_, tiles_)),
      first_norms_(norms_of(first, dim_, tiles_)),
      second_norms_(norms_of(second, dim_, tiles_)),
      cross_(count_ * tiles_ * kLanes, 0.0f) {
  // 2 a.b is the score of b for the point -a and norms of zero.
  const std::vector<float> zeros(tiles_ * kLanes, 0.0f);
  const Loops loops = pick();
  std::vector<float> negative(dim_);
  for (size_t a = 0; a < count_; ++a) {
    for (size_t t = 0; t < dim_; ++t) negative[t] = -first_[a * dim_ + t];
    loops.score(negative.data(), second_lanes_.data(), zeros.data(), tiles_, dim_,
                &cross_[a * tiles_ * kLanes]);
  }
}

size_t PairSearch::improve(std::span<const float> points, std::span<int32_t> first,
                           std::span<int32_t> second) const {
  const Loops loops = pick();
  std::vector<float> a(tiles_ * kLanes), b(a.size());
  std::vector<int32_t> order(count_);
  std::iota(order.begin(), order.end(), 0);
  const auto nearer = [&](int32_t i, int32_t j) {
    return a[static_cast<size_t>(i)] != a[static_cast<size_t>(j)]
               ? a[static_cast<size_t>(i)] < a[static_cast<size_t>(j)]
               : i < j;
  };
  size_t changed = 0;
  for (size_t p = 0; p < first.size(); ++p) {
    const float* r = &points[p * dim_];
    loops.score(r, first_lanes_.data(), first_norms_.data(), tiles_, dim_, a.data());
    loops.score(r, second_lanes_.data(), second_norms_.data(), tiles_, dim_, b.data());
    if (tried_ < count_) {
      const auto end = order.begin() + static_cast<std::ptrdiff_t>(tried_);
      std::nth_element(order.begin(), end - 1, order.end(), nearer);
      std::sort(order.begin(), end);
    }
    const Pair pair = loops.scan({order.data(), tried_}, a.data(), b.data(), cross_.data(), tiles_);
    const auto far = [&](int32_t i, int32_t j) {
      return distance(r, &first_[static_cast<size_t>(i) * dim_],
                      &second_[static_cast<size_t>(j) * dim_], dim_);
    };
    if (pair.first == first[p] && pair.second == second[p]) continue;
    if (!(far(pair.first, pair.second) < far(first[p], second[p]))) continue;
    first[p] = pair.first, second[p] = pair.second;
    ++changed;
  }
  return changed;
}

}  // namespace qrt::quant

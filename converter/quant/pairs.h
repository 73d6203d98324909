// The inner loop of additive books: the pair of entries, one of each of two books,
// whose sum is nearest to a point.
#ifndef QRT_CONVERTER_QUANT_PAIRS_H_
#define QRT_CONVERTER_QUANT_PAIRS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace qrt::quant {

// The tables of two books of `count` entries each, [count][dim]. Of the first book the `tried`
// entries nearest to the point are looked at, or all of them; of the second always all.
class PairSearch {
 public:
  PairSearch(std::span<const float> first, std::span<const float> second, int32_t dim);

  // For each point [dim] of `points`: first[i], second[i] become the best pair found where it is
  // strictly nearer than the pair they name. Returns how many changed. Sums run in ascending order
  // in f32 without contraction: the same bits on every machine. May be called by several threads.
  size_t improve(std::span<const float> points, std::span<int32_t> first,
                 std::span<int32_t> second) const;

  // Whether improve() looks at every pair of two books of `count` entries.
  static bool is_exhaustive(size_t count);

 private:
  size_t dim_, count_, tiles_, tried_;
  std::vector<float> first_, second_;              // [count][dim]
  std::vector<float> first_lanes_, second_lanes_;  // [tile][dim][lane]
  std::vector<float> first_norms_, second_norms_;  // [tile][lane], infinite behind count
  std::vector<float> cross_;                       // [count][tile][lane]: twice the inner products
};

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_PAIRS_H_

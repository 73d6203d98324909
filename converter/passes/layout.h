// The two layouts of an image as permutations: axis 1 holds the channels in the
// source's layout ("first") and the last axis inside the engine ("last"). For
// rank < 3 both are the same.
#ifndef QRT_CONVERTER_PASSES_LAYOUT_H_
#define QRT_CONVERTER_PASSES_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qrt::passes {

// Perms of ir::Transpose: axis i of the result is axis perm[i] of the input.
std::vector<int32_t> perm_to_last(size_t rank);
std::vector<int32_t> perm_to_first(size_t rank);

// Row-major data of `shape` (rank >= 2) with its axis 1 moved to the end.
std::vector<float> channels_last(const std::vector<float>& data, const std::vector<int64_t>& shape);
std::vector<int64_t> channels_last(const std::vector<int64_t>& data,
                                   const std::vector<int64_t>& shape);

}  // namespace qrt::passes

#endif  // QRT_CONVERTER_PASSES_LAYOUT_H_

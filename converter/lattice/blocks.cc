// Codebooks: few different blocks of consecutive inputs. A sample of the blocks
// says first whether any repeat; a layer of floats as trained has next to no
// block twice and costs a few thousand lookups per block length.
#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "converter/base/half.h"
#include "converter/lattice/search.h"
#include "schema/layout.h"

namespace qrt::lattice {
namespace {

using quant::Codebook;

constexpr size_t kLeastRepeats = 2;
constexpr size_t kSample = 8192;
// Of 8192 blocks out of a book of 65536 about 7700 differ, of a smaller book fewer.
constexpr double kMostNew = 0.97;

// Block lengths as published networks have them: parts of a kernel's window and whole ones, and
// powers of two along the channels of 1x1 kernels and matrices.
std::set<int64_t> lengths(int64_t inputs, int64_t taps) {
  std::set<int64_t> r;
  for (const int64_t d : {2, 3, 4, 5, 6, 8, 9, 16, 18, 25, 32, 36, 64}) r.insert(d);
  if (taps > 1)
    for (const int64_t d : {taps, 2 * taps, 4 * taps}) r.insert(d);
  std::erase_if(r, [&](int64_t d) {
    return inputs % d != 0 || d > static_cast<int64_t>(layout::kMaxBlockDim);
  });
  return r;
}

class Blocks {
 public:
  Blocks(const Matrix& m, int64_t dim)
      : bytes_(static_cast<size_t>(dim) * sizeof(float)),
        count_(m.values.size() / static_cast<size_t>(dim)),
        data_(reinterpret_cast<const char*>(m.values.data())) {}

  size_t count() const { return count_; }
  std::string_view at(size_t i) const { return {data_ + i * bytes_, bytes_}; }

 private:
  size_t bytes_, count_;
  const char* data_;
};

bool repeats(const Blocks& blocks) {
  const size_t sample = std::min(kSample, blocks.count());
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < sample; ++i) seen.insert(blocks.at(i * blocks.count() / sample));
  return static_cast<double>(seen.size()) <= kMostNew * static_cast<double>(sample);
}

void find_of_length(const Matrix& m, int64_t dim, Candidates& found) {
  const Blocks blocks(m, dim);
  if (!repeats(blocks)) return;
  Codebook c;
  c.dim = static_cast<int32_t>(dim);
  std::unordered_map<std::string_view, uint32_t> entry_of;
  const int64_t per_row = m.inputs / dim;
  c.codes.resize(blocks.count());
  // More entries than half of the blocks save nothing.
  const size_t most = std::min<size_t>(layout::kMaxCentroids, blocks.count() / 2 + 1);
  for (size_t i = 0; i < blocks.count(); ++i) {
    const auto [at, is_new] =
        entry_of.try_emplace(blocks.at(i), static_cast<uint32_t>(entry_of.size()));
    if (entry_of.size() > most) return;
    if (is_new) {
      const auto first = m.values.begin() + static_cast<int64_t>(i) * dim;
      c.entries.insert(c.entries.end(), first, first + dim);
    }
    const size_t block = i % static_cast<size_t>(per_row),
                 output = i / static_cast<size_t>(per_row);
    c.codes[block * static_cast<size_t>(m.outputs) + output] = static_cast<uint16_t>(at->second);
  }
  // Of a pruned layer only the block of zeros comes back.
  const std::vector<float> nothing(static_cast<size_t>(dim), 0.0f);
  const std::string_view zeros(reinterpret_cast<const char*>(nothing.data()),
                               nothing.size() * sizeof(float));
  size_t used = 0;
  for (size_t i = 0; i < blocks.count(); ++i) used += blocks.at(i) != zeros;
  if (used < kLeastRepeats * (entry_of.size() - entry_of.count(zeros))) return;
  c.count = static_cast<int32_t>(entry_of.size());
  const bool half = std::all_of(c.entries.begin(), c.entries.end(), is_half);
  c.entry = half ? quant::EntryType::f16 : quant::EntryType::f32;
  found.emplace_back(std::move(c));
}

}  // namespace

void find_blocks(const Matrix& m, int64_t taps, Candidates& found) {
  if (m.slack > 0) return;
  for (const int64_t dim : lengths(m.inputs, taps)) find_of_length(m, dim, found);
}

}  // namespace qrt::lattice

// Greedy by size: the biggest buffer is placed first, each into the first gap
// that is wide enough between the placed buffers alive at the same time. Big
// ones first because a small buffer fits gaps that big ones leave, never the
// other way round. O(n^2) comparisons, n = tensors + scratch slots.
#include "runtime/memory/planner.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace qrt {
namespace {

bool alive_together(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

constexpr size_t round_up(size_t x, size_t align) {
  return (x + align - 1) & ~(align - 1);
}

}  // namespace

Expected<size_t> plan_arena(Span<const Lifetime> lives, size_t align, Span<size_t> offsets,
                            Span<uint32_t> work) {
  const size_t n = lives.size();
  assert(offsets.size() >= n && work.size() >= 2 * n);
  size_t sum = 0;  // of all sizes, each rounded up: no offset below can exceed it
  for (const Lifetime& life : lives) {
    size_t padded;
    if (__builtin_add_overflow(life.bytes, align - 1, &padded) ||
        __builtin_add_overflow(sum, padded & ~(align - 1), &sum) || sum > SIZE_MAX / 2) {
      return Status(Code::unsupported, 40, "the activations do not fit the address space")
          .next("use a smaller batch");
    }
  }
  uint32_t* by_size = work.data();
  uint32_t* placed = work.data() + n;  // by rising offset
  size_t placed_count = 0, arena = 0;
  for (size_t i = 0; i < n; ++i) by_size[i] = static_cast<uint32_t>(i);
  std::sort(by_size, by_size + n, [&](uint32_t a, uint32_t b) {
    return lives[a].bytes != lives[b].bytes ? lives[a].bytes > lives[b].bytes : a < b;
  });
  for (size_t k = 0; k < n; ++k) {
    const uint32_t me = by_size[k];
    size_t at = 0;  // end of what is known to be taken
    for (size_t j = 0; j < placed_count; ++j) {
      const uint32_t other = placed[j];
      if (!alive_together(lives[me], lives[other])) continue;
      if (offsets[other] >= at && offsets[other] - at >= lives[me].bytes) break;  // the gap fits
      at = std::max(at, round_up(offsets[other] + lives[other].bytes, align));
    }
    offsets[me] = at;
    arena = std::max(arena, at + lives[me].bytes);
    uint32_t* slot =
        std::upper_bound(placed, placed + placed_count, me,
                         [&](uint32_t a, uint32_t b) { return offsets[a] < offsets[b]; });
    std::memmove(slot + 1, slot, static_cast<size_t>(placed + placed_count - slot) * sizeof *slot);
    *slot = me;
    ++placed_count;
  }
  return arena;
}

}  // namespace qrt

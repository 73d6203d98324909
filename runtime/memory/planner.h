// Lifetimes to offsets: where in the activation arena each tensor and scratch
// buffer lies. A pure function.
#ifndef QRT_RUNTIME_MEMORY_PLANNER_H_
#define QRT_RUNTIME_MEMORY_PLANNER_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/span.h"
#include "runtime/base/status.h"

namespace qrt {

// A buffer is alive from step `first` to step `last`, both included.
struct Lifetime {
  size_t bytes;
  int32_t first, last;
};

// Writes one offset per buffer and returns the size of the arena. Buffers alive
// at the same step never overlap; every offset is a multiple of `align`, a power
// of two. `work` holds two numbers per buffer: planning allocates nothing.
// Refuses (QRT-E0040) sizes whose sum overflows.
Expected<size_t> plan_arena(Span<const Lifetime> lives, size_t align, Span<size_t> offsets,
                            Span<uint32_t> work);

}  // namespace qrt

#endif  // QRT_RUNTIME_MEMORY_PLANNER_H_

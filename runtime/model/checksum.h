// The checksums of a .qrt file: xxh3-64, the one caller of xxHash in libqrt. They
// catch accidents (a bad disk, a cut download), not attackers: the validator
// trusts nothing because of them.
#ifndef QRT_RUNTIME_MODEL_CHECKSUM_H_
#define QRT_RUNTIME_MODEL_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

namespace qrt {

uint64_t checksum_of(const void* data, size_t bytes);

// Of `data` without the 8 bytes at `skip_at`, where the checksum itself lies.
// Needs skip_at + 8 <= bytes.
uint64_t checksum_without(const void* data, size_t bytes, size_t skip_at);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_CHECKSUM_H_

#include "runtime/model/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace qrt {

uint64_t checksum_of(const void* data, size_t bytes) {
  // xxHash 0.8.1 may form a pointer from null + 0: an empty vector has an address of its own.
  return bytes == 0 ? XXH3_64bits("", 0) : XXH3_64bits(data, bytes);
}

uint64_t checksum_without(const void* data, size_t bytes, size_t skip_at) {
  const auto* p = static_cast<const unsigned char*>(data);
  XXH3_state_t state;  // on the stack: hashing allocates nothing
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, p, skip_at);
  XXH3_64bits_update(&state, p + skip_at + 8, bytes - skip_at - 8);
  return XXH3_64bits_digest(&state);
}

}  // namespace qrt

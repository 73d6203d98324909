// Chunks in a singly linked list, the newest first; objects are cut from the
// front chunk. A request too big for it gets a chunk of its own behind the front
// one, so that the front's remaining room is not lost.
#include "runtime/memory/arena.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace qrt {
namespace {

constexpr size_t kChunkAlign = 64;
constexpr size_t kHeader = 64;  // a Chunk, and the first object stays aligned
constexpr size_t kFirstChunk = size_t{4} << 10, kLargestChunk = size_t{256} << 10;

void* c_alloc(void*, size_t bytes, size_t align) {
  if (align < sizeof(void*)) align = sizeof(void*);
  if (bytes > SIZE_MAX - align) return nullptr;
  // aligned_alloc wants a multiple of the alignment.
  return std::aligned_alloc(align, (bytes + align - 1) / align * align);
}

void c_release(void*, void* p) {
  std::free(p);
}

}  // namespace

struct Arena::Chunk {
  Chunk* next;
  size_t bytes;  // header included
};

Allocator default_allocator() {
  return {c_alloc, c_release, nullptr};
}

Arena::~Arena() {
  while (chunks_ != nullptr) {
    Chunk* next = chunks_->next;
    allocator_.release(allocator_.user, chunks_);
    chunks_ = next;
  }
}

void* Arena::allocate(size_t bytes, size_t align) {
  static_assert(sizeof(Chunk) <= kHeader, "the header holds a Chunk");
  if (align > kChunkAlign || align == 0 || (align & (align - 1)) != 0) return nullptr;
  if (bytes > SIZE_MAX / 2) return nullptr;
  if (bytes == 0) bytes = 1;  // distinct objects have distinct addresses
  if (chunks_ != nullptr) {
    const size_t at = (used_ + align - 1) & ~(align - 1);
    if (at <= chunks_->bytes && bytes <= chunks_->bytes - at) {
      used_ = at + bytes;
      return std::memset(reinterpret_cast<char*>(chunks_) + at, 0, bytes);
    }
  }
  // Chunks double with what has been taken, so their number stays logarithmic.
  size_t room = bytes_ < kFirstChunk ? kFirstChunk : bytes_;
  if (room > kLargestChunk) room = kLargestChunk;
  const bool own = bytes > (room - kHeader) / 2;
  const size_t total = own ? bytes + kHeader : room;
  void* raw = allocator_.alloc(allocator_.user, total, kChunkAlign);
  if (raw == nullptr) return nullptr;
  bytes_ += total;
  if (own && chunks_ != nullptr) {
    chunks_->next = ::new (raw) Chunk{chunks_->next, total};
  } else {
    chunks_ = ::new (raw) Chunk{chunks_, total};
    used_ = kHeader + bytes;
  }
  return std::memset(static_cast<char*>(raw) + kHeader, 0, bytes);
}

}  // namespace qrt

// A growing bump arena: memory that lives as long as its owner (a model or a
// session) and is given back all at once. Behind it stands the caller's
// allocator. It does not free single objects and runs no destructors; objects
// put here must not need one (Session destroys its ops by hand).
#ifndef QRT_RUNTIME_MEMORY_ARENA_H_
#define QRT_RUNTIME_MEMORY_ARENA_H_

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "runtime/base/span.h"

namespace qrt {

struct Allocator {
  void* (*alloc)(void* user, size_t bytes, size_t align);
  void (*release)(void* user, void* p);
  void* user;
};
Allocator default_allocator();  // aligned_alloc and free

class Arena {
 public:
  explicit Arena(const Allocator& allocator) : allocator_(allocator) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Null when the allocator is out of memory or the size overflows. Zeroed.
  void* allocate(size_t bytes, size_t align = 64);

  template <class T>
  Span<T> array(size_t n) {
    static_assert(std::is_trivially_destructible_v<T>);
    if (n > static_cast<size_t>(-1) / sizeof(T)) return {};
    void* p = allocate(n * sizeof(T), alignof(T));
    if (p == nullptr) return {};
    return {::new (p) T[n]{}, n};
  }
  template <class T, class... A>
  T* make(A&&... a) {
    void* p = allocate(sizeof(T), alignof(T));
    return p == nullptr ? nullptr : ::new (p) T(std::forward<A>(a)...);
  }

  size_t bytes() const { return bytes_; }  // taken from the allocator so far
  const Allocator& allocator() const { return allocator_; }

 private:
  struct Chunk;
  Allocator allocator_;
  Chunk* chunks_ = nullptr;
  size_t used_ = 0, bytes_ = 0;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_MEMORY_ARENA_H_

// Splits a range over threads: the runtime's door to pthreadpool, shared with
// XNNPACK. Without pthreadpool (or with one thread) the work runs on the caller.
#ifndef QRT_RUNTIME_SESSION_THREADS_H_
#define QRT_RUNTIME_SESSION_THREADS_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

struct pthreadpool;

namespace qrt {

class Threads {
 public:
  Threads() = default;
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  static constexpr uint32_t kMost = 256;
  // `count` >= 1, taken as kMost at most. False when the threads cannot be had (no
  // pthreadpool in this build, or no resources); then the caller's one remains.
  // pthreadpool allocates for itself, once, here: no allocator hook reaches it.
  bool start(uint32_t count);
  uint32_t count() const { return count_; }
  pthreadpool* pool() const { return pool_; }  // null for one thread

  // Calls work(context, begin, end, thread) over disjoint chunks that cover
  // [0, n); each chunk holds at most `grain` items, `thread` < count() and no
  // two chunks with the same `thread` run at once. Returns when all is done.
  using Work = void(void* context, size_t begin, size_t end, uint32_t thread);
  void split(size_t n, size_t grain, Work* work, void* context) const;

  template <class F>
  void split(size_t n, size_t grain, F&& f) const {  // f(begin, end, thread)
    using Callable = std::remove_reference_t<F>;
    auto call = [](void* c, size_t begin, size_t end, uint32_t thread) {
      (*static_cast<Callable*>(c))(begin, end, thread);
    };
    split(n, grain, call, const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  uint32_t count_ = 1;
  pthreadpool* pool_ = nullptr;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_SESSION_THREADS_H_

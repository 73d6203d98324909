// Work is handed out by one atomic counter: every lane of the pool takes the next
// chunk when it is done with its last. A lane, not an operating system thread,
// is what ops call `thread`: pthreadpool runs each lane exactly once per split.
// Chunk borders depend on `grain` alone, so results do not depend on the count.
#include "runtime/session/threads.h"

#include <atomic>

#if defined(QRT_HAVE_PTHREADPOOL)
#include <pthreadpool.h>
#endif

namespace qrt {
namespace {

#if defined(QRT_HAVE_PTHREADPOOL)
struct Share {
  Threads::Work* work;
  void* context;
  size_t n, grain;
  std::atomic<size_t> next{0};  // chunks given out
};

void run_lane(void* context, size_t lane) {
  Share& share = *static_cast<Share*>(context);
  const size_t chunks = (share.n - 1) / share.grain + 1;
  for (;;) {
    const size_t chunk = share.next.fetch_add(1, std::memory_order_relaxed);
    if (chunk >= chunks) return;
    const size_t begin = chunk * share.grain;
    const size_t left = share.n - begin;
    share.work(share.context, begin, begin + (left < share.grain ? left : share.grain),
               static_cast<uint32_t>(lane));
  }
}
#endif

}  // namespace

Threads::~Threads() {
#if defined(QRT_HAVE_PTHREADPOOL)
  if (pool_ != nullptr) pthreadpool_destroy(pool_);
#endif
}

bool Threads::start(uint32_t count) {
  if (count > kMost) count = kMost;
  if (count <= 1 || pool_ != nullptr) return count <= count_;
#if defined(QRT_HAVE_PTHREADPOOL)
  pool_ = pthreadpool_create(count);
  if (pool_ == nullptr) return false;
  count_ = static_cast<uint32_t>(pthreadpool_get_threads_count(pool_));
  return true;
#else
  return false;
#endif
}

void Threads::split(size_t n, size_t grain, Work* work, void* context) const {
  if (n == 0) return;
  if (grain == 0) grain = 1;
#if defined(QRT_HAVE_PTHREADPOOL)
  if (pool_ != nullptr && n > grain) {
    Share share{work, context, n, grain, {}};
    const size_t chunks = (n - 1) / grain + 1;
    pthreadpool_parallelize_1d(pool_, run_lane, &share, chunks < count_ ? chunks : count_, 0);
    return;
  }
#endif
  for (size_t begin = 0; begin < n; begin += grain) {
    const size_t left = n - begin;
    work(context, begin, begin + (left < grain ? left : grain), 0);
    if (left <= grain) return;
  }
}

}  // namespace qrt

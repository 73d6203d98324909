// run() allocates nothing: counted under every allocator of the process, the
// C library's, which XNNPACK and pthreadpool use as well.
#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "tests/support/handles.h"
#include "tests/support/integer_model.h"
#include "tests/support/model_builder.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define QRT_HOOK_MALLOC 0  // sanitizers hook it themselves
#elif defined(__GLIBC__)
#define QRT_HOOK_MALLOC 1
#else
#define QRT_HOOK_MALLOC 0
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#undef QRT_HOOK_MALLOC
#define QRT_HOOK_MALLOC 0
#endif
#endif

#if QRT_HOOK_MALLOC

namespace {
std::atomic<long> allocations{0};
}

// glibc calls these in place of its own, and keeps its own under these names.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t n) {
  return ++allocations, __libc_malloc(n);
}
void* calloc(size_t n, size_t size) {
  return ++allocations, __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) {
  return ++allocations, __libc_realloc(p, n);
}
void* memalign(size_t align, size_t n);
void* memalign(size_t align, size_t n) {
  return ++allocations, __libc_memalign(align, n);
}
void* aligned_alloc(size_t align, size_t n) {
  return ++allocations, __libc_memalign(align, n);
}
int posix_memalign(void** out, size_t align, size_t n) {
  ++allocations;
  *out = __libc_memalign(align, n);
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* p) {
  __libc_free(p);
}
}

namespace qrt {
namespace {

using testing::Error;

void check_runs(const std::vector<uint8_t>& file) {
  Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  REQUIRE(model != nullptr);
  const long before = allocations;
  for (const uint32_t mode : {QRT_MODE_COMPRESSED, QRT_MODE_DENSE}) {
    for (const uint32_t threads : {1u, 3u}) {
      testing::Options options;
      options.mode = mode;
      options.threads = threads;
      const testing::SessionHandle session = testing::open_session(model, error, &options);
      REQUIRE(session != nullptr);
      // The very first run counts as well: nothing is put off until then.
      const long start = allocations;
      qrt_status status = QRT_OK;
      for (int i = 0; i < 3 && status == QRT_OK; ++i)
        status = qrt_session_run(session.get(), &error);
      if (status == QRT_OK) status = qrt_session_run_profiled(session.get(), &error);
      const long made = allocations - start;
      CHECK(status == QRT_OK);
      CHECK(made == 0);
    }
  }
  CHECK(allocations > before);  // the hook counts
}

TEST_CASE("no allocation in run, in either mode, with one thread or three") {
  check_runs(testing::sample_model().finish());
  check_runs(testing::integer_model().b.finish());
}

}  // namespace
}  // namespace qrt

#else

TEST_CASE("no allocation in run") {
  MESSAGE("SKIPPED: malloc cannot be hooked under sanitizers and without glibc");
}

#endif  // QRT_HOOK_MALLOC

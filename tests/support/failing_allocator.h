// An allocator for qrt_options that counts, and that fails its n-th request.
#ifndef QRT_TESTS_SUPPORT_FAILING_ALLOCATOR_H_
#define QRT_TESTS_SUPPORT_FAILING_ALLOCATOR_H_

#include <cstdlib>

#include "qrt.h"

namespace qrt::testing {

class FailingAllocator {
 public:
  // Request number `fail_at` (from 0) and all later ones fail; -1: none does.
  explicit FailingAllocator(long fail_at = -1) : fail_at_(fail_at) {}
  FailingAllocator(const FailingAllocator&) = delete;
  FailingAllocator& operator=(const FailingAllocator&) = delete;

  void use(qrt_options* options) {
    options->alloc = take;
    options->release = give_back;
    options->user = this;
  }
  long requests() const { return requests_; }
  long live() const { return live_; }      // taken and not given back
  size_t bytes() const { return bytes_; }  // taken in all

 private:
  static void* take(void* self, size_t bytes, size_t align) {
    auto& a = *static_cast<FailingAllocator*>(self);
    const long number = a.requests_++;
    if (a.fail_at_ >= 0 && number >= a.fail_at_) return nullptr;
    ++a.live_;
    a.bytes_ += bytes;
    if (align < sizeof(void*)) align = sizeof(void*);
    return std::aligned_alloc(align, (bytes + align - 1) / align * align);
  }
  static void give_back(void* self, void* p) {
    --static_cast<FailingAllocator*>(self)->live_;
    std::free(p);
  }

  long fail_at_, requests_ = 0, live_ = 0;
  size_t bytes_ = 0;
};

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_FAILING_ALLOCATOR_H_

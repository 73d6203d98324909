// The caller's allocator with a limit in front: qrt_options.max_bytes, or what the
// machine has to give. It bounds the sum of all requests: releases carry no size, and
// little but temporaries of opening is given back before a model or session closes.
#ifndef QRT_RUNTIME_MEMORY_BUDGET_H_
#define QRT_RUNTIME_MEMORY_BUDGET_H_

#include <cstdint>

#include "runtime/memory/arena.h"

namespace qrt {

// What the system could give without swapping, in bytes; UINT64_MAX where it does
// not say. Memory is promised freely and taken back by killing: a small file that
// asks for a terabyte of activations must be refused, not tried.
uint64_t available_memory();

class Budget {
 public:
  Budget(const Allocator& inner, uint64_t limit) : inner_(inner), limit_(limit) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // Valid while this object stays where it is.
  Allocator allocator() { return {take, give_back, this}; }
  bool refused() const { return refused_; }  // the limit, not the allocator, said no
  uint64_t limit() const { return limit_; }
  uint64_t wanted() const { return wanted_; }  // in all, with the request that was refused
  const Allocator& inner() const { return inner_; }

  static void* take(void* self, size_t bytes, size_t align) {
    Budget& b = *static_cast<Budget*>(self);
    if (bytes > b.limit_ - b.taken_) {
      b.refused_ = true;
      b.wanted_ = b.taken_ + bytes;
      return nullptr;
    }
    void* p = b.inner_.alloc(b.inner_.user, bytes, align);
    if (p != nullptr) b.taken_ += bytes;
    return p;
  }
  static void give_back(void* self, void* p) {
    Budget& b = *static_cast<Budget*>(self);
    b.inner_.release(b.inner_.user, p);
  }

 private:
  Allocator inner_;
  uint64_t limit_, taken_ = 0, wanted_ = 0;
  bool refused_ = false;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_MEMORY_BUDGET_H_

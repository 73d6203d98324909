// Memory whose first byte out of bounds faults: an array that ends (or starts) at a page
// nobody may touch. Kernels are tested on it, so that no read or write past the
// end goes unnoticed, sanitizer or not.
#ifndef QRT_TESTS_SUPPORT_GUARDED_BUFFER_H_
#define QRT_TESTS_SUPPORT_GUARDED_BUFFER_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace qrt::test {

enum class Guard { after, before };

// `size` elements, each byte `fill` at first. With Guard::after the array's end is the
// page's, so its start has no alignment beyond what `size` gives; with Guard::before it
// starts on a page.
template <class T>
class GuardedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit GuardedBuffer(size_t size, Guard guard = Guard::after, unsigned char fill = 0xa5)
      : size_(size) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inside = (size * sizeof(T) + page - 1) / page * page;
    mapped_ = inside + 2 * page;
    void* p = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) fail();
    base_ = static_cast<unsigned char*>(p);
    if (inside != 0 && mprotect(base_ + page, inside, PROT_READ | PROT_WRITE) != 0) fail();
    std::memset(base_ + page, fill, inside);
    unsigned char* start = base_ + page;
    if (guard == Guard::after) start += inside - size * sizeof(T);
    data_ = reinterpret_cast<T*>(start);
  }
  ~GuardedBuffer() { munmap(base_, mapped_); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) const { return data_[i]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }

 private:
  [[noreturn]] static void fail() {
    std::perror("GuardedBuffer: no memory");
    std::abort();
  }
  size_t size_, mapped_ = 0;
  unsigned char* base_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_GUARDED_BUFFER_H_

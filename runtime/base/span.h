// Span: a borrowed, contiguous run of elements. C++17 has none.
#ifndef QRT_RUNTIME_BASE_SPAN_H_
#define QRT_RUNTIME_BASE_SPAN_H_

#include <cassert>
#include <cstddef>

namespace qrt {

template <class T>
class Span {
 public:
  constexpr Span() = default;
  constexpr Span(T* data, size_t size) : data_(data), size_(size) {}
  constexpr T* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T& operator[](size_t i) const {
    assert(i < size_);
    return data_[i];
  }
  constexpr T* begin() const { return data_; }
  constexpr T* end() const { return data_ + size_; }
  constexpr operator Span<const T>() const { return {data_, size_}; }  // NOLINT

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_BASE_SPAN_H_

// Size arithmetic that notices overflow. Every size derived from a model file
// goes through here; a failed operation is std::nullopt, and stays so.
#ifndef QRT_RUNTIME_BASE_CHECKED_H_
#define QRT_RUNTIME_BASE_CHECKED_H_

#include <cstddef>
#include <cstdint>
#include <optional>

namespace qrt {

// A 64-bit size that remembers whether any step overflowed.
class CheckedSize {
 public:
  constexpr CheckedSize(uint64_t v) : v_(v) {}  // NOLINT: implicit on purpose
  constexpr CheckedSize operator*(CheckedSize o) const {
    CheckedSize r(0);
    r.bad_ = __builtin_mul_overflow(v_, o.v_, &r.v_) || bad_ || o.bad_;
    return r;
  }
  constexpr CheckedSize operator+(CheckedSize o) const {
    CheckedSize r(0);
    r.bad_ = __builtin_add_overflow(v_, o.v_, &r.v_) || bad_ || o.bad_;
    return r;
  }
  // The value if no step overflowed and it is at most `limit` (and fits size_t).
  constexpr std::optional<size_t> get(uint64_t limit = SIZE_MAX) const {
    if (bad_ || v_ > limit || v_ > SIZE_MAX) return std::nullopt;
    return static_cast<size_t>(v_);
  }
  // The same where the value need not be the size of anything in memory.
  constexpr std::optional<uint64_t> get64() const {
    if (bad_) return std::nullopt;
    return v_;
  }

 private:
  uint64_t v_;
  bool bad_ = false;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_BASE_CHECKED_H_

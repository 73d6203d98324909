// Status and Expected: how libqrt says no. Failing never allocates: a Status
// holds pointers to string literals, a stable id and a few numbers, and is
// dressed into a qrt_error with names at the C border (runtime/api.cc).
#ifndef QRT_RUNTIME_BASE_STATUS_H_
#define QRT_RUNTIME_BASE_STATUS_H_

#include <cassert>
#include <cstdint>
#include <optional>
#include <utility>

namespace qrt {

enum class Code : int32_t {  // Values equal qrt_status in qrt.h. Append only.
  ok = 0,
  invalid_argument = 1,
  invalid_model = 2,
  unsupported = 3,
  out_of_memory = 4,
  internal = 5,
  io = 6,
};

// What a Status points at: the index of a thing of the model file.
enum class Where : uint8_t { nothing, op, tensor, weights, buffer, input, output, byte };

// How the allowed value of a Status bounds the found one.
enum class Bound : uint8_t { none, equal, at_least, at_most };

class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  // `id` is the number in the stable code QRT-Enumber; docs/errors/ lists them all.
  constexpr Status(Code code, uint16_t id, const char* what) : what_(what), code_(code), id_(id) {}

  constexpr bool ok() const { return code_ == Code::ok; }
  constexpr Code code() const { return code_; }
  constexpr uint16_t id() const { return id_; }
  constexpr const char* what() const { return what_; }  // literal: what is wrong
  constexpr const char* hint() const { return hint_; }  // literal: what to do, or ""
  constexpr Where where() const { return where_; }
  constexpr int64_t index() const { return index_; }
  constexpr bool has_values() const { return bound_ != Bound::none; }
  constexpr Bound bound() const { return bound_; }
  constexpr int64_t found() const { return found_; }
  constexpr int64_t allowed() const { return allowed_; }

  constexpr Status at(Where where, int64_t index) const {
    Status s = *this;
    if (s.where_ == Where::nothing) s.where_ = where, s.index_ = index;
    return s;
  }
  constexpr Status values(int64_t found, int64_t allowed, Bound bound = Bound::equal) const {
    Status s = *this;
    s.found_ = found, s.allowed_ = allowed, s.bound_ = bound;
    return s;
  }
  constexpr Status at_least(int64_t found, int64_t allowed) const {
    return values(found, allowed, Bound::at_least);
  }
  constexpr Status at_most(int64_t found, int64_t allowed) const {
    return values(found, allowed, Bound::at_most);
  }
  constexpr Status next(const char* hint) const {
    Status s = *this;
    s.hint_ = hint;
    return s;
  }

 private:
  const char* what_ = "";
  const char* hint_ = "";
  int64_t index_ = -1, found_ = 0, allowed_ = 0;
  Code code_ = Code::ok;
  uint16_t id_ = 0;
  Where where_ = Where::nothing;
  Bound bound_ = Bound::none;
};

template <class T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : value_(std::move(value)) {}          // NOLINT: implicit on purpose
  Expected(Status why) : why_(why) { assert(!why.ok()); }  // NOLINT
  bool ok() const { return value_.has_value(); }
  Status status() const { return why_; }
  T& operator*() {
    assert(ok());
    return *value_;
  }
  const T& operator*() const {
    assert(ok());
    return *value_;
  }
  T* operator->() { return &**this; }

 private:
  std::optional<T> value_;
  Status why_;
};

// The only control-flow macros of the house.
#define QRT_TRY(expr)                                   \
  do {                                                  \
    if (::qrt::Status s_ = (expr); !s_.ok()) return s_; \
  } while (0)
#define QRT_REQUIRE(cond, code, id, what)                  \
  do {                                                     \
    if (!(cond)) return ::qrt::Status((code), (id), what); \
  } while (0)

}  // namespace qrt

#endif  // QRT_RUNTIME_BASE_STATUS_H_

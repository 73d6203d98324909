// Result: what converter functions return. The converter may allocate, so an
// error carries the whole sentence: what, where, found vs allowed, what to do,
// and the stable code that docs/errors/ lists.
#ifndef QRT_CONVERTER_BASE_RESULT_H_
#define QRT_CONVERTER_BASE_RESULT_H_

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace qrt {

struct Error {
  int id = 0;           // the number in QRT-Enumber
  std::string message;  // "conv1: weight is ...; expected ...; do ..."
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Error e) : error_(std::move(e)) {}      // NOLINT
  bool ok() const { return value_.has_value(); }
  const Error& error() const {
    assert(!ok());
    return error_;
  }
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
  Error error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error e) : error_(std::move(e)), ok_(false) {}  // NOLINT
  bool ok() const { return ok_; }
  const Error& error() const {
    assert(!ok_);
    return error_;
  }

 private:
  Error error_;
  bool ok_ = true;
};

// Returns the error of a failed expression from the enclosing function.
#define QRT_CHECK_OK(expr)                             \
  do {                                                 \
    if (auto r_ = (expr); !r_.ok()) return r_.error(); \
  } while (0)

}  // namespace qrt

#endif  // QRT_CONVERTER_BASE_RESULT_H_

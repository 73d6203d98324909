// Handles of the C API that close themselves, and an error ready to be filled.
#ifndef QRT_TESTS_SUPPORT_HANDLES_H_
#define QRT_TESTS_SUPPORT_HANDLES_H_

#include <memory>
#include <vector>

#include "qrt.h"

namespace qrt::testing {

struct Error : qrt_error {
  Error() : qrt_error{} { struct_size = sizeof(qrt_error); }
};
struct Options : qrt_options {
  Options() : qrt_options{} { qrt_options_init(this); }
};

struct Close {
  void operator()(qrt_model* m) const { qrt_model_close(m); }
  void operator()(qrt_session* s) const { qrt_session_close(s); }
};
using ModelHandle = std::unique_ptr<qrt_model, Close>;
using SessionHandle = std::unique_ptr<qrt_session, Close>;

// Null when refused; `error` says why.
inline ModelHandle open_model(const std::vector<uint8_t>& file, Error& error,
                              const qrt_options* options = nullptr) {
  qrt_model* m = nullptr;
  qrt_model_open_memory(file.data(), file.size(), options, &m, &error);
  return ModelHandle(m);
}
inline SessionHandle open_session(const ModelHandle& m, Error& error,
                                  const qrt_options* options = nullptr) {
  qrt_session* s = nullptr;
  qrt_session_open(m.get(), options, &s, &error);
  return SessionHandle(s);
}

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_HANDLES_H_

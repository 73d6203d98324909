// Runs a .qrt file in memory through the C API: what an application would get, to
// compare with the interpreter.
#ifndef QRT_TESTS_SUPPORT_RUN_FILE_H_
#define QRT_TESTS_SUPPORT_RUN_FILE_H_

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "converter/eval/evaluate.h"
#include "qrt.h"

namespace qrt::testing {

inline size_t elements_of(const qrt_tensor& t) {
  size_t n = 1;
  for (int32_t i = 0; i < t.rank; ++i) n *= static_cast<size_t>(t.dims[i]);
  return n;
}

template <class T>
void put(const eval::Tensor& from, const qrt_tensor& to) {
  REQUIRE(from.ints.size() == elements_of(to));
  for (size_t i = 0; i < from.ints.size(); ++i)
    static_cast<T*>(to.data)[i] = static_cast<T>(from.ints[i]);
}
template <class T>
void take(const qrt_tensor& from, eval::Tensor& to) {
  const T* p = static_cast<const T*>(from.data);
  to.ints.assign(p, p + elements_of(from));
}

inline void put_tensor(const eval::Tensor& from, const qrt_tensor& to) {
  switch (to.dtype) {
    case QRT_F32:
      REQUIRE(from.data.size() == elements_of(to));
      std::memcpy(to.data, from.data.data(), from.data.size() * sizeof(float));
      return;
    case QRT_I64:
      return put<int64_t>(from, to);
    case QRT_I32:
      return put<int32_t>(from, to);
    case QRT_I8:
      return put<int8_t>(from, to);
    default:
      return put<uint8_t>(from, to);
  }
}

inline eval::Tensor take_tensor(const qrt_tensor& from) {
  eval::Tensor to;
  to.type = static_cast<ir::ElementType>(from.dtype);
  to.shape.assign(from.dims, from.dims + from.rank);
  switch (from.dtype) {
    case QRT_F32: {
      const float* p = static_cast<const float*>(from.data);
      to.data.assign(p, p + elements_of(from));
      break;
    }
    case QRT_I64:
      take<int64_t>(from, to);
      break;
    case QRT_I32:
      take<int32_t>(from, to);
      break;
    case QRT_I8:
      take<int8_t>(from, to);
      break;
    default:
      take<uint8_t>(from, to);
      break;
  }
  return to;
}

// The outputs for these inputs, in the order of the ports.
inline std::vector<eval::Tensor> run_file(const std::vector<uint8_t>& file,
                                          const std::vector<eval::Tensor>& inputs,
                                          uint32_t batch = 1) {
  qrt_error error{};
  error.struct_size = sizeof error;
  qrt_model* model = nullptr;
  REQUIRE_MESSAGE(
      qrt_model_open_memory(file.data(), file.size(), nullptr, &model, &error) == QRT_OK,
      error.message);
  const std::unique_ptr<qrt_model, void (*)(qrt_model*)> keep(model, qrt_model_close);
  qrt_options options;
  qrt_options_init(&options);
  options.batch = batch;
  qrt_session* session = nullptr;
  REQUIRE_MESSAGE(qrt_session_open(model, &options, &session, &error) == QRT_OK, error.message);
  const std::unique_ptr<qrt_session, void (*)(qrt_session*)> open(session, qrt_session_close);
  REQUIRE(inputs.size() == qrt_model_input_count(model));
  qrt_tensor t{};
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    REQUIRE(qrt_session_input(session, i, &t, &error) == QRT_OK);
    put_tensor(inputs[i], t);
  }
  REQUIRE_MESSAGE(qrt_session_run(session, &error) == QRT_OK, error.message);
  std::vector<eval::Tensor> out;
  for (uint32_t i = 0; i < qrt_model_output_count(model); ++i) {
    REQUIRE(qrt_session_output(session, i, &t, &error) == QRT_OK);
    out.push_back(take_tensor(t));
  }
  return out;
}

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_RUN_FILE_H_

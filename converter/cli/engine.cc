// The converter's side of qrt.h.
#include "converter/cli/engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "qrt.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/npy.h"

namespace qrt::cli {
namespace {

using io::ToolError;

class Engine {
 public:
  Engine(std::span<const uint8_t> file, const std::string& where) : where_(where) {
    error_.struct_size = sizeof error_;
    qrt_model* model = nullptr;
    check(qrt_model_open_memory(file.data(), file.size(), nullptr, &model, &error_));
    model_.reset(model);
    qrt_session* session = nullptr;
    check(qrt_session_open(model, nullptr, &session, &error_));
    session_.reset(session);
  }
  const qrt_model* model() const { return model_.get(); }
  uint32_t inputs() const { return qrt_model_input_count(model_.get()); }
  uint32_t outputs() const { return qrt_model_output_count(model_.get()); }
  qrt_tensor input(uint32_t i) {
    qrt_tensor t{};
    check(qrt_session_input(session_.get(), i, &t, &error_));
    return t;
  }
  qrt_tensor output(uint32_t i) {
    qrt_tensor t{};
    check(qrt_session_output(session_.get(), i, &t, &error_));
    return t;
  }
  void run() { check(qrt_session_run(session_.get(), &error_)); }

 private:
  void check(qrt_status status) const {
    if (status == QRT_OK) return;
    throw io::library_error(where_, error_.message, error_.id);
  }

  std::string where_;
  qrt_error error_{};
  std::unique_ptr<qrt_model, void (*)(qrt_model*)> model_{nullptr, qrt_model_close};
  std::unique_ptr<qrt_session, void (*)(qrt_session*)> session_{nullptr, qrt_session_close};
};

size_t count(const qrt_tensor& t) {
  size_t n = 1;
  for (int32_t i = 0; i < t.rank; ++i) n *= static_cast<size_t>(t.dims[i]);
  return n;
}

template <class T>
void store(const std::vector<int64_t>& from, size_t first, size_t n, void* to) {
  for (size_t i = 0; i < n; ++i) static_cast<T*>(to)[i] = static_cast<T>(from[first + i]);
}

void copy_in(const eval::Tensor& from, size_t row, const qrt_tensor& to, const std::string& where) {
  const size_t n = count(to), have = from.data.size() + from.ints.size();
  if (have < n || have % n != 0)
    throw ToolError(418, where + ": an input of shape " + io::shape_text(from.shape) +
                             " does not fit port '" + to.name + "' of the file with " +
                             std::to_string(n) +
                             " elements; use the model this file was made from");
  const size_t first = have == n ? 0 : row * n;  // an input without rows serves all of them
  switch (to.dtype) {
    case QRT_F32:
      std::copy_n(from.data.begin() + static_cast<std::ptrdiff_t>(first), n,
                  static_cast<float*>(to.data));
      return;
    case QRT_I8:
      return store<int8_t>(from.ints, first, n, to.data);
    case QRT_U8:
    case QRT_BOOL:
      return store<uint8_t>(from.ints, first, n, to.data);
    case QRT_I32:
      return store<int32_t>(from.ints, first, n, to.data);
    case QRT_I64:
      return store<int64_t>(from.ints, first, n, to.data);
    case QRT_F16:
      break;
  }
  throw ToolError(417, where + ": port '" + std::string(to.name) +
                           "' takes f16, which the check does not feed; convert with an f32 input");
}

template <class T>
void load(const void* from, size_t n, std::vector<int64_t>& to) {
  for (size_t i = 0; i < n; ++i) to.push_back(static_cast<const T*>(from)[i]);
}

void copy_out(const qrt_tensor& from, eval::Tensor& to) {
  const size_t n = count(from);
  if (to.shape.empty()) {
    to.shape.assign(from.dims, from.dims + from.rank);
  } else {
    to.shape[0] += from.dims[0];
  }
  switch (from.dtype) {
    case QRT_F32: {
      const auto* p = static_cast<const float*>(from.data);
      to.data.insert(to.data.end(), p, p + n);
      break;
    }
    case QRT_I8:
      load<int8_t>(from.data, n, to.ints);
      break;
    case QRT_U8:
    case QRT_BOOL:
      load<uint8_t>(from.data, n, to.ints);
      break;
    case QRT_I32:
      load<int32_t>(from.data, n, to.ints);
      break;
    case QRT_I64:
      load<int64_t>(from.data, n, to.ints);
      break;
    case QRT_F16:
      break;
  }
}

}  // namespace

std::vector<eval::Tensor> run_file(std::span<const uint8_t> file, const std::string& where,
                                   const std::vector<eval::Tensor>& inputs) {
  Engine engine(file, where);
  if (inputs.size() != engine.inputs())
    throw ToolError(419, where + ": the file has " + std::to_string(engine.inputs()) + " inputs, " +
                             std::to_string(inputs.size()) + " are given; give one for each");
  size_t rows = 1;
  for (uint32_t i = 0; i < inputs.size(); ++i)
    rows = std::max(rows, (inputs[i].data.size() + inputs[i].ints.size()) / count(engine.input(i)));
  std::vector<eval::Tensor> out(engine.outputs());
  for (size_t row = 0; row < rows; ++row) {
    for (uint32_t i = 0; i < inputs.size(); ++i) copy_in(inputs[i], row, engine.input(i), where);
    engine.run();
    for (uint32_t i = 0; i < out.size(); ++i) copy_out(engine.output(i), out[i]);
  }
  return out;
}

std::vector<std::string> stored_labels(std::span<const uint8_t> file, const std::string& where) {
  const Engine engine(file, where);
  std::vector<std::string> out;
  for (uint32_t i = 0; i < qrt_model_label_count(engine.model()); ++i)
    out.emplace_back(qrt_model_label(engine.model(), i));
  return out;
}

double relative_error(std::span<const float> got, std::span<const float> want) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (got.size() != want.size()) return kInfinity;
  double worst = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (got[i] == want[i] && std::isinf(want[i])) continue;
    if (std::isnan(got[i]) && std::isnan(want[i])) continue;
    const double d = std::fabs(double{got[i]} - double{want[i]});
    if (!std::isfinite(d)) return kInfinity;
    worst = std::max(worst, d);
    largest = std::max(largest, std::fabs(double{want[i]}));
  }
  return worst == 0 ? 0 : worst / largest;
}

namespace {

double share_of_differences(const std::vector<int64_t>& got, const std::vector<int64_t>& want) {
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  size_t differ = 0;
  for (size_t i = 0; i < want.size(); ++i) differ += got[i] != want[i];
  return differ == 0 ? 0 : static_cast<double>(differ) / static_cast<double>(want.size());
}

}  // namespace

double relative_error(const std::vector<eval::Tensor>& got, const std::vector<eval::Tensor>& want) {
  double worst = got.size() == want.size() ? 0 : std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < got.size() && i < want.size(); ++i) {
    worst = std::max(worst, relative_error(got[i].data, want[i].data));
    worst = std::max(worst, share_of_differences(got[i].ints, want[i].ints));
  }
  return worst;
}

}  // namespace qrt::cli

// qrt.h for C++17: handles that close themselves, nothing more. Header only; it
// throws nothing and allocates nothing of its own, and needs no exceptions or RTTI.
//
//   qrt::Error error;
//   qrt::Model model = qrt::Model::from_file("net.qrt", error);
//   qrt::Session session = qrt::Session::open(model, error, qrt::Options().threads(4));
//   if (!session) return std::fprintf(stderr, "%s\n", error.message()), 1;
//   std::copy(image.begin(), image.end(), session.input(0).begin<float>());
//   if (!session.run(error)) ...
//   qrt::Tensor logits = session.output(0);
//
// A failed call leaves an empty handle, and passing that on fails in turn without
// overwriting the first error: one check at the end suffices.
#ifndef QRT_HPP_
#define QRT_HPP_

#include <memory>
#include <utility>

#include "qrt.h"

namespace qrt {
// The inline namespace keeps these classes apart from those inside the library.
inline namespace wrapper {

class Error {
 public:
  Error() { raw_.struct_size = sizeof raw_; }
  explicit operator bool() const { return raw_.status != QRT_OK; }
  qrt_status status() const { return raw_.status; }
  const char* id() const { return raw_.id; }  // "QRT-E0123"
  const char* where() const { return raw_.where; }
  const char* message() const { return raw_.message; }
  qrt_error* raw() { return &raw_; }

 private:
  qrt_error raw_ = {};
};

class Options {
 public:
  Options() { qrt_options_init(&raw_); }
  Options& threads(uint32_t n) { return raw_.threads = n, *this; }
  Options& batch(uint32_t n) { return raw_.batch = n, *this; }
  Options& mode(uint32_t m) { return raw_.mode = m, *this; }
  Options& prefer(uint32_t p) { return raw_.prefer = p, *this; }
  Options& tune(const char* path) { return raw_.tune = path, *this; }
  Options& isa(const char* name) { return raw_.isa = name, *this; }
  Options& strategy(const char* name) { return raw_.strategy = name, *this; }
  Options& max_bytes(uint64_t n) { return raw_.max_bytes = n, *this; }
  qrt_options& raw() { return raw_; }
  const qrt_options& raw() const { return raw_; }

 private:
  qrt_options raw_;
};

// A view of a session's buffer, or of a model's input or output without data.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(const qrt_tensor& raw) : raw_(raw) {}
  const char* name() const { return raw_.name; }
  qrt_dtype dtype() const { return raw_.dtype; }
  int32_t rank() const { return raw_.rank; }
  int32_t dim(int32_t i) const { return raw_.dims[i]; }
  size_t bytes() const { return raw_.bytes; }
  // Elements as T, whose size must be that of dtype().
  template <class T>
  T* begin() const {
    return static_cast<T*>(raw_.data);
  }
  template <class T>
  T* end() const {
    return begin<T>() + size<T>();
  }
  template <class T>
  size_t size() const {
    return raw_.bytes / sizeof(T);
  }

 private:
  qrt_tensor raw_ = {};
};

class Model {
 public:
  Model() = default;
  // Maps the file.
  static Model from_file(const char* path, Error& error, const Options& options = Options()) {
    qrt_model* m = nullptr;
    qrt_model_open_file(path, &options.raw(), &m, error.raw());
    return Model(m);
  }
  // Borrows `data` until the model is destroyed.
  static Model from_memory(const void* data, size_t bytes, Error& error,
                           const Options& options = Options()) {
    qrt_model* m = nullptr;
    qrt_model_open_memory(data, bytes, &options.raw(), &m, error.raw());
    return Model(m);
  }
  explicit operator bool() const { return handle_ != nullptr; }
  uint32_t input_count() const { return qrt_model_input_count(handle_.get()); }
  uint32_t output_count() const { return qrt_model_output_count(handle_.get()); }
  // Shapes for batch 1. An index out of range gives an empty tensor.
  Tensor input(uint32_t i) const { return port(qrt_model_input, i); }
  Tensor output(uint32_t i) const { return port(qrt_model_output, i); }
  bool batch_is_free() const { return qrt_model_batch_is_free(handle_.get()) != 0; }
  uint32_t label_count() const { return qrt_model_label_count(handle_.get()); }
  const char* label(uint32_t i) const { return qrt_model_label(handle_.get(), i); }
  const qrt_model* raw() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(qrt_model* m) const { qrt_model_close(m); }
  };
  explicit Model(qrt_model* m) : handle_(m) {}
  template <class F>
  Tensor port(F* get, uint32_t i) const {
    qrt_tensor t = {};
    return get(handle_.get(), i, &t, nullptr) == QRT_OK ? Tensor(t) : Tensor();
  }
  std::unique_ptr<qrt_model, Close> handle_;
};

// Must be destroyed before its model.
class Session {
 public:
  Session() = default;
  static Session open(const Model& model, Error& error, const Options& options = Options()) {
    qrt_session* s = nullptr;
    if (model || !error) qrt_session_open(model.raw(), &options.raw(), &s, error.raw());
    return Session(s);
  }
  explicit operator bool() const { return handle_ != nullptr; }
  // The session's own buffers: they stay where they are while it lives.
  Tensor input(uint32_t i) const { return port(qrt_session_input, i); }
  Tensor output(uint32_t i) const { return port(qrt_session_output, i); }
  bool run(Error& error) { return qrt_session_run(handle_.get(), error.raw()) == QRT_OK; }
  bool run_profiled(Error& error) {
    return qrt_session_run_profiled(handle_.get(), error.raw()) == QRT_OK;
  }
  const char* note() const { return qrt_session_note(handle_.get()); }
  qrt_session* raw() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(qrt_session* s) const { qrt_session_close(s); }
  };
  explicit Session(qrt_session* s) : handle_(s) {}
  template <class F>
  Tensor port(F* get, uint32_t i) const {
    qrt_tensor t = {};
    return get(handle_.get(), i, &t, nullptr) == QRT_OK ? Tensor(t) : Tensor();
  }
  std::unique_ptr<qrt_session, Close> handle_;
};

}  // namespace wrapper
}  // namespace qrt

#endif  // QRT_HPP_

// The C border: handles to objects, Status to qrt_error. Every check of what a
// caller may get wrong stands here; what lies behind trusts its arguments.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#include "qrt.h"
#include "runtime/api_support.h"
#include "runtime/memory/budget.h"
#include "runtime/model/mapping.h"
#include "runtime/model/model.h"
#include "runtime/session/session.h"
#include "schema/layout.h"

using namespace qrt;  // this file is the border between the two

struct qrt_model {
  qrt_model(const Allocator& inner, uint64_t limit)
      : budget(inner, limit), keep(budget.allocator()) {}
  Budget budget;
  Arena keep;
  FileMapping mapping;
  Model model;
  size_t copied = 0;
};

struct qrt_session {
  qrt_session(const qrt_model& m, const Allocator& inner, uint64_t limit)
      : owner(m), budget(inner, limit), session(m.model, budget.allocator()) {}
  const qrt_model& owner;
  Budget budget;
  Session session;
};

namespace {

static_assert(QRT_MAX_RANK == kMaxRank);
static_assert(QRT_IO == static_cast<int>(Code::io));
static_assert(QRT_BOOL == static_cast<int>(DType::boolean));

template <class Handle>
void destroy(Handle* h) {
  const Allocator inner = h->budget.inner();
  h->~Handle();
  inner.release(inner.user, h);
}

// ---- models --------------------------------------------------------------------------------

Status copy_aligned(const void* data, size_t bytes, qrt_model& handle, Bytes* out) {
  if (reinterpret_cast<uintptr_t>(data) % layout::kAlignment == 0) {
    *out = {static_cast<const uint8_t*>(data), bytes};
    return {};
  }
  // Checked again by open_model; here before memory is taken for it.
  QRT_REQUIRE(bytes <= layout::kMaxFileBytes, Code::invalid_model, 100,
              "the file is too long to be a model");
  void* copy = handle.keep.allocate(bytes, layout::kAlignment);
  if (copy == nullptr) return Status(Code::out_of_memory, 1, "out of memory");
  std::memcpy(copy, data, bytes);
  handle.copied = bytes;
  *out = {static_cast<const uint8_t*>(copy), bytes};
  return {};
}

// Either a path or bytes.
qrt_status open_any(const char* path, const void* data, size_t bytes, const qrt_options* options,
                    qrt_model** out, qrt_error* error) {
  const char* file = path == nullptr ? "" : path;
  qrt_options o;
  Status s = read_options(options, &o);
  if (!s.ok()) return fail(s, error);
  const Allocator inner = allocator_of(o);
  void* raw = inner.alloc(inner.user, sizeof(qrt_model), alignof(qrt_model));
  if (raw == nullptr) return fail(Status(Code::out_of_memory, 1, "out of memory"), error);
  auto* handle = ::new (raw) qrt_model(inner, limit_of(o));
  Bytes content;
  if (path != nullptr) {
    s = handle->mapping.open(path);
    content = handle->mapping.bytes();
  } else {
    s = copy_aligned(data, bytes, *handle, &content);
  }
  if (s.ok()) s = open_model(content, handle->keep, handle->model);
  if (!s.ok()) {
    const qrt_status code = fail(explain(s, handle->budget), &handle->model, file, error);
    destroy(handle);
    return code;
  }
  *out = handle;
  return QRT_OK;
}

void describe(const char* name, void* data, DType dtype, const Shape& shape, qrt_tensor* out) {
  *out = {};
  out->name = name;
  out->data = data;
  out->dtype = static_cast<qrt_dtype>(dtype);
  out->rank = shape.rank;
  for (int i = 0; i < shape.rank; ++i) out->dims[i] = shape[i];
  out->bytes = *bytes_of(dtype, shape).get();
}

Status check_index(uint32_t index, size_t count, const char* what) {
  if (index < count) return {};
  return Status(Code::invalid_argument, 24, what)
      .at_most(index, static_cast<int64_t>(count) - 1)
      .next("ask the count first");
}

qrt_status model_port(const qrt_model* m, bool is_input, uint32_t index, qrt_tensor* out,
                      qrt_error* error) {
  if (m == nullptr) return fail(null_argument("the model is NULL"), error);
  if (out == nullptr) return fail(null_argument("the qrt_tensor is NULL"), error);
  const Span<const Port> ports = is_input ? m->model.inputs : m->model.outputs;
  const Status s = check_index(index, ports.size(), "the index names no input or output");
  if (!s.ok()) return fail(s, error);
  const TensorInfo& t = m->model.tensors[ports[index].tensor];
  describe(ports[index].name, nullptr, t.dtype, t.shape, out);
  return QRT_OK;
}

qrt_status session_port(qrt_session* h, bool is_input, uint32_t index, qrt_tensor* out,
                        qrt_error* error) {
  if (h == nullptr) return fail(null_argument("the session is NULL"), error);
  if (out == nullptr) return fail(null_argument("the qrt_tensor is NULL"), error);
  const Model& m = h->session.model();
  const Span<const Port> ports = is_input ? m.inputs : m.outputs;
  const Status s = check_index(index, ports.size(), "the index names no input or output");
  if (!s.ok()) return fail(s, error);
  const TensorView v = is_input ? h->session.input(index) : h->session.output(index);
  describe(ports[index].name, v.data, v.dtype, v.shape, out);
  return QRT_OK;
}

// Fills a struct of the caller, whose struct_size comes first: as much as its header knows, at
// least what the first header did. One from a newer header keeps the fields that this library does
// not know.
template <class T>
Status give(T full, size_t first, T* out) {
  const size_t size = out->struct_size;
  if (size < first) {
    return Status(Code::invalid_argument, 21, "the struct's struct_size is too small")
        .at_least(static_cast<int64_t>(size), static_cast<int64_t>(first))
        .next("set struct_size to the size of the struct before the call");
  }
  full.struct_size = size;
  std::memcpy(static_cast<void*>(out), &full, size < sizeof(T) ? size : sizeof(T));
  return {};
}
constexpr size_t kFirstOpInfo = offsetof(qrt_op_info, last_ns) + sizeof(double);
constexpr size_t kFirstMemoryInfo = offsetof(qrt_memory_info, keep_bytes) + sizeof(uint64_t);

}  // namespace

extern "C" {

uint32_t qrt_version(void) {
  return QRT_VERSION_MAJOR << 16 | QRT_VERSION_MINOR << 8 | QRT_VERSION_PATCH;
}

const char* qrt_status_name(qrt_status s) {
  constexpr const char* names[] = {"ok",          "invalid argument", "invalid model",
                                   "unsupported", "out of memory",    "internal error",
                                   "input/output"};
  const auto i = static_cast<size_t>(s);
  return i < sizeof names / sizeof *names ? names[i] : "unknown";
}

const char* qrt_dtype_name(qrt_dtype t) {
  return name_of(static_cast<DType>(t));
}

const char* qrt_isa_name(void) {
  return kernels::isa_level_name(kernels::detect_isa());
}

void qrt_options_init_sized(qrt_options* options, size_t struct_size) {
  if (options == nullptr) return;
  const size_t known = struct_size < sizeof *options ? struct_size : sizeof *options;
  if (known < sizeof options->struct_size) return;
  std::memset(static_cast<void*>(options), 0, known);
  options->struct_size = known;
}

// In parentheses: not the macro.
void(qrt_options_init)(qrt_options* options) {
  qrt_options_init_sized(options, kFirstOptions);
}

qrt_status qrt_model_open_file(const char* path, const qrt_options* options, qrt_model** out,
                               qrt_error* error) {
  if (out == nullptr) return fail(null_argument("the place for the model is NULL"), error);
  *out = nullptr;
  if (path == nullptr) return fail(null_argument("the path is NULL"), error);
  return open_any(path, nullptr, 0, options, out, error);
}

qrt_status qrt_model_open_memory(const void* data, size_t bytes, const qrt_options* options,
                                 qrt_model** out, qrt_error* error) {
  if (out == nullptr) return fail(null_argument("the place for the model is NULL"), error);
  *out = nullptr;
  if (data == nullptr) return fail(null_argument("the model's bytes are NULL"), error);
  return open_any(nullptr, data, bytes, options, out, error);
}

void qrt_model_close(qrt_model* m) {
  if (m != nullptr) destroy(m);
}

uint32_t qrt_model_input_count(const qrt_model* m) {
  return m == nullptr ? 0 : static_cast<uint32_t>(m->model.inputs.size());
}

uint32_t qrt_model_output_count(const qrt_model* m) {
  return m == nullptr ? 0 : static_cast<uint32_t>(m->model.outputs.size());
}

qrt_status qrt_model_input(const qrt_model* m, uint32_t index, qrt_tensor* out, qrt_error* error) {
  return model_port(m, true, index, out, error);
}

qrt_status qrt_model_output(const qrt_model* m, uint32_t index, qrt_tensor* out, qrt_error* error) {
  return model_port(m, false, index, out, error);
}

int qrt_model_batch_is_free(const qrt_model* m) {
  if (m == nullptr) return 0;
  for (const Port& p : m->model.inputs)
    if (m->model.tensors[p.tensor].batched) return 1;
  return 0;
}

uint32_t qrt_model_label_count(const qrt_model* m) {
  return m == nullptr ? 0 : static_cast<uint32_t>(m->model.labels.size());
}

const char* qrt_model_label(const qrt_model* m, uint32_t index) {
  return m == nullptr || index >= m->model.labels.size() ? nullptr : m->model.labels[index];
}

qrt_status qrt_session_open(const qrt_model* m, const qrt_options* options, qrt_session** out,
                            qrt_error* error) {
  if (out == nullptr) return fail(null_argument("the place for the session is NULL"), error);
  *out = nullptr;
  if (m == nullptr) return fail(null_argument("the model is NULL"), error);
  qrt_options o;
  Status s = read_options(options, &o);
  // A word that names nothing is itself the place to look at: strategy here, isa below.
  if (!s.ok()) return fail(s, nullptr, s.id() == 11 ? options->strategy : "", error);
  const Allocator inner = allocator_of(o);
  void* raw = inner.alloc(inner.user, sizeof(qrt_session), alignof(qrt_session));
  if (raw == nullptr) return fail(Status(Code::out_of_memory, 1, "out of memory"), error);
  auto* handle = ::new (raw) qrt_session(*m, inner, limit_of(o));
  SessionOptions so;
  so.threads = o.threads;
  so.batch = o.batch;
  so.mode = o.mode == QRT_MODE_DENSE ? Mode::dense : Mode::compressed;
  so.prefer_speed = o.prefer == QRT_PREFER_SPEED;
  so.tune = o.tune;
  so.isa = o.isa;
  so.strategy = o.strategy;
  s = handle->session.open(so);
  if (!s.ok()) {
    const char* word = so.isa != nullptr ? so.isa : std::getenv("QRT_ISA");
    const qrt_status code = fail(explain(s, handle->budget), &m->model,
                                 s.id() == 10 && word != nullptr ? word : "", error);
    destroy(handle);
    return code;
  }
  *out = handle;
  return QRT_OK;
}

void qrt_session_close(qrt_session* h) {
  if (h != nullptr) destroy(h);
}

const char* qrt_session_note(const qrt_session* h) {
  return h == nullptr ? "" : h->session.note();
}

qrt_status qrt_session_input(qrt_session* h, uint32_t index, qrt_tensor* out, qrt_error* error) {
  return session_port(h, true, index, out, error);
}

qrt_status qrt_session_output(qrt_session* h, uint32_t index, qrt_tensor* out, qrt_error* error) {
  return session_port(h, false, index, out, error);
}

qrt_status qrt_session_run(qrt_session* h, qrt_error* error) {
  if (h == nullptr) return fail(null_argument("the session is NULL"), error);
  const Status s = h->session.run();
  return s.ok() ? QRT_OK : fail(s, &h->session.model(), "", error);
}

qrt_status qrt_session_run_profiled(qrt_session* h, qrt_error* error) {
  if (h == nullptr) return fail(null_argument("the session is NULL"), error);
  const Status s = h->session.run_profiled();
  return s.ok() ? QRT_OK : fail(s, &h->session.model(), "", error);
}

uint32_t qrt_session_op_count(const qrt_session* h) {
  return h == nullptr ? 0 : static_cast<uint32_t>(h->session.steps().size());
}

qrt_status qrt_session_op(const qrt_session* h, uint32_t index, qrt_op_info* out,
                          qrt_error* error) {
  if (h == nullptr) return fail(null_argument("the session is NULL"), error);
  if (out == nullptr) return fail(null_argument("the qrt_op_info is NULL"), error);
  Status s = check_index(index, h->session.steps().size(), "the index names no operator");
  if (!s.ok()) return fail(s, error);
  const Session::Step& step = h->session.steps()[index];
  const Node& node = *step.node;
  const Weights* w = weights_of(node);
  qrt_op_info info = {};
  info.name = node.name;
  info.kind = name_of(node.kind);
  info.kernel = step.op->kernel_name();
  info.choice = step.op->choice();
  info.encoding = w == nullptr ? "" : name_of(w->encoding);
  info.weight_bytes = w == nullptr ? 0 : stored_bytes(*w);
  info.macs = h->session.macs(step);
  info.last_ns = step.last_ns;
  s = give(info, kFirstOpInfo, out);
  return s.ok() ? QRT_OK : fail(s, error);
}

qrt_status qrt_session_memory(const qrt_session* h, qrt_memory_info* out, qrt_error* error) {
  if (h == nullptr) return fail(null_argument("the session is NULL"), error);
  if (out == nullptr) return fail(null_argument("the qrt_memory_info is NULL"), error);
  qrt_memory_info info = {};
  info.file_bytes = h->owner.model.file.size();
  info.copied_bytes = h->owner.copied;
  info.weight_bytes = h->session.weight_bytes();
  info.arena_bytes = h->session.arena_bytes();
  info.keep_bytes = h->session.keep_bytes() + h->owner.keep.bytes() - h->owner.copied;
  const Status s = give(info, kFirstMemoryInfo, out);
  return s.ok() ? QRT_OK : fail(s, error);
}

qrt_status qrt_session_self_check(qrt_session* h, double* max_error, double* tolerance,
                                  qrt_error* error) {
  if (h == nullptr) return fail(null_argument("the session is NULL"), error);
  if (max_error == nullptr) return fail(null_argument("the place for the error is NULL"), error);
  const Status s = h->session.self_check(max_error);
  if (!s.ok()) return fail(s, &h->session.model(), "", error);
  if (tolerance != nullptr) *tolerance = static_cast<double>(h->session.model().golden_tolerance);
  return QRT_OK;
}

}  // extern "C"

// See xnn.h. The calls are those of XNNPACK's release of early 2022, which later
// releases kept; where a later one splits setup into reshape and setup
// (QRT_XNNPACK_HAS_RESHAPE, found by CMake), the split calls are used.
#include "runtime/dense/xnn.h"

#include "runtime/base/checked.h"

#if QRT_HAVE_XNNPACK
#include <xnnpack.h>
#endif

namespace qrt {

size_t XnnLayer::packed_bytes(const ConvGeometry& g) {
  const size_t inputs = g.taps() * g.group_in();
  const size_t outputs = (g.group_out() + 15) / 16 * 16 * g.groups;
  return (g.depthwise() ? (g.out_c + 15) / 16 * 16 : outputs) * (inputs + 1) * sizeof(float);
}

#if QRT_HAVE_XNNPACK
namespace {

enum : uint32_t { kIn = 0, kOut = 1, kExternals = 2 };

Status refused(xnn_status s, const char* what) {
  const Code code = s == xnn_status_out_of_memory ? Code::out_of_memory : Code::unsupported;
  return Status(code, 263, what)
      .values(static_cast<int64_t>(s), static_cast<int64_t>(xnn_status_success))
      .next("report the layer's shape; a build with -DQRT_WITH_XNNPACK=OFF runs it on plain code");
}

// Owns a subgraph while it is being put together.
struct Subgraph {
  xnn_subgraph_t graph = nullptr;
  xnn_status status = xnn_status_success;

  Subgraph() { status = xnn_create_subgraph(kExternals, 0, &graph); }
  ~Subgraph() {
    if (graph != nullptr) xnn_delete_subgraph(graph);
  }
  Subgraph(const Subgraph&) = delete;
  Subgraph& operator=(const Subgraph&) = delete;

  // Adds an f32 tensor; after a failure nothing more happens.
  template <size_t N>
  uint32_t tensor(const size_t (&dims)[N], const void* data, uint32_t external, uint32_t flags) {
    uint32_t id = XNN_INVALID_VALUE_ID;
    if (status == xnn_status_success)
      status =
          xnn_define_tensor_value(graph, xnn_datatype_fp32, N, dims, data, external, flags, &id);
    return id;
  }
};

void define_linear(Subgraph* s, const ConvGeometry& g, const float* weights, const float* bias,
                   Limits limits) {
  s->tensor({g.batch, g.in_c}, nullptr, kIn, XNN_VALUE_FLAG_EXTERNAL_INPUT);
  s->tensor({g.batch, g.out_c}, nullptr, kOut, XNN_VALUE_FLAG_EXTERNAL_OUTPUT);
  const uint32_t w = s->tensor({g.out_c, g.in_c}, weights, XNN_INVALID_VALUE_ID, 0);
  const uint32_t b = s->tensor({g.out_c}, bias, XNN_INVALID_VALUE_ID, 0);
  if (s->status == xnn_status_success)
    s->status = xnn_define_fully_connected(s->graph, limits.min, limits.max, kIn, w, b, kOut, 0);
}

void define_transposed(Subgraph* s, const ConvGeometry& g, const float* weights, const float* bias,
                       Limits limits) {
  const Window& k = g.window;
  s->tensor({g.batch, g.in_h, g.in_w, g.in_c}, nullptr, kIn, XNN_VALUE_FLAG_EXTERNAL_INPUT);
  s->tensor({g.batch, g.out_h, g.out_w, g.out_c}, nullptr, kOut, XNN_VALUE_FLAG_EXTERNAL_OUTPUT);
  const uint32_t w =
      s->tensor({g.out_c, k.kernel_h, k.kernel_w, g.group_in()}, weights, XNN_INVALID_VALUE_ID, 0);
  const uint32_t b = s->tensor({g.out_c}, bias, XNN_INVALID_VALUE_ID, 0);
  if (s->status != xnn_status_success) return;
  s->status = xnn_define_deconvolution_2d(
      s->graph, k.pad_top, k.pad_right, k.pad_bottom, k.pad_left, g.adjust_h, g.adjust_w,
      k.kernel_h, k.kernel_w, k.stride_h, k.stride_w, k.dilation_h, k.dilation_w,
      static_cast<uint32_t>(g.groups), g.group_in(), g.group_out(), limits.min, limits.max, kIn, w,
      b, kOut, 0);
}

void define_conv2d(Subgraph* s, const ConvGeometry& g, const float* weights, const float* bias,
                   Limits limits) {
  const Window& k = g.window;
  s->tensor({g.batch, g.in_h, g.in_w, g.in_c}, nullptr, kIn, XNN_VALUE_FLAG_EXTERNAL_INPUT);
  s->tensor({g.batch, g.out_h, g.out_w, g.out_c}, nullptr, kOut, XNN_VALUE_FLAG_EXTERNAL_OUTPUT);
  const uint32_t b = s->tensor({g.out_c}, bias, XNN_INVALID_VALUE_ID, 0);
  if (g.depthwise()) {
    const uint32_t w =
        s->tensor({1, k.kernel_h, k.kernel_w, g.out_c}, weights, XNN_INVALID_VALUE_ID, 0);
    if (s->status != xnn_status_success) return;
    s->status = xnn_define_depthwise_convolution_2d(
        s->graph, k.pad_top, k.pad_right, k.pad_bottom, k.pad_left, k.kernel_h, k.kernel_w,
        k.stride_h, k.stride_w, k.dilation_h, k.dilation_w, static_cast<uint32_t>(g.group_out()),
        g.in_c, limits.min, limits.max, kIn, w, b, kOut, 0);
    return;
  }
  const uint32_t w =
      s->tensor({g.out_c, k.kernel_h, k.kernel_w, g.group_in()}, weights, XNN_INVALID_VALUE_ID, 0);
  if (s->status != xnn_status_success) return;
  s->status = xnn_define_convolution_2d(
      s->graph, k.pad_top, k.pad_right, k.pad_bottom, k.pad_left, k.kernel_h, k.kernel_w,
      k.stride_h, k.stride_w, k.dilation_h, k.dilation_w, static_cast<uint32_t>(g.groups),
      g.group_in(), g.group_out(), limits.min, limits.max, kIn, w, b, kOut, 0);
}

}  // namespace

bool XnnLayer::supports(const ConvGeometry& g, Limits limits) {
  // It makes no more rows and columns at the end than a stride leaves over.
  if (g.transposed && (g.adjust_h >= g.window.stride_h || g.adjust_w >= g.window.stride_w))
    return false;
  const CheckedSize taps = CheckedSize(g.window.kernel_h) * g.window.kernel_w;
  const CheckedSize pointers = taps * g.out_h * g.out_w * sizeof(void*);
  if (!pointers.get(kMaxPointerBytes)) return false;
  return limits.min < limits.max && xnn_initialize(nullptr) == xnn_status_success;
}

Status XnnLayer::open(const ConvGeometry& g, bool is_linear, const float* weights,
                      const float* bias, Limits limits, pthreadpool* pool) {
  close();
  Subgraph s;
  const auto define = g.transposed ? define_transposed : is_linear ? define_linear : define_conv2d;
  if (s.status == xnn_status_success) define(&s, g, weights, bias, limits);
  if (s.status == xnn_status_success) s.status = xnn_create_runtime_v2(s.graph, pool, 0, &runtime_);
  if (s.status == xnn_status_success) return {};
  runtime_ = nullptr;
  return refused(s.status, "XNNPACK refused a dense layer");
}

void XnnLayer::close() {
  if (runtime_ != nullptr) xnn_delete_runtime(runtime_);
  runtime_ = nullptr;
}

Status XnnLayer::bind(const float* in, float* out) {
  const xnn_external_value values[kExternals] = {{kIn, const_cast<float*>(in)}, {kOut, out}};
#if QRT_XNNPACK_HAS_RESHAPE
  xnn_status s = xnn_reshape_runtime(runtime_);
  if (s == xnn_status_success) s = xnn_setup_runtime_v2(runtime_, kExternals, values);
#else
  const xnn_status s = xnn_setup_runtime(runtime_, kExternals, values);
#endif
  return s == xnn_status_success ? Status() : refused(s, "XNNPACK refused a dense layer's tensors");
}

Status XnnLayer::run() const {
  const xnn_status s = xnn_invoke_runtime(runtime_);
  if (s == xnn_status_success) return {};
  return Status(Code::internal, 263, "XNNPACK failed while it ran a dense layer")
      .values(static_cast<int64_t>(s), static_cast<int64_t>(xnn_status_success))
      .next("report the layer's shape");
}

#else

bool XnnLayer::supports(const ConvGeometry&, Limits) {
  return false;
}

Status XnnLayer::open(const ConvGeometry&, bool, const float*, const float*, Limits, pthreadpool*) {
  return Status(Code::unsupported, 263, "this build has no XNNPACK");
}
void XnnLayer::close() {}
Status XnnLayer::bind(const float*, float*) {
  return {};
}
Status XnnLayer::run() const {
  return {};
}

#endif

}  // namespace qrt

// The graph as a whole: values, buffers, inputs and outputs, and the door that
// qrt bench knows (runtime/tools/bench_baseline.h).
#include "bench/onednn_graph.h"

#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>

#include "runtime/tools/bench_baseline.h"

namespace qrt::bench {

std::shared_ptr<void> BufferPool::take(size_t bytes) {
  Block* best = nullptr;
  for (const auto& b : blocks_)
    if (b->is_free && b->bytes >= bytes && (best == nullptr || b->bytes < best->bytes))
      best = b.get();
  if (best == nullptr) return take_new(bytes);
  best->is_free = false;
  return {best->memory.get(), [best](void*) { best->is_free = true; }};
}

std::shared_ptr<void> BufferPool::take_new(size_t bytes) {
  bytes = (std::max<size_t>(bytes, 1) + 63) / 64 * 64;
  void* p = std::aligned_alloc(64, bytes);
  if (p == nullptr) throw std::runtime_error("out of memory");
  std::memset(p, 0, bytes);
  blocks_.push_back(std::make_unique<Block>(Block{{p, std::free}, bytes, false}));
  Block* block = blocks_.back().get();
  return {p, [block](void*) { block->is_free = true; }};
}

Md row_major(const Dims& dims, DataType type) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return {dims, type, strides};
}

Md any_format(const Dims& dims, DataType type) {
  return {dims, type, dnnl::memory::format_tag::any};
}

Value as_nchw(const Value& v) {
  return {v.md.permute_axes({0, 2, 3, 1}), v.data};
}
Value as_nhwc(const Value& v) {
  return {v.md.permute_axes({0, 3, 1, 2}), v.data};
}

Builder::Builder(const Model& model, uint32_t batch)
    : model_(model),
      batch_(batch),
      engine_(dnnl::engine::kind::cpu, 0),
      stream_(engine_),
      values_(model.tensors.size()),
      wanted_(model.tensors.size()) {
  for (const Node& node : model.nodes)
    for (const uint32_t t : node.inputs) ++wanted_[t];
  for (const Port& port : model.outputs) ++wanted_[port.tensor];
}

Dims Builder::dims(uint32_t tensor) const {
  const TensorInfo& info = model_.tensors[tensor];
  Dims d;
  for (int i = 0; i < info.shape.rank; ++i) d.push_back(info.shape[i]);
  if (d.empty()) d.push_back(1);
  if (info.batched) d[0] *= batch_;
  return d;
}

DataType Builder::type(uint32_t tensor) const {
  const TensorInfo& info = model_.tensors[tensor];
  if (info.dtype == DType::f32) return DataType::f32;
  if (info.quantization.present()) return DataType::u8;
  throw std::runtime_error(std::string("tensor '") + info.name + "' is neither f32 nor quantized");
}

Value Builder::allocate(const Md& md) {
  return {md, pool_.take(md.get_size())};
}

Value Builder::allocate_constant(const Md& md) {
  const Value v{md, pool_.take_new(md.get_size())};
  keep(v);
  return v;
}

Value Builder::in_format(const Value& v, const Md& want) {
  if (v.md == want) return v;
  Value to = allocate(want);
  step(dnnl::reorder(memory(v), memory(to)),
       {{DNNL_ARG_FROM, memory(v)}, {DNNL_ARG_TO, memory(to)}});
  return to;
}

Value Builder::plain(const Value& v) {
  return in_format(v, row_major(v.md.dims(), v.md.data_type()));
}

Value Builder::value(uint32_t tensor) {
  const TensorInfo& info = model_.tensors[tensor];
  if (values_[tensor].data == nullptr) {
    if (!info.is_constant)
      throw std::runtime_error(std::string("tensor '") + info.name + "' is used before it is made");
    Value v = allocate(row_major(dims(tensor), type(tensor)));
    std::memcpy(v.data.get(), info.constant.data(),
                std::min(info.constant.size(), v.md.get_size()));
    keep(v);
    values_[tensor] = v;
  }
  return values_[tensor];
}

void Builder::add(const Node& node) {
  switch (node.kind) {
    case OpKind::conv2d:
      add_conv2d(node);
      break;
    case OpKind::linear:
      add_linear(node);
      break;
    case OpKind::pool2d:
      add_pool2d(node);
      break;
    case OpKind::binary:
      add_binary(node);
      break;
    case OpKind::unary:
      add_unary(node);
      break;
    case OpKind::affine:
      add_affine(node);
      break;
    case OpKind::softmax:
      add_softmax(node);
      break;
    case OpKind::concat:
      add_concat(node);
      break;
    case OpKind::transpose:
      add_transpose(node);
      break;
    case OpKind::reshape:
      add_reshape(node);
      break;
    case OpKind::quantize:
      add_quantize(node);
      break;
    default:
      throw std::runtime_error(std::string("operator '") + node.name + "' is a " +
                               name_of(node.kind) + ", which oneDNN has no primitive for");
  }
  for (const uint32_t t : node.inputs)
    if (--wanted_[t] == 0) values_[t] = {};
}

namespace {

class Graph final : public tools::Baseline {
 public:
  Graph(const Model& model, uint32_t threads, uint32_t batch)
      : threads_(set_threads(threads)), builder_(model, batch), stream_(builder_.engine()) {
    for (const Port& port : model.inputs) {
      inputs_.push_back(builder_.allocate_constant(
          row_major(builder_.dims(port.tensor), builder_.type(port.tensor))));
      builder_.set(port.tensor, inputs_.back());
    }
    for (const Node& node : model.nodes) builder_.add(node);
    for (const Port& port : model.outputs) {
      outputs_.push_back(builder_.plain(builder_.value(port.tensor)));
      builder_.keep(outputs_.back());
    }
    name_ = builder_.integer_layers != 0 ? "dense int8, oneDNN" : "dense f32, oneDNN";
    if (builder_.winograd != 0)
      name_ += " (" + std::to_string(builder_.winograd) + " of " +
               std::to_string(builder_.convolutions) + " convolutions Winograd)";
  }

  const char* name() const override { return name_.c_str(); }
  void set_input(size_t port, const void* data, size_t bytes) override {
    const Value& v = inputs_.at(port);
    if (bytes != v.md.get_size()) throw std::runtime_error("an input of another size");
    std::memcpy(v.data.get(), data, bytes);
  }
  void run() override {
    omp_set_num_threads(static_cast<int>(threads_));
    for (Step& s : builder_.steps()) s.primitive.execute(stream_, s.arguments);
    stream_.wait();
  }
  const float* output(size_t port) const override {
    const Value& v = outputs_.at(port);
    return v.md.data_type() == DataType::f32 ? static_cast<const float*>(v.data.get()) : nullptr;
  }

 private:
  // Before anything is created: oneDNN chooses kernels and blocking by the threads there are.
  static uint32_t set_threads(uint32_t threads) {
    omp_set_num_threads(static_cast<int>(threads));
    return threads;
  }
  uint32_t threads_;
  Builder builder_;
  dnnl::stream stream_;
  std::vector<Value> inputs_, outputs_;
  std::string name_;
};

}  // namespace
}  // namespace qrt::bench

namespace qrt::tools {

void cap_onednn(const std::string& isa) {
  if (isa == "scalar") dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);  // oneDNN's least
  if (isa == "avx2") dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
  if (isa == "avx512") dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core);
}

std::unique_ptr<Baseline> make_onednn_baseline(const qrt::Model& model, uint32_t threads,
                                               uint32_t batch) {
  try {
    return std::make_unique<bench::Graph>(model, threads, batch);
  } catch (const dnnl::error& e) {
    throw std::runtime_error(std::string("oneDNN refuses: ") + e.message);
  }
}

}  // namespace qrt::tools

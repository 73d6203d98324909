// The dense competitor of qrt bench: a model's graph through oneDNN's primitives, f32 or
// u8 x s8 as the file has it, as well as one process can have it. Each convolution and matrix
// product chooses its own layouts ("any"), layouts stay as they are from layer to layer,
// epilogues are post-ops, residuals are summed in place, transposes are views, and
// implementations of a convolution (Winograd in f32) are timed against each other. All of it
// happens once, in the constructor; run() only executes primitives.
#ifndef QRT_BENCH_ONEDNN_GRAPH_H_
#define QRT_BENCH_ONEDNN_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "runtime/model/model.h"

namespace qrt::bench {

using Dims = dnnl::memory::dims;
using Md = dnnl::memory::desc;
using DataType = dnnl::memory::data_type;

// Activations that live in a buffer. The logical dimensions are the tensor's own, NHWC
// for images; how they lie in memory is the descriptor's business. The buffer goes back
// to the pool with its last value.
struct Value {
  Md md;
  std::shared_ptr<void> data;
};

// A layer with its weights decoded: what a primitive needs beside the shapes.
struct Layer {
  DataType source, weights_type, destination;
  std::vector<uint8_t> weights;  // f32 or s8, [output][input] in the order of the file
  std::vector<float> bias;       // before the attributes' output scales, as oneDNN adds it
  dnnl::primitive_attr attributes;
};

struct Step {
  dnnl::primitive primitive;
  std::unordered_map<int, dnnl::memory> arguments;
};

// Hands out memory for activations and takes it back, so that the graph's footprint is
// that of its live tensors.
class BufferPool {
 public:
  std::shared_ptr<void> take(size_t bytes);
  // Memory that no step so far writes to: for what is filled once, before any run.
  std::shared_ptr<void> take_new(size_t bytes);

 private:
  struct Block {
    std::unique_ptr<void, void (*)(void*)> memory;
    size_t bytes;
    bool is_free;
  };
  std::vector<std::unique_ptr<Block>> blocks_;
};

// Turns nodes into steps. Throws std::runtime_error or dnnl::error for what oneDNN has
// no primitive for.
class Builder {
 public:
  Builder(const Model& model, uint32_t batch);

  void add(const Node&);
  Value value(uint32_t tensor);  // of a tensor already made; a constant becomes one here
  Value plain(const Value&);     // row-major
  std::vector<Step>& steps() { return steps_; }
  const dnnl::engine& engine() const { return engine_; }
  void set(uint32_t tensor, Value v) { values_[tensor] = std::move(v); }
  void keep(const Value& v) { kept_.push_back(v.data); }  // never reused
  Value allocate_constant(const Md& md);                  // and kept

  Dims dims(uint32_t tensor) const;  // with the batch
  DataType type(uint32_t tensor) const;
  Value allocate(const Md& md);
  dnnl::memory memory(const Value& v) const { return {v.md, engine_, v.data.get()}; }
  size_t convolutions = 0, winograd = 0;  // how many, and how many of them by Winograd
  size_t integer_layers = 0;

 private:
  void add_conv2d(const Node&);
  void add_linear(const Node&);
  void add_pool2d(const Node&);
  void add_binary(const Node&);
  void add_unary(const Node&);
  void add_affine(const Node&);
  void add_softmax(const Node&);
  void add_concat(const Node&);
  void add_transpose(const Node&);
  void add_reshape(const Node&);
  void add_quantize(const Node&);
  void add_byte_sum(const Node&);

  void step(const dnnl::primitive& p, std::unordered_map<int, dnnl::memory> arguments) {
    steps_.push_back({p, std::move(arguments)});
  }
  Value in_format(const Value& v, const Md& want);
  // f32 of quantized bytes and back; what is not quantized stays.
  Value to_floats(const Value& v, const Quantization&);
  Value to_bytes(const Value& v, const Quantization&);
  // Where a layer writes: on top of its residual where nobody else wants that.
  Value destination(const Node&, const Epilogue&, const Md& md, bool is_image);
  dnnl::memory constant(const Md& md, const void* from);  // reordered to `md`, kept
  Layer layer(const Node&, const Weights&, const Epilogue&, bool is_padded) const;
  Layer float_layer(const Weights&, const Epilogue&) const;
  Layer integer_layer(const Node&, const Weights&, const Epilogue&, bool is_padded) const;
  double milliseconds(const dnnl::convolution_forward::primitive_desc&, const Md& source);
  // The fastest convolution of a few. Throws where there is none.
  dnnl::convolution_forward::primitive_desc best_convolution(const Node&, const Layer&,
                                                             const Md& source, const Dims& weights,
                                                             const Dims& out);

  const Model& model_;
  uint32_t batch_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  BufferPool pool_;
  std::vector<Value> values_;     // of the model's tensors
  std::vector<uint32_t> wanted_;  // uses of each tensor that are still to come
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<Step> steps_;
};

// NHWC to NCHW and back, as views of the same memory.
Value as_nchw(const Value&);
Value as_nhwc(const Value&);
Md row_major(const Dims&, DataType = DataType::f32);
Md any_format(const Dims&, DataType);
// A clamp after a primitive: of values, or of the bytes that stand for them.
void append_clamp(dnnl::post_ops&, const Clamp&);
void append_clamp(dnnl::post_ops&, const Clamp&, const Quantization&);

}  // namespace qrt::bench

#endif  // QRT_BENCH_ONEDNN_GRAPH_H_

// Layers of u8 activations and integer weights, to the bit as schema/README.md,
// Numerics, says. Inside of the interpreter: layers.cc hands columns over.
#ifndef QRT_CONVERTER_EVAL_INTEGER_LAYERS_H_
#define QRT_CONVERTER_EVAL_INTEGER_LAYERS_H_

#include <cstdint>
#include <vector>

#include "converter/eval/compute.h"

namespace qrt::eval {

// Whether the layer's input is quantized and its weights are integers.
bool sums_integers(const Call&);

// The nearest value that `q` can hold, ties to even; of bits the one of the same sign, + of 0. NaN
// becomes what byte 0 or bit 0 stands for.
float on_grid(float value, const ir::Quantization& q);

// Whether the operand is stored as bytes, and these less their zero.
bool has_bytes(const View&);
std::vector<float> steps_of(const View&);

// The sum of two operands of bytes and one shape, and the average of `taps` bytes whose steps come
// to `sum`: of a call whose output is floats or bytes.
void add_bytes(Call&, const ir::Clamp&);
float average_of_bytes(const Call&, double sum, int64_t taps);

// Where sums go: output o of position p lies at y[o * output + p * position].
struct SumPlace {
  float* y;
  int64_t output, position;
};

class IntegerLayer {
 public:
  IntegerLayer(Call&, int64_t outputs);

  // The input's bytes less its zero.
  std::vector<float> inputs() const;

  // Sums of `outputs` outputs from `first` on over columns[k][position], as floats; of a layer with
  // thresholds its results.
  void sum(const std::vector<float>& columns, int64_t positions, int64_t first, int64_t outputs,
           const SumPlace&) const;

  // Sums to the layer's results, outputs `inner` values in a row.
  template <class Layer>
  void finish(const Layer& layer, int64_t outputs, int64_t inner) const {
    if (each_ > 0) return;
    size_t next = 2;
    Epilogue e;
    if (layer.scale) e.scale = call_.in[next++].data.data();
    if (layer.bias) e.bias = call_.in[next++].data.data();
    if (layer.residual) e.residual = &call_.in[next];
    e.clamp = layer.clamp;
    if constexpr (requires { layer.bias_first; }) e.bias_first = layer.bias_first;
    finish(e, outputs, inner);
  }

 private:
  struct Epilogue {
    const float *scale = nullptr, *bias = nullptr;
    const View* residual = nullptr;
    ir::Clamp clamp = ir::kNoClamp;
    bool bias_first = false;
  };
  void finish(const Epilogue&, int64_t outputs, int64_t inner) const;
  template <class Layer>
  void take_thresholds(const Layer&);
  float result_of(double sum, int64_t output) const;
  void sum_exactly(const std::vector<float>& columns, int64_t positions, int64_t first,
                   int64_t outputs, const SumPlace&) const;
  void sum_groups(const quant::Scales&, const std::vector<float>& columns, int64_t positions,
                  int64_t first, int64_t outputs, const SumPlace&) const;
  void sum_tables(const quant::Codebook&, const std::vector<float>& columns, int64_t positions,
                  int64_t first, int64_t outputs, const SumPlace&) const;

  Call& call_;
  int64_t all_outputs_ = 0, inputs_ = 0;
  std::vector<double> weights_;  // [outputs][inputs]
  std::vector<float> entries_;   // of rounded tables: integers
  size_t each_ = 0;              // thresholds of an output
  int32_t first_ = 0, step_ = 1;
};

}  // namespace qrt::eval

#endif  // QRT_CONVERTER_EVAL_INTEGER_LAYERS_H_

// One layer, alone, ready to be timed: ours by a strategy and an instruction set, or its dense twin
// by another library. Weights and activations are random.
#ifndef QRT_BENCH_LAYERS_H_
#define QRT_BENCH_LAYERS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/isa.h"

namespace qrt::bench {

// A square convolution with batch 1, padded to size / stride; size 1 and kernel 1 make a linear
// layer, groups equal to cin and cout a depthwise one.
struct LayerShape {
  const char* name;
  uint32_t size, cin, cout, kernel, stride, groups;
  uint32_t out_size() const { return (size - 1) / stride + 1; }
  uint32_t rows() const { return out_size() * out_size(); }
  uint32_t inputs() const { return cin / groups * kernel * kernel; }
  double ops() const { return 2.0 * rows() * inputs() * cout; }
  bool is_linear() const { return size == 1 && kernel == 1; }
};

// How our weights are stored. Dense i8 has no codes: count 0; integers of few bits have
// `code_bits`, of ESB `fraction` of them (-1: plain integers).
struct Coding {
  enum class Kind : uint8_t { f32, exact, rounded, bits } kind;  // bits: of activations, too
  uint32_t dim, count, table_bits = 0;                           // table_bits: of rounded sums
  uint32_t code_bits = 0;
  int32_t fraction = -1;
  uint32_t group = 0;  // inputs that share a scale, a power of two in a byte
  bool trits = false;  // five to a byte
};

// The least level (as --isa names them) that has all of `needs`; "" for none.
std::string level_of(kernels::IsaSet needs);

class TimedLayer {
 public:
  virtual ~TimedLayer() = default;
  virtual void run() = 0;
  virtual std::string note() const { return ""; }  // what really runs, and why
  virtual double weight_bytes() const = 0;         // that a run reads, as they are stored
};
using LayerPtr = std::unique_ptr<TimedLayer>;

// What a layer of ours is forced to. Empty: the cost model's choice.
struct Way {
  const char* strategy = "";
  bool is_resident = false;  // weights decoded or laid out at load and kept
};

// Null where the strategy cannot compute the layer, or where the library is not built in or
// refuses. One thread.
LayerPtr make_ours(const LayerShape&, const Coding&, const Way&, kernels::IsaSet);
LayerPtr make_xnnpack(const LayerShape&);     // f32
LayerPtr make_xnnpack_s8(const LayerShape&);  // s8 x s8 with a scale per output

// What oneDNN can compute the layer with, its own favourite of a primitive first: f32 and
// u8 activations x s8 weights with u8 outputs. Names say the primitive and the implementation.
struct OnednnChoice {
  std::string name;
  bool is_integer;
};
std::vector<OnednnChoice> onednn_choices(const LayerShape&);
LayerPtr make_onednn(const LayerShape&, const std::string& name);

// 4-bit product quantization of a linear layer by faiss: tables of bytes from 16 entries per block
// of `dim` f32 inputs, and the scan that adds them up for every output into u16. With `tables`
// false only the scan.
LayerPtr make_faiss(const LayerShape&, uint32_t dim, bool tables);

}  // namespace qrt::bench

#endif  // QRT_BENCH_LAYERS_H_

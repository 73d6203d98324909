// The rows a layer multiplies: im2col of sampled output positions for Conv2d, the
// last axis for Linear. Shared by everything that calibrates.
#ifndef QRT_CONVERTER_QUANT_ROWS_H_
#define QRT_CONVERTER_QUANT_ROWS_H_

#include <cstdint>
#include <vector>

#include "converter/eval/evaluate.h"
#include "converter/ir/graph.h"

namespace qrt::quant {

// Where a layer's outputs lie: `images` times `height` x `width` positions, `groups` of `inputs`
// inputs each. A Linear layer has one column; its leading axes but the first are the height.
struct RowMap {
  int64_t images = 0, height = 0, width = 1;
  int64_t groups = 1, inputs = 0;
  int64_t positions() const { return height * width; }
};

// `x` is the layer's input as computed, laid out as the Conv2d says.
RowMap row_map(const ir::Graph&, const ir::Node&, const eval::Tensor& x);

// Writes the inputs of output position `at` (y * width + x) of one image and group to `row`, in the
// order cin, kh, kw, zeros in the padding.
void gather_row(const ir::Node&, const RowMap&, const eval::Tensor& x, int64_t image, int64_t group,
                int64_t at, float* row);

// The value of output `o` (over all groups) at that position in a tensor shaped like the layer's
// output, such as its residual.
float output_at(const ir::Node&, const RowMap&, const eval::Tensor& y, int64_t image, int64_t o,
                int64_t at);

// How many samples the inputs hold: rows over the graph's own, of what is batched, or of all inputs
// where nothing is and each sample is a run of its own; 1 where evaluate() will refuse them anyway.
int64_t sample_count(const ir::Graph&, const std::vector<eval::Tensor>& inputs);

// How many samples one run of the graph may take: 1 where its batch is fixed.
int64_t samples_at_once(const ir::Graph&);

// Samples [first, last) of the inputs, a sample being what the graph stores for batch 1.
std::vector<eval::Tensor> slice_samples(const ir::Graph&, const std::vector<eval::Tensor>& inputs,
                                        int64_t first, int64_t last);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ROWS_H_

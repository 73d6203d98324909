// Weights from a PyTorch checkpoint, and their way onto a graph: plain state
// dicts and the two published codebook formats, kill-the-bits (assignments
// block-major) and PQF (codes output-major). Codebooks stay codebooks.
#ifndef QRT_CONVERTER_IMPORT_CHECKPOINT_H_
#define QRT_CONVERTER_IMPORT_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/encoding.h"

namespace qrt::import {

// One parameter: dense, or a codebook that means the matrix [outputs][inputs].
struct Parameter {
  std::vector<int64_t> shape;  // dense
  std::vector<float> values;   // dense, row-major
  std::shared_ptr<const quant::Encoding> encoding;
  int64_t outputs = 0, inputs = 0;  // encoding
  size_t place = 0;                 // order in the file
};

struct Checkpoint {
  std::string sha256;                           // of the file
  std::string format;                           // "kill-the-bits", "PQF", "state dict"
  std::map<std::string, Parameter> parameters;  // by the names of torchvision, "module." stripped
};

// Errors, without the path: QRT-E0650 (cannot be read), 0651 to 0657 (no valid checkpoint), 0660 (a
// codebook layer contradicts itself; the message names it), 0661 (nothing in it looks like
// weights).
Result<Checkpoint> read_checkpoint(const std::string& path);
Result<Checkpoint> read_checkpoint(std::span<const uint8_t> bytes);

struct MapReport {
  int weights = 0, codebooks = 0, norms = 0;  // layers set; codebooks are among the weights
  std::vector<std::string> notes;             // sentences for the user: what was assumed
};

// Sets the graph's weights, biases and batch norms from the checkpoint: by parameter name, and
// where names do not match (an exporter renamed or fused) by order and shape, which the report
// says. To run before any folding, while values carry the source's names. Batch norms whose running
// statistics the file omits get mean 0 and variance 1, as its own loader does (the factor
// 1/sqrt(1 + eps) stays). Errors: QRT-E0665 (parameters without a partner, all listed),
// QRT-E0666 (shapes disagree); the graph is then unchanged.
Result<MapReport> apply_checkpoint(ir::Graph&, const Checkpoint&);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_CHECKPOINT_H_

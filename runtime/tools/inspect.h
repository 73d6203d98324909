// qrt inspect: what is in a model file and what a session makes of it: layers,
// shapes, encodings, bits per weight, itemised bytes, checksums, provenance,
// memory, kernels with the figures they were chosen by.
#ifndef QRT_RUNTIME_TOOLS_INSPECT_H_
#define QRT_RUNTIME_TOOLS_INSPECT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/tools/engine.h"
#include "runtime/tools/facts.h"

namespace qrt::tools {

struct InspectOptions {
  std::string model;
  bool json = false;
  EngineOptions engine;
};

// Bulk bytes of a file by purpose. A buffer that several layers share counts once.
struct ByteCount {
  uint64_t codes = 0;      // indices, k-bit codes, sign planes
  uint64_t centroids = 0;  // codebook entries and tables
  uint64_t scales = 0;     // of weights
  uint64_t dense = 0;      // uncompressed weights
  uint64_t constants = 0;  // per-output scales and biases, constant tensors
  uint64_t golden = 0;     // stored test input and output
  uint64_t sum() const { return codes + centroids + scales + dense + constants + golden; }
  void add(const ByteCount&);
};

struct LayerInfo {
  std::string name, kind, encoding;  // encoding "" without weights
  std::string output;                // shape for batch 1
  std::string kernel, choice;
  uint64_t outputs = 0, inputs = 0;  // of the weight matrix
  uint64_t macs = 0;
  ByteCount bytes;
  double bits_per_weight = 0;  // codes, centroids, scales and dense bytes over outputs x inputs
};

struct ModelReport {
  std::vector<LayerInfo> layers;
  ByteCount total;
  uint64_t file_bytes = 0, overhead = 0;    // overhead: structure, names, alignment, checksums
  uint64_t weights = 0, coded_weights = 0;  // scalars; those of compressed layers
  qrt_memory_info memory{};
  uint64_t activation_bytes = 0;  // sum over all tensors: what no plan would need
};

ModelReport make_report(const Facts&, const Session&);
std::string report_text(const Facts&, const ModelReport&, const InspectOptions&);
std::string report_json(const Facts&, const ModelReport&, const InspectOptions&);
int inspect(const InspectOptions&);

}  // namespace qrt::tools

#endif  // QRT_RUNTIME_TOOLS_INSPECT_H_

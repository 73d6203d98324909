// File operators to bytes: the converter's only door to FlatBuffers. The same
// input gives the same bytes, always. What the file is made of is counted by
// size_report().
#ifndef QRT_CONVERTER_EMIT_EMIT_H_
#define QRT_CONVERTER_EMIT_EMIT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/lower/file.h"

namespace qrt::emit {

// How an image becomes an input; see schema/qrt.fbs. Numbers of `channels`: 0 RGB, 1 BGR, 2 gray.
struct Preprocess {
  uint32_t resize_shorter = 0, crop_h = 0, crop_w = 0;
  uint8_t channels = 0;
  float scale = 0.003921569f;
  std::vector<float> mean, std;
};

// One input and the output it must give for batch 1, in the order of the graph's ports, in the
// layout of the source. Ports of integers and bool: whole numbers up to 2^24.
struct Golden {
  std::vector<std::vector<float>> inputs, outputs;
  float tolerance = 0;
};

// What the graph does not know about its file. Empty strings are left out.
struct FileInfo {
  std::string name;
  std::string tool, source_sha256, weights_sha256, method, options;  // provenance
  std::vector<std::string> labels;
  std::vector<std::optional<Preprocess>> preprocess;  // per input; may be shorter
  std::optional<Golden> golden;
};

// The whole file: buffers 64-byte aligned with zeros between them, in the order operators use them.
// Errors: those of lower(); QRT-E0606 a value that is not finite, 607 a file beyond 2 GiB - 1,
// 608 golden values or preprocessing that do not fit the ports.
Result<std::vector<uint8_t>> emit(const lower::File&, const FileInfo&);
Result<std::vector<uint8_t>> emit(const ir::Graph&, const FileInfo&);

// Bytes of one weight matrix. `codes` index entries ("centroids") of `entry_scales`, `dense` are
// plain weights, `vectors` the layer's scale and bias.
struct LayerBytes {
  std::string layer, weights;  // names of the operator and of its weights
  std::string encoding;        // "codebook 256 x 9", "dense f16", "dense i8"
  int64_t outputs = 0, inputs = 0;
  uint64_t codes = 0, entries = 0, entry_scales = 0, dense = 0, vectors = 0;

  uint64_t weight_bytes() const { return codes + entries + entry_scales + dense; }
  double bits_per_weight() const;  // of weight_bytes()
};

struct SizeReport {
  std::vector<LayerBytes> layers;  // in operator order; shared weights count at their first user
  uint64_t codes = 0, entries = 0, entry_scales = 0, dense = 0, vectors = 0;
  uint64_t rest = 0;  // of file_bytes: tables, names, gaps, other constants
  uint64_t file_bytes = 0;
};

// `file_bytes` is the size of what emit() gave for it.
SizeReport size_report(const lower::File&, uint64_t file_bytes);

}  // namespace qrt::emit

#endif  // QRT_CONVERTER_EMIT_EMIT_H_

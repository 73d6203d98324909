// ONNX files to the converter's graph: the only door to onnx and its protobuf.
// Only inference models of float operators; what cannot be converted is refused
// in one message that lists every such node.
#ifndef QRT_CONVERTER_IMPORT_ONNX_H_
#define QRT_CONVERTER_IMPORT_ONNX_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"

namespace qrt::import {

struct OnnxOptions {
  // --shape: input name to its dimensions. They must agree with what the file fixes. A first
  // dimension of -1 (or 0) stays free where the file leaves it free.
  std::map<std::string, std::vector<int64_t>> shapes;
};

struct Imported {
  ir::Graph graph;
  std::string sha256;              // of the .onnx file
  std::vector<std::string> notes;  // what the user should know
};

// Reads opsets 7 to 17, and older ones where operators can be brought into the later form. Values
// keep the names of the source: parameters are constants under the names of their initializers
// (also where an Identity or a ConstantOfShape node makes them), so that checkpoints can be mapped
// by name. Weights spelled as Gather(codebook, codes) stay spelled out. External data is read only
// from regular files beside or below the model. Errors: QRT-E0500 to 0519, and what shape inference
// refuses (0550 to 0554) in their message.
Result<Imported> import_onnx(const std::string& path, const OnnxOptions& options);

// The same for a file already in memory. `path` stands in messages, and external data is looked for
// beside it.
Result<Imported> import_onnx_bytes(const std::string& bytes, const std::string& path,
                                   const OnnxOptions& options);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_ONNX_H_

// The converter's graph: nodes, values and constants by index, so that a graph
// can be copied, compared and printed. Nodes stand in an order that can be run.
#ifndef QRT_CONVERTER_IR_GRAPH_H_
#define QRT_CONVERTER_IR_GRAPH_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/ops.h"
#include "converter/quant/encoding.h"

namespace qrt::ir {

using NodeId = int32_t;
using ValueId = int32_t;

enum class ElementType { f32, f16, i8, u8, i32, i64, boolean };

// A constant: floats, or 64-bit integers for every integer and boolean type.
// `encoding` is set once a method or an importer has compressed it; then `data`
// may be empty and decode(encoding) is what it means.
struct Constant {
  ElementType type = ElementType::f32;
  std::vector<float> data;    // f32 and f16
  std::vector<int64_t> ints;  // the others
  std::shared_ptr<const quant::Encoding> encoding;
  std::string source;  // where an encoding came from: "checkpoint", "gather", "pq", ...
};

// Values that are stored as bytes: scale * (byte - zero). A scale of 0: they are not. Or stored as
// bits, where there are but two of them: scale * (2 * bit - 1), and zero is 0.
struct Quantization {
  float scale = 0;
  int32_t zero = 0;  // 0..255
  bool bits = false;
  bool present() const { return scale != 0; }
  bool operator==(const Quantization&) const = default;
};

struct Value {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<int64_t> shape;      // for batch 1
  bool batched = false;            // shape[0] is multiplied by the batch
  NodeId producer = -1;            // -1: graph input or constant
  int32_t constant = -1;           // index into constants, -1 if none
  Quantization quantization = {};  // of an f32 value that the file holds as bytes or bits: its
                                   // numbers lie on that grid
};

struct Node {
  std::string name;
  Attr attr;
  std::vector<ValueId> in, out;
  std::vector<std::string> origin;  // names of the source nodes fused into this one
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<Value> values;
  std::vector<Constant> constants;
  std::vector<ValueId> inputs, outputs;
  std::vector<std::string> notes;  // what the user should know; not part of the text form
};

Result<void> verify(const Graph&);  // invariants; run between all passes
std::string print(const Graph&);    // stable text, see ../README.md
Result<Graph> parse(const std::string& text);
const char* name_of(const Attr&);  // "conv2d", "linear", ...
const char* name_of(ElementType);

struct Pass {
  const char* name;
  Result<void> (*run)(Graph&);
};

}  // namespace qrt::ir

#endif  // QRT_CONVERTER_IR_GRAPH_H_

// Operators as they were before opset 7. Most read the same; here are those
// that do not, turned into the later form or refused.
#include <algorithm>
#include <iterator>

#include "converter/import/onnx_node.h"

namespace qrt::import {
namespace {

// Until opset 6 the second operand is broadcast only on request, and `axis` says which dimension of
// the first its dimensions start at: ones behind them say the same in NumPy's terms.
void align_second(Node& n) {
  if (n.inputs() < 2 || !n.has_attribute("axis") || n.integer("broadcast", 0) == 0) return;
  const int64_t first = static_cast<int64_t>(n.value(n.in(0)).shape.size());
  const ir::ValueId second = n.in(1);
  std::vector<int64_t> shape = n.value(second).shape;
  const int64_t axis = n.integer("axis", 0);
  const int64_t last = first - static_cast<int64_t>(shape.size());
  if (axis < 0 || axis > last) {
    refuse(505, "axis is ", axis, " for operands of rank ", first, " and ", shape.size(),
           "; allowed are 0 to ", last, "; check the source model");
  }
  const int64_t behind = last - axis;
  if (behind == 0) return;
  shape.insert(shape.end(), static_cast<size_t>(behind), 1);
  n.replace_input(1, n.step("aligned", ir::Reshape{shape}, {second}));
}

// A slope per channel was a plain vector.
void align_slope(Node& n) {
  if (!n.has(1)) return;
  const ir::ValueId slope = n.in(1);
  const size_t rank = n.value(n.in(0)).shape.size();
  std::vector<int64_t> shape = n.value(slope).shape;
  if (shape.size() != 1 || shape[0] == 1 || rank <= 2) return;
  shape.insert(shape.end(), rank - 2, 1);
  n.replace_input(1, n.step("slopes", ir::Reshape{shape}, {slope}));
}

void need_inference(Node& n) {
  if (n.integer("is_test", 0) == 0) n.unsupported("it is in training mode; export for inference");
}

// Operators whose form before `opset` is another one that is not read.
struct Since {
  const char* op;
  int64_t opset;
};
constexpr Since kSince[] = {{"Cast", 6}, {"Pad", 2},  {"Reshape", 5},
                            {"Selu", 6}, {"Tile", 6}, {"Upsample", 7}};

}  // namespace

void accept_old_form(Node& n) {
  for (const Since& row : kSince) {
    if (n.op() == row.op && n.opset() < row.opset) {
      n.unsupported("its form before opset ", row.opset, " (here ", n.opset(),
                    ") is not supported; export the model with opset 13");
    }
  }
  static const char* const kBroadcasting[] = {"Add", "And", "Div", "Equal", "Greater", "Less",
                                              "Mul", "Or",  "Pow", "Sub",   "Xor"};
  const bool broadcasts = std::any_of(std::begin(kBroadcasting), std::end(kBroadcasting),
                                      [&](const char* op) { return n.op() == op; });
  if (broadcasts) align_second(n);
  if (n.op() == "PRelu") align_slope(n);
  if (n.op() == "BatchNormalization" || n.op() == "Dropout") need_inference(n);
}

}  // namespace qrt::import

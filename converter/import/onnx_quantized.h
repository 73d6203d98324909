// What the readers of quantized operators share: parameters that must be known, and
// the spelling of one ONNX node as several.
#ifndef QRT_CONVERTER_IMPORT_ONNX_QUANTIZED_H_
#define QRT_CONVERTER_IMPORT_ONNX_QUANTIZED_H_

#include <string>
#include <vector>

#include "converter/import/onnx_node.h"
#include "schema/layout.h"

namespace qrt::import {

// The numbers of an input that must be a constant (QRT-E0519).
std::vector<float> known_numbers(const Node&, size_t input, const char* what);
// Each positive and finite (QRT-E0520).
void check_scales(const std::vector<float>&);

// Levels of an integer type that ONNX quantizes to. Refuses others (QRT-E0523).
struct Levels {
  float low, high;
};
Levels levels_of(const ir::Value&);

// A zero point that must be whole and within the levels (QRT-E0521); zeros where it is absent.
std::vector<float> known_zeros(const Node&, size_t input, size_t count, const Levels&);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_ONNX_QUANTIZED_H_

// Windows of convolutions and pools as ONNX writes them, one spatial axis at a
// time, for signals, images and volumes; shared by onnx_convolutions.cc and
// onnx_pools.cc.
#ifndef QRT_CONVERTER_IMPORT_ONNX_WINDOWS_H_
#define QRT_CONVERTER_IMPORT_ONNX_WINDOWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "converter/import/onnx_node.h"

namespace qrt::import {

// A window along one spatial axis of its input.
struct Axis {
  int64_t input = 1, kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;
  int64_t adjust = 0;  // of a transposed convolution
  int64_t span() const { return dilation * (kernel - 1) + 1; }
};
using Axes = std::vector<Axis>;

// A list attribute of `count` entries, `otherwise` everywhere if absent.
std::vector<int64_t> entries(const Node&, const char* key, size_t count, int64_t otherwise);

// The shape of input 0: a batch, channels and one to three spatial axes, none of them empty.
std::vector<int64_t> windowed_shape(const Node&);

// auto_pad: NOTSET, VALID, SAME_UPPER or SAME_LOWER.
std::string padding_mode(const Node&);

// Kernel, stride, dilation and the padding as it stands in the file; automatic padding gives 0.
Axes read_axes(const Node&, const std::vector<int64_t>& shape, const std::vector<int64_t>& kernel);

// Splits the padding of an axis; the larger half behind, or before.
void set_padding(Axis&, int64_t total, bool larger_behind);

// Automatic padding SAME_*: what makes the output ceil(input / stride).
void pad_to_same(const Node&, Axes&);

// The window over an image; a null axis is one pixel wide. Of one axis: over its width; of three:
// over the last two.
ir::Window2d window_of(const Axis* height, const Axis* width);
ir::Window2d window_of(const Axes&);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_ONNX_WINDOWS_H_

// What a .qrt file holds for the layers of a graph, decoded to floats.
#ifndef QRT_CONVERTER_TOOLS_STORED_LAYERS_H_
#define QRT_CONVERTER_TOOLS_STORED_LAYERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace qrt::verify {

// A convolution or fully connected layer, or (without weights) an Affine.
struct StoredLayer {
  std::string encoding;
  double bits_per_weight = 0;
  bool compressed = false;         // not dense
  std::vector<float> weights;      // [outputs][inputs], the inputs of convolutions as cin, kh, kw
  std::vector<float> scale, bias;  // [outputs], or empty: ones and zeros
};

// The layers of a .qrt file by operator name. Throws ToolError with the runtime's code when the
// file is refused, 460 when a layer cannot be decoded.
std::map<std::string, StoredLayer> read_layers(const std::string& path);

}  // namespace qrt::verify

#endif  // QRT_CONVERTER_TOOLS_STORED_LAYERS_H_

// How a picture becomes a network's input: resize of the shorter side, centre
// crop, channel order, then (pixel * scale - mean) / std. Said in words
// (imagenet, imagenet-crop, none), as JSON, or by the model file.
#ifndef QRT_RUNTIME_TOOLS_IO_PREPROCESS_H_
#define QRT_RUNTIME_TOOLS_IO_PREPROCESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/tools/io/image.h"

namespace qrt::io {

struct Preprocessing {
  enum class Channels : uint8_t { rgb, bgr, gray };  // values as schema/qrt.fbs
  uint32_t resize_shorter = 0;                       // 0: no resize
  uint32_t crop_h = 0, crop_w = 0;                   // 0: no crop
  Channels channels = Channels::rgb;
  float scale = 1.0f / 255;
  std::vector<float> mean, std;  // empty: 0 and 1; otherwise one per channel

  uint32_t channel_count() const { return channels == Channels::gray ? 1 : 3; }
};

// "imagenet": shorter side 256, centre 224, torchvision's mean and std.
// "imagenet-crop": the same without the resize. "none": nullopt. Anything else is
// JSON, or the name of a .json file: {"resize": 256, "crop": [224, 224],
// "channels": "rgb", "scale": 0.0039, "mean": [...], "std": [...]}, all optional.
// Throws ToolError 424 or 401.
std::optional<Preprocessing> parse_preprocessing(const std::string& text);
std::string to_json(const Preprocessing&);

// Resizes and crops. `where` is the file's name for messages. Throws ToolError 425.
Image prepare_geometry(const Image&, const Preprocessing&, const std::string& where);

// Writes channel_count() planes (planar) or interleaved pixels of a picture as floats.
void normalize(const Image&, const Preprocessing&, bool planar, float* out);

}  // namespace qrt::io

#endif  // QRT_RUNTIME_TOOLS_IO_PREPROCESS_H_

// Preprocessing in words, in JSON and in numbers.
#include "runtime/tools/io/preprocess.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"

namespace qrt::io {
namespace {

using nlohmann::json;
constexpr uint32_t kMaxSide = 1u << 14;  // as the validator of .qrt files has it
constexpr const char* kChannelNames[] = {"rgb", "bgr", "gray"};

[[noreturn]] void refuse(const std::string& what) {
  throw ToolError(424, "--preprocess: " + what +
                           "; allowed are imagenet, imagenet-crop, none, or JSON such as "
                           "{\"resize\":256,\"crop\":[224,224],\"mean\":[0.5,0.5,0.5]}");
}

uint32_t side(const json& v, const char* key) {
  if (!v.is_number_unsigned() || v.get<uint64_t>() > kMaxSide)
    refuse(std::string(key) + " must be a whole number from 0 to 16384");
  return v.get<uint32_t>();
}

std::vector<float> numbers(const json& v, const char* key) {
  if (!v.is_array() || v.empty() || v.size() > 3)
    refuse(std::string(key) + " must be a list of one number per channel");
  std::vector<float> out;
  for (const json& n : v) {
    if (!n.is_number()) refuse(std::string(key) + " holds something that is not a number");
    out.push_back(n.get<float>());
  }
  return out;
}

void set(Preprocessing& p, const std::string& key, const json& v) {
  if (key == "resize") {
    p.resize_shorter = side(v, "resize");
  } else if (key == "crop") {
    const bool square = v.is_number();
    if (!square && !(v.is_array() && v.size() == 2))
      refuse("crop must be a side or [height, width]");
    p.crop_h = side(square ? v : v[0], "crop");
    p.crop_w = side(square ? v : v[1], "crop");
  } else if (key == "channels") {
    const auto* row = std::find(std::begin(kChannelNames), std::end(kChannelNames),
                                v.is_string() ? v.get<std::string>() : "");
    if (row == std::end(kChannelNames)) refuse("channels must be rgb, bgr or gray");
    p.channels = static_cast<Preprocessing::Channels>(row - kChannelNames);
  } else if (key == "scale") {
    if (!v.is_number()) refuse("scale must be a number");
    p.scale = v.get<float>();
  } else if (key == "mean") {
    p.mean = numbers(v, "mean");
  } else if (key == "std") {
    p.std = numbers(v, "std");
  } else {
    refuse("unknown key '" + key.substr(0, 32) + "'");
  }
}

void check(const Preprocessing& p) {
  for (const auto* list : {&p.mean, &p.std})
    if (!list->empty() && list->size() != p.channel_count())
      refuse("mean and std need " + std::to_string(p.channel_count()) + " values, found " +
             std::to_string(list->size()));
  bool finite = std::isfinite(p.scale) && p.scale != 0;
  for (float v : p.mean) finite = finite && std::isfinite(v);
  for (float v : p.std) finite = finite && std::isfinite(v) && v != 0;
  if (!finite) refuse("scale, mean and std must be finite, scale and std not zero");
  if ((p.crop_h == 0) != (p.crop_w == 0)) refuse("crop needs both height and width");
  if (p.resize_shorter != 0 && std::max(p.crop_h, p.crop_w) > p.resize_shorter)
    refuse("the crop must fit into the shorter side of " + std::to_string(p.resize_shorter));
}

// Half of what is cut away, an odd half rounded to even as torchvision does (Python's round): a
// crop of 224 from 227 takes pixels 2 to 225, from 225 pixels 0 to 223.
uint32_t crop_start(uint32_t spare) {
  return (spare + (spare / 2 & 1)) / 2;
}

}  // namespace

std::optional<Preprocessing> parse_preprocessing(const std::string& text) {
  if (text == "none") return std::nullopt;
  Preprocessing p;
  if (text == "imagenet" || text == "imagenet-crop") {
    p.resize_shorter = text == "imagenet" ? 256 : 0;
    p.crop_h = p.crop_w = 224;
    p.mean = {0.485f, 0.456f, 0.406f};
    p.std = {0.229f, 0.224f, 0.225f};
    return p;
  }
  std::string source = text;
  if (text.size() > 5 && text.compare(text.size() - 5, 5, ".json") == 0) {
    const auto bytes = read_file(text, 65536);
    source.assign(bytes.begin(), bytes.end());
  }
  const json tree = json::parse(source, nullptr, /*allow_exceptions=*/false);
  if (!tree.is_object()) refuse("'" + text.substr(0, 64) + "' is neither a known word nor JSON");
  for (const auto& item : tree.items()) set(p, item.key(), item.value());
  check(p);
  return p;
}

std::string to_json(const Preprocessing& p) {
  json tree = {{"resize", p.resize_shorter},
               {"crop", {p.crop_h, p.crop_w}},
               {"channels", kChannelNames[static_cast<size_t>(p.channels)]},
               {"scale", p.scale},
               {"mean", p.mean},
               {"std", p.std}};
  return tree.dump();
}

Image prepare_geometry(const Image& in, const Preprocessing& p, const std::string& where) {
  uint32_t width = in.width, height = in.height;
  const uint32_t shorter = std::min(width, height);
  if (p.resize_shorter != 0 && shorter != p.resize_shorter) {
    // The longer side is rounded down, as torchvision does.
    const auto scaled = [&](uint32_t s) {
      return static_cast<uint32_t>(uint64_t{s} * p.resize_shorter / shorter);
    };
    width = width == shorter ? p.resize_shorter : scaled(width);
    height = in.height == shorter ? p.resize_shorter : scaled(in.height);
  }
  if (uint64_t{width} * height > kMaxPixels)
    throw ToolError(422, where + ": resized it would have " + std::to_string(width) + " x " +
                             std::to_string(height) + " pixels, at most " +
                             std::to_string(kMaxPixels) + " are allowed; crop it first");
  Image image = resize_bilinear(in, width, height);
  if (p.crop_h == 0) return image;
  if (width < p.crop_w || height < p.crop_h)
    throw ToolError(425, where + ": the picture has " + std::to_string(width) + " x " +
                             std::to_string(height) + " pixels where the crop needs " +
                             std::to_string(p.crop_w) + " x " + std::to_string(p.crop_h) +
                             "; use a larger picture or --preprocess with a resize");
  const uint32_t left = crop_start(width - p.crop_w), top = crop_start(height - p.crop_h);
  Image out = make_image(p.crop_w, p.crop_h, where);
  for (size_t y = 0; y < p.crop_h; ++y)
    std::copy_n(image.rgb.data() + ((top + y) * width + left) * 3, size_t{p.crop_w} * 3,
                out.rgb.data() + y * p.crop_w * 3);
  return out;
}

void normalize(const Image& image, const Preprocessing& p, bool planar, float* out) {
  const size_t pixels = size_t{image.width} * image.height, channels = p.channel_count();
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t* px = image.rgb.data() + i * 3;
    for (size_t c = 0; c < channels; ++c) {
      float v = px[p.channels == Preprocessing::Channels::bgr ? 2 - c : c];
      // ITU-R 601 luma in 16-bit fixed point: what PIL's convert("L") computes.
      if (p.channels == Preprocessing::Channels::gray)
        v = static_cast<float>((px[0] * 19595u + px[1] * 38470u + px[2] * 7471u + 0x8000u) >> 16);
      v *= p.scale;
      if (!p.mean.empty()) v -= p.mean[c];
      if (!p.std.empty()) v /= p.std[c];
      out[planar ? c * pixels + i : i * channels + c] = v;
    }
  }
}

}  // namespace qrt::io

// The sizes of a converted model as qrt-convert prints them.
#include <cstdio>

#include "converter/cli/convert.h"

namespace qrt::cli {
namespace {

std::string line(const std::string& name, const std::string& shape, const std::string& encoding,
                 const std::string& bits, const std::string& indices, const std::string& centroids,
                 const std::string& other, size_t name_width) {
  char text[512];
  std::snprintf(text, sizeof text, "%-*s  %13s  %-20s %8s %10s %10s %10s\n",
                static_cast<int>(name_width), name.c_str(), shape.c_str(), encoding.c_str(),
                bits.c_str(), indices.c_str(), centroids.c_str(), other.c_str());
  return text;
}

std::string fixed(double v, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, v);
  return text;
}

}  // namespace

std::string size_table(const emit::SizeReport& r) {
  constexpr size_t kWidest = 60;
  size_t width = 5;
  for (const emit::LayerBytes& l : r.layers)
    width = std::max(width, std::min(l.layer.size(), kWidest));
  std::string out =
      line("layer", "weights", "encoding", "bits/w", "indices", "centroids", "other", width);
  uint64_t scalars = 0;
  for (const emit::LayerBytes& l : r.layers) {
    scalars += static_cast<uint64_t>(l.outputs) * static_cast<uint64_t>(l.inputs);
    out += line(l.layer.substr(0, kWidest),
                std::to_string(l.outputs) + " x " + std::to_string(l.inputs), l.encoding,
                fixed(l.bits_per_weight(), 3), std::to_string(l.codes), std::to_string(l.entries),
                std::to_string(l.entry_scales + l.dense + l.vectors), width);
  }
  const uint64_t other = r.entry_scales + r.dense + r.vectors;
  const double bits =
      scalars == 0 ? 0
                   : 8.0 * static_cast<double>(r.codes + r.entries + r.entry_scales + r.dense) /
                         static_cast<double>(scalars);
  out += line("total", std::to_string(scalars), "", fixed(bits, 3), std::to_string(r.codes),
              std::to_string(r.entries), std::to_string(other), width);
  out += "file " + std::to_string(r.file_bytes) + " bytes (structure and alignment " +
         std::to_string(r.rest) + "), " +
         fixed(4.0 * static_cast<double>(scalars) / static_cast<double>(r.file_bytes), 2) +
         " x smaller than its weights in f32\n";
  return out;
}

}  // namespace qrt::cli

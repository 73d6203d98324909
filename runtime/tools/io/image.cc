// Which decoder a file needs, and how pictures are resized.
#include "runtime/tools/io/image.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"

namespace qrt::io {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;

bool is_image_name(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  std::string end = name.substr(dot + 1);
  for (char& c : end) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return end == "jpg" || end == "jpeg" || end == "png";
}

// The inputs that one output position is made of, with weights that sum to 2^22.
struct Taps {
  uint32_t first = 0;
  std::vector<int32_t> weight;
};
constexpr int kWeightBits = 22;  // 8-bit samples times 22-bit weights fit 31 bits with room

// Output x has its centre at (x + 1/2) * in / out of the input; the triangle around it
// reaches one output pixel far when shrinking, one input pixel when growing.
std::vector<Taps> make_taps(uint32_t in, uint32_t out) {
  const double step = static_cast<double>(in) / out;
  const double reach = std::max(step, 1.0);
  std::vector<Taps> taps(out);
  std::vector<double> exact;
  for (uint32_t x = 0; x < out; ++x) {
    const double centre = (x + 0.5) * step;
    const auto first = static_cast<int64_t>(std::max(centre - reach + 0.5, 0.0));
    const auto end = std::min<int64_t>(static_cast<int64_t>(centre + reach + 0.5), in);
    double sum = 0;
    exact.clear();
    for (int64_t i = first; i < end; ++i) {
      const double distance = std::fabs((static_cast<double>(i) - centre + 0.5) / reach);
      exact.push_back(distance < 1 ? 1 - distance : 0);
      sum += exact.back();
    }
    taps[x].first = static_cast<uint32_t>(first);
    for (double w : exact)
      taps[x].weight.push_back(static_cast<int32_t>(0.5 + w / sum * (1 << kWeightBits)));
  }
  return taps;
}

uint8_t to_sample(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

// Filters `lines` lines of a picture along one axis: sample i of line l lies at
// in[l * line_step + i * sample_step], and the same in `out` with its own steps.
void filter_axis(const uint8_t* in, size_t in_line, uint8_t* out, size_t out_line, size_t lines,
                 size_t sample_step, const std::vector<Taps>& taps) {
  for (size_t l = 0; l < lines; ++l) {
    for (size_t x = 0; x < taps.size(); ++x) {
      const Taps& t = taps[x];
      for (size_t c = 0; c < 3; ++c) {
        const uint8_t* p = in + l * in_line + t.first * sample_step + c;
        int32_t sum = 1 << (kWeightBits - 1);
        for (int32_t w : t.weight) sum += *p * w, p += sample_step;
        out[l * out_line + x * sample_step + c] = to_sample(sum);
      }
    }
  }
}

}  // namespace

Image make_image(uint64_t width, uint64_t height, const std::string& where) {
  if (width == 0 || height == 0 || width > kMaxPixels || height > kMaxPixels ||
      width * height > kMaxPixels)
    throw ToolError(422, where + ": the picture claims " + std::to_string(width) + " x " +
                             std::to_string(height) + " pixels, allowed are 1 to " +
                             std::to_string(kMaxPixels) + "; scale it down first");
  Image image;
  image.width = static_cast<uint32_t>(width);
  image.height = static_cast<uint32_t>(height);
  image.rgb.resize(static_cast<size_t>(width * height * 3));
  return image;
}

Image read_image(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path, kMaxFileBytes);
  const bool jpeg = bytes.size() >= 3 && std::memcmp(bytes.data(), "\xff\xd8\xff", 3) == 0;
  const bool png = bytes.size() >= 8 && std::memcmp(bytes.data(), "\x89PNG\r\n\x1a\n", 8) == 0;
  if (!jpeg && !png)
    throw ToolError(420, path +
                             ": this is neither a JPEG nor a PNG picture (its first bytes are "
                             "unknown); convert it to one of them");
#if QRT_HAVE_IMAGES
  return jpeg ? decode_jpeg(bytes, path) : decode_png(bytes, path);
#else
  throw ToolError(423, path +
                           ": this build reads no pictures (QRT_WITH_IMAGES was off); build with "
                           "it or give the preprocessed input as --input FILE.npy");
#endif
}

Image resize_bilinear(const Image& in, uint32_t width, uint32_t height) {
  // Columns first, then rows, rounding to 8 bits in between; an axis that keeps its size is left.
  Image wide = in;
  if (width != in.width) {
    wide = make_image(width, in.height, "resize");
    filter_axis(in.rgb.data(), size_t{in.width} * 3, wide.rgb.data(), size_t{width} * 3, in.height,
                3, make_taps(in.width, width));
  }
  if (height == in.height) return wide;
  Image out = make_image(width, height, "resize");
  filter_axis(wide.rgb.data(), 3, out.rgb.data(), 3, width, size_t{width} * 3,
              make_taps(in.height, height));
  return out;
}

std::vector<std::string> list_images(const std::string& path, const char* others) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    throw ToolError(401, path + ": cannot be read: " + std::strerror(errno) +
                             "; check the path and its permissions");
  if (!S_ISDIR(info.st_mode)) return {path};
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr)
    throw ToolError(
        401, path + ": cannot be listed: " + std::strerror(errno) + "; check its permissions");
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir))
    if (is_image_name(entry->d_name)) names.push_back(path + "/" + entry->d_name);
  ::closedir(dir);
  if (names.empty())
    throw ToolError(427, path + ": the directory holds no " + others +
                             ".jpg, .jpeg or .png files; name another");
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace qrt::io

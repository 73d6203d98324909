// Pictures: decoding JPEG and PNG to 8-bit RGB, resizing as PIL does. Files are
// hostile: sizes are bounded before memory is taken, damaged data is an error.
#ifndef QRT_RUNTIME_TOOLS_IO_IMAGE_H_
#define QRT_RUNTIME_TOOLS_IO_IMAGE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace qrt::io {

struct Image {  // rows from the top, pixels r, g, b
  uint32_t width = 0, height = 0;
  std::vector<uint8_t> rgb;
};

inline constexpr uint64_t kMaxPixels = uint64_t{1} << 27;  // 400 MB of RGB

// Decodes the file, told by its content. Grey becomes RGB, alpha is dropped, CMYK is
// converted, 16 bits keep the high byte: as PIL's convert("RGB"). Throws ToolError
// 401, 420..423.
Image read_image(const std::string& path);

// The triangle filter, widened when shrinking (antialias), in 8-bit steps with 22-bit
// weights: equal to PIL's Image.resize(BILINEAR) to the bit. Sizes are at least 1.
Image resize_bilinear(const Image& in, uint32_t width, uint32_t height);

// Names of the .jpg, .jpeg and .png files (any case) of a directory, sorted; a file
// is returned as itself. `others` (".npy, ") names what was looked for in vain before, for the
// message. Throws ToolError 401, 427.
std::vector<std::string> list_images(const std::string& path, const char* others = "");

// The doors to libjpeg and libpng (image_jpeg.cc, image_png.cc); absent without QRT_WITH_IMAGES.
Image decode_jpeg(const std::vector<uint8_t>& bytes, const std::string& where);
Image decode_png(const std::vector<uint8_t>& bytes, const std::string& where);

// Checks the claimed size and takes memory for it. Throws ToolError 422.
Image make_image(uint64_t width, uint64_t height, const std::string& where);

}  // namespace qrt::io

#endif  // QRT_RUNTIME_TOOLS_IO_IMAGE_H_

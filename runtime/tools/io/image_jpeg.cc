// The door to libjpeg. Its errors come back by longjmp, so the function that calls
// it holds nothing with a destructor; what goes wrong is told after the jump.
#if QRT_HAVE_IMAGES
#include <csetjmp>
#include <cstdio>
// jpeglib.h needs FILE and size_t declared before it.
#include <jerror.h>
#include <jpeglib.h>

#include "runtime/tools/io/error.h"
#include "runtime/tools/io/image.h"

namespace qrt::io {
namespace {

// A progressive file of a few bytes can demand hours: every scan walks the whole picture.
constexpr int kMaxScans = 100;

struct Decoder {
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

void on_error(j_common_ptr info) {
  auto* d = static_cast<Decoder*>(info->client_data);
  info->err->format_message(info, d->message);
  std::longjmp(d->escape, 1);
}

// Truncated or broken entropy data is only a warning to libjpeg, which fills in grey.
void on_message(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  if (level < 0 && (code == JWRN_HIT_MARKER || code == JWRN_JPEG_EOF ||
                    code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC))
    on_error(info);
}

void on_progress(j_common_ptr info) {
  auto* d = static_cast<Decoder*>(info->client_data);
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) {
    std::snprintf(d->message, sizeof d->message, "more than %d scans", kMaxScans);
    std::longjmp(d->escape, 1);
  }
}

// Header: fills the size. Both phases return false with d.message set.
bool start(jpeg_decompress_struct& info, Decoder& d, const uint8_t* bytes, size_t size) {
  if (setjmp(d.escape) != 0) return false;
  jpeg_create_decompress(&info);
  info.progress = &d.progress;
  jpeg_mem_src(&info, bytes, static_cast<unsigned long>(size));
  jpeg_read_header(&info, TRUE);
  const bool cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  return true;
}

// `row` holds width * 4 bytes for CMYK pictures.
bool decode(jpeg_decompress_struct& info, Decoder& d, uint8_t* rgb, uint8_t* row) {
  if (setjmp(d.escape) != 0) return false;
  jpeg_start_decompress(&info);
  const size_t width = info.output_width;
  while (info.output_scanline < info.output_height) {
    uint8_t* line = rgb + info.output_scanline * width * 3;
    JSAMPROW to = info.out_color_space == JCS_CMYK ? row : line;
    jpeg_read_scanlines(&info, &to, 1);
    if (info.out_color_space != JCS_CMYK) continue;
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* p = row + x * 4;
      // Adobe stores inverted inks: 255 is none.
      const int flip = info.saw_Adobe_marker != 0 ? 255 : 0;
      const int light = 255 - (p[3] ^ flip);
      for (int c = 0; c < 3; ++c) {
        const int ink = (p[c] ^ flip) * light + 128;
        line[x * 3 + static_cast<size_t>(c)] =
            static_cast<uint8_t>(light - ((ink + (ink >> 8)) >> 8));
      }
    }
  }
  jpeg_finish_decompress(&info);
  return true;
}

}  // namespace

Image decode_jpeg(const std::vector<uint8_t>& bytes, const std::string& where) {
  jpeg_decompress_struct info{};
  Decoder d{};
  info.err = jpeg_std_error(&d.errors);
  info.client_data = &d;
  d.errors.error_exit = on_error;
  d.errors.emit_message = on_message;
  d.progress.progress_monitor = on_progress;
  struct Destroy {
    jpeg_decompress_struct* info;
    ~Destroy() { jpeg_destroy_decompress(info); }
  } destroy{&info};
  Image image;
  bool ok = start(info, d, bytes.data(), bytes.size());
  if (ok) {
    image = make_image(info.image_width, info.image_height, where);
    std::vector<uint8_t> row(size_t{image.width} * 4);
    ok = decode(info, d, image.rgb.data(), row.data());
  }
  if (!ok)
    throw ToolError(421, where + ": the JPEG picture is damaged: " + d.message +
                             "; copy it again or leave it out");
  return image;
}

}  // namespace qrt::io
#endif

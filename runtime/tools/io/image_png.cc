// The door to libpng. As with JPEG, errors come back by longjmp and the calling
// functions hold nothing with a destructor.
#if QRT_HAVE_IMAGES
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "runtime/tools/io/error.h"
#include "runtime/tools/io/image.h"

namespace qrt::io {
namespace {

struct Source {
  const uint8_t* bytes;
  size_t size, at;
  char message[128];
};

void on_error(png_structp png, png_const_charp text) {
  auto* s = static_cast<Source*>(png_get_error_ptr(png));
  std::snprintf(s->message, sizeof s->message, "%s", text);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, size_t n) {
  auto* s = static_cast<Source*>(png_get_io_ptr(png));
  if (n > s->size - s->at) png_error(png, "the file ends early");
  std::memcpy(out, s->bytes + s->at, n);
  s->at += n;
}

bool start(png_structp png, png_infop info, Source& source) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_read_fn(png, &source, on_read);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_set_user_limits(png, static_cast<png_uint_32>(kMaxPixels),
                      static_cast<png_uint_32>(kMaxPixels));
  png_read_info(png, info);
  return true;
}

// `rows` holds a pointer to each line of the picture.
bool decode(png_structp png, png_infop info, png_bytep* rows, size_t row_bytes) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != row_bytes) png_error(png, "unexpected pixel layout");
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  return true;
}

}  // namespace

Image decode_png(const std::vector<uint8_t>& bytes, const std::string& where) {
  Source source{bytes.data(), bytes.size(), 0, {}};
  struct Reader {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  } r;
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_error, on_warning);
  if (r.png != nullptr) r.info = png_create_info_struct(r.png);
  if (r.info == nullptr) throw std::bad_alloc();
  Image image;
  bool ok = start(r.png, r.info, source);
  if (ok) {
    image =
        make_image(png_get_image_width(r.png, r.info), png_get_image_height(r.png, r.info), where);
    std::vector<png_bytep> rows(image.height);
    for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.rgb.data() + y * image.width * 3;
    ok = decode(r.png, r.info, rows.data(), size_t{image.width} * 3);
  }
  if (!ok)
    throw ToolError(421, where + ": the PNG picture is damaged: " + source.message +
                             "; copy it again or leave it out");
  return image;
}

}  // namespace qrt::io
#endif

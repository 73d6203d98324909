// Fitting preprocessing to a shape.
#include "runtime/tools/io/picture_input.h"

#include <utility>

#include "runtime/tools/io/error.h"
#include "runtime/tools/io/npy.h"

namespace qrt::io {
namespace {

// Raw pixels as they are, grey where the input has one channel.
Preprocessing raw_pixels(const std::vector<int64_t>& shape) {
  Preprocessing p;
  p.scale = 1;
  if (shape.size() == 4 && (shape[1] == 1 || (shape[1] != 3 && shape[3] == 1)))
    p.channels = Preprocessing::Channels::gray;
  return p;
}

}  // namespace

PictureInput::PictureInput(std::vector<int64_t> shape, const std::optional<Preprocessing>& p,
                           std::string model, std::string input)
    : shape_(std::move(shape)), model_(std::move(model)), input_(std::move(input)) {
  p_ = p ? *p : raw_pixels(shape_);
  const int64_t channels = p_.channel_count();
  for (int64_t d : shape_) values_ *= static_cast<size_t>(d);
  planar_ = !(shape_.size() == 4 && shape_[3] == channels && shape_[1] != channels);
  if (is_image() && p_.crop_h == 0 && p_.resize_shorter != 0) {  // the input's own size is the crop
    p_.crop_h = static_cast<uint32_t>(height());
    p_.crop_w = static_cast<uint32_t>(width());
  }
  bool fits = p_.crop_h == 0 ||
              uint64_t{p_.crop_h} * p_.crop_w * static_cast<uint64_t>(channels) == values_;
  if (is_image()) {
    fits = fits && shape_[planar_ ? 1 : 3] == channels;
    fits = fits && (p_.crop_h == 0 || (height() == p_.crop_h && width() == p_.crop_w));
  }
  if (!fits)
    throw ToolError(425, model_ + ": pictures of " + std::to_string(channels) + " x " +
                             std::to_string(p_.crop_h) + " x " + std::to_string(p_.crop_w) +
                             " do not fit input '" + input_ + "' of shape " + shape_text(shape_) +
                             "; give another --preprocess");
}

void PictureInput::read(const std::string& file, float* out) const {
  const Image image = prepare_geometry(read_image(file), p_, file);
  const bool fits = uint64_t{image.width} * image.height * p_.channel_count() == values_ &&
                    (!is_image() || height() == image.height);
  if (!fits)
    throw ToolError(425, file + ": the picture has " + std::to_string(image.width) + " x " +
                             std::to_string(image.height) + " pixels where input '" + input_ +
                             "' of shape " + shape_text(shape_) +
                             " is to be filled; give --preprocess with a resize and a crop");
  normalize(image, p_, planar_, out);
}

}  // namespace qrt::io

// Rows out of pictures: decoded, resized, cropped and normalised as the model file
// or the command line says, into a model's only input.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/tools/facts.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/image.h"
#include "runtime/tools/io/picture_input.h"
#include "runtime/tools/run.h"

namespace qrt::tools {
namespace {

using io::Preprocessing;
using io::ToolError;

std::optional<Preprocessing> choose_preprocessing(const std::string& text, const Model& model) {
  if (!text.empty()) return io::parse_preprocessing(text);
  const auto stored = Facts(model.path()).preprocessing(0);
  if (!stored)
    throw ToolError(425, model.path() +
                             ": the file says nothing about preprocessing pictures; give "
                             "--preprocess imagenet, imagenet-crop, none or JSON");
  return stored;
}

io::PictureInput make_input(const std::string& preprocess, const Model& model) {
  const std::vector<qrt_tensor> ports = model.inputs();
  if (ports.size() != 1)
    throw ToolError(425, model.path() + ": --image needs a model with one input, this one has " +
                             std::to_string(ports.size()) + "; give --input NAME=FILE.npy");
  const qrt_tensor& t = ports[0];
  if (t.dtype != QRT_F32 && t.dtype != QRT_U8 && t.dtype != QRT_I8)
    throw ToolError(425, model.path() + ": input '" + std::string(t.name) + "' takes " +
                             qrt_dtype_name(t.dtype) +
                             "; pictures feed f32, u8 or i8 inputs; use --input FILE.npy");
  return {dims(t), choose_preprocessing(preprocess, model), model.path(), t.name};
}

class ImageFeed : public Feed {
 public:
  ImageFeed(const RunOptions& o, const Model& model)
      : input_(make_input(o.preprocess, model)), values_(input_.values()) {
    for (const std::string& path : o.images)
      for (std::string& file : io::list_images(path)) files_.push_back(std::move(file));
  }

  uint64_t rows() const override { return files_.size(); }
  std::string row_name(uint64_t row) const override { return files_[row]; }

  void fill(const std::vector<qrt_tensor>& inputs, uint64_t first, uint64_t count) override {
    const qrt_tensor& t = inputs[0];
    std::memset(t.data, 0, t.bytes);
    for (uint64_t i = 0; i < count; ++i) {
      input_.read(files_[first + i], values_.data());
      if (t.dtype == QRT_F32) {
        std::copy(values_.begin(), values_.end(), static_cast<float*>(t.data) + i * values_.size());
      } else {
        store_bytes(static_cast<uint8_t*>(t.data) + i * values_.size(), t.dtype == QRT_I8);
      }
    }
  }

 private:
  void store_bytes(uint8_t* out, bool is_signed) const {
    const float low = is_signed ? -128 : 0, high = low + 255;
    for (size_t i = 0; i < values_.size(); ++i)
      out[i] =
          static_cast<uint8_t>(static_cast<int>(std::nearbyint(std::clamp(values_[i], low, high))));
  }

  std::vector<std::string> files_;
  io::PictureInput input_;
  std::vector<float> values_;
};

}  // namespace

std::unique_ptr<Feed> make_image_feed(const RunOptions& o, const Model& model) {
  return std::make_unique<ImageFeed>(o, model);
}

}  // namespace qrt::tools

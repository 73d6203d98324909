// Pictures as a network's input: preprocessing fitted to the input's shape, then
// file after file to floats.
#ifndef QRT_RUNTIME_TOOLS_IO_PICTURE_INPUT_H_
#define QRT_RUNTIME_TOOLS_IO_PICTURE_INPUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/tools/io/preprocess.h"

namespace qrt::io {

class PictureInput {
 public:
  // `shape` is the input's for batch 1: [1,C,H,W], [1,H,W,C], or any with as many elements as a
  // cropped picture has values. Without preprocessing pixels stay 0..255 at their own size.
  // `model` and `input` are names for messages. Throws ToolError 425 where they cannot fit.
  PictureInput(std::vector<int64_t> shape, const std::optional<Preprocessing>&, std::string model,
               std::string input);

  size_t values() const { return values_; }
  // Writes values() floats. Throws ToolError 401, 420..425.
  void read(const std::string& file, float* out) const;

 private:
  bool is_image() const { return shape_.size() == 4 && shape_[0] == 1; }
  int64_t height() const { return shape_[planar_ ? 2 : 1]; }
  int64_t width() const { return shape_[planar_ ? 3 : 2]; }

  std::vector<int64_t> shape_;
  std::string model_, input_;
  Preprocessing p_;
  bool planar_ = true;
  size_t values_ = 1;
};

}  // namespace qrt::io

#endif  // QRT_RUNTIME_TOOLS_IO_PICTURE_INPUT_H_

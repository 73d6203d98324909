// A model file opened through runtime/model for its facts alone.
#include "runtime/tools/facts.h"

#include "runtime/tools/io/error.h"

namespace qrt::tools {

Facts::Facts(const std::string& path) : file_(path), keep_(default_allocator()) {
  const Status s = open_model({file_.data(), file_.size()}, keep_, model_);
  if (!s.ok())
    throw io::ToolError(s.id(), path + ": " + s.what() + (s.hint()[0] == 0 ? "" : "; ") + s.hint());
}

std::optional<io::Preprocessing> Facts::preprocessing(size_t input) const {
  const Preprocess* stored = model_.inputs[input].preprocess;
  if (stored == nullptr) return std::nullopt;
  io::Preprocessing p;
  p.resize_shorter = stored->resize_shorter;
  p.crop_h = stored->crop_h;
  p.crop_w = stored->crop_w;
  p.channels = static_cast<io::Preprocessing::Channels>(stored->channels);
  p.scale = stored->scale;
  p.mean.assign(stored->mean.begin(), stored->mean.end());
  p.std.assign(stored->std.begin(), stored->std.end());
  return p;
}

}  // namespace qrt::tools

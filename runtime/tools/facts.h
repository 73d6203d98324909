// What stands in a model file beyond what qrt.h tells: the tools look through the
// runtime's own checked view of it, never at the raw bytes.
#ifndef QRT_RUNTIME_TOOLS_FACTS_H_
#define QRT_RUNTIME_TOOLS_FACTS_H_

#include <optional>
#include <string>

#include "runtime/memory/arena.h"
#include "runtime/model/model.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/io/preprocess.h"

namespace qrt::tools {

// A mapped, checked model. Open the same path as tools::Model first: its messages are the better
// ones.
class Facts {
 public:
  explicit Facts(const std::string& path);
  const qrt::Model& model() const { return model_; }
  std::optional<io::Preprocessing> preprocessing(size_t input) const;

 private:
  io::MappedFile file_;
  Arena keep_;
  qrt::Model model_;
};

}  // namespace qrt::tools

#endif  // QRT_RUNTIME_TOOLS_FACTS_H_

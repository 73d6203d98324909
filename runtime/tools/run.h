// qrt run: a model over .npy files or pictures, split into batches, outputs as
// .npy files or as one line of best classes per row.
#ifndef QRT_RUNTIME_TOOLS_RUN_H_
#define QRT_RUNTIME_TOOLS_RUN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/tools/engine.h"

namespace qrt::tools {

struct RunOptions {
  std::string model;
  std::vector<std::string> inputs, outputs;  // "FILE.npy" or "name=FILE.npy"
  std::vector<std::string> images;           // files and directories
  std::string labels, preprocess;
  uint32_t top = 5;
  bool csv = false, stats = false, self_check = false;
  EngineOptions engine;
};

// Where rows come from. A row is what the model takes for batch 1.
class Feed {
 public:
  virtual ~Feed() = default;
  virtual uint64_t rows() const = 0;
  virtual std::string row_name(uint64_t row) const = 0;  // for printed lines
  // Writes rows [first, first + count) into the session's input buffers; count is
  // at most the batch that `inputs` were opened for.
  virtual void fill(const std::vector<qrt_tensor>& inputs, uint64_t first, uint64_t count) = 0;
};
std::unique_ptr<Feed> make_npy_feed(const RunOptions&, const Model&);
std::unique_ptr<Feed> make_image_feed(const RunOptions&, const Model&);

// Splits "name=file" and finds the port; a bare file means the only one. Port names
// may hold '=', so the longest port name that fits wins. Throws ToolError 419.
struct NamedFile {
  size_t port;
  std::string file;
};
std::vector<NamedFile> resolve_ports(const char* option, const std::vector<std::string>& args,
                                     const std::vector<qrt_tensor>& ports);

int run(const RunOptions&);

}  // namespace qrt::tools

#endif  // QRT_RUNTIME_TOOLS_RUN_H_

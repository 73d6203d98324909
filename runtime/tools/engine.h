// Models and sessions for the tools: owners around the C API whose failures are
// ToolErrors, and the options that run, bench and inspect share.
#ifndef QRT_RUNTIME_TOOLS_ENGINE_H_
#define QRT_RUNTIME_TOOLS_ENGINE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "qrt.h"

namespace CLI {
class App;
}

namespace qrt::tools {

struct EngineOptions {
  uint32_t threads = 1, batch = 1;
  std::string isa, strategy, mode = "compressed", prefer = "memory",
                             tune;  // empty: the library's choice
};

// Adds --isa, --mode, --prefer, --tune and --strategy (not --threads and --batch: bench has lists
// of them).
void add_engine_options(CLI::App&, EngineOptions&);

// At most one thread per CPU: waiting threads spin, and beyond that a run takes a hundred times as
// long. Says so on standard error where it takes less than asked for.
uint32_t usable_threads(uint32_t asked);

class Model {
 public:
  explicit Model(const std::string& path);
  const qrt_model* get() const { return model_.get(); }
  const std::string& path() const { return path_; }
  std::vector<qrt_tensor> inputs() const, outputs() const;  // for batch 1

 private:
  struct Close {
    void operator()(qrt_model* m) const { qrt_model_close(m); }
  };
  std::string path_;
  std::unique_ptr<qrt_model, Close> model_;
};

class Session {  // close it before its model
 public:
  Session(const Model&, const EngineOptions&);
  qrt_session* get() const { return session_.get(); }
  std::vector<qrt_tensor> inputs() const, outputs() const;
  void run();
  void run_profiled();
  // The golden input of the file against its output; both figures relative.
  void self_check(double& error, double& tolerance);
  std::vector<qrt_op_info> ops() const;
  qrt_memory_info memory() const;

 private:
  struct Close {
    void operator()(qrt_session* s) const { qrt_session_close(s); }
  };
  std::string path_;
  std::unique_ptr<qrt_session, Close> session_;
  uint32_t inputs_ = 0, outputs_ = 0;
};

uint64_t elements(const qrt_tensor&);
std::vector<int64_t> dims(const qrt_tensor&);
uint64_t peak_rss_bytes();

}  // namespace qrt::tools

#endif  // QRT_RUNTIME_TOOLS_ENGINE_H_

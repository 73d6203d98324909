// See bench_engines.h.
#include "runtime/tools/bench_engines.h"

#include <cstring>
#include <stdexcept>

#include "runtime/tools/io/error.h"

namespace qrt::tools {
namespace {

// The same reproducible values for every candidate: xorshift, in [-2, 2) for floats.
void fill_inputs(const std::vector<qrt_tensor>& inputs) {
  uint64_t state = 0x9e3779b97f4a7c15;
  for (const qrt_tensor& t : inputs) {
    std::memset(t.data, 0, t.bytes);
    auto* f = static_cast<float*>(t.data);
    auto* b = static_cast<uint8_t*>(t.data);
    for (uint64_t i = 0; i < elements(t); ++i) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      if (t.dtype == QRT_F32) f[i] = static_cast<float>(state >> 40) / (1 << 22) - 2;
      if (t.dtype == QRT_I8 || t.dtype == QRT_U8) b[i] = static_cast<uint8_t>(state >> 56);
    }
  }
}

std::string dense_name(const Session& session) {
  bool is_integer = false, is_xnnpack = false;
  for (const qrt_op_info& op : session.ops()) {
    is_integer = is_integer || std::strncmp(op.kernel, "int8", 4) == 0;
    is_xnnpack = is_xnnpack || std::strstr(op.kernel, "xnn") != nullptr;
  }
  if (is_integer) return "dense int8, libqrt";
  return is_xnnpack ? "dense f32, XNNPACK" : "dense f32, libqrt";
}

}  // namespace

Networks::Networks(const std::string& path, const std::string& f32_path)
    : model(path), facts(path) {
  if (f32_path.empty()) return;
  twin.emplace(f32_path);
  twin_facts.emplace(f32_path);
  const std::vector<qrt_tensor> want = model.inputs(), got = twin->inputs();
  bool alike = want.size() == got.size() && model.outputs().size() == twin->outputs().size();
  for (size_t i = 0; alike && i < want.size(); ++i)
    alike = dims(want[i]) == dims(got[i]) && want[i].dtype == got[i].dtype;
  if (!alike)
    throw io::ToolError(400, "--f32 " + f32_path + ": its inputs or outputs are not those of " +
                                 path + "; name the same network with f32 activations");
}

Engines::Engines(const BenchOptions& options, uint32_t threads)
    : options_(options), threads_(threads) {}

void Engines::add_libqrt(const Model& model, const char* mode, const std::string& name) {
  EngineOptions engine = options_.engine;
  engine.threads = threads_;
  engine.mode = mode;
  sessions_.push_back(std::make_unique<Session>(model, engine));
  Session* session = sessions_.back().get();
  fill_inputs(session->inputs());
  Candidate c;
  c.name = name.empty() ? dense_name(*session) : name;
  c.run = [session] { session->run(); };
  const std::vector<qrt_tensor> outputs = session->outputs();
  c.output = [outputs](size_t port) {
    const qrt_tensor& t = outputs[port];
    return t.dtype == QRT_F32 ? static_cast<const float*>(t.data) : nullptr;
  };
  all_.push_back(std::move(c));
}

void Engines::add_onednn(const Facts& facts, std::vector<std::string>& notes) {
#if QRT_HAVE_ONEDNN
  try {
    cap_onednn(options_.engine.isa);
    others_.push_back(make_onednn_baseline(facts.model(), threads_, options_.engine.batch));
    Baseline* other = others_.back().get();
    const std::vector<qrt_tensor> inputs = first().inputs();
    for (size_t i = 0; i < inputs.size(); ++i) other->set_input(i, inputs[i].data, inputs[i].bytes);
    all_.push_back({other->name(),
                    [other] { other->run(); },
                    [other](size_t port) { return other->output(port); },
                    {}});
  } catch (const std::runtime_error& e) {
    notes.push_back(std::string("no oneDNN row: ") + e.what());
  }
#else
  (void)facts, (void)notes;
#endif
}

}  // namespace qrt::tools

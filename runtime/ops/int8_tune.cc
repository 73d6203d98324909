// Times the strategies of one layer of integers on memory of its own, while the session opens.
#include <chrono>
#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/ops/int8_layer.h"

namespace qrt {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 7;                                            // of one strategy at most,
constexpr Clock::duration kEnough = std::chrono::milliseconds(30);  // or as many as fit in here
constexpr float kHopeless = 8;  // times the best prediction: not worth a run

// Tensors and scratch of one trial.
class Trial {
 public:
  Trial(const PrepareContext& session, Arena& work)
      : context_(session.model, work, session.threads), work_(work) {
    context_.isa = session.isa, context_.mode = session.mode;
    context_.prefer_speed = session.prefer_speed;
    context_.in = session.in, context_.out = session.out;
  }

  // The least nanoseconds of a run; negative where memory is short.
  float measure(Int8Strategy& strategy, const Int8Layer& layer) {
    if (!strategy.prepare(layer, context_).ok() || !take_memory()) return -1;
    const RunContext run{in_, &out_, scratch_, context_.threads};
    const Clock::time_point start = Clock::now();
    Clock::duration least = Clock::duration::max();
    for (int i = 0; i < kRuns; ++i) {
      const Clock::time_point begin = Clock::now();
      if (!strategy.run(layer, run).ok()) return -1;
      const Clock::time_point end = Clock::now();
      least = end - begin < least ? end - begin : least;
      if (i > 0 && end - start > kEnough) break;
    }
    return std::chrono::duration<float, std::nano>(least).count();
  }

 private:
  std::byte* bytes(size_t n) { return static_cast<std::byte*>(work_.allocate(n + kReadSlack, 64)); }
  bool take_memory() {
    bool all = true;
    for (size_t i = 0; i < context_.in.size() && i < 2; ++i) {
      in_[i] = context_.in[i];
      in_[i].data = bytes(*bytes_of(in_[i].dtype, in_[i].shape).get());
      all = all && in_[i].data != nullptr;
    }
    out_ = context_.out[0];
    out_.data = bytes(*bytes_of(out_.dtype, out_.shape).get());
    for (uint32_t i = 0; i < context_.slots; ++i) {
      scratch_[i] = bytes(context_.scratch_bytes[i]);
      all = all && scratch_[i] != nullptr;
    }
    return all && out_.data != nullptr;
  }

  PrepareContext context_;
  Arena& work_;
  ConstTensorView in_[2];
  TensorView out_;
  std::byte* scratch_[PrepareContext::kMaxSlots] = {};
};

}  // namespace

const char* fastest_strategy(Span<Int8Strategy* const> all, const Int8Layer& layer,
                             const PrepareContext& context) {
  float least_predicted = -1, least = -1;
  for (const Int8Strategy* s : all) {
    const float ns = s->cost_ns(layer);
    if (ns >= 0 && (least_predicted < 0 || ns < least_predicted)) least_predicted = ns;
  }
  const char* fastest = nullptr;
  for (Int8Strategy* s : all) {
    const float predicted = s->cost_ns(layer);
    if (predicted < 0 || predicted > kHopeless * least_predicted) continue;
    Arena work(context.keep.allocator());
    const float ns = Trial(context, work).measure(*s, layer);
    if (ns >= 0 && (fastest == nullptr || ns < least)) fastest = s->name(), least = ns;
  }
  return fastest;
}

}  // namespace qrt

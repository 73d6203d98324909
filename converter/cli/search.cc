#include "converter/cli/search.h"

#include <algorithm>

#include "converter/base/text.h"
#include "converter/cli/data.h"
#include "runtime/tools/io/error.h"

namespace qrt::cli {
namespace {

using io::ToolError;
constexpr int64_t kProbes = 32;  // samples that tell how a layer's error reaches the outputs
constexpr int kTooSmall = 739;
constexpr int kLosesTooMuch = 740;

template <class T>
T take(Result<T> r, const std::string& where) {
  if (!r.ok()) throw ToolError(r.error().id, where + ": " + r.error().message);
  return std::move(*r);
}

class Finder {
 public:
  Finder(const ConvertOptions& o, const ir::Graph& graph, const quant::CalibrationData& data,
         const SearchSteps& steps)
      : o_(o), steps_(steps) {
    const quant::Method* method = take(quant::find_method(o.method), "--method");
    space_ =
        take(method->search(graph, o.method_options, data, first_rows(graph, data.inputs, kProbes)),
             o.model);
  }

  SearchResult within_size() {
    // Structure, scales, biases and gaps are the same for all choices but for a few bytes.
    const quant::Allocation least = quant::frontier(space_.options)[0];
    const uint64_t smallest = steps_.size_of(options_for(least));
    if (smallest > o_.target_size) too_small(smallest);
    uint64_t budget = least.bytes + (o_.target_size - smallest);
    for (int files = 0; files < 4; ++files) {
      quant::Allocation a = quant::best_within(space_.options, budget);
      uint64_t size = steps_.size_of(options_for(a));
      while (size > o_.target_size && a.bytes > least.bytes) {
        budget = a.bytes - std::min(a.bytes, size - o_.target_size);
        a = quant::best_within(space_.options, budget);
        size = steps_.size_of(options_for(a));
      }
      const uint64_t bytes = try_out(a);
      if (bytes <= o_.target_size) return std::move(result_);
      // What the method adds to a layer (scales, biases) was not in the plan.
      if (a.bytes <= least.bytes) too_small(bytes);
      budget = a.bytes - std::min(a.bytes, bytes - o_.target_size);
    }
    too_small(result_.curve.back().bytes);
  }

  SearchResult within_loss() {
    const Accuracy whole = steps_.judge_float();
    const std::vector<quant::Allocation> rungs = ladder();
    // The smallest rung that loses no more than allowed, supposing that larger ones lose less.
    size_t low = 0, high = rungs.size();
    SearchResult best;
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      try_out(rungs[middle]);
      const Accuracy& now = result_.curve.back().accuracy;
      if (whole.top1_percent() - now.top1_percent() <= o_.max_drop + 1e-9) {
        best = result_;
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    if (best.options.empty()) {
      const SearchPoint& last = result_.curve.back();
      throw ToolError(kLosesTooMuch,
                      cat(o_.model, ": every choice of settings loses more than ", o_.max_drop,
                          " points of ", percent_text(whole.top1, whole.rows), "; the largest has ",
                          percent_text(last.accuracy.top1, last.accuracy.rows), " in ", last.bytes,
                          " bytes; allow more, or free layers from --layers"));
    }
    best.curve = result_.curve;
    return best;
  }

 private:
  quant::MethodOptions options_for(const quant::Allocation& a) const {
    quant::MethodOptions options = o_.method_options;
    options["layers"] = space_.rules(a);
    return options;
  }

  // Converts with an allocation; the result holds its settings and a new point.
  uint64_t try_out(const quant::Allocation& a) {
    result_.options = options_for(a);
    result_.layers = result_.options["layers"];
    const std::vector<uint8_t> file = steps_.build(result_.options);
    result_.curve.push_back({file.size(), steps_.judge ? steps_.judge(file) : Accuracy()});
    return file.size();
  }

  // Allocations of the frontier at least 4 % apart: closer ones are alike, and each costs a
  // conversion.
  std::vector<quant::Allocation> ladder() const {
    std::vector<quant::Allocation> out;
    for (quant::Allocation& a : quant::frontier(space_.options))
      if (out.empty() || a.bytes * 25 >= out.back().bytes * 26) out.push_back(std::move(a));
    return out;
  }

  [[noreturn]] void too_small(uint64_t smallest) const {
    throw ToolError(kTooSmall, cat(o_.model, ": --target-size ", o_.target_size,
                                   " is less than the smallest file found, ", smallest,
                                   " bytes; allow more, or code layers that stay dense (option "
                                   "skip=none of the method, \"force\" in --layers)"));
  }

  const ConvertOptions& o_;
  const SearchSteps& steps_;
  quant::SearchSpace space_;
  SearchResult result_;
};

}  // namespace

SearchResult search_settings(const ConvertOptions& o, const ir::Graph& graph,
                             const quant::CalibrationData& data, const SearchSteps& steps) {
  Finder finder(o, graph, data, steps);
  SearchResult r = o.target_size > 0 ? finder.within_size() : finder.within_loss();
  std::string tried;
  for (const SearchPoint& p : r.curve)
    append(tried, cat(p.bytes, " bytes",
                      steps.judge ? " " + percent_text(p.accuracy.top1, p.accuracy.rows) : ""));
  r.notes.push_back("searched: " + tried);
  return r;
}

}  // namespace qrt::cli

// Which passes run, in which order, and that the graph is sound between them.
#ifndef QRT_CONVERTER_PASSES_PIPELINE_H_
#define QRT_CONVERTER_PASSES_PIPELINE_H_

#include <functional>
#include <span>

#include "converter/base/result.h"
#include "converter/ir/graph.h"

namespace qrt::passes {

// From the importer's graph to what methods quantize and evaluate() runs on: shapes known, batch
// norm and clamps fused, images NCHW as in the source.
std::span<const ir::Pass> prepare_passes();

// From there (encoded or not) to what lower() writes: images NHWC, nothing superfluous.
std::span<const ir::Pass> layout_passes();

// Sees the graph after each pass; --print-passes prints it.
using AfterPass = std::function<void(const char* pass, const ir::Graph&)>;

// Runs the passes in order with ir::verify() before, between and after. An error of a pass comes
// with the pass's name in front; a graph that a pass broke is QRT-E0580.
Result<void> run_pipeline(ir::Graph&, std::span<const ir::Pass>, const AfterPass& = {});

}  // namespace qrt::passes

#endif  // QRT_CONVERTER_PASSES_PIPELINE_H_

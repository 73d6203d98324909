// The ordered list of passes. Each line may rely on those above it.
#include "converter/passes/pipeline.h"

#include "converter/base/text.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

constexpr ir::Pass kPrepare[] = {
    {"recognise_codebooks", recognise_codebooks},  // before folding makes them dense
    {"fold_constants", fold_constants},
    {"infer_shapes", infer_shapes},
    {"recognise_steps", recognise_steps},            // binarisation in plain operators
    {"recognise_fake_quant", recognise_fake_quant},  // and grids, while clips are nodes
    {"lower_batch_norm", lower_batch_norm},          // to Affine
    {"cancel_transposes", cancel_transposes},        // Identity and Dropout leave such nodes
    {"hoist_pointwise", hoist_pointwise},            // signals and volumes: next to their layer
    {"fuse_gates", fuse_gates},                      // gelu, silu, hard_swish written out
    {"merge_affine", merge_affine},                  // batch norm written out, separate biases
    {"fuse_batch_norm", fuse_batch_norm},
    {"fuse_activation", fuse_activation},  // also into Add, for the next line
    {"fuse_residual", fuse_residual},
    {"drop_dead", drop_dead},
};

constexpr ir::Pass kLayout[] = {
    {"fold_scales", fold_scales},
    {"to_nhwc", to_nhwc},
    {"cancel_transposes", cancel_transposes},
    {"permute_flattened", permute_flattened},
    {"drop_dead", drop_dead},
};

Result<void> verify(const ir::Graph& g, const char* after) {
  auto sound = ir::verify(g);
  if (sound.ok()) return {};
  return fail(580, "the graph is broken after ", after, ": ", sound.error().message,
              "; please report this with the model and the output of --print-passes");
}

}  // namespace

std::span<const ir::Pass> prepare_passes() {
  return kPrepare;
}
std::span<const ir::Pass> layout_passes() {
  return kLayout;
}

Result<void> run_pipeline(ir::Graph& g, std::span<const ir::Pass> list, const AfterPass& seen) {
  QRT_CHECK_OK(verify(g, "import"));
  for (const ir::Pass& pass : list) {
    QRT_CHECK_OK(pass.run(g));
    QRT_CHECK_OK(verify(g, pass.name));
    if (seen) seen(pass.name, g);
  }
  return {};
}

}  // namespace qrt::passes

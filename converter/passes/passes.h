// Every pass of the converter, one line each. A pass takes a graph that
// verify() accepts and leaves one; what it may assume and what it promises
// stands at the head of its file. pipeline.h says in which order they run.
#ifndef QRT_CONVERTER_PASSES_PASSES_H_
#define QRT_CONVERTER_PASSES_PASSES_H_

#include "converter/base/result.h"
#include "converter/ir/graph.h"

namespace qrt::passes {

// ---- as imported to what methods quantize: activations NCHW ------------------------------------
Result<void> recognise_codebooks(ir::Graph&);   // Gather(codebook, codes) weights to encodings
Result<void> fold_constants(ir::Graph&);        // nodes of constants alone
Result<void> infer_shapes(ir::Graph&);          // every value gets its shape and `batched`
Result<void> recognise_steps(ir::Graph&);       // comparisons and signs to Steps
Result<void> recognise_fake_quant(ir::Graph&);  // bounded roundings to FakeQuantize
Result<void> lower_batch_norm(ir::Graph&);      // four constants to the two of Affine
Result<void> hoist_pointwise(ir::Graph&);       // batch norms and clamps in front of moves
Result<void> fuse_gates(ir::Graph&);            // gelu, silu, hard_swish written out
Result<void> merge_affine(ir::Graph&);          // Mul/Add/Sub/Div by constants to Affine
Result<void> fuse_batch_norm(ir::Graph&);       // Affine into the layer's scale and bias
Result<void> fuse_activation(ir::Graph&);       // clamps into the operator before them
Result<void> fuse_residual(ir::Graph&);         // Add (and its clamp) into the layer before it
Result<void> drop_dead(ir::Graph&);             // what no output needs

// ---- to what the file stores: activations NHWC -------------------------------------------------
Result<void> fold_scales(ir::Graph&);        // scale into dense weights that are not f16 anyway
Result<void> to_nhwc(ir::Graph&);            // images channels-last, transposes at the borders
Result<void> cancel_transposes(ir::Graph&);  // transposes and reshapes that undo or do nothing
Result<void> permute_flattened(ir::Graph&);  // Flatten of an image: the next weights permuted

}  // namespace qrt::passes

#endif  // QRT_CONVERTER_PASSES_PASSES_H_

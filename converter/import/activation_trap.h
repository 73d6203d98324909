// The known trap of codebook checkpoints: batch norms saved without their running
// statistics and without having been folded first. Nothing is malformed, the
// network just answers at random (0.1 % on ImageNet); sample inputs show it.
#ifndef QRT_CONVERTER_IMPORT_ACTIVATION_TRAP_H_
#define QRT_CONVERTER_IMPORT_ACTIVATION_TRAP_H_

#include <optional>
#include <span>
#include <string>

#include "converter/base/result.h"
#include "converter/eval/evaluate.h"
#include "converter/ir/graph.h"

namespace qrt::import {

// Runs the graph over sample inputs (at most the first eight rows) and looks for activations that
// are not finite, explode (root mean square above 10 000 times the input's) or collapse (below a
// millionth of it, outputs that are constant, or outputs that hardly depend on the input). Returns
// the explanation where it finds one, nothing where the network looks alive. The check on
// dependence needs four rows, that on equal outputs two. Errors: of eval::evaluate().
Result<std::optional<std::string>> activation_trap(const ir::Graph&,
                                                   std::span<const eval::Tensor> inputs);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_ACTIVATION_TRAP_H_

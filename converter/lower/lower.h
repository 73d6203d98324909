// Graph to file operators: one short rule per operator (rules.inc), and a
// refusal that names every node the engine cannot run.
#ifndef QRT_CONVERTER_LOWER_LOWER_H_
#define QRT_CONVERTER_LOWER_LOWER_H_

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/lower/file.h"

namespace qrt::lower {

// The graph must have run through passes::layout_passes(). Errors: QRT-E0600 operators without a
// rule, 601 not yet channels-last, 602 weights that are not constant, 603 beyond the format's
// limits, 604 an element type the engine does not compute in, 605 an output nothing computes.
Result<File> lower(const ir::Graph&);

}  // namespace qrt::lower

#endif  // QRT_CONVERTER_LOWER_LOWER_H_

// Drops nodes whose results reach no output of the graph, with their values and
// constants. Inputs of the graph stay, used or not: they are its interface.
#include "converter/ir/edit.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

Result<void> drop_dead(ir::Graph& g) {
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes

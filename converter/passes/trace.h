// Where every number of a computed weight comes from. A weight that exporters
// spell as Gather(codebook, codes) and any Reshape, Transpose, Slice or Concat
// behind it is not matched as a pattern: the graph that makes it is run once
// over *positions* instead of values, which tells for each weight the entry of
// the codebook it copies, whatever the spelling.
#ifndef QRT_CONVERTER_PASSES_TRACE_H_
#define QRT_CONVERTER_PASSES_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"

namespace qrt::passes {

// One summand of a weight: element i is codebook[position[i]], row-major both.
struct Term {
  ir::ValueId codebook = -1;  // a constant of floats
  std::vector<int64_t> position;
};

struct Trace {
  std::vector<Term> terms;  // a weight is their sum; empty: no codebook, see `why`
  std::string why;
};

// The terms of `weight`, which some node makes. An error (QRT-E0610) where codes name entries their
// codebook does not have.
Result<Trace> trace_weight(const ir::Graph&, ir::ValueId weight);

}  // namespace qrt::passes

#endif  // QRT_CONVERTER_PASSES_TRACE_H_

// Grouping in vectors of 16 bytes of whatever the build's baseline has: for CPUs that none of the
// ISA files fits. It needs additions only.
#include "kernels/shift/generic_grouped.h"

namespace qrt::kernels::shift {

const Way grouped_portable = {kOutputs, grouped_scratch<16>, grouped<16>};

}  // namespace qrt::kernels::shift

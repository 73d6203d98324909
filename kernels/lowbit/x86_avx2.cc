// The lowbit kit for AVX2.
#include <immintrin.h>

#include "kernels/lowbit/generic.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/x86.inc"

}  // namespace

const Kit lowbit_avx2 = {unpack<X86>, integers<X86>, floats<X86>};

}  // namespace qrt::kernels::lowbit

// The lowbit kit for AVX-512.
#include <immintrin.h>

#include "kernels/lowbit/generic.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/x86.inc"

}  // namespace

const Kit lowbit_avx512 = {unpack<X86>, integers<X86>, floats<X86>};

}  // namespace qrt::kernels::lowbit

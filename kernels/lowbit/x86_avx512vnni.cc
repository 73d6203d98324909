// The lowbit kit for AVX-512 with VNNI: masked codes are the unsigned factor of vpdpbusd, so the
// upper places of a byte need no shift. A vector of 64 bytes costs 8 / bits ANDs and as many
// vpdpbusd, one a cycle on Zen 4: a cycle for 64 weights of 1 to 4 bits.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/lowbit/generic_dot.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/avx512.inc"
#include "kernels/lowbit/x86.inc"

#include "kernels/lowbit/avx512vnni.inc"

}  // namespace

const Kit lowbit_avx512vnni = {unpack<X86>,      integers<X86>,  floats<X86>, Avx512::kBytes,
                               can_dot<Vnni<1>>, spread<Avx512>, dot_vnni,    finish};

}  // namespace qrt::kernels::lowbit

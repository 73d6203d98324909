// Instruction sets: the bits a kernel needs, and what this CPU has.
#ifndef QRT_KERNELS_ISA_H_
#define QRT_KERNELS_ISA_H_

#include <cstdint>

namespace qrt::kernels {

using IsaSet = uint32_t;  // a set of the bits below
enum Isa : IsaSet {
  isa_none = 0,
  x86_avx2 = 1u << 0,    // with FMA and F16C
  x86_avx512 = 1u << 1,  // F, BW, DQ, VL together: never one without the others
  x86_avx512vnni = 1u << 2,
  x86_avx512vbmi = 1u << 3,  // shuffles of single bytes through 64 and 128, counts of ones
  arm_neon = 1u << 8,        // armv7 NEON with VFPv4 FMA, or the aarch64 baseline
  arm_neondot = 1u << 9,
  arm_i8mm = 1u << 10,
};

// What every core of this CPU has; the one caller of cpuinfo. Computed once.
IsaSet detect_isa();

constexpr bool includes(IsaSet have, IsaSet need) {
  return (have & need) == need;
}

// The processor's name as it gives it, or "unknown". One line; lives for ever.
const char* cpu_name();

// Levels as users name them: scalar, avx2, avx512, avx512vnni, avx512vbmi,
// neon, neondot, i8mm. A level includes those before it on its architecture. Returns false for a
// name that is none of these.
bool isa_level(const char* name, IsaSet* out);
const char* isa_level_name(IsaSet);  // the highest level contained in the set

}  // namespace qrt::kernels

#endif  // QRT_KERNELS_ISA_H_

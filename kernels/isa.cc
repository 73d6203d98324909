#include "kernels/isa.h"

#include <cstring>

#if defined(QRT_HAVE_CPUINFO)
#include <cpuinfo.h>
#endif
#if defined(__linux__) && (defined(__aarch64__) || defined(__arm__))
#include <sys/auxv.h>
#endif

namespace qrt::kernels {
namespace {

IsaSet probe() {
  IsaSet have = isa_none;
#if defined(QRT_HAVE_CPUINFO)
  if (!cpuinfo_initialize()) return have;
#if defined(__x86_64__) || defined(__i386__)
  if (cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c()) {
    have |= x86_avx2;
    if (cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512bw() && cpuinfo_has_x86_avx512dq() &&
        cpuinfo_has_x86_avx512vl()) {
      have |= x86_avx512;
      if (cpuinfo_has_x86_avx512vnni()) have |= x86_avx512vnni;
      if (cpuinfo_has_x86_avx512vbmi() && cpuinfo_has_x86_avx512vpopcntdq()) have |= x86_avx512vbmi;
    }
  }
#elif defined(__aarch64__)
  have |= arm_neon;
  if (cpuinfo_has_arm_neon_dot()) have |= arm_neondot;
#elif defined(__arm__)
  // The armv7 kernels are built for VFPv4: NEON alone has no fused multiply-add.
  if (cpuinfo_has_arm_neon_fma()) have |= arm_neon;
#endif
#elif defined(__aarch64__)
  have |= arm_neon;
#endif
#if defined(__linux__) && defined(__aarch64__)
  constexpr unsigned long kHwcap2I8mm = 1ul << 13;  // cpuinfo of 2022 cannot report it
  if ((have & arm_neondot) && (getauxval(AT_HWCAP2) & kHwcap2I8mm)) have |= arm_i8mm;
#endif
  return have;
}

struct Level {
  const char* name;
  IsaSet set;
};
// From narrow to wide on each architecture; a level includes those before it.
constexpr Level kLevels[] = {
    {"scalar", isa_none},
#if defined(__x86_64__) || defined(__i386__)
    {"avx2", x86_avx2},
    {"avx512", x86_avx2 | x86_avx512},
    {"avx512vnni", x86_avx2 | x86_avx512 | x86_avx512vnni},
    {"avx512vbmi", x86_avx2 | x86_avx512 | x86_avx512vnni | x86_avx512vbmi},
#elif defined(__aarch64__) || defined(__arm__)
    {"neon", arm_neon},
    {"neondot", arm_neon | arm_neondot},
    {"i8mm", arm_neon | arm_neondot | arm_i8mm},
#endif
};
constexpr const char* kForeign[] = {"avx2", "avx512",  "avx512vnni", "avx512vbmi",
                                    "neon", "neondot", "i8mm"};

}  // namespace

IsaSet detect_isa() {
  static const IsaSet have = probe();
  return have;
}

const char* cpu_name() {
#if defined(QRT_HAVE_CPUINFO)
  if (cpuinfo_initialize() && cpuinfo_get_packages_count() > 0) {
    const char* name = cpuinfo_get_package(0)->name;
    if (name[0] != 0 && std::strchr(name, '\n') == nullptr) return name;
  }
#endif
  return "unknown";
}

bool isa_level(const char* name, IsaSet* out) {
  for (const Level& level : kLevels)
    if (std::strcmp(level.name, name) == 0) return *out = level.set, true;
  // A level of another architecture caps nothing we have here: only scalar code is left.
  for (const char* foreign : kForeign)
    if (std::strcmp(foreign, name) == 0) return *out = isa_none, true;
  return false;
}

const char* isa_level_name(IsaSet set) {
  const char* best = "scalar";
  for (const Level& level : kLevels)
    if (includes(set, level.set)) best = level.name;
  return best;
}

}  // namespace qrt::kernels

// See ceilings.h. Twelve sums hide a latency of up to six cycles at two instructions per cycle.
#include "bench/ceilings.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>

#include "bench/rounds.h"
#include "kernels/isa.h"

namespace qrt::bench {
namespace {

// Work per second of the best of nine runs of about two milliseconds: noise only ever subtracts.
double best_rate(double work, const std::function<void()>& run) {
  double best = 0;
  for (int i = 0; i < 9; ++i) {
    const double start = thread_us();
    run();
    best = std::max(best, work / (thread_us() - start));
  }
  return best * 1e-3;
}

#if defined(__x86_64__)

// Twelve sums v0..v11; operands are registers 12 and 13, all zero.
#define QRT_TWELVE(ONE) \
  ONE("0")              \
  ONE("1")              \
  ONE("2") ONE("3") ONE("4") ONE("5") ONE("6") ONE("7") ONE("8") ONE("9") ONE("10") ONE("11")
#define QRT_LOOP(name, REG, ONE)                                                                \
  void name(uint64_t n) {                                                                       \
    asm volatile("vzeroall\n1:\n\t" QRT_TWELVE(ONE) "dec %0\n\tjnz 1b\n\tvzeroupper"            \
                 : "+r"(n)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",     \
                   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc"); \
  }
#define QRT_FMA_Y(i) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" i "\n\t"
#define QRT_FMA_Z(i) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" i "\n\t"
#define QRT_VNNI_Z(i) "vpdpbusd %%zmm12, %%zmm13, %%zmm" i "\n\t"
#define QRT_I8_Y(i)                                                                       \
  "vpmaddubsw %%ymm12, %%ymm13, %%ymm14\n\tvpmaddwd %%ymm14, %%ymm13, %%ymm14\n\tvpaddd " \
  "%%ymm14, %%ymm" i ", %%ymm" i "\n\t"
#define QRT_I8_Z(i)                                                                       \
  "vpmaddubsw %%zmm12, %%zmm13, %%zmm14\n\tvpmaddwd %%zmm14, %%zmm13, %%zmm14\n\tvpaddd " \
  "%%zmm14, %%zmm" i ", %%zmm" i "\n\t"
QRT_LOOP(fma_256, "ymm", QRT_FMA_Y)
QRT_LOOP(fma_512, "zmm", QRT_FMA_Z)
QRT_LOOP(vnni_512, "zmm", QRT_VNNI_Z)
QRT_LOOP(i8_256, "ymm", QRT_I8_Y)
QRT_LOOP(i8_512, "zmm", QRT_I8_Z)

// Loads `bytes` (a multiple of 2048) once, as eight streams side by side: one alone is limited by
// how far the prefetcher dares to run ahead.
void load_all(const std::byte* p, size_t bytes) {
  const size_t stride = bytes / 8;
  const std::byte *end = p + stride, *middle = p + 4 * stride;
  asm volatile(
      "1:\n\t"
      "vmovups (%0), %%ymm0\n\tvmovups (%0,%2), %%ymm1\n\t"
      "vmovups (%0,%2,2), %%ymm2\n\tvmovups (%0,%4), %%ymm3\n\t"
      "vmovups (%1), %%ymm4\n\tvmovups (%1,%2), %%ymm5\n\t"
      "vmovups (%1,%2,2), %%ymm6\n\tvmovups (%1,%4), %%ymm7\n\t"
      "add $32, %0\n\tadd $32, %1\n\tcmp %3, %0\n\tjb 1b\n\tvzeroupper"
      : "+r"(p), "+r"(middle)
      : "r"(stride), "r"(end), "r"(3 * stride)
      : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "cc", "memory");
}

double multiply_rate(void (*loop)(uint64_t), double lanes) {
  constexpr uint64_t kTurns = 500000;
  return best_rate(2.0 * 12 * lanes * kTurns, [loop] { loop(kTurns); });
}

double load_rate(size_t bytes, size_t turns) {
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  // Streams that are a power of two apart would meet in the same sets of the caches.
  bytes += 8 * 192;
  const std::unique_ptr<void, Free> buffer(std::aligned_alloc(64, bytes));
  if (buffer == nullptr) return 0;
  std::memset(buffer.get(), 1, bytes);
  const auto* p = static_cast<const std::byte*>(buffer.get());
  return best_rate(static_cast<double>(bytes * turns), [p, bytes, turns] {
    for (size_t i = 0; i < turns; ++i) load_all(p, bytes);
  });
}
#endif

}  // namespace

Ceilings measure_ceilings() {
  Ceilings c{};
#if defined(__x86_64__)
  const kernels::IsaSet isa = kernels::detect_isa();
  const auto has = [isa](kernels::IsaSet bits) { return kernels::includes(isa, bits); };
  if (!has(kernels::x86_avx2)) return c;
  c.f32_256 = multiply_rate(fma_256, 8);
  c.i8_256 = multiply_rate(i8_256, 32);
  c.l1 = load_rate(16 << 10, 4000);
  c.l2 = load_rate(512 << 10, 100);
  c.dram = load_rate(size_t{128} << 20, 1);
  if (has(kernels::x86_avx512)) {
    c.f32_512 = multiply_rate(fma_512, 16);
    c.i8_512 = multiply_rate(i8_512, 64);
  }
  if (has(kernels::x86_avx512vnni)) c.vnni_512 = multiply_rate(vnni_512, 64);
#endif
  return c;
}

double arithmetic_ceiling(const Ceilings& c, const std::string& level, bool is_integer) {
  if (level == "avx2") return is_integer ? c.i8_256 : c.f32_256;
  if (level == "avx512") return is_integer ? c.i8_512 : c.f32_512;
  if (level == "avx512vnni" || level == "avx512vbmi") return is_integer ? c.vnni_512 : c.f32_512;
  return 0;
}

}  // namespace qrt::bench

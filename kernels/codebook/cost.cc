#include "kernels/codebook/cost.h"

namespace qrt::kernels::codebook {
namespace {

// Nanoseconds, one thread. x86: AMD EPYC (Zen 5) at about 4 GHz, best of 25 by
//   OMP_NUM_THREADS=1 taskset -c 1 kernels_bench --benchmark_repetitions=25
// solved for pairs of layers that differ in one term (r50.c2.1x1a/b: output; r50.c4
// and c5 1x1a/b: lookup, build; r18.fc and gemv.4k4k: dot, quad). NEON and the reference
// were not measured on hardware: instruction counts times 0.5 ns; they rank only.
struct Row {
  const Kit* kit;
  CostConstants constants;
};

constexpr Row kRows[] = {
#if QRT_BUILT_x86_avx512
    {&codebook_avx512, {3.4f, 0.06f, 0.06f, 0.22f, 0.05f, 0.1f, 0.2f, 0.157f, 0.42f, 0.5f}},
#endif
#if QRT_BUILT_x86_avx2
    {&codebook_avx2, {1.46f, 0.08f, 0.2f, 0.24f, 0.05f, 0.1f, 0.2f, 0.15f, 0.34f, 0.5f}},
#endif
#if QRT_BUILT_arm_neon
    {&codebook_neon, {10.0f, 0.3f, 1.5f, 2.0f, 0.2f, 2.0f, 0.6f, 0.5f, 1.0f, 2.0f}},
#endif
    {&codebook_reference, {35.0f, 1.5f, 5.0f, 8.0f, 0.5f, 5.0f, 4.0f, 4.0f, 4.0f, 8.0f}},
};

float up(size_t x, size_t by) {
  return static_cast<float>((x + by - 1) / by);
}

// `work` split over threads, the widening of the entries not.
float total(const CostShape& s, const CostConstants& c, float work) {
  return static_cast<float>(s.groups) * work / static_cast<float>(s.threads) +
         static_cast<float>(s.entries) * up(s.dim, 4) * c.widen;
}

}  // namespace

const CostConstants& cost_constants(const Kit* kit) {
  for (const Row& row : kRows)
    if (row.kit == kit) return row.constants;
  return kRows[sizeof kRows / sizeof kRows[0] - 1].constants;
}

float decode_cost_ns(const CostShape& s, const Kernel<const Kit>& row, const CostConstants& c) {
  const float panels = up(s.outputs, row.tile.n), inputs = static_cast<float>(s.inputs);
  const float codes = static_cast<float>(s.blocks) * panels * static_cast<float>(row.tile.n) *
                      static_cast<float>(s.books);
  // A tile of few rows still loads all of the panel.
  const float height = static_cast<float>(s.rows) / static_cast<float>(row.tile.m);
  const float tiles = height < 0.3f ? 0.3f : height;
  const float rows = static_cast<float>(s.rows);
  return total(s, c,
               tiles * panels * inputs * c.step + codes * (c.code + up(s.dim, 4) * c.four) +
                   rows * static_cast<float>(s.outputs) * c.output +
                   (s.gathers ? rows * inputs * c.gather : 0.0f));
}

float dot_cost_ns(const CostShape& s, const Kernel<const Kit>&, const CostConstants& c) {
  const float codes = static_cast<float>(s.blocks) * static_cast<float>(s.outputs) *
                      static_cast<float>(s.books) * static_cast<float>(s.rows);
  return total(s, c, codes * (c.dot + up(s.dim, 4) * c.quad));
}

float lookup_cost_ns(const CostShape& s, const Kernel<const Kit>& row, const CostConstants& c) {
  const float tables = static_cast<float>(s.blocks) * static_cast<float>(s.books);
  const float count = static_cast<float>(size_t{1} << s.bits);
  const float table = count * static_cast<float>(s.dim) * c.build;
  const float lookups = static_cast<float>(s.outputs) * c.lookup;
  const float store = static_cast<float>(s.rows) * static_cast<float>(s.outputs) * c.output;
  return total(s, c, up(s.rows, row.run->lanes) * tables * (table + lookups) + store);
}

}  // namespace qrt::kernels::codebook

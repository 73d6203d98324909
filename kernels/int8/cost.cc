#include "kernels/int8/cost.h"

namespace qrt::kernels::int8 {
namespace {

// Nanoseconds, one thread. x86: AMD EPYC (Zen 4), lower quartiles of 15 and more rounds of layers
// through the operators, pinned to a core of a busy machine, and solved for pairs that differ in
// one term: 1x1 layers of 64 and 1024 inputs (output, step), panels made and kept (weight, code,
// four), 3x3 and 1x1 (gather), classifiers (dot). The reference likewise; NEON was not measured on
// hardware: instruction counts times 0.5 ns; they rank only.
struct Row {
  const Kit* kit;
  CostConstants constants;
};

constexpr Row kRows[] = {
#if QRT_BUILT_x86_avx512vnni
    {&int8_avx512vnni,
     {8.0f, 0.12f, 0.035f, 0.058f, 0.2f, 0.15f, 0.3f, 0.0157f, 2.0f, 0.37f, 0.006f, 0.02f, 0.1f}},
#endif
#if QRT_BUILT_x86_avx512
    {&int8_avx512,
     {11.3f, 0.14f, 0.035f, 0.07f, 0.2f, 0.22f, 0.3f, 0.02f, 2.0f, 0.36f, 0.045f, 0.03f, 0.1f}},
#endif
#if QRT_BUILT_x86_avx2
    {&int8_avx2,
     {3.16f, 0.25f, 0.035f, 0.055f, 0.25f, 0.18f, 0.5f, 0.027f, 3.0f, 0.38f, 0.06f, 0.04f, 0.12f}},
#endif
#if QRT_BUILT_arm_neondot
    {&int8_neondot,
     {10.0f, 0.3f, 0.1f, 0.3f, 1.5f, 1.0f, 2.0f, 0.1f, 5.0f, 2.0f, 0.6f, 0.1f, 1.0f}},
#endif
#if QRT_BUILT_arm_neon
    {&int8_neon, {16.0f, 0.3f, 0.1f, 0.3f, 1.5f, 1.0f, 2.0f, 0.2f, 5.0f, 2.0f, 1.0f, 0.2f, 1.0f}},
#endif
    {&int8_reference,
     {55.0f, 2.0f, 0.1f, 0.7f, 60.0f, 25.0f, 8.0f, 0.3f, 5.0f, 20.0f, 6.0f, 1.0f, 3.0f}},
};

float up(size_t x, size_t by) {
  return static_cast<float>((x + by - 1) / by);
}

float of(size_t x) {
  return static_cast<float>(x);
}

// The products, and what becomes of their sums. A tile of few rows still loads all of the panel.
float multiply_ns(const CostShape& s, const Kernel<const Kit>& row, const CostConstants& c) {
  const float height = of(s.rows) / of(row.tile.m), tiles = height < 0.3f ? 0.3f : height;
  return tiles * up(s.outputs, row.tile.n) * up(s.inputs, kStep) * s.inside * c.step +
         of(s.rows) * of(s.outputs) * c.output +
         (s.gathers ? of(s.rows) * of(s.inputs) * c.gather : 0.0f);
}

// Panels are whole, however few outputs are left for the last.
float columns(const CostShape& s, const Kernel<const Kit>& row) {
  return up(s.outputs, row.tile.n) * of(row.tile.n);
}

}  // namespace

const CostConstants& cost_constants(const Kit* kit) {
  for (const Row& row : kRows)
    if (row.kit == kit) return row.constants;
  return kRows[sizeof kRows / sizeof kRows[0] - 1].constants;
}

float resident_cost_ns(const CostShape& s, const Kernel<const Kit>& row, const CostConstants& c) {
  return of(s.groups) * multiply_ns(s, row, c);
}

float dense_cost_ns(const CostShape& s, const Kernel<const Kit>& row, const CostConstants& c) {
  return of(s.groups) * (multiply_ns(s, row, c) + columns(s, row) * of(s.inputs) * c.weight);
}

float decode_cost_ns(const CostShape& s, const Kernel<const Kit>& row, const CostConstants& c) {
  const float codes = of(s.blocks) * columns(s, row) * of(s.books);
  return of(s.groups) * (multiply_ns(s, row, c) + codes * (c.code + up(s.dim, 4) * c.four)) +
         of(s.entries) * up(s.dim, 4) * c.entry;
}

float dot_cost_ns(const CostShape& s, const Kernel<const Kit>&, const CostConstants& c) {
  return of(s.groups) * of(s.rows) * of(s.outputs) * (of(s.inputs) * c.dot + c.single);
}

float coded_dot_cost_ns(const CostShape& s, const Kernel<const Kit>&, const CostConstants& c) {
  const float codes = of(s.groups) * of(s.blocks) * of(s.outputs) * of(s.books);
  // Blocks that are no whole steps become rows first, at about 14 codes per input.
  const float each = s.dim % kStep == 0 ? 1.0f : 14.0f * of(s.dim);
  return codes * (up(s.rows, kMaxDotRows) * each * c.named + of(s.rows) * up(s.dim, 4) * c.quad) +
         of(s.groups) * of(s.rows) * of(s.outputs) * c.single +
         of(s.entries) * up(s.dim, 4) * c.entry;
}

float depthwise_cost_ns(const CostShape& s, const Kernel<const Kit>&, const CostConstants& c) {
  return of(s.rows) * of(s.groups) * (of(s.inputs) * c.tap + c.channel) +
         of(s.entries) * up(s.dim, 4) * c.entry;
}

}  // namespace qrt::kernels::int8

#include "kernels/shift/cost.h"

namespace qrt::kernels::shift {
namespace {

struct Constants {
  const Way* way;
  CostConstants constants;
};

// x86: AMD EPYC (Zen 4), `calibrate --family shift`, one pinned core of a busy machine; constants
// that a solution leaves out (0) do not show beside the others. NEON and plain code were not
// measured on hardware: instruction counts of README.md times 0.5 ns; they rank only. Parts: layers
// of 1 and 196 rows with and without groups of 32, `kernels_bench --set esb`.
constexpr Constants kConstants[] = {
#if QRT_BUILT_x86_avx512vnni
    {&decode_avx512vnni, {0.088f, 0, 0.4f, 0, 0}},
    {&dot_avx512vnni, {0, 0.0072f, 0.43f, 4.9f, 0}},
#endif
#if QRT_BUILT_x86_avx512
    {&decode_avx512, {0.128f, 0, 0.45f, 0, 0}},
    {&dot_avx512, {0, 0.0089f, 0.45f, 5.9f, 5.5f}},
    {&shift_avx512, {5.65f, 0.084f, 0, 1.0f, 0.1f}},
    {&grouped_avx512, {3.7f, 1.41f, 10.9f, 0.3f, 0.1f}},
#endif
#if QRT_BUILT_x86_avx2
    {&decode_avx2, {0.117f, 0, 0.5f, 0, 0}},
    {&dot_avx2, {0, 0.0128f, 0.54f, 3.8f, 0}},
    {&shift_avx2, {4.8f, 0.142f, 0, 1.7f, 0.55f}},
    {&grouped_avx2, {4.1f, 1.55f, 15.5f, 0.3f, 0.1f}},
#endif
#if QRT_BUILT_arm_neondot
    {&decode_neondot, {0.3f, 0, 1.0f, 0, 0}},
    {&dot_neondot, {0, 0.03f, 2.0f, 5.0f, 2.0f}},
#endif
#if QRT_BUILT_arm_neon
    {&decode_neon, {0.3f, 0, 1.0f, 0, 0}},
    {&dot_neon, {0, 0.06f, 2.0f, 5.0f, 2.0f}},
    {&shift_neon, {8.0f, 1.1f, 0, 2.0f, 1.5f}},
    {&grouped_neon, {8.0f, 6.0f, 40.0f, 2.0f, 1.5f}},
#endif
    {&grouped_portable, {8.0f, 8.0f, 60.0f, 2.0f, 1.5f}},
    {&shift_reference, {0, 16.0f, 0, 10.0f, 0}},
};

float up(size_t x, size_t by) {
  return static_cast<float>((x + by - 1) / by);
}

float of(size_t x) {
  return static_cast<float>(x);
}

// Terms of a code, all codes alike, and how many of them are not zero.
struct Terms {
  float digits = 0, live = 0, magnitudes = 0;
};
Terms terms_of(const Plan& p) {
  Terms t;
  const uint32_t codes = 1u << p.bits;
  for (uint32_t c = 0; c < codes; ++c) {
    t.digits += of(p.terms[c]) / of(codes);
    t.live += p.terms[c] != 0 ? 1 / of(codes) : 0;
  }
  t.magnitudes = of(codes) * t.live / 2;
  return t;
}

// Sums that lie in memory between segments: of two planes, and where groups have scales.
float segments_of(const CostShape& s, const Plan& p) {
  if (s.scale_group == 0 && !p.two_planes) return 0;
  constexpr size_t kExact = 512;
  const size_t each = s.scale_group == 0 || s.scale_group > kExact ? kExact : s.scale_group;
  return up(s.inputs, each);
}

// A panel of its own for every segment costs as much as adding up sums of so many rows.
constexpr float kPanelRows = 8;

float decode_ns(const CostShape& s, const Plan& p, const Kernel<const int8::Kit>& kit,
                const CostConstants& c) {
  int8::CostShape dense{};
  dense.rows = s.rows, dense.outputs = s.outputs, dense.inputs = s.inputs, dense.groups = 1;
  const float planes = p.two_planes ? 2 : 1, whole = up(s.outputs, kit.tile.n) * of(kit.tile.n);
  return planes *
             (int8::resident_cost_ns(dense, kit) + of(s.chunks) * whole * of(s.inputs) * c.weight +
              (of(s.rows) + kPanelRows) * of(s.outputs) * segments_of(s, p) * c.part) +
         of(s.rows) * of(s.outputs) * c.output;
}

// What is done with a vector of codes, counted: spreading those that are no halves or whole bytes,
// lookups that grow with the table, products with x and with ones.
float dot_steps(const Plan& p) {
  const float tables = p.bits <= 4 ? 1 : of(size_t{1} << (p.bits - 4));
  const bool halves = p.bits == 4, bytes = p.bits == 8;
  const float spread = halves ? 0.5f : bytes ? 0 : 3, planes = p.two_planes ? 2 : 1;
  return spread + planes * (2 * tables - 1 + (halves && !p.two_planes ? 1 : 2));
}

float dot_ns(const CostShape& s, const Plan& p, const CostConstants& c) {
  const float groups = s.scale_group == 0 ? 0 : up(s.inputs, s.scale_group);
  return of(s.rows) * of(s.outputs) *
         (dot_steps(p) * of(s.inputs) * c.product + groups * c.part + c.output);
}

float grouped_ns(const CostShape& s, const Plan& p, const CostConstants& c) {
  constexpr size_t kRows = 64, kChunk = 256;
  const Terms t = terms_of(p);
  const bool by_digits = t.magnitudes > 24;
  const float lists = by_digits ? of(p.most_shift) + 1 : t.magnitudes;
  const size_t chunk = s.scale_group == 0 || s.scale_group > kChunk ? kChunk : s.scale_group;
  return of(s.outputs) *
         (of(s.chunks) * of(s.inputs) * c.weight +
          up(s.rows, kRows) * (of(s.inputs) * (by_digits ? t.digits : t.live) * c.product +
                               up(s.inputs, chunk) * lists * c.part) +
          of(s.rows) * c.output);
}

float shift_ns(const CostShape& s, const Plan& p, const Way& way, const CostConstants& c) {
  const float whole = up(s.outputs, way.unit) * of(way.unit), terms = of(p.most_terms);
  return whole * of(s.inputs) * terms * (of(s.chunks) * c.weight + up(s.rows, 4) * c.product) +
         of(s.rows) * of(s.outputs) * c.output;
}

}  // namespace

const CostConstants& cost_constants(const Way* way) {
  for (const Constants& row : kConstants)
    if (row.way == way) return row.constants;
  return kConstants[sizeof kConstants / sizeof kConstants[0] - 1].constants;
}

float cost_ns(const CostShape& s, const Plan& p, const Row& row, const Kernel<const int8::Kit>& kit,
              const CostConstants& c) {
  const float bytes = of(s.rows) * of(s.inputs);
  const float rows =
      bytes * c.stage + (s.gathers ? bytes * int8::cost_constants(kit.run).gather : 0);
  const float ns = row.kind == Kind::decode    ? decode_ns(s, p, kit, c)
                   : row.kind == Kind::dot     ? dot_ns(s, p, c)
                   : row.kind == Kind::grouped ? grouped_ns(s, p, c)
                                               : shift_ns(s, p, *row.way, c);
  return of(s.groups) * (ns + rows);
}

}  // namespace qrt::kernels::shift

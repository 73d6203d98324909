// Ways of the tables family for AVX2.
//
// lanes: lines of 32 and 16 rows. Four outputs are 8 registers of sums of 16; two entries of a
// table 8 sums, 4 of weights, 2 of x.
#include <immintrin.h>

#include "kernels/tables/generic_ways.h"

namespace qrt::kernels::tables {
namespace {

#include "kernels/tables/x86_dots.inc"
QRT_REGISTER(256, 16, __m256i, _mm256, si256)
QRT_REGISTER(128, 16, __m128i, _mm, si128)
#include "kernels/tables/x86_narrow.inc"

using Wide = Lanes<Lines<Ymm, 2>, Lines<Ymm, 1>, Lines<Xmm, 1>>;

constexpr OutputsCost kOutputsCost = {0.5f, 0.4f, 0.7f, 0.34f, 0.1f};
// AMD EPYC (Zen 4) at 3 GHz; for lines of 64, 32 and 16 rows.
constexpr LanesCost kLanesCost[] = {{1.2f, 2.8f, 0.6f, 0.65f, 0.75f, 0.04f, 0.15f, 0.6f},
                                    {0.6f, 2.0f, 0.33f, 0.35f, 0.45f, 0.07f, 0.15f, 0.6f},
                                    {0.6f, 1.0f, 0.25f, 0.3f, 0.4f, 0.07f, 0.2f, 0.6f}};
float lanes_cost_ns(const Shape& s) {
  return Wide::cost_ns(s, kLanesCost, kOutputsCost);
}

float outputs_cost_ns(const Shape& s) {
  return Outputs<Ymm>::cost_ns(s, kOutputsCost);
}

}  // namespace

const Way lanes_avx2 = {64, kChunk, Wide::scratch, lanes_cost_ns, Wide::run};
const Way outputs_avx2 = {64, Outputs<Ymm>::kUnit, Outputs<Ymm>::scratch, outputs_cost_ns,
                          Outputs<Ymm>::run};

}  // namespace qrt::kernels::tables

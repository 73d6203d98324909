// Ways of the tables family for AVX-512 without VNNI.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/tables/generic_planes.h"
#include "kernels/tables/generic_registers.h"
#include "kernels/tables/generic_ways.h"

namespace qrt::kernels::tables {
namespace {

#include "kernels/tables/x86_dots.inc"
QRT_REGISTER(512, 32, __m512i, _mm512, si512)
QRT_REGISTER(256, 32, __m256i, _mm256, si256)
QRT_REGISTER(128, 32, __m128i, _mm, si128)
#include "kernels/tables/x86_widths.inc"

// Behind the vectors that it adds to.
#include "kernels/tables/x86_bytes.inc"

using Wide = Lanes<Lines<Zmm, 1>, Lines<Ymm, 1>, Lines<Xmm, 1>>;

constexpr OutputsCost kOutputsCost = {2.0f, 0.8f, 1.0f, 0.5f, 0.3f};
// As in x86_avx512vnni.cc, but for the inner products.
constexpr LanesCost kLanesCost[] = {{0.9f, 3.0f, 0.45f, 0.55f, 0.75f, 0.07f, 0.19f, 0.6f},
                                    {0.6f, 1.3f, 0.3f, 0.35f, 0.45f, 0.07f, 0.2f, 0.6f},
                                    {0.6f, 1.0f, 0.25f, 0.3f, 0.4f, 0.07f, 0.25f, 0.6f}};
float lanes_cost_ns(const Shape& s) {
  return Wide::cost_ns(s, kLanesCost, kOutputsCost);
}

float outputs_cost_ns(const Shape& s) {
  return Outputs<Zmm>::cost_ns(s, kOutputsCost);
}

constexpr RegistersCost kRegistersCost = {4.0f, 1.5f, 1.0f, 1.6f, 2.2f, 1.0f, 0.3f};
float registers_cost_ns(const Shape& s) {
  return Registers<Zmm>::cost_ns(s, kRegistersCost);
}

constexpr BytesCost kBytesCost = {2.2f, 1.5f, 1.2f, 0.9f, 2.4f, 2.5f, 2.4f, 0.25f};
float bytes_cost_ns(const Shape& s) {
  return Shuffled<Paired>::cost_ns(s, kBytesCost);
}

constexpr PlanesCost kPlanesCost = {7.0f, 1.2f, 2.0f, 1.6f, 6.5f, 6.7f, 7.2f, 0.25f};
float planes_cost_ns(const Shape& s) {
  return Planes<Paired>::cost_ns(s, kPlanesCost);
}

}  // namespace

const Way bytes_avx512 = {64, Shuffled<Paired>::kUnit, Shuffled<Paired>::scratch, bytes_cost_ns,
                          Shuffled<Paired>::run};
const Way planes_avx512 = {kPlanesRows, Shuffled<Paired>::kUnit, Planes<Paired>::scratch,
                           planes_cost_ns, Planes<Paired>::run};
const Way lanes_avx512 = {64, kChunk, Wide::scratch, lanes_cost_ns, Wide::run};
const Way outputs_avx512 = {64, Outputs<Zmm>::kUnit, Outputs<Zmm>::scratch, outputs_cost_ns,
                            Outputs<Zmm>::run};
const Way registers_avx512 = {kRegisterRows, kWide, Registers<Zmm>::scratch, registers_cost_ns,
                              Registers<Zmm>::run};

}  // namespace qrt::kernels::tables

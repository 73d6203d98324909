// Ways of the tables family for AVX-512 with VNNI: inner products by vpdpbusd.
//
// lanes: lines of 64, 32 and 16 rows. Eight outputs are 16 registers of sums; an entry of a table
// of bytes is 4 vpdpbusd per dword and 7 instructions that pack.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/tables/generic_registers.h"
#include "kernels/tables/generic_ways.h"

namespace qrt::kernels::tables {
namespace {

template <size_t kBits>
struct Register;

// x as bytes; the four weights of an entry as they lie in the file.
template <size_t kBits>
struct Dots {
  using Vec = typename Register<kBits>::Vec;
  using Sum = Vec;
  using X = Vec;
  using W = Vec;
  static constexpr size_t kXBytes = kBits / 8, kWBytes = 4, kEntries = 4, kUnroll = 8;
  static constexpr int32_t kOffset = 0;
  static Sum start(int32_t x) { return Register<kBits>::dup(x); }
  static void put_x(uint8_t* to, X x) { std::memcpy(to, &x, sizeof x); }
  static X load_x(const uint8_t* p) {
    X x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  static W load_w(const uint8_t* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return Register<kBits>::dup(four);
  }
  static void put_w(uint8_t*, const int8_t*) {}
  static Sum mac(Sum s, X x, W w) { return Register<kBits>::dot(s, x, w); }
  // Entries in lanes: W is of x, X of the entries.
  static void put_e(uint8_t* to, Vec e) { put_x(to, e); }
  static Sum start_e(const int32_t* p) {
    Sum s;
    std::memcpy(&s, p, sizeof s);
    return s;
  }
  static W dup_x(const uint8_t* p) { return load_w(p); }
  static Sum mac_e(Sum s, X e, W x) { return Register<kBits>::dot(s, x, e); }
  static Vec total(Sum s) { return s; }
};

template <>
struct Register<512> {
  using Vec = __m512i;
  static Vec dup(int32_t x) { return _mm512_set1_epi32(x); }
  static Vec dot(Vec s, Vec x, Vec w) { return _mm512_dpbusd_epi32(s, x, w); }
};
template <>
struct Register<256> {
  using Vec = __m256i;
  static Vec dup(int32_t x) { return _mm256_set1_epi32(x); }
  static Vec dot(Vec s, Vec x, Vec w) { return _mm256_dpbusd_epi32(s, x, w); }
};
template <>
struct Register<128> {
  using Vec = __m128i;
  static Vec dup(int32_t x) { return _mm_set1_epi32(x); }
  static Vec dot(Vec s, Vec x, Vec w) { return _mm_dpbusd_epi32(s, x, w); }
};

#include "kernels/tables/x86_widths.inc"

using Wide = Lanes<Zmm, Ymm, Xmm>;

constexpr OutputsCost kOutputsCost = {2.0f, 0.3f, 1.0f, 0.5f, 0.3f};
// AMD EPYC (Zen 4) at 3 GHz, one busy core; for lines of 64, 32 and 16 rows.
constexpr LanesCost kLanesCost[] = {{0.9f, 1.4f, 0.45f, 0.55f, 0.7f, 0.07f, 0.19f},
                                    {0.6f, 0.7f, 0.3f, 0.35f, 0.7f, 0.07f, 0.2f},
                                    {0.6f, 0.6f, 0.25f, 0.3f, 0.65f, 0.07f, 0.25f}};
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

}  // namespace

const Way lanes_avx512vnni = {64, kChunk, Wide::scratch, lanes_cost_ns, Wide::run};
const Way outputs_avx512vnni = {64, Outputs<Zmm>::kUnit, Outputs<Zmm>::scratch, outputs_cost_ns,
                                Outputs<Zmm>::run};
const Way registers_avx512vnni = {kRegisterRows, kWide, Registers<Zmm>::scratch, registers_cost_ns,
                                  Registers<Zmm>::run};

}  // namespace qrt::kernels::tables

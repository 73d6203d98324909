// The way `bytes` of the tables family for AVX-512 with VNNI and VBMI: vpermb and vpermi2b read 6
// and 7 bits of an index and pass over the others.
//
// 256 entries: a pass of 4 blocks holds 16 registers of tables, 2 of sums; 64 lookups are 2
// vpermi2b, vpmovb2m, a blend, 2 additions and a shift. Zen 4 starts two instructions of 512 bits a
// cycle: 3.5 cycles; 4.4 measured, whichever of them does the work of the shift or the blend.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/tables/generic_planes.h"

namespace qrt::kernels::tables {
namespace {

#include "kernels/tables/x86_vnni_dots.inc"
#include "kernels/tables/x86_widths.inc"

// Behind the vectors that it adds to.
#include "kernels/tables/x86_bytes.inc"

struct Vbmi : Shuffled512 {
  // ---- codes ----

  // Eight codes of `bits` bits, the first of which starts `offset` bits into its byte, end within 8
  // bytes: these are brought together, and each byte takes the 8 bits from its code's first one on.
  struct Spread {
    Vec bytes, shifts;
  };
  static Spread spread_of(size_t offset, size_t bits) {
    alignas(64) uint8_t bytes[kBytes], shifts[kBytes];
    for (size_t i = 0; i < kBytes; ++i) {
      bytes[i] = static_cast<uint8_t>(i / 8 * bits + i % 8);
      shifts[i] = static_cast<uint8_t>((offset + i % 8 * bits) % 64);
    }
    return {load(bytes), load(shifts)};
  }
  static Vec spread(const Spread& s, const uint8_t* p) {
    return _mm512_multishift_epi64_epi8(s.shifts, _mm512_permutexvar_epi8(s.bytes, loadu(p)));
  }
  static Vec high_nibbles(Vec codes) { return _mm512_srli_epi16(codes, 4); }

  // ---- tables in registers ----

  static constexpr size_t entry_at(size_t place, size_t) { return place; }
  static Vec pick16(Vec table, Vec codes) { return pick64(table, codes); }
  static Vec pick64(Vec table, Vec codes) { return _mm512_permutexvar_epi8(codes, table); }
  static Vec pick128(const Vec* t, Vec codes) {
    return _mm512_permutex2var_epi8(t[0], codes, t[1]);
  }
  static Vec pick256(const Vec* t, Vec codes) {
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), pick128(t, codes),
                                  pick128(t + 2, codes));
  }
};

// AMD EPYC (Zen 4) at 3.7 GHz, one busy core.
constexpr BytesCost kBytesCost = {2.2f, 0.75f, 1.2f, 0.8f, 1.15f, 1.2f, 1.2f, 0.25f};
float bytes_cost_ns(const Shape& s) {
  return Shuffled<Vbmi>::cost_ns(s, kBytesCost);
}

constexpr PlanesCost kPlanesCost = {7.0f, 0.4f, 2.0f, 1.5f, 2.1f, 2.3f, 2.85f, 0.25f};
float planes_cost_ns(const Shape& s) {
  return Planes<Vbmi>::cost_ns(s, kPlanesCost);
}

}  // namespace

const Way bytes_avx512vbmi = {64, Shuffled<Vbmi>::kUnit, Shuffled<Vbmi>::scratch, bytes_cost_ns,
                              Shuffled<Vbmi>::run};
const Way planes_avx512vbmi = {kPlanesRows, Shuffled<Vbmi>::kUnit, Planes<Vbmi>::scratch,
                               planes_cost_ns, Planes<Vbmi>::run};

}  // namespace qrt::kernels::tables

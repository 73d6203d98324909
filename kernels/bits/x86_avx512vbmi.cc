// One row of bits, or a few, with AVX-512 VPOPCNTDQ, which every CPU has that has VNNI and VBMI: a
// comparison, a count and an addition for 512 products.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/bits/generic_lines.h"

namespace qrt::kernels::bits {
namespace {

#include "kernels/bits/x86_wide.inc"

struct Counts : V512Base {
  static constexpr bool kCounts = true, kCarrySave = false, kFolds = false;
  static Vec pop64(Vec a) { return _mm512_popcnt_epi64(a); }
};

using Line = Lines<Counts>;

// AMD EPYC (Zen 4).
float lines_ns(const Shape& s) {
  return lines_cost_ns<Counts>(s, {36.0f, 3.4f, 4.5f, 0.1f});
}

}  // namespace

const Way bits_avx512vbmi_lines = {64,       1,          Line::kept, Line::scratch,
                                   lines_ns, Line::pack, Line::run};

}  // namespace qrt::kernels::bits

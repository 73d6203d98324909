// The lowbit kit for AVX-512 with VBMI (and VNNI, as every such CPU has it): vpermb looks up 64
// codes in 64 integers and takes no notice of the bits above an index, so codes with a map need no
// mask. Codes of 3 and 5 to 8 bits are spread to bytes by vpermb and vpmultishiftqb: eight codes
// are at most eight bytes and begin on one.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "kernels/lowbit/generic_dot.h"

namespace qrt::kernels::lowbit {
namespace {

#include "kernels/lowbit/avx512.inc"
#include "kernels/lowbit/avx512vnni.inc"
#include "kernels/lowbit/x86.inc"

struct Vbmi : Vnni<1> {
  static Vec index(Vec v) { return v; }
  static Vec look_up(Vec table, Vec i) { return _mm512_permutexvar_epi8(i, table); }
};

// Codes of four trits come from one table.
struct TritTable81 {
  alignas(64) uint8_t codes[128];
  constexpr TritTable81() : codes{} {
    for (unsigned i = 0; i < 81; ++i)
      codes[i] = static_cast<uint8_t>(kTwoTrits[i % 9] | kUpperTrits[i / 9]);
  }
};
constexpr TritTable81 kTritTable81;
struct VbmiTrits : Vnni<1> {
  static constexpr uint32_t kFifth = 81;
  static void trits(Vec b, Vec* codes, Vec* fifth) {
    const Vec rest = less_twice<Avx512>(b, 81);
    *fifth = sub8(b, rest);
    *codes =
        _mm512_permutex2var_epi8(load(kTritTable81.codes), rest, load(kTritTable81.codes + 64));
  }
  static Long times(Long v, uint32_t factor) {
    return _mm512_mullo_epi32(v, _mm512_set1_epi32(static_cast<int>(factor)));
  }
};

// 64 codes at a time. Factors are v(code) + 128 or code ^ flip: unsigned. kTables of 64 bytes hold
// those of all codes; 3 stands for the four of 8 bits, whose bytes need no spreading.
template <int kTables>
struct SpreadLoop {
  using V = Vbmi;
  using Vec = __m512i;
  static constexpr int kOutputs = 4;
  static constexpr size_t kSpan = 64;  // codes, bytes of x

  struct Constants {
    Vec bytes, bits, table[4];
  };

  static Constants constants(const DotArgs& a) {
    alignas(64) uint8_t bytes[64], bits[64], factors[256];
    const uint32_t width = a.packed.bits;
    for (uint32_t i = 0; i < 64; ++i) {
      bytes[i] = static_cast<uint8_t>(i / 8 * width + i % 8);
      bits[i] = static_cast<uint8_t>(i % 8 * width);
    }
    for (uint32_t c = 0; c < 256; ++c) {
      const uint32_t code = c & ((1u << width) - 1u);
      factors[c] = static_cast<uint8_t>(a.map ? a.map[code] + 128 : code ^ a.flip);
    }
    Constants k{V::load(bytes), V::load(bits), {}};
    for (int t = 0; t < 4; ++t) k.table[t] = V::load(factors + 64 * t);
    return k;
  }

  static inline __attribute__((always_inline)) Vec factors(const Constants& k, Vec raw) {
    if constexpr (kTables < 3)
      raw = _mm512_multishift_epi64_epi8(k.bits, _mm512_permutexvar_epi8(k.bytes, raw));
    if constexpr (kTables == 1) return _mm512_permutexvar_epi8(raw, k.table[0]);
    const Vec low = _mm512_permutex2var_epi8(k.table[0], raw, k.table[1]);
    if constexpr (kTables == 2) return low;
    const Vec high = _mm512_permutex2var_epi8(k.table[2], raw, k.table[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(raw), low, high);
  }

#define QRT_EACH_OUTPUT _Pragma("GCC unroll 4") for (int o = 0; o < kOutputs; ++o)
  // `steps` spans of every row; a vector of 64 bytes is read for each.
  __attribute__((noinline)) static void many(const Constants& constants,
                                             const uint8_t* const (&rows)[kOutputs], size_t step,
                                             size_t steps, const int8_t* x, size_t ahead,
                                             Vec (&to)[kOutputs]) {
    const Constants k = constants;
    const uint8_t *p0 = rows[0], *p1 = rows[1], *p2 = rows[2], *p3 = rows[3];
    Vec sum[kOutputs];
    QRT_EACH_OUTPUT sum[o] = to[o];
    for (; steps != 0; --steps) {
      const uint8_t* const p[kOutputs] = {p0, p1, p2, p3};
      const Vec v = V::load(x);
      QRT_EACH_OUTPUT {
        __builtin_prefetch(p[o] + ahead, 0, 2);
        sum[o] = V::mac(sum[o], factors(k, V::load(p[o])), v);
      }
      p0 += step, p1 += step, p2 += step, p3 += step, x += kSpan;
    }
    QRT_EACH_OUTPUT to[o] = sum[o];
  }

  static void run(const DotArgs& a) {
    const Constants k = constants(a);
    const size_t step = 8 * a.packed.bits, steps = (a.inputs + kSpan - 1) / kSpan;
    const uint32_t less = a.map ? 128 : 0;
    Vec x_sums = V::zero();
    for (size_t s = 0; s < steps; ++s)
      x_sums = V::mac(x_sums, V::set1(1), V::load(a.x + s * kSpan));
    const uint32_t more = 0u - less * static_cast<uint32_t>(_mm512_reduce_add_epi32(x_sums));
    for (size_t n = 0; n < a.outputs; n += kOutputs) {
      const size_t left = a.outputs - n;
      const int live = left < kOutputs ? static_cast<int>(left) : kOutputs;
      const uint8_t* rows[kOutputs];
      for (int o = 0; o < kOutputs; ++o)
        rows[o] = a.packed.codes + (n + static_cast<size_t>(o < live ? o : 0)) * a.row_bytes;
      // The last row may end the codes: vectors that are all there first, then copies.
      const auto there = static_cast<size_t>(a.packed.end - rows[live - 1]);
      const size_t fit = there < 64 ? 0 : (there - 64) / step + 1;
      const size_t whole = fit < steps ? fit : steps;
      Vec total[kOutputs];
      QRT_EACH_OUTPUT total[o] = V::zero();
      many(k, rows, step, whole, a.x, 2 * kOutputs * a.row_bytes, total);
      for (size_t s = whole; s < steps; ++s) {
        uint8_t copies[kOutputs][64] = {};
        for (int o = 0; o < kOutputs; ++o) {
          const uint8_t* from = rows[o] + s * step;
          const auto some = static_cast<size_t>(a.packed.end - from);
          std::memcpy(copies[o], from, some < 64 ? some : 64);
        }
        const uint8_t* const p[kOutputs] = {copies[0], copies[1], copies[2], copies[3]};
        many(k, p, step, 1, a.x + s * kSpan, 0, total);
      }
      uint32_t sums[kOutputs];
      V::across(total, sums);
      for (int o = 0; o < live; ++o)
        a.sums[n + static_cast<size_t>(o)] = static_cast<int32_t>(sums[o] + more);
    }
  }
#undef QRT_EACH_OUTPUT
};

bool can_dot_vbmi(uint32_t bits, const int8_t* map) {
  return bits != kTrits || map == nullptr;
}

void dot_vbmi(const DotArgs& a) {
  const uint32_t bits = a.packed.bits;
  if (bits == kTrits)
    DotLoop<VbmiTrits, kTrits>::run(a);
  else if (bits == 1 || bits == 2 || bits == 4)
    a.map != nullptr ? mapped_dot<Vbmi>(a) : dot_vnni(a);
  else if (bits == 7)
    SpreadLoop<2>::run(a);
  else if (bits == 8)
    SpreadLoop<3>::run(a);
  else
    SpreadLoop<1>::run(a);
}

}  // namespace

const Kit lowbit_avx512vbmi = {unpack<X86>,  integers<X86>,  floats<X86>, Avx512::kBytes,
                               can_dot_vbmi, spread<Avx512>, dot_vbmi,    finish};

}  // namespace qrt::kernels::lowbit

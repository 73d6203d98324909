// The way of the bits family for NEON: CNT counts the ones of 16 bytes, so words are compared and
// counted; bit-sliced tables win nothing on 128 lanes without three-input logic.
//
// Tile 4 rows x 8 outputs (aarch64): 16 q of counts, 4 of weights, 1 of x, and per word of 64
// inputs 48 operations for 4 x 8 x 64 products. armv7 has half the registers and 2 rows.
#include <arm_neon.h>

#include "kernels/bits/generic_lines.h"

namespace qrt::kernels::bits {
namespace {

struct Neon {
  using Vec = uint8x16_t;
  static constexpr size_t kBytes = 16;
  static constexpr bool kCarrySave = false, kCounts = false, kFolds = false;
  static constexpr size_t kRun = 8;
#if defined(__aarch64__)
  static constexpr size_t kRows = 4;
#else
  static constexpr size_t kRows = 2;
#endif
  static Vec load(const uint8_t* p) {
    return vld1q_u8(p);
  }
  static Vec zero() {
    return vdupq_n_u8(0);
  }
  static Vec set64(uint64_t x) {
    return vreinterpretq_u8_u64(vdupq_n_u64(x));
  }
  static Vec xor2(Vec a, Vec b) {
    return veorq_u8(a, b);
  }
  static Vec add8(Vec a, Vec b) {
    return vaddq_u8(a, b);
  }
  static Vec pop8(Vec v) {
    return vcntq_u8(v);
  }
  static Vec sad(Vec v) {
    return vreinterpretq_u8_u64(vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(v))));
  }
  static Vec load_words(const uint64_t* p) {
    return vreinterpretq_u8_u64(vld1q_u64(p));
  }
  static Vec load_few(const uint64_t* p, size_t) {
    return vreinterpretq_u8_u64(vcombine_u64(vld1_u64(p), vcreate_u64(0)));
  }
  static Vec add64(Vec a, Vec b) {
    return vreinterpretq_u8_u64(vaddq_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)));
  }
  static Vec across(const Vec (&s)[2]) {
    const uint64x2_t a = vreinterpretq_u64_u8(s[0]), b = vreinterpretq_u64_u8(s[1]);
    return vreinterpretq_u8_u64(vcombine_u64(vadd_u64(vget_low_u64(a), vget_high_u64(a)),
                                             vadd_u64(vget_low_u64(b), vget_high_u64(b))));
  }
  static void add_counts(int32_t* to, Vec v, int shift) {
    const int32x2_t add = vreinterpret_s32_u32(vmovn_u64(vreinterpretq_u64_u8(v)));
    vst1_s32(to, vadd_s32(vld1_s32(to), vshl_s32(add, vdup_n_s32(shift))));
  }
  static uint64_t less64(const int32_t* a, const int32_t* b) {
    constexpr uint8_t kBit[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x8_t bit = vld1_u8(kBit);
    uint64_t bits = 0;
    for (int i = 0; i < 64; i += 8) {
      const uint16x4_t lo = vmovn_u32(vcltq_s32(vld1q_s32(a + i), vld1q_s32(b + i)));
      const uint16x4_t hi = vmovn_u32(vcltq_s32(vld1q_s32(a + i + 4), vld1q_s32(b + i + 4)));
      uint8x8_t byte = vand_u8(vmovn_u16(vcombine_u16(lo, hi)), bit);
      byte = vpadd_u8(byte, byte), byte = vpadd_u8(byte, byte), byte = vpadd_u8(byte, byte);
      bits |= uint64_t{vget_lane_u8(byte, 0)} << i;
    }
    return bits;
  }
};

using Word = Words<Neon>;
using Line = Lines<Neon>;

// Estimated, not measured: 85 products per cycle at 2 GHz, and as much as x86 for an output.
float words_ns(const Shape& s) {
  return words_cost_ns<Neon>(s, {6.0f, 0.75f, 2.0f, 0.5f});
}
float lines_ns(const Shape& s) {
  return lines_cost_ns<Neon>(s, {16.0f, 3.0f, 6.0f, 0.5f});
}

}  // namespace

const Way bits_neon_words = {64, 4, Word::kept, Word::scratch, words_ns, Word::pack, Word::run};
const Way bits_neon_lines = {64, 1, Line::kept, Line::scratch, lines_ns, Line::pack, Line::run};

}  // namespace qrt::kernels::bits

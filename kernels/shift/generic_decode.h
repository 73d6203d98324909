// Decoding: bytes of a tile of outputs become panels of a kit of the int8 family, whose gemm does
// the rest. Integers beyond a byte are two planes, 256 * high + low, multiplied one after the
// other.
//
// A kit's gemm gives floats. Sums of kExact inputs are exact there: 512 * 255 * 128 < 2^24; so two
// planes and groups go segment by segment of at most that, and are added up as integers.
#ifndef QRT_KERNELS_SHIFT_GENERIC_DECODE_H_
#define QRT_KERNELS_SHIFT_GENERIC_DECODE_H_

#include "kernels/shift/generic_codes.h"

namespace qrt::kernels::shift {
namespace {

constexpr size_t kExact = 512, kBlockRows = 64;

// Kit: int8_kit(), a function that gives the kit, and kTileN, its tile's columns.
template <class V, class K>
struct Decode {
  static constexpr size_t kTileN = K::kTileN;

  struct Layout {
    size_t stride, low, high, spare, panel, tables, block, sums, floats, end;
  };
  static Layout layout(const Plan& p, const Shape& s) {
    const bool direct = !p.two_planes && s.group == 0;
    Carve c;
    Layout l;
    l.stride = up_to(s.inputs, V::kBytes);
    l.low = c.take(kTileN * l.stride);
    l.high = c.take(p.two_planes ? kTileN * l.stride : 0);
    l.spare = c.take(l.stride);
    l.panel = c.take(int8::panel_bytes(K::kit(), direct ? s.inputs : least(s.inputs, kExact)));
    l.tables = c.take(sizeof(Tables<V>));
    l.block = c.take(direct ? 0 : kBlockRows * kTileN * 4);
    l.sums = c.take(direct ? 0 : s.rows * kTileN * 4);
    l.floats = c.take(s.group == 0 ? 0 : s.rows * kTileN * 4);
    l.end = c.end;
    return l;
  }
  static size_t scratch(const Plan& p, const Shape& s) { return s.wide_x ? 0 : layout(p, s).end; }

  static void run(const Args& a) {
    if (a.outputs == 0 || a.rows == 0) return;
    const Layout at = layout(*a.plan, shape_of(a));
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    Tables<V>* tables = reinterpret_cast<Tables<V>*>(base + at.tables);
    *tables = Tables<V>(*a.plan);
    for (size_t n = 0; n < a.outputs; n += kTileN) {
      const size_t outputs = least(kTileN, a.outputs - n);
      int8_t* low = reinterpret_cast<int8_t*>(base + at.low);
      int8_t* high = a.plan->two_planes ? reinterpret_cast<int8_t*>(base + at.high) : nullptr;
      for (size_t i = 0; i < outputs; ++i)
        Decoder<V>::weights(a, n + i, *tables, low + i * at.stride,
                            high ? high + i * at.stride : nullptr,
                            reinterpret_cast<int8_t*>(base + at.spare));
      if (high == nullptr && a.group == 0)
        direct(a, n, outputs, low, at.stride, base + at.panel);
      else
        by_segments(a, n, outputs, at);
    }
  }

  static int8::Finish finish_at(const int8::Finish& all, size_t n) {
    int8::Finish f = all;
    if (f.scale) f.scale += n;
    if (f.bias) f.bias += n;
    if (f.residual) f.residual += n;
    return f;
  }

  static void direct(const Args& a, size_t n, size_t outputs, const int8_t* rows, size_t stride,
                     void* panel) {
    K::kit().panel({rows, stride, outputs, a.inputs, panel});
    int8::GemmArgs g{};
    g.rows = a.rows, g.inputs = a.inputs, g.outputs = outputs;
    g.x = a.x, g.x_stride = a.x_stride, g.x_zero = a.x_zero, g.panel = panel;
    g.y8 = a.y8 ? a.y8 + n : nullptr, g.y32 = a.y32 ? a.y32 + n : nullptr;
    g.y_stride = a.y_stride, g.finish = finish_at(a.finish, n);
    K::kit().gemm(g);
  }

  // sums += factor * (x times the segment's weights of one plane), modulo 2^32 as both planes'
  // sums may be larger than what they add up to.
  static void add_plane(const Args& a, const Layout& at, const Segment& s, size_t outputs,
                        const int8_t* rows, uint32_t factor) {
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    float* block = reinterpret_cast<float*>(base + at.block);
    K::kit().panel({rows + s.first, at.stride, outputs, s.count, base + at.panel});
    for (size_t r = 0; r < a.rows; r += kBlockRows) {
      int8::GemmArgs g{};
      g.rows = least(kBlockRows, a.rows - r), g.inputs = s.count, g.outputs = outputs;
      g.x = a.x + r * a.x_stride + s.first, g.x_stride = a.x_stride, g.x_zero = a.x_zero;
      g.panel = base + at.panel, g.y32 = block, g.y_stride = kTileN;
      g.finish.min = -16777216.0f, g.finish.max = 16777216.0f;
      K::kit().gemm(g);
      uint32_t* sums = reinterpret_cast<uint32_t*>(base + at.sums) + r * kTileN;
      for (size_t i = 0; i < g.rows * kTileN; i += kTileN)
        for (size_t j = 0; j < outputs; ++j)
          sums[i + j] += factor * static_cast<uint32_t>(static_cast<int32_t>(block[i + j]));
    }
  }

#if defined(__arm__)
  // Vectors of floats lose numbers below the normal ones there, and scales may be such.
  static constexpr bool kScalesVectors = false;
#else
  static constexpr bool kScalesVectors = true;
#endif
  // A group's sums of one plane are exact as floats: the gemm scales them.
  static void by_groups(const Args& a, size_t n, size_t outputs, const Layout& at) {
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    float* floats = reinterpret_cast<float*>(base + at.floats);
    float* block = reinterpret_cast<float*>(base + at.block);
    std::memset(floats, 0, a.rows * kTileN * 4);
    each_segment(a, kExact, [&](const Segment& s) {
      K::kit().panel({reinterpret_cast<const int8_t*>(base + at.low) + s.first, at.stride, outputs,
                      s.count, base + at.panel});
      float scale[kTileN] = {};
      for (size_t j = 0; j < outputs; ++j)
        scale[j] = a.group_scale[(n + j) * a.group_stride + s.group];
      for (size_t r = 0; r < a.rows; r += kBlockRows) {
        int8::GemmArgs g{};
        g.rows = least(kBlockRows, a.rows - r), g.inputs = s.count, g.outputs = outputs;
        g.x = a.x + r * a.x_stride + s.first, g.x_stride = a.x_stride, g.x_zero = a.x_zero;
        g.panel = base + at.panel, g.y32 = block, g.y_stride = kTileN;
        g.finish.scale = scale;
        g.finish.min = -__builtin_inff(), g.finish.max = __builtin_inff();
        K::kit().gemm(g);
        add_block(block, g.rows, outputs, floats + r * kTileN);
      }
    });
    finish_tile(a, 0, a.rows, n, outputs,
                {reinterpret_cast<int32_t*>(base + at.sums), floats, kTileN, 1});
  }
  static void add_block(const float* __restrict block, size_t rows, size_t outputs,
                        float* __restrict to) {
    if (outputs == kTileN)
      for (size_t i = 0; i < rows * kTileN; ++i) to[i] += block[i];
    else
      for (size_t r = 0; r < rows; ++r)
        for (size_t j = 0; j < outputs; ++j) to[r * kTileN + j] += block[r * kTileN + j];
  }

  static void by_segments(const Args& a, size_t n, size_t outputs, const Layout& at) {
    if (kScalesVectors && a.group != 0 && a.group <= kExact && !a.plan->two_planes)
      return by_groups(a, n, outputs, at);
    uint8_t* base = static_cast<uint8_t*>(a.scratch);
    const Totals totals = {reinterpret_cast<int32_t*>(base + at.sums),
                           reinterpret_cast<float*>(base + at.floats), kTileN, 1};
    std::memset(totals.sums, 0, a.rows * kTileN * 4);
    if (a.group) std::memset(totals.floats, 0, a.rows * kTileN * 4);
    each_segment(a, kExact, [&](const Segment& s) {
      add_plane(a, at, s, outputs, reinterpret_cast<const int8_t*>(base + at.low), 1);
      if (a.plan->two_planes)
        add_plane(a, at, s, outputs, reinterpret_cast<const int8_t*>(base + at.high), 256);
      if (s.ends_group) end_group(a, s.group, n, outputs, a.rows, totals);
    });
    finish_tile(a, 0, a.rows, n, outputs, totals);
  }
};

}  // namespace
}  // namespace qrt::kernels::shift

#endif  // QRT_KERNELS_SHIFT_GENERIC_DECODE_H_

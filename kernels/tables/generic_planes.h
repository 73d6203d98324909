// The way `planes`: exact sums, one or a few rows, codes of any width. As generic_bytes.h, but
// that inner products are kept whole: three tables of bytes for a block, one per byte of
//
//   u(b, c) = dot(b, c) + bias,   bias = 2^16 * ceil(dim * 255 * 127 / 2^16)    so u >= 0
//
// The low and the middle bytes are summed as bytes of a line are, exact for 128 lookups in signed
// words; the high ones are below 2 * bias / 2^16 and are summed in bytes while these hold them.
// Then 2^16 * high + 2^8 * middle + low - lookups * bias joins the sums in int32.
//
// 64 lookups of 256 entries: 6 shuffles, a test, 3 blends, 7 instructions for the sums; of 16 in
// halves of bytes 3 shuffles, half a shift and the sums.
#ifndef QRT_KERNELS_TABLES_GENERIC_PLANES_H_
#define QRT_KERNELS_TABLES_GENERIC_PLANES_H_

#include "kernels/tables/generic_bytes.h"

namespace qrt::kernels::tables {
namespace {

inline constexpr int kPlanes = 3;
inline constexpr size_t kPlanesRows = 4, kPlanesTabled = 8;
inline constexpr size_t kPlanesAcc = 5;  // vectors of sums of 64 outputs

// Lookups whose sums fit: a high byte is at most 2 * bias / 2^16 - 1. Even, for passes of two.
inline size_t planes_lookups(uint32_t dim) {
  const size_t most = 255 / (static_cast<size_t>(planes_bias(dim)) / 32768 - 1);
  return least(most, 128) / 2 * 2;
}

// Registers for tables: 12, or 24 where nothing else takes many.
template <class V, Codes kCodes>
inline constexpr int kPlanesTogether = kCodes == Codes::nibbles
                                           ? 4
                                           : (kCodes == Codes::packed ? 4 : 2) /
                                                 (V::kApart ? 2 : 1);

// Sixteen entries fill a vector four times.
template <class V, Codes kCodes>
inline constexpr size_t kPlanesTable = kCodes == Codes::nibbles ? V::kBytes : Kind<kCodes>::kTable;

struct PlanesPlan {
  size_t group;
  size_t entries, starts, tables, acc, sums, tail, copy, place, total;
};

template <class V>
PlanesPlan planes_plan(const Shape& s) {
  const size_t dwords = up_to(s.dim, 4) / 4;
  const size_t outputs = up_to(s.outputs, 2 * V::kBytes);
  const size_t words = up_to(size_t{1} << s.bits, V::kBytes);
  PlanesPlan p{};
  p.group = least(s.blocks, planes_lookups(s.dim));
  Carve carve;
  p.entries = carve.take(words * dwords * 4 * V::kXBytes / V::kBytes);
  p.starts = carve.take(words * sizeof(int32_t));
  p.tables = carve.take(kPlanesTabled * kPlanes * words);
  p.acc = carve.take(outputs * kPlanesAcc);
  p.sums = carve.take(s.blocks <= p.group ? 0 : outputs * sizeof(int32_t));
  p.tail = carve.take(8 * V::kBytes);
  p.copy = carve.take(arranged_stride(p.group, s.dim));
  p.place = carve.take(p.group * dwords * 4 * sizeof(uint32_t));
  p.total = carve.end;
  return p;
}

// ---- tables ---------------------------------------------------------------------

// Lines of V::kBytes entries, [block][plane][line].
template <class V, int kDwords>
__attribute__((noinline)) void fill_planes(const Fill& f, size_t table) {
  const size_t dwords = kDwords == 0 ? f.dwords : kDwords;
  for (size_t line = 0; line < table; line += V::kBytes) {
    const uint8_t* const e = f.entries + line / V::kBytes * dwords * 4 * V::kXBytes;
    const int32_t* const starts = f.starts + line;
    const uint8_t* x = f.x;
    uint8_t* to = f.tables + line;
    for (size_t b = 0; b < f.blocks; ++b, to += kPlanes * table, x += 4 * dwords) {
      typename V::Sum sum[4];
      typename V::Vec plane[kPlanes];
#define QRT_EACH _Pragma("GCC unroll 4") for (size_t z = 0; z < 4; ++z)
      QRT_EACH sum[z] = V::start_e(starts + z * V::kLanes);
      for (size_t d = 0; d < dwords; ++d) {
        const typename V::W four = V::dup_x(x + 4 * d);
        QRT_EACH sum[z] = V::mac_e(sum[z], V::load_x(e + (d * 4 + z) * V::kXBytes), four);
      }
#undef QRT_EACH
      V::planes_of(sum, plane);
      for (size_t i = 0; i < kPlanes; ++i) V::store(to + i * table, plane[i]);
    }
  }
}

// ---- lookups --------------------------------------------------------------------

template <class V, Codes kCodes, int kBlocks>
__attribute__((noinline)) void sweep_planes(const Flow<V>& k) {
  constexpr int kVectors = Kind<kCodes>::kVectors, kLines = Kind<kCodes>::kLines;
  constexpr size_t kLineAcc = kPlanesAcc * V::kBytes;
#define QRT_EACH_BLOCK _Pragma("GCC unroll 4") for (int b = 0; b < kBlocks; ++b)
#define QRT_EACH_PLANE _Pragma("GCC unroll 3") for (int i = 0; i < kPlanes; ++i)
#define QRT_EACH_LINE _Pragma("GCC unroll 2") for (int l = 0; l < kLines; ++l)
  typename V::Vec t[kBlocks][kPlanes][kVectors];
  QRT_EACH_BLOCK QRT_EACH_PLANE _Pragma("GCC unroll 4") for (int v = 0; v < kVectors; ++v)
      t[b][i][v] =
          V::load(k.tables + static_cast<size_t>((b * kPlanes + i) * kVectors + v) * V::kBytes);
  const typename V::Spread spread = *k.spread;
  const size_t stride = k.stride, step = k.step, ahead = k.ahead;
  const uint8_t* codes = k.codes;
  uint8_t* acc = k.acc;
  const bool first = k.first;
  for (size_t n = k.chunks; n != 0; --n, codes += step, acc += kLines * kLineAcc) {
    typename V::Acc8 s[kLines][2];
    typename V::Vec high[kLines];
    QRT_EACH_LINE s[l][0] = V::none8(), s[l][1] = V::none8(), high[l] = V::zero();
    const uint8_t* p = codes;
    QRT_EACH_BLOCK {
      typename V::Vec at = indices<V, kCodes>(p, spread);
      __builtin_prefetch(p + ahead, 0, 2);
      p += stride;
      QRT_EACH_LINE {
        if (l == 1) at = V::high_nibbles(at);
        s[l][0] = V::acc8(s[l][0], pick<V, kCodes>(t[b][0], at)), V::settle(&s[l][0]);
        s[l][1] = V::acc8(s[l][1], pick<V, kCodes>(t[b][1], at)), V::settle(&s[l][1]);
        high[l] = V::once(V::add8(high[l], pick<V, kCodes>(t[b][2], at)));
      }
    }
    QRT_EACH_LINE {
      uint8_t* const to = acc + static_cast<size_t>(l) * kLineAcc;
      if (!first) {
        _Pragma("GCC unroll 2") for (size_t i = 0; i < 2; ++i) {
          const typename V::Acc8 before = V::load8(to + 2 * i * V::kBytes);
          s[l][i] = {V::add16(s[l][i].all, before.all), V::add16(s[l][i].odd, before.odd)};
        }
        high[l] = V::add8(high[l], V::load(to + 4 * V::kBytes));
      }
      V::store8(to, s[l][0]), V::store8(to + 2 * V::kBytes, s[l][1]);
      V::store(to + 4 * V::kBytes, high[l]);
    }
  }
#undef QRT_EACH_LINE
#undef QRT_EACH_PLANE
#undef QRT_EACH_BLOCK
}

template <class V, Codes kCodes, int kBlocks>
struct PlanesSweep {
  static constexpr size_t kTaken = kBlocks, kOutputs = Kind<kCodes>::kLines * V::kBytes;
  static constexpr size_t kAccBytes = Kind<kCodes>::kLines * kPlanesAcc * V::kBytes;
  static constexpr size_t kReads = V::kBytes;
  static void run(const Flow<V>& k) { sweep_planes<V, kCodes, kBlocks>(k); }
};

// ---- outputs --------------------------------------------------------------------

// Sums of a chunk in the order of its outputs: words of low and of middle bytes, bytes of high
// ones. Low nibbles and high ones take turns.
template <class V, Codes kCodes>
inline void planes_in_order(const uint8_t* acc, typename V::Vec* low, typename V::Vec* middle,
                            uint8_t* high) {
  constexpr size_t kLineAcc = kPlanesAcc * V::kBytes;
  V::words_of_acc8(V::load8(acc), 0, low);
  V::words_of_acc8(V::load8(acc + 2 * V::kBytes), 0, middle);
  const uint8_t *const even = acc + 4 * V::kBytes, *const odd = even + kLineAcc;
  if constexpr (kCodes == Codes::nibbles) {
    typename V::Vec other[2], own[2] = {low[0], low[1]};
    V::words_of_acc8(V::load8(acc + kLineAcc), 0, other);
    V::zip16(own[0], other[0], low), V::zip16(own[1], other[1], low + 2);
    own[0] = middle[0], own[1] = middle[1];
    V::words_of_acc8(V::load8(acc + kLineAcc + 2 * V::kBytes), 0, other);
    V::zip16(own[0], other[0], middle), V::zip16(own[1], other[1], middle + 2);
    for (size_t i = 0; i < V::kBytes; ++i) high[2 * i] = even[i], high[2 * i + 1] = odd[i];
  } else {
    std::memcpy(high, even, V::kBytes);
  }
}

template <class V, Codes kCodes>
__attribute__((noinline)) void settle_planes(const Args& a, size_t row, const Settle& k) {
  constexpr size_t kLines = Kind<kCodes>::kLines;
  const auto eight = V::count(8), sixteen = V::count(16);
  const typename V::Vec off =
      V::set32(-static_cast<int32_t>(k.lookups) * planes_bias(a.source.dim));
  const uint8_t* acc = k.acc;
  for (size_t n = 0; n < a.outputs; acc += kLines * kPlanesAcc * V::kBytes) {
    typename V::Vec low[2 * kLines], middle[2 * kLines];
    uint8_t highs[kLines * V::kBytes];
    planes_in_order<V, kCodes>(acc, low, middle, highs);
    for (size_t i = 0; i < 4 * kLines && n < a.outputs; ++i, n += V::kLanes) {
      const typename V::Vec high = V::ints_of_bytes(highs + i * V::kLanes);
      typename V::Vec v = V::add32(V::ints_of_half(low[i / 2], i % 2), off);
      v = V::add32(v, V::left32(V::ints_of_half(middle[i / 2], i % 2), eight));
      v = V::add32(v, V::left32(high, sixteen));
      int32_t* const sum = k.sums + n;
      if (!k.first) v = V::add32(v, V::load(sum));
      if (k.last)
        finish_ints<V>(a, row, n, v);
      else
        V::store(sum, v);
    }
  }
}

// ---- rows -----------------------------------------------------------------------

template <class V, Codes kCodes>
void planes_row(const Args& a, const PlanesPlan& p, size_t row) {
  constexpr size_t kTable = kPlanesTable<V, kCodes>;
  constexpr size_t kSome = static_cast<size_t>(kPlanesTogether<V, kCodes>);
  const int8::Coded& c = a.source;
  const Shape s = shape_of(a);
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  Args one = rows_from(a, row);
  one.rows = 1;
  const typename V::Spread spread = V::spread_of(a.first_output * c.bits % 8, c.bits);
  Settle to{nullptr, nullptr, at + p.acc, 0, reinterpret_cast<int32_t*>(at + p.sums), true, false};
  Fill f{};
  f.entries = at + p.entries, f.starts = reinterpret_cast<const int32_t*>(at + p.starts);
  f.dwords = up_to(s.dim, 4) / 4, f.tables = at + p.tables;
  Flow<V> flow{};
  flow.codes = c.codes + a.first_output * c.bits / 8;
  flow.stride = c.row_bytes, flow.spread = &spread;
  flow.step = kCodes == Codes::nibbles ? V::kBytes : V::kBytes / 8 * c.bits;
  flow.acc = at + p.acc;
  for (size_t b = 0; b < s.blocks; b += to.lookups, to.first = false) {
    to.lookups = least(p.group, s.blocks - b), to.last = b + to.lookups == s.blocks;
    f.x = arrange(one, b, to.lookups, at + p.copy, reinterpret_cast<uint32_t*>(at + p.place)).rows;
    flow.first = true;
    for (size_t done = 0; done < to.lookups; done += f.blocks, f.x += f.blocks * f.dwords * 4) {
      f.blocks = least(kPlanesTabled, to.lookups - done);
      (f.dwords == 1   ? fill_planes<V, 1>
       : f.dwords == 2 ? fill_planes<V, 2>
                       : fill_planes<V, 0>)(f, kTable);
      flow.tables = f.tables;
      for (size_t i = 0, taken; i < f.blocks; i += taken) {
        taken = f.blocks - i >= kSome ? kSome : 1;
        flow.ahead = taken * flow.stride;
        if (taken == 1)
          sweep_outputs<V, PlanesSweep<V, kCodes, 1>>(a, &flow, at + p.tail);
        else
          sweep_outputs<V, PlanesSweep<V, kCodes, kPlanesTogether<V, kCodes>>>(a, &flow,
                                                                               at + p.tail);
        flow.codes += taken * flow.stride, flow.tables += taken * kPlanes * kTable;
        flow.first = false;
      }
    }
    settle_planes<V, kCodes>(a, row, to);
  }
}

template <class V, Codes kCodes>
void planes_call(const Args& a) {
  const PlanesPlan p = planes_plan<V>(shape_of(a));
  uint8_t* const at = static_cast<uint8_t*>(a.scratch);
  entries_to_lanes<V>(a, kPlanesTable<V, kCodes> / V::kBytes, V::plane_byte, at + p.entries,
                      reinterpret_cast<int32_t*>(at + p.starts),
                      kCodes == Codes::nibbles ? own_entry : V::entry_at);
  for (size_t row = 0; row < a.rows; ++row) planes_row<V, kCodes>(a, p, row);
}

// As BytesCost; a lookup is of 64 codes.
struct PlanesCost {
  float table, dword, byte, nibbles, packed, sevens, bytes, finish;
};

template <class V>
struct Planes {
  static bool can(const Shape& s) {
    return s.keep == kExactBits && s.shift == 0 && s.books == 1 && s.bits >= 1 &&
           s.bits <= kMaxBits && s.dim >= 1 && s.dim <= kMaxDim;
  }
  static size_t scratch(const Shape& s) { return can(s) ? planes_plan<V>(s).total : 0; }
  static float cost_ns(const Shape& s, const PlanesCost& c) {
    if (!can(s)) return -1.0f;
    const float rows = static_cast<float>(s.rows), lookups = static_cast<float>(s.blocks);
    const float dwords = static_cast<float>(up_to(s.dim, 4) / 4);
    const float tables = s.bits <= 6 ? 1.0f : static_cast<float>(1u << (s.bits - 6));
    const float arranged = s.dim % 4 == 0 ? 0.0f : 4.0f * dwords * c.byte;
    const float lines = static_cast<float>(up_to(s.outputs, V::kBytes) / V::kBytes);
    const float lookup = s.bits == 8   ? c.bytes
                         : s.bits == 7 ? c.sevens
                         : s.bits == 4 ? c.nibbles
                                       : c.packed;
    const float settled = 1.0f + lookups / static_cast<float>(planes_lookups(s.dim));
    return rows * (lookups * (tables * (c.table + dwords * c.dword) + arranged + lines * lookup) +
                   static_cast<float>(s.outputs) * settled * c.finish);
  }
  static void run(const Args& a) {
    if (a.rows == 0 || a.outputs == 0) return;
    if (a.source.bits == 8)
      planes_call<V, Codes::bytes>(a);
    else if (a.source.bits == 7)
      planes_call<V, Codes::sevens>(a);
    else if (a.source.bits == 4 && a.first_output % 2 == 0)
      planes_call<V, Codes::nibbles>(a);
    else
      planes_call<V, Codes::packed>(a);
  }
};

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_PLANES_H_

// Coded weights of windows: blocks of whole channels, their taps side by side, into panels where
// four channels are a step and taps lie apart.
#ifndef QRT_KERNELS_INT8_GENERIC_WINDOWS_H_
#define QRT_KERNELS_INT8_GENERIC_WINDOWS_H_

#include "kernels/int8/generic.h"
#include "kernels/int8/generic_codes.h"

namespace qrt::kernels::int8 {

// Four channels of kLanes outputs: channel c's taps lie at p[c] + at[c][output].
struct Channels {
  const int8_t* p[4];
  const uint32_t* at[4];
  size_t books, book_stride, book_offsets;
};

template <class V, bool kAdd>
inline typename V::Raw taps_of(const Channels& c, const int8_t* p, const uint32_t* at) {
  typename V::Raw r = V::quads(p, at);
  if (kAdd) {
    for (size_t b = 1; b < c.books; ++b)
      r = V::add_raw(r, V::quads(p + b * c.book_stride, at + b * c.book_offsets));
  }
  return r;
}

// Taps tap ... tap + 4 * kLots - 1, the first `count` of them (kCount, if not 0). Interleaving
// bytes, then pairs of them, leaves one tap of four channels in 4 bytes; turn() brings the outputs
// together. Sums of the columns grow in *sum unless it is null: read again, the panel would come
// from L2.
template <class V, int kLots, bool kAdd, size_t kCount = 0>
__attribute__((noinline)) void put_lots(const Channels& c, size_t tap, size_t count, uint8_t* to,
                                        size_t tap_bytes, typename V::Sum* sum) {
  if (kCount != 0) count = kCount;
  using Raw = typename V::Raw;
  const int8_t *p0 = c.p[0] + tap, *p1 = c.p[1] + tap, *p2 = c.p[2] + tap, *p3 = c.p[3] + tap;
  const uint32_t *at0 = c.at[0], *at1 = c.at[1], *at2 = c.at[2], *at3 = c.at[3];
  Raw lot[kLots][4];
  _Pragma("GCC unroll 4") for (int set = 0; set < 4; ++set) {
    const Raw e0 = taps_of<V, kAdd>(c, p0, at0 + set), e1 = taps_of<V, kAdd>(c, p1, at1 + set);
    const Raw e2 = taps_of<V, kAdd>(c, p2, at2 + set), e3 = taps_of<V, kAdd>(c, p3, at3 + set);
    Raw ab = V::lo8(e0, e1), cd = V::lo8(e2, e3);
    lot[0][set] = V::lo16(ab, cd);
    if (kLots > 1) lot[1 % kLots][set] = V::hi16(ab, cd);
    if (kLots > 2) ab = V::hi8(e0, e1), cd = V::hi8(e2, e3);
    if (kLots > 2) lot[2 % kLots][set] = V::lo16(ab, cd);
    if (kLots > 3) lot[3 % kLots][set] = V::hi16(ab, cd);
  }
  to += tap * tap_bytes;
  typename V::Sum total = sum ? *sum : V::zero();
  const typename V::X x = ones<V>();
  const auto put = [&](uint8_t* at, Raw raw) {
    V::put_w(at, raw);
    if (sum) total = V::mac(total, x, V::widen_w(raw));
  };
  _Pragma("GCC unroll 4") for (int i = 0; i < kLots; ++i, to += 4 * tap_bytes) {
    const typename V::Four f = V::turn(lot[i][0], lot[i][1], lot[i][2], lot[i][3]);
    const size_t left = count - static_cast<size_t>(i) * 4;
    put(to, f.a);
    if (left > 1) put(to + tap_bytes, f.b);
    if (left > 2) put(to + 2 * tap_bytes, f.c);
    if (left > 3) put(to + 3 * tap_bytes, f.d);
  }
  if (sum) *sum = total;
}

template <class V, bool kAdd>
inline void put_window(const Channels& c, size_t taps, uint8_t* to, size_t tap_bytes,
                       typename V::Sum* sum) {
  if (taps == 9) return put_lots<V, 3, kAdd, 9>(c, 0, 9, to, tap_bytes, sum);
  for (size_t tap = 0; tap < taps; tap += 16) {
    const size_t count = taps - tap < 16 ? taps - tap : 16;
    if (count > 12)
      put_lots<V, 4, kAdd>(c, tap, count, to, tap_bytes, sum);
    else if (count > 8)
      put_lots<V, 3, kAdd>(c, tap, count, to, tap_bytes, sum);
    else if (count > 4)
      put_lots<V, 2, kAdd>(c, tap, count, to, tap_bytes, sum);
    else
      put_lots<V, 1, kAdd>(c, tap, count, to, tap_bytes, sum);
  }
}

// Blocks of whole channels, `each` of them; the number of channels is a multiple of four. `sums`
// takes those of the two halves' columns unless it is null.
template <class V, bool kAdd>
void decode_windows(const DecodeArgs& a, const Outputs<V>& outputs, uint8_t* to,
                    typename V::Sum* sums) {
  constexpr size_t N = V::kTileN, L = V::kLanes;
  const Coded& s = a.source;
  const size_t each = s.dim / a.taps, channels = a.inputs / a.taps, ahead = kAhead / s.books;
  const size_t step = step_bytes<V>(), tap_bytes = channels / kStep * step;
  alignas(64) uint32_t at[kAhead][N];
  for (size_t c0 = 0; c0 < channels; c0 += ahead / 4 * 4) {
    const size_t left = channels - c0, count = left < ahead ? left : ahead / 4 * 4;
    const size_t first = c0 / each, blocks = (c0 + count - 1) / each - first + 1;
    for (uint32_t b = 0; b < s.books; ++b) outputs.offsets(b, first, blocks, at + b, s.books);
    for (size_t c = c0; c < c0 + count; c += 4, to += step) {
      Channels four{{}, {}, s.books, s.book_stride, N};
      for (size_t i = 0; i < 4; ++i) {
        four.p[i] = s.entries + (c + i) % each * a.taps;
        four.at[i] = at[((c + i) / each - first) * s.books];
      }
      put_window<V, kAdd>(four, a.taps, to, tap_bytes, sums);
      for (size_t i = 0; i < 4; ++i) four.at[i] += L;
      put_window<V, kAdd>(four, a.taps, to + V::kWBytes, tap_bytes, sums ? sums + 1 : nullptr);
    }
  }
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_WINDOWS_H_

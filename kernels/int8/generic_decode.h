// Coded weights into panels, written once over the primitives of generic.h and these, all of them
// shuffles of bytes (`at` holds kLanes offsets from p):
//
//   Raw quads(p, at)          16 bytes at each of at[0], at[4], ...
//   Four turn(a, b, c, d)     turns quads of at, at + 1, at + 2, at + 3 into vectors of 4-byte
//   units Two pairs(p, at)          8 bytes at every offset, as two vectors of 4-byte units Raw
//   fours(p, at)          4 bytes at every offset lo8 hi8 lo16 hi16(a, b)   the lower or upper
//   halves of each 16 bytes, interleaved Raw add_raw(a, b)         bytes with saturation
//
// Codes become offsets some blocks ahead of their use: written as vectors and read back as scalars,
// they must have reached the cache.
#ifndef QRT_KERNELS_INT8_GENERIC_DECODE_H_
#define QRT_KERNELS_INT8_GENERIC_DECODE_H_

#include "kernels/int8/generic.h"

namespace qrt::kernels::int8 {

// ---- codes ----------------------------------------------------------------------

// A code lies in the four bytes from its first bit on; nothing at or past codes_end is read.
template <class V>
inline uint32_t code_of(const Coded& s, const uint8_t* row, size_t output) {
  if (s.bits == 8) return row[output];
  const size_t bit = output * s.bits;
  const uint8_t* p = row + bit / 8;
  uint32_t word = 0;
  if (s.codes_end - p >= 4) {
    std::memcpy(&word, p, 4);
  } else {
    for (ptrdiff_t byte = 0; byte < s.codes_end - p; ++byte) word |= uint32_t{p[byte]} << 8 * byte;
  }
  return word >> bit % 8 & ((1u << s.bits) - 1u);
}

// Where the entries of an output begin: those of its level and its scope.
template <class V>
inline uint32_t base_of(const Coded& s, size_t output) {
  const size_t level = s.level_of ? s.level_of[output] * s.level_stride : 0;
  const size_t scope = s.scope_rows ? output / s.scope_rows * s.scope_stride : 0;
  return static_cast<uint32_t>(level + scope);
}

// Count codes that begin on a byte, eight from two words of four: 4 * bits and the four bits in
// front fit 64 up to a width of 15, and of 16 there are none in front.
template <class V, size_t Count>
inline void unpack(const uint8_t* p, uint32_t bits, uint32_t stride, const uint32_t* base,
                   uint32_t* at) {
  const uint64_t mask = (1u << bits) - 1u;
  for (size_t first = 0; first < Count; first += 4) {
    uint64_t word;
    std::memcpy(&word, p + first * bits / 8, 8);
    word >>= first * bits % 8;
    for (size_t i = 0; i < 4; ++i)
      at[first + i] = base[first + i] + static_cast<uint32_t>(word >> i * bits & mask) * stride;
  }
}

// A tile's outputs, and where the entries of its codes are.
template <class V>
struct Outputs {
  explicit Outputs(const DecodeArgs& a) : s(a.source), first(a.first_output), live(a.outputs) {
    for (size_t i = 0; i < V::kTileN; ++i) base[i] = i < live ? base_of<V>(s, first + i) : 0;
  }
  // Offsets of all outputs for one block, outputs beyond the last get any.
  void offsets(uint32_t book, size_t block, uint32_t* at) const {
    constexpr size_t N = V::kTileN;
    const uint8_t* row = s.codes + book * s.book_bytes + block * s.row_bytes;
    const uint8_t* p = row + first * s.bits / 8;
    const uint32_t stride = static_cast<uint32_t>(s.entry_stride);
    if (first * s.bits % 8 == 0 && s.codes_end - p >= static_cast<ptrdiff_t>(N * s.bits / 8 + 8)) {
      if (s.bits == 8)
        for (size_t i = 0; i < N; ++i) at[i] = base[i] + p[i] * stride;
      else
        unpack<V, N>(p, s.bits, stride, base, at);
      return;
    }
    for (size_t i = 0; i < N; ++i)
      at[i] = base[i] + (i < live ? code_of<V>(s, row, first + i) * stride : 0);
  }

  const Coded& s;
  size_t first, live;
  uint32_t base[V::kTileN];
};

// ---- whole blocks of four inputs ----------------------------------------------------

// Offsets of one block: those of book b at at[b * kTileN].
template <class V>
inline void put_block(const Coded& s, const uint32_t* at, uint8_t* to) {
  constexpr size_t kStride = step_bytes<V>(), N = V::kTileN;
  const int8_t* p = s.entries;
  size_t left = s.dim;
  for (; left >= 16; left -= 16, p += 16, to += 4 * kStride) {
    typename V::Raw r[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) r[i] = V::quads(p, at + i);
    for (uint32_t b = 1; b < s.books; ++b)
      _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) r[i] =
          V::add_raw(r[i], V::quads(p + b * s.book_stride, at + b * N + i));
    const typename V::Four f = V::turn(r[0], r[1], r[2], r[3]);
    V::put_w(to, f.a), V::put_w(to + kStride, f.b);
    V::put_w(to + 2 * kStride, f.c), V::put_w(to + 3 * kStride, f.d);
  }
  if (left >= 8) {
    typename V::Two f = V::pairs(p, at);
    for (uint32_t b = 1; b < s.books; ++b) {
      const typename V::Two g = V::pairs(p + b * s.book_stride, at + b * N);
      f = {V::add_raw(f.a, g.a), V::add_raw(f.b, g.b)};
    }
    V::put_w(to, f.a), V::put_w(to + kStride, f.b);
    left -= 8, p += 8, to += 2 * kStride;
  }
  if (left != 0) {
    typename V::Raw f = V::fours(p, at);
    for (uint32_t b = 1; b < s.books; ++b)
      f = V::add_raw(f, V::fours(p + b * s.book_stride, at + b * N));
    V::put_w(to, f);
  }
}

inline constexpr size_t kAhead = 16;  // rows of offsets that are kept

template <class V>
void decode_blocks(const DecodeArgs& a, const Outputs<V>& outputs, size_t blocks, uint8_t* to) {
  constexpr size_t N = V::kTileN;
  const Coded& s = a.source;
  const size_t ahead = kAhead / s.books, bytes = s.dim / kStep * step_bytes<V>();
  alignas(64) uint32_t at[kAhead][N];
  for (size_t block = 0; block < blocks; block += ahead) {
    const size_t count = blocks - block < ahead ? blocks - block : ahead;
    for (size_t i = 0; i < count; ++i)
      for (uint32_t b = 0; b < s.books; ++b) outputs.offsets(b, block + i, at[i * s.books + b]);
    for (size_t i = 0; i < count; ++i, to += bytes)
      for (size_t j = 0; j < N / V::kLanes; ++j)
        put_block<V>(s, at[i * s.books] + j * V::kLanes, to + j * V::kWBytes);
  }
}

// ---- windows: four channels become a step of every tap --------------------------------

// Four channels of kLanes outputs: channel c's taps lie at p[c] + at[c][output].
struct Channels {
  const int8_t* p[4];
  const uint32_t* at[4];
  size_t books, book_stride, book_offsets;
};

template <class V>
inline typename V::Raw channel(const Channels& c, int i, size_t tap, int set) {
  typename V::Raw r = V::quads(c.p[i] + tap, c.at[i] + set);
  for (size_t b = 1; b < c.books; ++b)
    r = V::add_raw(r,
                   V::quads(c.p[i] + tap + b * c.book_stride, c.at[i] + b * c.book_offsets + set));
  return r;
}

// Taps tap ... tap + 4 * kLots - 1, the first `count` of them. Interleaving bytes, then pairs of
// them, leaves one tap of four channels in 4 bytes; turn() brings the outputs together.
template <class V, int kLots>
inline void put_lots(const Channels& c, size_t tap, size_t count, uint8_t* to, size_t tap_bytes) {
  typename V::Raw lot[kLots][4];
  _Pragma("GCC unroll 4") for (int set = 0; set < 4; ++set) {
    const typename V::Raw e0 = channel<V>(c, 0, tap, set), e1 = channel<V>(c, 1, tap, set),
                          e2 = channel<V>(c, 2, tap, set), e3 = channel<V>(c, 3, tap, set);
    typename V::Raw ab = V::lo8(e0, e1), cd = V::lo8(e2, e3);
    lot[0][set] = V::lo16(ab, cd);
    if (kLots > 1) lot[1 % kLots][set] = V::hi16(ab, cd);
    if (kLots > 2) {
      ab = V::hi8(e0, e1), cd = V::hi8(e2, e3);
      lot[2 % kLots][set] = V::lo16(ab, cd);
    }
    if (kLots > 3) lot[3 % kLots][set] = V::hi16(ab, cd);
  }
  to += tap * tap_bytes;
  _Pragma("GCC unroll 4") for (int i = 0; i < kLots; ++i, to += 4 * tap_bytes) {
    const typename V::Four f = V::turn(lot[i][0], lot[i][1], lot[i][2], lot[i][3]);
    const size_t left = count - static_cast<size_t>(i) * 4;
    V::put_w(to, f.a);
    if (left > 1) V::put_w(to + tap_bytes, f.b);
    if (left > 2) V::put_w(to + 2 * tap_bytes, f.c);
    if (left > 3) V::put_w(to + 3 * tap_bytes, f.d);
  }
}

template <class V>
inline void put_window(const Channels& c, size_t taps, uint8_t* to, size_t tap_bytes) {
  for (size_t tap = 0; tap < taps; tap += 16) {
    const size_t count = taps - tap < 16 ? taps - tap : 16;
    if (count > 12)
      put_lots<V, 4>(c, tap, count, to, tap_bytes);
    else if (count > 8)
      put_lots<V, 3>(c, tap, count, to, tap_bytes);
    else if (count > 4)
      put_lots<V, 2>(c, tap, count, to, tap_bytes);
    else
      put_lots<V, 1>(c, tap, count, to, tap_bytes);
  }
}

// Blocks of whole channels, `each` of them; the number of channels is a multiple of four.
template <class V>
void decode_windows(const DecodeArgs& a, const Outputs<V>& outputs, uint8_t* to) {
  constexpr size_t N = V::kTileN, L = V::kLanes;
  const Coded& s = a.source;
  const size_t each = s.dim / a.taps, channels = a.inputs / a.taps, ahead = kAhead / s.books;
  const size_t step = step_bytes<V>(), tap_bytes = channels / kStep * step;
  alignas(64) uint32_t at[kAhead][N];
  for (size_t c0 = 0; c0 < channels; c0 += ahead / 4 * 4) {
    const size_t left = channels - c0, count = left < ahead ? left : ahead / 4 * 4;
    const size_t first = c0 / each, blocks = (c0 + count - 1) / each - first + 1;
    for (size_t i = 0; i < blocks; ++i)
      for (uint32_t b = 0; b < s.books; ++b) outputs.offsets(b, first + i, at[i * s.books + b]);
    for (size_t c = c0; c < c0 + count; c += 4, to += step) {
      for (size_t j = 0; j < N / L; ++j) {
        Channels four{{}, {}, s.books, s.book_stride, N};
        for (size_t i = 0; i < 4; ++i) {
          four.p[i] = s.entries + (c + i) % each * a.taps;
          four.at[i] = at[((c + i) / each - first) * s.books] + j * L;
        }
        put_window<V>(four, a.taps, to + j * V::kWBytes, tap_bytes);
      }
    }
  }
}

// ---- any block: rows of weights first --------------------------------------------------

inline constexpr size_t kMaxStaged = 256;  // inputs of an output at a time

// Inputs first ... first + count of `live` outputs to rows[output][kMaxStaged].
template <class V>
void stage(const DecodeArgs& a, size_t column, size_t live, size_t first, size_t count,
           int8_t* rows) {
  const Coded& s = a.source;
  for (size_t i = 0; i < live; ++i, rows += kMaxStaged) {
    const size_t output = a.first_output + column + i;
    const int8_t* entries = s.entries + base_of<V>(s, output);
    for (size_t block = first / s.dim; block * s.dim < first + count; ++block) {
      const size_t from = block * s.dim < first ? first : block * s.dim;
      const size_t end = (block + 1) * s.dim, to = end < first + count ? end : first + count;
      for (uint32_t b = 0; b < s.books; ++b) {
        const uint8_t* row = s.codes + b * s.book_bytes + block * s.row_bytes;
        const int8_t* e = entries + b * s.book_stride + code_of<V>(s, row, output) * s.entry_stride;
        for (size_t k = from; k < to; ++k) {
          const int32_t sum = (b == 0 ? 0 : rows[k - first]) + e[k - block * s.dim];
          rows[k - first] = static_cast<int8_t>(sum < -128 ? -128 : (sum > 127 ? 127 : sum));
        }
      }
    }
  }
}

// Places from `place` on (a multiple of four) in the order of the source.
template <class V>
void decode_rows(const DecodeArgs& a, size_t column, size_t place, uint8_t* to) {
  constexpr size_t L = V::kLanes;
  const size_t live = a.outputs > column ? (a.outputs - column < L ? a.outputs - column : L) : 0;
  int8_t rows[L * kMaxStaged];
  uint32_t at[L];
  for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * kMaxStaged);
  for (; place < a.inputs; place += kMaxStaged) {
    const size_t left = a.inputs - place, depth = left < kMaxStaged ? left : kMaxStaged;
    std::memset(rows, 0, sizeof(rows));
    stage<V>(a, column, live, place, depth, rows);
    for (size_t k = 0; k < depth; k += kStep, to += step_bytes<V>())
      V::put_w(to, V::fours(rows + k, at));
  }
}

// Windows whose taps are at most kMaxStaged / 4 and whose channels are a multiple of four.
template <class V>
void decode_row_windows(const DecodeArgs& a, size_t column, uint8_t* to) {
  constexpr size_t L = V::kLanes;
  const size_t live = a.outputs > column ? (a.outputs - column < L ? a.outputs - column : L) : 0;
  const size_t tap_bytes = a.inputs / a.taps / kStep * step_bytes<V>();
  int8_t rows[L * kMaxStaged + 16] = {};  // quads reach beyond the last row
  uint32_t at[L];
  for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * kMaxStaged);
  const int8_t *p0 = rows, *p1 = p0 + a.taps, *p2 = p1 + a.taps, *p3 = p2 + a.taps;
  const Channels four{{p0, p1, p2, p3}, {at, at, at, at}, 1, 0, 0};
  for (size_t first = 0; first < a.inputs; first += 4 * a.taps, to += step_bytes<V>()) {
    stage<V>(a, column, live, first, 4 * a.taps, rows);
    put_window<V>(four, a.taps, to, tap_bytes);
  }
}

// Anything: places one by one.
template <class V>
void decode_places(const DecodeArgs& a, size_t column, uint8_t* to) {
  constexpr size_t L = V::kLanes;
  const size_t live = a.outputs > column ? (a.outputs - column < L ? a.outputs - column : L) : 0;
  const size_t channels = a.inputs / a.taps;
  int8_t one[L * kMaxStaged];
  uint32_t at[L];
  for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * kStep);
  for (size_t place = 0; place < a.inputs; place += kStep, to += step_bytes<V>()) {
    int8_t four[L * kStep] = {};
    for (size_t j = 0; j < kStep && place + j < a.inputs; ++j) {
      stage<V>(a, column, live, (place + j) % channels * a.taps + (place + j) / channels, 1, one);
      for (size_t i = 0; i < live; ++i) four[i * kStep + j] = one[i * kMaxStaged];
    }
    V::put_w(to, V::fours(four, at));
  }
}

// ---- the panel ----------------------------------------------------------------------

// Sums of the columns of a whole panel: products with activations of 1.
template <class V>
void panel_sums(size_t inputs, int32_t* head) {
  constexpr size_t L = V::kLanes;
  const uint32_t ones = 0x01010101u * (1 + V::kOffset);
  uint8_t bytes[kStep];
  std::memcpy(bytes, &ones, kStep);
  const typename V::X x = V::set_x(bytes);
  typename V::Sum lo = V::zero(), hi = V::zero();
  const uint8_t* w = reinterpret_cast<const uint8_t*>(head + kMaxTileN);
  for (size_t k = 0; k < inputs; k += kStep, w += step_bytes<V>()) {
    lo = V::mac(lo, x, V::load_w(w));
    hi = V::mac(hi, x, V::load_w(w + V::kWBytes));
  }
  V::store_i(head, V::total(lo));
  V::store_i(head + L, V::total(hi));
}

template <class V>
void decode(const DecodeArgs& a) {
  const Coded& s = a.source;
  int32_t* head = static_cast<int32_t*>(a.panel);
  for (size_t n = 0; n < V::kTileN; ++n) head[n] = 0;
  if (a.inputs == 0) return;
  uint8_t* body = reinterpret_cast<uint8_t*>(head + kMaxTileN);
  const bool fours = a.inputs / a.taps % kStep == 0;
  if (a.taps > 1 && fours && s.dim % a.taps == 0) {
    decode_windows<V>(a, Outputs<V>(a), body);
  } else if (a.taps == 1) {
    const size_t blocks = s.dim % kStep == 0 ? a.inputs / s.dim : 0, place = blocks * s.dim;
    if (blocks != 0) decode_blocks<V>(a, Outputs<V>(a), blocks, body);
    for (size_t j = 0; j < V::kTileN / V::kLanes; ++j)
      decode_rows<V>(a, j * V::kLanes, place,
                     body + place / kStep * step_bytes<V>() + j * V::kWBytes);
  } else {
    const auto columns =
        fours && a.taps <= kMaxStaged / 4 ? decode_row_windows<V> : decode_places<V>;
    for (size_t j = 0; j < V::kTileN / V::kLanes; ++j)
      columns(a, j * V::kLanes, body + j * V::kWBytes);
  }
  if (a.sums || V::kOffset != 0) panel_sums<V>(a.inputs, head);
}

// Rounded as bytes 1 ... 255 about 128, then made signed: -127 ... 127.
template <class V>
void round(const RoundArgs& a) {
  uint8_t* bytes = reinterpret_cast<uint8_t*>(a.entries);
  const typename V::F most = V::set1(127), least = V::set1(-127), inverse = V::set1(a.inverse);
  const typename V::Int half = V::set1_i(128);
  const auto one = [&](const float* v, uint8_t* q) {
    V::store_u8(q, V::min(V::max(V::mul(V::load(v), inverse), least), most), half);
  };
  constexpr size_t L = V::kLanes;
  const size_t whole = a.count / L * L, rest = a.count - whole;
  for (size_t i = 0; i < whole; i += L) one(a.values + i, bytes + i);
  if (rest != 0) {
    float v[L] = {};
    uint8_t q[L];
    std::memcpy(v, a.values + whole, rest * sizeof(float));
    one(v, q);
    std::memcpy(bytes + whole, q, rest);
  }
  for (size_t i = 0; i < a.count; ++i) bytes[i] ^= 0x80;
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_DECODE_H_

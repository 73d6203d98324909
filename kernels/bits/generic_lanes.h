// What the two bit-sliced ways share: tiles of lanes, and how many counts are alive.
#ifndef QRT_KERNELS_BITS_GENERIC_LANES_H_
#define QRT_KERNELS_BITS_GENERIC_LANES_H_

#include "kernels/bits/generic_count.h"
#include "kernels/bits/generic_finish.h"

namespace qrt::kernels::bits {
namespace {

// Of counts that are alive at a time: they stay in L2.
inline constexpr size_t kCountBytes = 256 * 1024;
// Of derived rows that are made at a time, unless a block of counts has more.
inline constexpr size_t kDerivedBytes = 256 * 1024;

constexpr size_t row_bytes(const Shape& s, size_t planes) {
  return planes * derived_bytes(groups_of(s.inputs));
}

template <class V>
constexpr size_t lanes() {
  return V::kBytes * 8;
}

// Calls f(V(), first, count) for each tile of `all` lanes and gives the first of those that are
// left, `few` at most: what fits narrower lanes but for `few` of them goes there.
template <class V, class... Narrow, class F>
size_t each_tile(size_t all, size_t few, F&& f, size_t first = 0) {
  constexpr size_t kNarrower[] = {lanes<Narrow>()..., 0};
  const size_t leave = kNarrower[0] + few;
  for (; all - first > leave; first = least(all, first + lanes<V>()))
    f(V(), first, least(all - first, lanes<V>()));
  if constexpr (sizeof...(Narrow) > 0) return each_tile<Narrow...>(all, few, f, first);
  return first;
}

constexpr size_t lane_lines(const Shape& s) {
  return s.w_planes * groups_of(s.inputs) * kGroup;
}
// Lines that a tile of outputs keeps: weights, bounds of the classes, flips.
constexpr size_t tile_lines(const Shape& s) {
  return lane_lines(s) + (s.form == Form::bits ? s.classes * planes_of(s) + 1 : 0);
}

// Rows counted at a time, at least `unit`.
template <class V>
constexpr size_t block_of(const Shape& s, size_t rows, size_t unit) {
  const size_t fit = kCountBytes / (planes_of(s) * V::kBytes) / unit * unit;
  return least(up_to(rows == 0 ? 1 : rows, unit), fit > unit ? fit : unit);
}

// Nanoseconds with one width of lanes: of a group and a chunk counted for an iterated row, of what
// the row costs besides (bits), of an int of a lane of it, of the table of a group, of a word of
// all lanes that are turned. An ISA file says where they were measured.
struct LanesCost {
  float group, chunk, row, lane, table, word;
};
// Of a row that is derived, of a group of it besides.
struct DeriveCost {
  float row, group;
};

// Of `rows` iterated rows against one tile of lanes, its table made once per block of rows.
template <class V>
float count_cost_ns(const Shape& s, size_t rows, size_t block, const LanesCost& c) {
  const size_t groups = groups_of(s.inputs), blocks = (rows + block - 1) / block;
  const size_t triples = groups * kGroupTriples;
  const float passes = static_cast<float>(s.x_planes * s.w_planes);
  const float chunks =
      passes * static_cast<float>((triples + chunk_triples<V>() - 1) / chunk_triples<V>());
  const float row = passes * static_cast<float>(groups) * c.group + (chunks - 1) * c.chunk;
  return static_cast<float>(rows) * row + static_cast<float>(blocks * groups) * c.table;
}
inline float derive_cost_ns(const Shape& s, size_t rows, size_t planes, const DeriveCost& c) {
  return static_cast<float>(rows * planes) *
         (c.row + static_cast<float>(groups_of(s.inputs)) * c.group);
}

// Planes to one integer per lane. 8 planes at a time are 8 x 8 bits in every byte position, which
// are transposed: byte j of vector i is then lane 8 j + i. Three turns of interleaving vectors i
// and i + 4 bring 16 lanes of each 128 bits together: vector m, 128 bits q: lanes 128 q + 16 m ...
template <class V>
__attribute__((noinline)) void ints_of(const uint8_t* counts, size_t planes, int32_t* to) {
  constexpr size_t B = V::kBytes;
  alignas(64) uint8_t bytes[8 * B];
  for (size_t p = 0; p < planes; p += 8) {
    typename V::Vec v[8], w[8];
#define QRT_EACH _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; ++i)
#define QRT_TURN(to, from)                                 \
  _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; ++i) { \
    to[2 * i] = V::zip_lo8(from[i], from[i + 4]);          \
    to[2 * i + 1] = V::zip_hi8(from[i], from[i + 4]);      \
  }
    QRT_EACH v[i] = p + i < planes ? V::load(counts + (p + i) * B) : V::zero();
    swap8<V, 4>(v, 0x0f0f0f0f0f0f0f0f, 0x3333333333333333, 0x5555555555555555);
    QRT_TURN(w, v)
    QRT_TURN(v, w)
    QRT_TURN(w, v)
    QRT_EACH V::store(bytes + i * B, w[i]);
#undef QRT_EACH
#undef QRT_TURN
    for (size_t q = 0; q < B / 16; ++q) {
      for (size_t m = 0; m < 8; ++m) {
        const uint8_t* from = bytes + m * B + q * 16;
        int32_t* lane = to + q * 128 + m * 16;
        if (p == 0)
          for (size_t n = 0; n < 16; ++n) lane[n] = from[n];
        else
          for (size_t n = 0; n < 16; ++n) lane[n] |= int32_t{from[n]} << p;
      }
    }
  }
}

template <size_t N>
constexpr size_t most_of(const size_t (&sizes)[N]) {
  size_t most = 0;
  for (const size_t size : sizes) most = size > most ? size : most;
  return most;
}

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_LANES_H_

// Bit-sliced counting with outputs in the lanes. Weights are kept as lanes, 1 bit per weight, or
// turned in every call from where the file has them; the planes of the bounds are kept in both, so
// that a threshold is one operation per plane for a vector of outputs. Outputs<keeps, V...>: widths
// of vectors, the widest first; what is left over goes to the narrowest it fits.
#ifndef QRT_KERNELS_BITS_GENERIC_OUTPUTS_H_
#define QRT_KERNELS_BITS_GENERIC_OUTPUTS_H_

#include "kernels/bits/generic_lanes.h"

namespace qrt::kernels::bits {
namespace {

// Bits of values [first, first + count) to lines of planes.
template <class V>
void planes_of_ints(const int32_t* values, size_t count, int32_t most, size_t planes, uint8_t* to) {
  std::memset(to, 0, planes * V::kBytes);
  for (size_t n = 0; n < count; ++n) {
    const int32_t v = values[n] < 0 ? 0 : values[n] > most ? most : values[n];
    for (size_t p = 0; p < planes; ++p)
      to[p * V::kBytes + n / 8] |= static_cast<uint8_t>((v >> p & 1) << n % 8);
  }
}

// Weights of outputs from `first` on, `plane` words from one of their planes to the next.
template <class V>
void weight_lanes(const Shape& s, const uint64_t* weights, size_t stride, size_t plane,
                  size_t count, uint8_t* to) {
  const size_t places = groups_of(s.inputs) * kGroup;
  for (size_t i = 0; i < s.w_planes; ++i, to += places * V::kBytes)
    lanes_of<V>(weights + i * plane, stride, count, words_of(s.inputs), places, to);
}

template <class V>
void pack_bounds(const PackArgs& a, size_t first, size_t count, uint8_t* to) {
  const Shape& s = a.shape;
  const size_t planes = planes_of(s);
  if (s.form != Form::bits) return;
  const int32_t most = static_cast<int32_t>(most_differ(s)) + 1;
  for (size_t i = 0; i < s.classes; ++i, to += planes * V::kBytes)
    planes_of_ints<V>(a.bounds + i * s.outputs + first, count, most, planes, to);
  std::memset(to, 0, V::kBytes);
  if (a.flips) std::memcpy(to, a.flips + first / kWord, words_of(count) * sizeof(uint64_t));
}

template <class V>
inline typename V::Vec below(const uint8_t* counts, const uint8_t* bounds, size_t planes) {
  typename V::Vec lt = V::zero();
  for (size_t p = 0; p < planes; ++p)
    lt = V::borrow(V::load(counts + p * V::kBytes), V::load(bounds + p * V::kBytes), lt);
  return lt;
}

// Rows of counts to packed bits. `bounds` are those of the tile, flips behind them.
template <class V>
void store_bits(const Args& a, size_t row, size_t rows, size_t first, size_t count,
                const uint8_t* counts, const uint8_t* bounds) {
  const size_t planes = planes_of(a.shape), words = words_of(count);
  const typename V::Vec flips = V::load(bounds + a.shape.classes * planes * V::kBytes);
  for (size_t r = row; r < row + rows; ++r, counts += planes * V::kBytes) {
    const size_t group = a.class_of ? a.class_of[r] : 0u;
    const typename V::Vec lt = below<V>(counts, bounds + group * planes * V::kBytes, planes);
    alignas(64) uint64_t line[V::kBytes / 8];
    V::store(reinterpret_cast<uint8_t*>(line), V::xor2(lt, flips));
    uint64_t* y = a.bits + r * a.y_stride + first / kWord;
    if (words == V::kBytes / 8)
      std::memcpy(y, line, V::kBytes);
    else
      std::memcpy(y, line, words * sizeof(uint64_t));
  }
}

template <class V>
void finish_rows(const Args& a, size_t row, size_t rows, size_t first, size_t count,
                 const uint8_t* counts) {
  const size_t planes = planes_of(a.shape);
  alignas(64) int32_t differ[lanes<V>()];
  for (size_t r = row; r < row + rows; ++r, counts += planes * V::kBytes) {
    ints_of<V>(counts, planes, differ);
    finish_row(a, r, first, count, differ);
  }
}

// Derived rows [row, row + rows) against a tile of outputs.
template <class V>
void outputs_tile(const Args& a, const uint8_t* lanes, const uint8_t* bounds,
                  const uint8_t* derived, size_t row, size_t rows, uint8_t* table, size_t first,
                  size_t count) {
  const Shape& s = a.shape;
  Counting c{};
  c.lanes = lanes, c.lane_planes = s.w_planes, c.groups = groups_of(s.inputs);
  c.stride = row_bytes(s, s.x_planes), c.row_plane = row_bytes(s, 1), c.row_planes = s.x_planes;
  c.table = table, c.counts = table + table_bytes<V>(c.groups);
  c.planes = planes_of(s);
  const size_t block = block_of<V>(s, s.rows, 1);
  for (size_t r = 0; r < rows; r += c.count) {
    c.count = least(block, rows - r);
    c.rows = derived + r * c.stride;
    count_all<V>(c);
    if (a.bits)
      store_bits<V>(a, row + r, c.count, first, count, c.counts, bounds);
    else
      finish_rows<V>(a, row + r, c.count, first, count, c.counts);
  }
}

template <bool kKeeps, class W, class... Narrow>
struct Outputs {
  // Lines of a tile.
  static size_t kept_lines(const Shape& s) {
    return kKeeps ? tile_lines(s) : tile_lines(s) - lane_lines(s);
  }
  static size_t kept(const Shape& s) {
    size_t bytes = 0;
    each_tile<W, Narrow...>(s.outputs, 0, [&](auto v, size_t, size_t) {
      bytes += kept_lines(s) * decltype(v)::kBytes;
    });
    return bytes;
  }
  // Rows derived at a time: all tiles of outputs count them, whose tables are made anew.
  static size_t rows_at_once(const Shape& s) {
    const size_t fit = kDerivedBytes / row_bytes(s, s.x_planes), block = block_of<W>(s, s.rows, 1);
    return least(s.rows, fit > block ? fit / block * block : block);
  }
  static size_t derived(const Shape& s) {
    return up_to(rows_at_once(s) * row_bytes(s, s.x_planes), kAlign);
  }
  static size_t scratch(const Shape& s) {
    return derived(s) + most_of({tile_scratch<W>(s), tile_scratch<Narrow>(s)...});
  }
  template <class V>
  static size_t tile_scratch(const Shape& s) {
    const size_t turned = kKeeps ? 0 : lane_lines(s) * V::kBytes;
    return turned + table_bytes<V>(groups_of(s.inputs)) +
           block_of<V>(s, s.rows, 1) * planes_of(s) * V::kBytes;
  }
  // c: of each width.
  static float cost_ns(const Shape& s, const LanesCost* c, const DeriveCost& d) {
    if (!in_contract(s)) return -1.0f;
    float ns = derive_cost_ns(s, s.rows, s.x_planes, d);
    const float rows = static_cast<float>(s.rows);
    each_tile<W, Narrow...>(s.outputs, 0, [&](auto v, size_t, size_t) {
      using V = decltype(v);
      size_t width = 0;
      while (W::kBytes >> width != V::kBytes) ++width;
      const LanesCost& k = c[width];
      const float store = s.form == Form::bits ? k.row : k.lane * static_cast<float>(lanes<V>());
      const float turned = static_cast<float>(kKeeps ? 0 : s.w_planes * words_of(s.inputs));
      ns += count_cost_ns<V>(s, s.rows, block_of<V>(s, s.rows, 1), k) + rows * store +
            turned * k.word;
    });
    return ns;
  }
  static void pack(const PackArgs& a) {
    uint8_t* to = static_cast<uint8_t*>(a.kept);
    each_tile<W, Narrow...>(a.shape.outputs, 0, [&](auto v, size_t first, size_t count) {
      using V = decltype(v);
      if (kKeeps)
        weight_lanes<V>(a.shape, a.weights + first * a.stride, a.stride, a.plane, count, to);
      pack_bounds<V>(a, first, count, to + (kKeeps ? lane_lines(a.shape) * V::kBytes : 0));
      to += kept_lines(a.shape) * V::kBytes;
    });
  }
  // Tiles before the first output are all of the widest kind.
  static void run(const Args& a) {
    const Shape& s = a.shape;
    const size_t some = rows_at_once(s);
    for (size_t row = 0; row < s.rows; row += some) {
      const size_t rows = least(some, s.rows - row);
      derive<W>(a.x + row * a.x_stride, a.x_stride, a.x_plane, s.x_planes, words_of(s.inputs),
                groups_of(s.inputs), rows, static_cast<uint8_t*>(a.scratch));
      const uint8_t* at = static_cast<const uint8_t*>(a.kept) +
                          a.first_output / lanes<W>() * kept_lines(s) * W::kBytes;
      each_tile<W, Narrow...>(s.outputs - a.first_output, 0,
                              [&](auto v, size_t first, size_t count) {
                                using V = decltype(v);
                                if (first < a.outputs) tile<V>(a, at, row, rows, first, count);
                                at += kept_lines(s) * V::kBytes;
                              });
    }
  }

 private:
  template <class V>
  static void tile(const Args& a, const uint8_t* kept, size_t row, size_t rows, size_t first,
                   size_t count) {
    const size_t bytes = lane_lines(a.shape) * V::kBytes;
    const uint8_t* derived_rows = static_cast<const uint8_t*>(a.scratch);
    uint8_t* scratch = static_cast<uint8_t*>(a.scratch) + derived(a.shape);
    if (kKeeps)
      return outputs_tile<V>(a, kept, kept + bytes, derived_rows, row, rows, scratch, first, count);
    weight_lanes<V>(a.shape, a.weights + (a.first_output + first) * a.w_stride, a.w_stride,
                    a.w_plane, count, scratch);
    outputs_tile<V>(a, scratch, kept, derived_rows, row, rows, scratch + bytes, first, count);
  }
};

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_OUTPUTS_H_

// Bit-sliced counting with rows in the lanes, which are transposed as they come; the weights of an
// output are read as they lie in the file. 64 outputs of all lanes, transposed back, are words of
// packed rows, planes of counts turned back integers. The last few rows would leave most lanes
// empty and are counted word by word. Rows<V...>: widths of vectors, the widest first.
#ifndef QRT_KERNELS_BITS_GENERIC_ROWS_H_
#define QRT_KERNELS_BITS_GENERIC_ROWS_H_

#include "kernels/bits/generic_lanes.h"
#include "kernels/bits/generic_words.h"

namespace qrt::kernels::bits {
namespace {

// The lanes of each class of rows; a class without rows here is left out.
template <class V>
struct ClassLanes {
  size_t count = 0;
  uint8_t number[kMaxClasses];
  alignas(64) uint8_t lanes[kMaxClasses * V::kBytes];
  ClassLanes(const uint8_t* class_of, size_t rows) {
    uint8_t at[kMaxClasses];
    std::memset(at, 0xff, sizeof at);
    for (size_t r = 0; r < rows; ++r) {
      uint8_t& here = at[class_of[r]];
      if (here == 0xff) {
        here = static_cast<uint8_t>(count), number[count] = class_of[r];
        std::memset(lanes + count++ * V::kBytes, 0, V::kBytes);
      }
      lanes[here * V::kBytes + r / 8] |= static_cast<uint8_t>(1u << r % 8);
    }
  }
};

// below() with one bound for all lanes.
template <class V>
inline typename V::Vec below_one(const uint8_t* counts, int32_t bound, size_t planes) {
  typename V::Vec lt = V::zero();
  for (size_t p = 0; p < planes; ++p) {
    const typename V::Vec b = V::set64(uint64_t{0} - (static_cast<uint32_t>(bound) >> p & 1u));
    lt = V::borrow(V::load(counts + p * V::kBytes), b, lt);
  }
  return lt;
}

// 64 outputs or fewer of a tile of rows become a word of each row.
template <class V>
void store_word(const Args& a, const ClassLanes<V>& classes, size_t row, size_t rows, size_t first,
                size_t count, const uint8_t* counts) {
  constexpr size_t B = V::kBytes;
  const size_t planes = planes_of(a.shape);
  const int32_t most = static_cast<int32_t>(most_differ(a.shape)) + 1;
  const Bounds kept(a.shape, a.kept);
  alignas(64) uint64_t lines[64 * B / 8];
  uint8_t* to = reinterpret_cast<uint8_t*>(lines);
  if (count < kWord) std::memset(lines, 0, sizeof lines);
  for (size_t n = 0; n < count; ++n, counts += planes * B) {
    const size_t output = a.first_output + first + n;
    const uint64_t flip = kept.flips[output / kWord] >> output % kWord & 1u;
    typename V::Vec bits = V::set64(uint64_t{0} - flip);
    for (size_t i = 0; i < classes.count; ++i) {
      int32_t bound = kept.bounds[classes.number[i] * kept.stride + output];
      bound = bound < 0 ? 0 : bound > most ? most : bound;
      bits = V::xor2(bits,
                     V::and2(below_one<V>(counts, bound, planes), V::load(classes.lanes + i * B)));
    }
    V::store(to + n * B, bits);
  }
  transpose64<V>(to, B);
  uint64_t* y = a.bits + row * a.y_stride + first / kWord;
  for (size_t r = 0; r < rows; ++r) y[r * a.y_stride] = lines[r % kWord * (B / 8) + r / kWord];
}

// The same as integers: every plane of 64 outputs is turned in place, and a line of planes then
// holds 64 outputs of a few rows.
template <class V>
void store_ints(const Args& a, size_t row, size_t rows, size_t first, size_t count,
                uint8_t* counts) {
  constexpr size_t B = V::kBytes;
  const size_t planes = planes_of(a.shape);
  for (size_t p = 0; p < planes; ++p) transpose64<V>(counts + p * B, planes * B);
  alignas(64) int32_t differ[lanes<V>()];
  for (size_t i = 0; i < least(kWord, rows); ++i, counts += planes * B) {
    ints_of<V>(counts, planes, differ);
    for (size_t r = i; r < rows; r += kWord)
      finish_row(a, row + r, first, count, differ + r / kWord * kWord);
  }
}

// Outputs of a call, derived here unless all of them are already.
template <class W, class V>
void rows_tile(const Args& a, const uint8_t* all, uint8_t* scratch, size_t row, size_t rows) {
  const Shape& s = a.shape;
  const size_t groups = groups_of(s.inputs), places = groups * kGroup, words = words_of(s.inputs);
  static constexpr uint8_t kZeros[lanes<V>()] = {};
  const ClassLanes<V> classes(a.class_of ? a.class_of + row : kZeros, rows);
  uint8_t* to = scratch;
  Counting c{};
  c.lanes = to, c.lane_planes = s.x_planes, c.groups = groups;
  for (size_t i = 0; i < s.x_planes; ++i, to += places * V::kBytes)
    lanes_of<V>(a.x + row * a.x_stride + i * a.x_plane, a.x_stride, rows, words, places, to);
  c.stride = row_bytes(s, s.w_planes), c.row_plane = row_bytes(s, 1), c.row_planes = s.w_planes;
  c.table = to, c.counts = to + table_bytes<V>(groups), c.planes = planes_of(s);
  const size_t block = block_of<V>(s, a.outputs, kWord);
  uint8_t* some = c.counts + block_of<V>(s, s.outputs, kWord) * c.planes * V::kBytes;
  for (size_t n = 0; n < a.outputs; n += c.count) {
    c.count = least(block, a.outputs - n);
    c.rows = all ? all + n * c.stride : some;
    if (!all)
      derive<W>(a.weights + (a.first_output + n) * a.w_stride, a.w_stride, a.w_plane, s.w_planes,
                words, groups, c.count, some);
    count_all<V>(c);
    for (size_t i = 0; i < c.count; i += kWord) {
      uint8_t* counts = c.counts + i * c.planes * V::kBytes;
      const size_t count = least(kWord, c.count - i);
      if (a.bits)
        store_word<V>(a, classes, row, rows, n + i, count, counts);
      else
        store_ints<V>(a, row, rows, n + i, count, counts);
    }
  }
}

// ---- few rows ----------------------------------------------------------------------------

inline constexpr size_t kFew = 96;

// L rows side by side, [plane][word][L], as weights are for Words.
template <class V>
void beside(const Args& a, size_t row, size_t rows, uint64_t* to) {
  constexpr size_t L = vector_words<V>();
  for (size_t j = 0; j < a.shape.x_planes; ++j)
    for (size_t k = 0; k < words_of(a.shape.inputs); ++k)
      for (size_t l = 0; l < L; ++l)
        *to++ = l < rows ? a.x[(row + l) * a.x_stride + j * a.x_plane + k] : 0;
}

// L rows by 64 outputs; the vectors of counts, one per output, are turned for less64.
template <class V>
void few_word(const Args& a, const Bounds& kept, const uint64_t* beside, size_t row, size_t rows,
              size_t first, size_t count) {
  constexpr size_t L = vector_words<V>();
  const Shape& s = a.shape;
  const size_t words = words_of(s.inputs), output = a.first_output + first;
  alignas(64) int32_t differ[kWord][L];
  alignas(64) int32_t turned[L][kWord];
  std::memset(differ, 0, sizeof differ);
  for (size_t n = 0; n < count; ++n) {
    const uint64_t* w = a.weights + (output + n) * a.w_stride;
    for (size_t i = 0; i < s.w_planes; ++i)
      for (size_t j = 0; j < s.x_planes; ++j)
        V::add_counts(differ[n],
                      count_word_lanes<V>(beside + j * words * L, w + i * a.w_plane, words),
                      static_cast<int>(i + j));
  }
  for (size_t n = 0; n < kWord; ++n)
    for (size_t l = 0; l < L; ++l) turned[l][n] = differ[n][l];
  for (size_t l = 0; l < rows; ++l) {
    if (!a.bits) {
      finish_row(a, row + l, first, count, turned[l]);
      continue;
    }
    const size_t group = a.class_of ? a.class_of[row + l] : 0u;
    const uint64_t less = V::less64(turned[l], kept.bounds + group * kept.stride + output);
    a.bits[(row + l) * a.y_stride + first / kWord] = less ^ kept.flips[output / kWord];
  }
}

template <class V>
void few_rows(const Args& a, size_t row) {
  constexpr size_t L = vector_words<V>();
  const Bounds kept(a.shape, a.kept);
  uint64_t* x = static_cast<uint64_t*>(a.scratch);
  for (; row < a.shape.rows; row += L) {
    const size_t rows = least(L, a.shape.rows - row);
    beside<V>(a, row, rows, x);
    for (size_t n = 0; n < a.outputs; n += kWord)
      few_word<V>(a, kept, x, row, rows, n, least(kWord, a.outputs - n));
  }
}

template <class W, class... Narrow>
struct Rows {
  static size_t kept(const Shape& s) { return Bounds::kept(s); }
  static void pack(const PackArgs& a) {
    if (a.shape.form == Form::bits) Bounds::pack(a, a.kept);
  }
  // Of derived outputs: all, if that is little.
  static size_t derived(const Shape& s) {
    const size_t all = up_to(s.outputs * row_bytes(s, s.w_planes), kAlign);
    return all <= kDerivedBytes ? all : 0;
  }
  static size_t scratch(const Shape& s) {
    const size_t few = s.x_planes * words_of(s.inputs) * W::kBytes;
    return derived(s) + most_of({few, tile_scratch<W>(s), tile_scratch<Narrow>(s)...});
  }
  template <class V>
  static size_t tile_scratch(const Shape& s) {
    const size_t groups = groups_of(s.inputs), block = block_of<V>(s, s.outputs, kWord);
    const size_t some = derived(s) == 0 ? block * row_bytes(s, s.w_planes) : 0;
    return table_bytes<V>(groups) +
           (s.x_planes * groups * kGroup + block * planes_of(s)) * V::kBytes + some;
  }
  // c: of each width; an output costs more where rows are of several classes.
  static float cost_ns(const Shape& s, const LanesCost* c, const DeriveCost& d,
                       const WordsCost& words) {
    if (!in_contract(s)) return -1.0f;
    float ns = 0;
    const float turned = static_cast<float>(s.x_planes * words_of(s.inputs));
    const float bounds = 1.0f + 0.25f * static_cast<float>(s.classes - 1);
    const size_t left = each_tile<W, Narrow...>(s.rows, kFew, [&](auto v, size_t, size_t) {
      using V = decltype(v);
      const LanesCost& k = c[V::kBytes == W::kBytes ? 0 : 1];
      const float store =
          s.form == Form::bits ? k.row * bounds : k.lane * static_cast<float>(lanes<V>());
      ns += count_cost_ns<V>(s, s.outputs, block_of<V>(s, s.outputs, kWord), k) +
            static_cast<float>(s.outputs) * store + turned * k.word;
      // Deriving all outputs at once is in the constants.
      if (derived(s) == 0) ns += derive_cost_ns(s, s.outputs, s.w_planes, d);
    });
    // Rows are what outputs are to Words.
    Shape few = s;
    few.rows = s.outputs, few.outputs = s.rows - left;
    return ns + words_cost_ns<W>(few, words);
  }
  static void run(const Args& a) {
    const Shape& s = a.shape;
    uint8_t* scratch = static_cast<uint8_t*>(a.scratch);
    const uint8_t* all = derived(s) != 0 && s.rows > kFew ? scratch : nullptr;
    if (all)
      derive<W>(a.weights + a.first_output * a.w_stride, a.w_stride, a.w_plane, s.w_planes,
                words_of(s.inputs), groups_of(s.inputs), a.outputs, scratch);
    const auto tile = [&](auto v, size_t first, size_t count) {
      rows_tile<W, decltype(v)>(a, all, scratch + derived(s), first, count);
    };
    few_rows<W>(a, each_tile<W, Narrow...>(s.rows, kFew, tile));
  }
};

}  // namespace
}  // namespace qrt::kernels::bits

#endif  // QRT_KERNELS_BITS_GENERIC_ROWS_H_

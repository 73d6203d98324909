// The loops of the winograd8 family over the primitives of an ISA, a struct V in an anonymous
// namespace. Beside those of int8/generic.h that finish sums and read codes:
//
//   kLanes, kTileM, kTileN   lanes of 32 bits; the register tile, kTileN = 2 * kLanes
//   Words, Ints              vectors of kTileN uint16_t and kLanes uint32_t, with operators
//   Words widen(p)           kTileN bytes
//   Ints settle<E>(y)        the sums in what output_axis() gives
//   kDeep                    channels that lie together in a panel
//   place<E>(i)              where position i lies in a line
//   put<E>(lines, to, step)  kDeep channels of kTileN outputs to a panel, positions `step` apart
//   multiply<R>(...)         R tiles by kTileN outputs, one position
//
//   for each panel of outputs:  for each chunk of channels:
//     lines of its codes become a panel [position][channel / kDeep][kTileN][kDeep]
//     for each kTileM tiles:  for each position:  products are added up in 32 bits
//                             behind the last chunk: A' m A, finish
//
// Factors are read again and again from L2, so positions never lie a power of two apart: a line
// is written to all of them, and 16 or 36 stores to one set of a cache are three times slower.
#ifndef QRT_KERNELS_WINOGRAD8_GENERIC_H_
#define QRT_KERNELS_WINOGRAD8_GENERIC_H_

#include "kernels/int8/generic.h"
#include "kernels/int8/generic_codes.h"
#include "kernels/winograd8/transforms.h"
#include "kernels/winograd8/winograd8.h"

namespace qrt::kernels::winograd8 {
namespace {

using int8::CodeSteps;

constexpr size_t up_to(size_t x, size_t multiple) {
  return (x + multiple - 1) / multiple * multiple;
}

// Channels of a chunk where few tiles make the panel the larger part, or it would leave L2 by
// itself: then products of all tiles rest between chunks.
constexpr size_t kChunk = 128, kFewTiles = 16, kMostDepth = 256;
constexpr size_t kApart = 32;  // words beyond a round number from a position to the next

// Sizes of a call and the places of its parts in scratch, in bytes.
struct Plan {
  size_t depth, chunk;        // depth: channels of a tile's input, zeros behind the last
  size_t v_step, panel_step;  // words from a position to the next
  size_t products, end;
};

template <class V, int E>
Plan plan_of(const Args& a) {
  constexpr size_t P = kPositions<E>;
  const size_t tiles = a.tile_end - a.tile_begin;
  Plan p;
  p.depth = up_to(a.channels, V::kTileN);
  const bool chunks = a.channels > (tiles <= kFewTiles ? kChunk : kMostDepth);
  p.chunk = chunks ? kChunk : p.depth;
  p.v_step = (a.block_end - a.block_begin) * p.depth + kApart;
  p.panel_step = p.chunk * V::kTileN + kApart;
  p.products = up_to(P * p.panel_step * sizeof(int16_t), 64);
  const size_t held = p.chunk < a.channels ? tiles : V::kTileM;
  p.end = p.products + up_to(P * held * V::kTileN * sizeof(int32_t), 64);
  return p;
}

template <class V, int E>
size_t input_bytes(const Args& a) {
  return kPositions<E> * plan_of<V, E>(a).v_step * sizeof(int16_t);
}

// Room for a pixel of padding as well.
template <class V, int E>
size_t scratch_bytes(const Args& a) {
  const Plan p = plan_of<V, E>(a);
  return p.end < p.depth ? p.depth : p.end;
}

// Where a tile's outputs begin.
template <int E>
struct Origin {
  size_t image, y, x;
  Origin(const Args& a, size_t tile) {
    const size_t across = (a.out_w + E - 1) / E, down = (a.out_h + E - 1) / E;
    image = tile / across / down, y = tile / across % down * E, x = tile % across * E;
  }
};

// ---- entries -------------------------------------------------------------------

// GgG' of each of the nine unit kernels g as a line. One kernel's line is the sum of these times
// its weights: products of whole vectors, without the two passes and their transposition.
template <class V, int E>
struct UnitLines {
  uint16_t line[9][kLine<E>];
  constexpr UnitLines() : line{} {
    constexpr size_t A = kAxis<E>;
    for (size_t k = 0; k < 9; ++k) {
      int g[9] = {}, t[A * 3] = {}, u[A] = {};
      g[k] = 1;
      for (size_t j = 0; j < 3; ++j) entry_axis<E>(g[j], g[3 + j], g[6 + j], t + j, 3);
      for (size_t i = 0; i < A; ++i) {
        entry_axis<E>(t[3 * i], t[3 * i + 1], t[3 * i + 2], u, 1);
        for (size_t j = 0; j < A; ++j)
          line[k][V::template place<E>(i * A + j)] = static_cast<uint16_t>(u[j]);
      }
    }
  }
};

template <class V, int E>
void entries(const EntriesArgs& a) {
  using Sixteen = uint16_t __attribute__((vector_size(32)));
  constexpr size_t kParts = kLine<E> / 16;
  alignas(64) static constexpr UnitLines<V, E> kUnits;
  Sixteen units[9][kParts];
  std::memcpy(units, kUnits.line, sizeof units);
  const size_t count = a.count, kernels = a.kernels;
  int16_t* to = a.lines;
  for (size_t i = 0; i < count; ++i) {
    const int8_t* g = a.entries + i * a.stride;
    for (size_t j = 0; j < kernels; ++j, g += 9, to += kLine<E>) {
      Sixteen line[kParts] = {};
#pragma GCC unroll 9
      for (size_t k = 0; k < 9; ++k)
        for (size_t p = 0; p < kParts; ++p)
          line[p] += static_cast<uint16_t>(int16_t{g[k]}) * units[k][p];
      std::memcpy(to, line, sizeof line);
    }
  }
}

// ---- input ---------------------------------------------------------------------

// Channels [begin, end) of a window; a tail that is no whole vector ends in x_zero already.
template <class V, int E>
__attribute__((noinline)) void transform_window(const uint8_t* const* pixel, size_t begin,
                                                size_t end, int32_t x_zero, int16_t* to,
                                                size_t step) {
  constexpr size_t A = kAxis<E>, P = kPositions<E>;
  using Words = typename V::Words;
  const Words zero = Words{} + static_cast<uint16_t>(x_zero);
  for (size_t c = begin; c < end; c += V::kTileN) {
    Words d[P], v[P];
#pragma GCC unroll 36
    for (size_t i = 0; i < P; ++i) d[i] = V::widen(pixel[i] + c) - zero;
#pragma GCC unroll 6
    for (size_t j = 0; j < A; ++j) input_axis<E>(d + j, v + j, A);
#pragma GCC unroll 6
    for (size_t i = 0; i < A; ++i) input_axis<E>(v + i * A, d + i * A, 1);
#pragma GCC unroll 36
    for (size_t i = 0; i < P; ++i) std::memcpy(to + i * step + c, &d[i], sizeof d[i]);
  }
}

template <class V, int E>
void transform(const Args& a) {
  constexpr size_t A = kAxis<E>, P = kPositions<E>, N = V::kTileN;
  const Plan plan = plan_of<V, E>(a);
  auto* outside = static_cast<uint8_t*>(a.scratch);
  std::memset(outside, a.x_zero, plan.depth);
  const size_t whole = a.channels / N * N, rest = a.channels - whole;
  for (size_t t = a.tile_begin; t < a.tile_end; ++t) {
    const Origin<E> at(a, t);
    int16_t* to = static_cast<int16_t*>(a.input) + (t - a.block_begin) * plan.depth;
    const uint8_t* pixel[P];
    for (size_t i = 0; i < P; ++i) {
      // Unsigned wrap-around makes one comparison of the two borders.
      const size_t y = at.y + i / A - a.pad_top, x = at.x + i % A - a.pad_left;
      const bool inside = y < a.in_h && x < a.in_w;
      pixel[i] = inside ? a.x + ((at.image * a.in_h + y) * a.in_w + x) * a.channels : outside;
    }
    transform_window<V, E>(pixel, 0, whole, a.x_zero, to, plan.v_step);
    if (rest == 0) continue;
    uint8_t tail[P][N];
    std::memset(tail, a.x_zero, sizeof tail);
    for (size_t i = 0; i < P; ++i) {
      std::memcpy(tail[i], pixel[i] + whole, rest);
      pixel[i] = tail[i];
    }
    transform_window<V, E>(pixel, 0, N, a.x_zero, to + whole, plan.v_step);
  }
}

// ---- panels --------------------------------------------------------------------

// The lines of kTileN outputs for one channel: `from` plus offsets.
struct Lines {
  const int8_t* from;
  const uint32_t* at;
};

template <class V, int E>
void decode(const Args& a, const int8::Outputs<V>& outputs, size_t channel, size_t count,
            int16_t* panel, size_t step) {
  constexpr size_t N = V::kTileN, kAhead = int8::kAhead;
  const size_t kernels = a.table.dim / 9, end = channel + count;
  alignas(64) uint32_t at[kAhead][N];
  for (size_t c = channel; c < end; c += kAhead) {
    const size_t last = (end - c < kAhead ? end : c + kAhead) - 1;
    const size_t block = c / kernels;
    outputs.offsets(0, block, last / kernels - block + 1, at, 1);
    size_t row = 0, kernel = c % kernels;
    for (size_t i = c; i <= last; i += V::kDeep, panel += V::kDeep * N) {
      Lines lines[V::kDeep];
      // A channel beyond the last meets zeros and may be any.
      for (size_t k = 0; k < V::kDeep; ++k) {
        lines[k] = {a.table.entries + kernel * kLine<E> * sizeof(int16_t), at[row]};
        if (i + k >= last) continue;
        if (++kernel == kernels) kernel = 0, ++row;
      }
      V::template put<E>(lines, panel, step);
    }
  }
}

// ---- products ------------------------------------------------------------------

// sums[r][n] (+)= sum over channels of x[r * stride + c] * panel[c][n], R = `rows` of them.
struct Multiply {
  const int16_t* x;
  size_t stride;
  const int16_t* panel;
  size_t channels;
  int32_t* sums;
  bool add;
};

template <class V, int... R>
inline void multiply_rows(const Multiply& m, size_t rows, std::integer_sequence<int, R...>) {
  using Fn = void(const Multiply&);
  static constexpr Fn* kByRows[] = {&V::template multiply<R + 1>...};
  kByRows[rows - 1](m);
}

// ---- output --------------------------------------------------------------------

// The sums of E x E pixels by kTileN outputs, from products `step` apart.
template <class V, int E>
__attribute__((noinline)) void transform_output(const int32_t* m, size_t step, int32_t* sums) {
  constexpr size_t A = kAxis<E>, P = kPositions<E>, L = V::kLanes;
  using Ints = typename V::Ints;
  for (size_t j = 0; j < V::kTileN; j += L) {
    Ints all[P], half[E * A], y[E * E];
#pragma GCC unroll 36
    for (size_t p = 0; p < P; ++p) std::memcpy(&all[p], m + p * step + j, sizeof all[p]);
#pragma GCC unroll 6
    for (size_t c = 0; c < A; ++c) output_axis<E>(all + c, A, half + c, A);
#pragma GCC unroll 4
    for (size_t i = 0; i < E; ++i) output_axis<E>(half + i * A, 1, y + i * E, 1);
#pragma GCC unroll 16
    for (size_t i = 0; i < E * E; ++i) {
      const Ints sum = V::template settle<E>(y[i]);
      std::memcpy(sums + i * V::kTileN + j, &sum, sizeof sum);
    }
  }
}

// Outputs n ... n + live - 1 <= kLanes of one tile; pixels beyond the borders are dropped.
template <class V, int E>
void finish_tile(const Args& a, const Origin<E>& at, size_t n, size_t live, const int32_t* sums) {
  int8::Finish f = a.finish;
  if (f.scale) f.scale += n;
  if (f.bias) f.bias += n;
  const typename V::Int zero = V::set1_i(f.zero);
  const size_t height = a.out_h - at.y < E ? a.out_h - at.y : E;
  const size_t width = a.out_w - at.x < E ? a.out_w - at.x : E;
  for (size_t i = 0; i < height; ++i) {
    size_t row = (at.image * a.out_h + at.y + i) * a.out_w + at.x;
    for (size_t j = 0; j < width; ++j, ++row) {
      const int32_t* sum = sums + (i * E + j) * V::kTileN;
      const size_t to = row * a.outputs;
      if (live < V::kLanes) {
        int8::finish_row<V>(a.finish, row, n, live, sum, a.y8 ? a.y8 + to : nullptr,
                            a.y32 ? a.y32 + to : nullptr);
        continue;
      }
      if (f.residual) f.residual = a.finish.residual + row * f.residual_stride + n;
      const typename V::F t = int8::finished<V>(f, V::load_i(sum));
      if (a.y8)
        V::store_u8(a.y8 + to + n, t, zero);
      else
        V::store(a.y32 + to + n, t);
    }
  }
}

template <class V, int E>
void finish_tiles(const Args& a, size_t first, size_t rows, size_t n, size_t live,
                  const int32_t* products) {
  constexpr size_t N = V::kTileN, L = V::kLanes;
  for (size_t r = 0; r < rows; ++r) {
    alignas(64) int32_t sums[E * E * N];
    transform_output<V, E>(products + r * N, rows * N, sums);
    const Origin<E> at(a, first + r);
    for (size_t j = 0; j < live; j += L)
      finish_tile<V, E>(a, at, n + j, live - j < L ? live - j : L, sums + j);
  }
}

// ---- all of it -----------------------------------------------------------------

template <class V, int E>
void run_panel(const Args& a, const Plan& plan, size_t n, size_t live) {
  constexpr size_t P = kPositions<E>, N = V::kTileN;
  constexpr std::make_integer_sequence<int, V::kTileM> heights{};
  auto* panel = static_cast<int16_t*>(a.scratch);
  auto* products = reinterpret_cast<int32_t*>(static_cast<uint8_t*>(a.scratch) + plan.products);
  const int8::Outputs<V> outputs(a.table, n, live);
  const size_t tiles = a.tile_end - a.tile_begin, groups = (tiles + V::kTileM - 1) / V::kTileM;
  for (size_t c = 0; c < a.channels; c += plan.chunk) {
    const size_t left = a.channels - c, count = left < plan.chunk ? left : plan.chunk;
    decode<V, E>(a, outputs, c, count, panel, plan.panel_step);
    for (size_t g = 0, t = a.tile_begin; g < groups; ++g) {  // of about equal height
      const size_t rows = tiles / groups + (g < tiles % groups ? 1 : 0);
      const int16_t* v =
          static_cast<const int16_t*>(a.input) + (t - a.block_begin) * plan.depth + c;
      int32_t* to = products + (plan.chunk < a.channels ? P * (t - a.tile_begin) * N : 0);
      for (size_t p = 0; p < P; ++p)
        multiply_rows<V>({v + p * plan.v_step, plan.depth, panel + p * plan.panel_step, count,
                          to + p * rows * N, c != 0},
                         rows, heights);
      if (count == left) finish_tiles<V, E>(a, t, rows, n, live, to);
      t += rows;
    }
  }
}

template <class V, int E>
void run(const Args& a) {
  const Plan plan = plan_of<V, E>(a);
  for (size_t n = a.output_begin; n < a.output_end; n += V::kTileN) {
    const size_t left = a.output_end - n;
    run_panel<V, E>(a, plan, n, left < V::kTileN ? left : V::kTileN);
  }
}

template <class V, int E>
constexpr Way way_of() {
  return {entries<V, E>, input_bytes<V, E>, scratch_bytes<V, E>, transform<V, E>, run<V, E>};
}
template <class V>
constexpr Kit kit_of() {
  return {way_of<V, 2>(), way_of<V, 4>()};
}

}  // namespace
}  // namespace qrt::kernels::winograd8

#endif  // QRT_KERNELS_WINOGRAD8_GENERIC_H_

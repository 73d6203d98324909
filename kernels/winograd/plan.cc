// The parts of Winograd on codebooks that cost next to nothing and need no ISA:
// sizes, the table, tile coordinates, and codes turned into addresses.
#include "kernels/winograd/plan.h"

#include <algorithm>
namespace qrt::kernels {
namespace {

constexpr size_t kTaps = 9;

constexpr size_t up(size_t x, size_t to) {
  return (x + to - 1) / to * to;
}

// The code at position i of a row packed LSB first; touches only its own bytes.
uint32_t read_bits(const uint8_t* row, size_t i, uint32_t bits) {
  const size_t first = i * bits;
  uint32_t word = 0;
  for (size_t byte = first / 8, have = 0; have < first % 8 + bits; ++byte, have += 8)
    word |= uint32_t{row[byte]} << have;
  return (word >> (first % 8)) & ((1u << bits) - 1u);
}

size_t scopes_of(const WinogradArgs& a) {
  return a.scope_rows == 0 ? 1 : (a.cout + a.scope_rows - 1) / a.scope_rows;
}

// (g0, g1, g2) -> G g with G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1].
void transform3(const float* g, size_t step, float out[4]) {
  const float ends = 0.5f * (g[0] + g[2 * step]), middle = 0.5f * g[step];
  out[0] = g[0];
  out[1] = ends + middle;
  out[2] = ends - middle;
  out[3] = g[2 * step];
}

void transform_kernel(const float* g, float* line) {
  float rows[4][3];
  for (size_t x = 0; x < 3; ++x) {
    float column[4];
    transform3(g + x, 3, column);
    for (size_t y = 0; y < 4; ++y) rows[y][x] = column[y];
  }
  for (size_t y = 0; y < 4; ++y) transform3(rows[y], 1, line + 4 * y);
}

constexpr size_t kOutputs = WinogradPlan::kOutputs;

// Codes of outputs [n0, n0 + n) in one row as byte offsets of lines.
inline void read_row(const uint8_t* row, size_t n0, size_t n, uint32_t bits, uint32_t* to) {
  if (bits == 8 && n == kOutputs) {  // a fixed count: the compiler widens all of them at once
    for (size_t i = 0; i < kOutputs; ++i) to[i] = uint32_t{row[n0 + i]} * 64;
  } else {
    for (size_t i = 0; i < n; ++i) to[i] = read_bits(row, n0 + i, bits) * 64;
  }
}

template <size_t kGroup>
void stage(const WinogradArgs& a, const WinogradPlan& p, const uint32_t* slots, size_t n0,
           uint32_t* to) {
  const size_t row_bytes = (a.cout * a.code_bits + 7) / 8;
  const size_t blocks = (a.cin + p.halves - 1) / p.halves, n = std::min(kOutputs, a.cout - n0);
  const uint32_t half_bytes = static_cast<uint32_t>(p.lines * 64);
  const uint32_t book_bytes = half_bytes * static_cast<uint32_t>(p.halves);
  uint32_t base[kOutputs] = {}, codes[kOutputs] = {};
  for (size_t i = 0; i < n && a.scope_rows != 0; ++i)
    base[i] = static_cast<uint32_t>((n0 + i) / a.scope_rows) * a.books * book_bytes;
  for (size_t book = 0; book < a.books; ++book) {
    const uint8_t* row = a.codes + book * blocks * row_bytes;
    for (size_t c = 0; c < a.cin; row += row_bytes) {
      read_row(row, n0, n, a.code_bits, codes);
      for (size_t half = 0; half < p.halves && c < a.cin; ++half, ++c) {
        const uint32_t add =
            static_cast<uint32_t>(book) * book_bytes + static_cast<uint32_t>(half) * half_bytes;
        uint32_t* out = to + (book * a.cin + slots[c]) * kGroup;
        for (size_t g = 0; g < kOutputs; g += kGroup, out += a.books * a.cin * kGroup)
          for (size_t i = 0; i < kGroup; ++i) out[i] = codes[g + i] + base[g + i] + add;
      }
    }
  }
}

}  // namespace

WinogradPlan::WinogradPlan(const WinogradArgs& a) {
  halves = a.dim / kTaps;
  lines = size_t{1} << a.code_bits;
  padded = up(a.cin, 16);
  const size_t most = std::max<size_t>(6, kBlockBytes / (a.cin * kLine * sizeof(float)));
  tiles = std::min({most, kMaxTiles, std::max<size_t>(1, winograd_tiles(a))});
  size_t at = 0;
  const auto take = [&at](size_t n) {
    const size_t begin = at;
    at += up(n, 64);
    return begin;
  };
  slots_at = take(a.cin * sizeof(uint32_t));
  zeros_at = take(padded * sizeof(float));
  spots_at = take(tiles * sizeof(WinogradSpot));
  codes_at = take(a.books * a.cin * kOutputs * sizeof(uint32_t));
  sums_at = take(6 * 4 * kLine * sizeof(float));
  v_at = take(tiles * a.cin * kLine * sizeof(float));
  bytes = at;
}

size_t winograd_scratch_bytes(const WinogradArgs& a) {
  return WinogradPlan(a).bytes;
}

size_t winograd_table_bytes(const WinogradArgs& a) {
  const uint64_t scopes = scopes_of(a);
  const uint64_t per_scope = uint64_t{a.books} * (a.dim / kTaps) * 64 << a.code_bits;
  constexpr uint64_t kMost = uint64_t{1} << 31;
  return per_scope == 0 || scopes > kMost / per_scope ? 0 : static_cast<size_t>(scopes * per_scope);
}

float winograd_cost_ns(const WinogradArgs& a, const Kernel<WinogradFn>& row) {
  const float tiles = static_cast<float>(winograd_tiles(a));
  const float cin = static_cast<float>(a.cin), cout = static_cast<float>(a.cout);
  const float products = tiles * cin * cout * static_cast<float>(a.books);
  const float lines = static_cast<float>(winograd_table_bytes(a) / 64);
  constexpr float kLineTable = 5.0f;      // measured: 1 us per 256 lines, and the entries' widening
  constexpr float kLineTransform = 0.5f;  // measured, of a step of the register tile
  return row.cost.call + kLineTable * lines +
         tiles * (cin + cout) * kLineTransform * row.cost.tile +
         products * row.cost.tile / static_cast<float>(row.tile.m * row.tile.n);
}

void winograd_build_table(const WinogradArgs& a, const float* entries, size_t entry_stride,
                          float* table) {
  const WinogradPlan p(a);
  const size_t books = a.books * scopes_of(a);
  for (size_t book = 0; book < books; ++book, entries += p.lines * entry_stride)
    for (size_t half = 0; half < p.halves; ++half)
      for (size_t i = 0; i < p.lines; ++i, table += WinogradPlan::kLine)
        transform_kernel(entries + i * entry_stride + half * kTaps, table);
}

void winograd_slots(const WinogradArgs& a, const WinogradPlan& p, uint32_t* slots) {
  uint32_t slot = 0;
  for (size_t half = 0; half < p.halves; ++half)
    for (size_t c = half; c < a.cin; c += p.halves) slots[c] = slot++;
}

void winograd_spots(const WinogradArgs& a, size_t begin, size_t n, WinogradSpot* spots) {
  const size_t across = (a.out_w + 1) / 2, down = (a.out_h + 1) / 2;
  for (size_t i = 0; i < n; ++i) {
    const size_t tile = begin + i;
    WinogradSpot& s = spots[i];
    s.x = tile % across * 2;
    s.y = tile / across % down * 2;
    s.image = tile / across / down;
    s.offset = ((s.image * a.out_h + s.y) * a.out_w + s.x) * a.cout;
    s.rows = s.y + 1 < a.out_h ? 2 : 1;
    s.cols = s.x + 1 < a.out_w ? 2 : 1;
  }
}

void winograd_stage_codes(const WinogradArgs& a, const WinogradPlan& p, const uint32_t* slots,
                          size_t n0, size_t group, uint32_t* to) {
  if (group == 4) return stage<4>(a, p, slots, n0, to);
  if (group == 2) return stage<2>(a, p, slots, n0, to);
  stage<1>(a, p, slots, n0, to);
}

}  // namespace qrt::kernels

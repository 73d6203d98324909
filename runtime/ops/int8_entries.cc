// Codebook entries of the file as integers, once per level: part of every run.
#include <cstring>

#include "kernels/codebook/codebook.h"
#include "runtime/ops/int8_layer.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;

// Moves entries of `dim` bytes that end the table apart to `stride`, zeros between. In ascending
// order no entry is overwritten before it is moved: entry i ends at
// (i + 1) * stride <= count * (stride - dim) + (i + 1) * dim, where entry i + 1 starts.
void spread(int8_t* to, const int8_t* from, size_t count, size_t dim, size_t stride) {
  for (size_t i = 0; i < count; ++i, to += stride, from += dim) {
    std::memmove(to, from, dim);
    std::memset(to + dim, 0, stride - dim);
  }
}

// The entries of one (scope, book) as floats: in the file, or widened to `floats`.
const float* values_of(const Int8Layer& layer, size_t first_entry, float* floats) {
  const CodebookWeights& w = layer.weights->codebook;
  const size_t n = size_t{w.count} * w.dim;
  const uint8_t* bytes = w.entries.data() + first_entry * w.dim * size_of(w.entry);
  if (w.entry == DType::f32) return reinterpret_cast<const float*>(bytes);
  if (w.entry == DType::f16) {
    layer.widen->widen({reinterpret_cast<const uint16_t*>(bytes), n, floats});
    return floats;
  }
  for (size_t i = 0; i < w.count; ++i) {
    const float scale = read_constant(w.entry_scales, static_cast<uint32_t>(first_entry + i));
    for (size_t t = 0; t < w.dim; ++t)
      floats[i * w.dim + t] = scale * static_cast<float>(static_cast<int8_t>(bytes[i * w.dim + t]));
  }
  return floats;
}

}  // namespace

EntryScratch reserve_entries(const Int8Layer& layer, PrepareContext& context) {
  EntryScratch at;
  at.table = context.reserve_scratch(layer.table_bytes);
  at.floats = context.reserve_scratch(layer.floats * sizeof(float));
  return at;
}

i8::Coded round_entries(const Int8Layer& layer, int8_t* table, float* floats) {
  const CodebookWeights& w = layer.weights->codebook;
  i8::Coded s{};
  s.codes = w.codes.data(), s.codes_end = w.codes.end();
  s.row_bytes = static_cast<size_t>(layout::codebook_row_bytes(layer.outputs, w.code_bits));
  s.book_bytes = s.row_bytes * layer.blocks;
  s.entries = table;
  s.entry_stride = layer.entry_stride;
  s.book_stride = layer.entry_stride << w.code_bits;
  s.scope_stride = s.book_stride * w.books;
  s.level_stride = s.scope_stride * layer.scopes;
  s.scope_rows = w.scope_rows;
  s.level_of = w.levels.count > 1 ? w.level_of.data() : nullptr;
  s.bits = w.code_bits, s.books = w.books, s.dim = w.dim;
  const size_t stride = s.entry_stride, padding = stride - w.dim, count = w.count;
  for (size_t i = 0; i < layer.scopes * w.books; ++i) {
    const float* values = values_of(layer, i * count, floats);
    for (uint32_t level = 0; level < w.levels.count; ++level) {
      if ((layer.levels_used >> level & 1) == 0) continue;
      int8_t* to = table + level * s.level_stride + i * s.book_stride;
      int8_t* packed = to + count * padding;
      layer.kit->run->round({values, count * w.dim, 1 / read_constant(w.levels, level), packed});
      if (padding != 0) spread(to, packed, count, w.dim, stride);
      std::memset(to + count * stride, 0, s.book_stride - count * stride);
    }
  }
  return s;
}

}  // namespace qrt

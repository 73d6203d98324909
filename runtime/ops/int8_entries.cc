// Codebook entries of the file as integers, once per level: part of every run.
#include <cstring>

#include "kernels/codebook/codebook.h"
#include "runtime/ops/int8_layer.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;

// Moves entries of `dim` floats that end the scratch apart to `stride`, zeros between. In ascending
// order no entry is overwritten before it is moved: entry i ends at
// (i + 1) * stride <= count * (stride - dim) + (i + 1) * dim, where entry i + 1 starts.
void spread(float* to, const float* from, size_t count, size_t dim, size_t stride) {
  for (size_t i = 0; i < count; ++i, to += stride, from += dim) {
    std::memmove(to, from, dim * sizeof(float));
    for (size_t t = dim; t < stride; ++t) to[t] = 0;
  }
}

// The entries of one (scope, book) as floats, [count][entry_stride]: in the file, or in `floats`.
// Padded before they are rounded, so that no level is moved on its own.
const float* values_of(const Int8Layer& layer, size_t first_entry, float* floats) {
  const CodebookWeights& w = layer.weights->codebook;
  const size_t dim = w.dim, n = w.count * dim, padding = layer.entry_stride - dim;
  const uint8_t* bytes = w.entries.data() + first_entry * dim * size_of(w.entry);
  if (w.entry == DType::f32 && padding == 0) return reinterpret_cast<const float*>(bytes);
  float* to = floats + w.count * padding;
  if (w.entry == DType::f32) {
    std::memcpy(to, bytes, n * sizeof(float));
  } else if (w.entry == DType::f16) {
    layer.widen->widen({reinterpret_cast<const uint16_t*>(bytes), n, to});
  } else {
    for (size_t i = 0; i < w.count; ++i) {
      const float scale = read_constant(w.entry_scales, static_cast<uint32_t>(first_entry + i));
      for (size_t t = 0; t < dim; ++t)
        to[i * dim + t] = scale * static_cast<float>(static_cast<int8_t>(bytes[i * dim + t]));
    }
  }
  if (padding != 0) spread(floats, to, w.count, dim, layer.entry_stride);
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
  const size_t bytes = w.count * s.entry_stride;
  for (size_t i = 0; i < layer.scopes * w.books; ++i) {
    const float* values = values_of(layer, i * w.count, floats);
    for (uint32_t level = 0; level < w.levels.count; ++level) {
      if ((layer.levels_used >> level & 1) == 0) continue;
      int8_t* to = table + level * s.level_stride + i * s.book_stride;
      layer.kit->run->round({values, bytes, 1 / read_constant(w.levels, level), to});
      std::memset(to + bytes, 0, s.book_stride - bytes);
    }
  }
  return s;
}

}  // namespace qrt

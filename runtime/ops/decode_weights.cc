// See decode_weights.h.
#include "runtime/ops/decode_weights.h"

#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/ops/decode_lowbit.h"
#include "runtime/tensor/half.h"
#include "schema/layout.h"

namespace qrt {
namespace {

Status wrong(const char* what, uint64_t found, uint64_t allowed) {
  return Status(Code::invalid_model, 256, what)
      .values(static_cast<int64_t>(found), static_cast<int64_t>(allowed))
      .next("convert the model again");
}

bool is_weight_type(DType t) {
  return t == DType::f32 || t == DType::f16 || t == DType::i8;
}

// Element i of little-endian storage; the file's alignment is not relied on.
float element(const uint8_t* data, DType t, size_t i) {
  if (t == DType::i8) return static_cast<float>(static_cast<int8_t>(data[i]));
  if (t == DType::f16) {
    uint16_t half;
    std::memcpy(&half, data + 2 * i, sizeof half);
    return half_to_float(half);
  }
  float value;
  std::memcpy(&value, data + 4 * i, sizeof value);
  return value;
}

Status check_scales(const Scales& s, const Weights& w) {
  CheckedSize count(1);
  if (s.axis == ScaleAxis::output) count = CheckedSize(w.outputs);
  if (s.axis == ScaleAxis::group) {
    if (s.group == 0) return wrong("a scale per group needs a group size of at least 1", 0, 1);
    count = CheckedSize(w.outputs) * layout::ceil_div(w.inputs, s.group);
  }
  if (s.values.count != count.get(UINT32_MAX))
    return wrong("wrong number of weight scales", s.values.count, count.get().value_or(0));
  return {};
}

Status check_dense(const Weights& w) {
  const DenseWeights& d = w.dense;
  if (!is_weight_type(d.dtype))
    return wrong("dense weights are f32, f16 or i8", static_cast<uint64_t>(d.dtype), 2);
  const auto bytes = (CheckedSize(w.outputs) * w.inputs * size_of(d.dtype)).get();
  if (d.data.size() != bytes)
    return wrong("dense weights have the wrong size", d.data.size(), bytes.value_or(0));
  return d.dtype == DType::i8 ? check_scales(d.scales, w) : Status();
}

uint32_t scopes_of(const Weights& w) {
  const uint32_t rows = w.codebook.scope_rows;
  return rows == 0 ? 1 : static_cast<uint32_t>(layout::ceil_div(w.outputs, rows));
}

Status check_codebook(const Weights& w) {
  const CodebookWeights& c = w.codebook;
  if (c.books < 1 || c.books > layout::kMaxBooks)
    return wrong("a codebook layer has 1 to 4 books", c.books, layout::kMaxBooks);
  if (c.count < 1 || c.count > layout::kMaxCentroids)
    return wrong("a book has 1 to 65536 entries", c.count, layout::kMaxCentroids);
  if (c.dim < 1 || c.dim > layout::kMaxBlockDim)
    return wrong("a block has 1 to 1024 inputs", c.dim, layout::kMaxBlockDim);
  if (c.code_bits != layout::code_bits(c.count))
    return wrong("codes have the wrong width", c.code_bits, layout::code_bits(c.count));
  if (!is_weight_type(c.entry))
    return wrong("codebook entries are f32, f16 or i8", static_cast<uint64_t>(c.entry), 2);
  const CheckedSize entries = CheckedSize(scopes_of(w)) * c.books * c.count;
  const auto entry_bytes = (entries * c.dim * size_of(c.entry)).get();
  if (c.entries.size() != entry_bytes)
    return wrong("codebook entries have the wrong size", c.entries.size(), entry_bytes.value_or(0));
  if (c.entry == DType::i8 && c.entry_scales.count != entries.get())
    return wrong("wrong number of entry scales", c.entry_scales.count, entries.get().value_or(0));
  const auto row = (CheckedSize(w.outputs) * c.code_bits + 7).get();
  const auto code_bytes =
      (CheckedSize(c.books) * layout::codebook_blocks(w.inputs, c.dim) * (row.value_or(0) / 8))
          .get();
  if (!row || c.codes.size() != code_bytes)
    return wrong("codes have the wrong size", c.codes.size(), code_bytes.value_or(0));
  return {};
}

void decode_dense(const Weights& w, float* out) {
  const DenseWeights& d = w.dense;
  const size_t n = size_t{w.outputs} * w.inputs;
  for (size_t i = 0; i < n; ++i) out[i] = element(d.data.data(), d.dtype, i);
  if (d.dtype != DType::i8) return;
  const uint32_t group = d.scales.axis == ScaleAxis::group ? d.scales.group : w.inputs;
  uint32_t next = 0;  // scale of the current group; one group is the whole row but for axis group
  for (uint32_t o = 0; o < w.outputs; ++o) {
    for (uint32_t i = 0; i < w.inputs; i += group) {
      const float scale =
          read_constant(d.scales.values, d.scales.axis == ScaleAxis::layer ? 0 : next++);
      const uint32_t end = w.inputs - i < group ? w.inputs : i + group;
      for (uint32_t k = i; k < end; ++k) out[size_t{o} * w.inputs + k] *= scale;
    }
  }
}

// Adds the entries that the codes of one (book, block) row name to that block of
// every output row.
Status add_block(const Weights& w, uint32_t book, uint64_t block, float* out) {
  const CodebookWeights& c = w.codebook;
  const uint64_t blocks = layout::codebook_blocks(w.inputs, c.dim);
  const uint8_t* codes =
      c.codes.data() + (book * blocks + block) * layout::codebook_row_bytes(w.outputs, c.code_bits);
  const size_t first = static_cast<size_t>(block) * c.dim;
  const size_t used = w.inputs - first < c.dim ? w.inputs - first : c.dim;
  for (uint32_t n = 0; n < w.outputs; ++n) {
    const uint32_t code = layout::read_code(codes, n, c.code_bits);
    if (code >= c.count)
      return Status(Code::invalid_model, 264, "a code names no entry of its book")
          .values(code, int64_t{c.count} - 1)
          .next("convert the model again");
    const size_t scope = c.scope_rows == 0 ? 0 : n / c.scope_rows;
    const size_t entry = (scope * c.books + book) * c.count + code;
    const float scale =
        c.entry == DType::i8 ? read_constant(c.entry_scales, static_cast<uint32_t>(entry)) : 1.0f;
    float* to = out + size_t{n} * w.inputs + first;
    for (size_t i = 0; i < used; ++i)
      to[i] += scale * element(c.entries.data(), c.entry, entry * c.dim + i);
  }
  return {};
}

}  // namespace

Status check_weights(const Weights& w) {
  if (w.outputs == 0 || w.inputs == 0 || !(CheckedSize(w.outputs) * w.inputs * sizeof(float)).get())
    return wrong("a weight matrix is empty or too big", w.outputs, 1);
  if (w.encoding == Encoding::dense) return check_dense(w);
  return w.encoding == Encoding::codebook ? check_codebook(w) : check_lowbit(w);
}

Status decode_weights(const Weights& w, float* out) {
  QRT_TRY(check_weights(w));
  if (w.encoding == Encoding::dense) {
    decode_dense(w, out);
    return {};
  }
  if (is_lowbit(w.encoding)) {
    decode_lowbit(w, out);
    return {};
  }
  std::memset(out, 0, size_t{w.outputs} * w.inputs * sizeof(float));
  const uint64_t blocks = layout::codebook_blocks(w.inputs, w.codebook.dim);
  for (uint32_t book = 0; book < w.codebook.books; ++book)
    for (uint64_t block = 0; block < blocks; ++block) QRT_TRY(add_block(w, book, block, out));
  return {};
}

}  // namespace qrt

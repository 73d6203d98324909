// The five encodings of a layer's weights: every size exactly as schema/layout.h
// says, every code below its table's end, every float finite. Kernels rely on
// this and check nothing.
#include <cmath>
#include <cstring>

#include "runtime/model/codes.h"
#include "runtime/model/exact.h"
#include "runtime/model/reader.h"

namespace qrt {
namespace {

using layout::ceil_div;

// `powers`: those of groups may be powers of two in a byte each.
Status read_scales(Reader& r, const fb::Scales* s, const Weights& w, Scales* out,
                   bool powers = false) {
  if (s == nullptr) return {};
  QRT_TRY(read_enum(s->axis(), &out->axis, "the scales' axis is unknown"));
  out->group = s->group();
  QRT_TRY(fill_constant(r, s->values(), &out->values, powers && out->axis == ScaleAxis::group));
  CheckedSize wanted(1);
  if (out->axis == ScaleAxis::output) wanted = w.outputs;
  if (out->axis == ScaleAxis::group) {
    QRT_TRY(in_range(out->group, 1, w.inputs, 148, "the scales' group is out of range"));
    wanted = CheckedSize(w.outputs) * ceil_div(w.inputs, out->group);
  }
  return equal_size(out->values.count, wanted, 148, "the number of scales does not fit the layer");
}

Status read_dense(Reader& r, const fb::Dense& d, Weights& w) {
  DenseWeights& out = w.dense;
  QRT_TRY(read_enum(d.dtype(), &out.dtype, "the weights' element type is unknown"));
  QRT_REQUIRE(out.dtype == DType::f32 || out.dtype == DType::f16 || out.dtype == DType::i8,
              kBadModel, 143, "dense weights are f32, f16 or i8");
  QRT_TRY(read_buffer(r, d.buffer(), &out.data));
  QRT_TRY(equal_size(out.data.size(), CheckedSize(w.outputs) * w.inputs * size_of(out.dtype), 145,
                     "the weights' buffer has the wrong size"));
  QRT_REQUIRE((d.scales() != nullptr) == (out.dtype == DType::i8), kBadModel, 148,
              "i8 weights need scales, others have none");
  if (out.dtype != DType::i8) return check_finite(r, d.buffer(), out.dtype);
  return read_scales(r, d.scales(), w, &out.scales);
}

Status read_entries(Reader& r, const fb::Codebook& c, const Weights& w, CodebookWeights& out) {
  QRT_TRY(read_enum(c.entry(), &out.entry, "the entries' element type is unknown"));
  QRT_REQUIRE(out.entry == DType::f32 || out.entry == DType::f16 || out.entry == DType::i8,
              kBadModel, 143, "codebook entries are f32, f16 or i8");
  const uint64_t scopes = out.scope_rows == 0 ? 1 : ceil_div(w.outputs, out.scope_rows);
  const CheckedSize entries = CheckedSize(scopes) * out.books * out.count;
  QRT_TRY(read_buffer(r, c.entries(), &out.entries));
  QRT_TRY(equal_size(out.entries.size(), entries * out.dim * size_of(out.entry), 145,
                     "the codebook entries' buffer has the wrong size"));
  QRT_TRY(fill_constant(r, c.entry_scales(), &out.entry_scales));
  QRT_REQUIRE(out.entry_scales.present() == (out.entry == DType::i8), kBadModel, 150,
              "i8 codebook entries need entry_scales, others have none");
  if (out.entry != DType::i8) return check_finite(r, c.entries(), out.entry);
  return equal_size(out.entry_scales.count, entries, 150,
                    "the number of entry_scales differs from the number of entries");
}

// The scales that a layer of integers rounds its entries to.
Status read_levels(Reader& r, const fb::Codebook& c, const Weights& w, CodebookWeights& out) {
  QRT_TRY(fill_constant(r, c.levels(), &out.levels));
  if (w.numerics == Numerics::f32) {
    QRT_REQUIRE(!out.levels.present() && !c.has_level_of(), kBadModel, 154,
                "a codebook of f32 numerics has levels");
    return {};
  }
  const uint32_t most = w.numerics == Numerics::rounded ? 1 : kMaxLevels;
  QRT_TRY(in_range(out.levels.count, 1, most, 154, "the number of levels is out of range"));
  for (uint32_t i = 0; i < out.levels.count; ++i) {
    const float level = read_constant(out.levels, i);
    QRT_REQUIRE(std::isnormal(level) && level > 0 && std::isnormal(1 / level), kBadModel, 154,
                "a level is not a positive finite number");
  }
  QRT_REQUIRE(c.has_level_of() == (out.levels.count > 1), kBadModel, 154,
              "level_of belongs to codebooks of several levels");
  if (!c.has_level_of()) return {};
  QRT_TRY(read_buffer(r, c.level_of(), &out.level_of));
  QRT_TRY(equal_size(out.level_of.size(), CheckedSize(w.outputs), 145,
                     "level_of does not count the outputs"));
  for (const uint8_t level : out.level_of)
    QRT_TRY(in_range(level, 0, out.levels.count - 1, 154, "an output's level is out of range"));
  return claim(r, c.level_of());
}

Status read_codebook(Reader& r, const fb::Codebook& c, Weights& w) {
  CodebookWeights& out = w.codebook;
  QRT_TRY(in_range(c.books(), 1, layout::kMaxBooks, 143, "codebook books are out of range"));
  QRT_TRY(in_range(c.count(), 1, layout::kMaxCentroids, 143, "codebook count is out of range"));
  QRT_TRY(in_range(c.dim(), 1, layout::kMaxBlockDim, 143, "codebook dim is out of range"));
  QRT_TRY(in_range(c.scope_rows(), 0, w.outputs, 143, "codebook scope_rows is out of range"));
  QRT_TRY(equal(c.code_bits(), layout::code_bits(c.count()), 144,
                "codebook code_bits is not ceil(log2 count)"));
  out.books = c.books();
  out.count = c.count();
  out.dim = c.dim();
  out.code_bits = c.code_bits();
  out.scope_rows = c.scope_rows();
  QRT_TRY(read_entries(r, c, w, out));
  QRT_TRY(read_levels(r, c, w, out));
  QRT_TRY(read_buffer(r, c.codes(), &out.codes));
  // outputs <= 2^24, bits <= 16, books <= 4, blocks <= 2^24: no product below leaves 64 bits.
  const uint64_t rows = out.books * layout::codebook_blocks(w.inputs, out.dim);
  const uint64_t row_bytes = layout::codebook_row_bytes(w.outputs, out.code_bits);
  QRT_TRY(equal_size(out.codes.size(), CheckedSize(rows) * row_bytes, 145,
                     "the codes' buffer has the wrong size"));
  return check_codes(r, c.codes(), {rows, row_bytes, w.outputs, out.code_bits, out.count});
}

Status read_kbit_codes(Reader& r, uint32_t index, const Weights& w, uint32_t bits, Bytes* out) {
  QRT_TRY(read_buffer(r, index, out));
  const uint64_t row_bytes = layout::kbit_row_bytes(w.inputs, bits);
  QRT_TRY(equal_size(out->size(), CheckedSize(w.outputs) * row_bytes, 145,
                     "the codes' buffer has the wrong size"));
  return check_codes(r, index, {w.outputs, row_bytes, w.inputs, bits, 1u << bits});
}

Status read_table(Reader& r, const fb::CodeTable& t, Weights& w) {
  TableWeights& out = w.table;
  QRT_TRY(in_range(t.bits(), 1, 8, 143, "table bits are out of range"));
  out.bits = t.bits();
  QRT_TRY(fill_constant(r, t.values(), &out.values));
  QRT_REQUIRE(out.values.present() != t.has_integers(), kBadModel, 141,
              "a table holds either values or integers");
  if (t.has_integers()) {
    QRT_TRY(read_buffer(r, t.integers(), &out.integers));
    QRT_TRY(equal_size(out.integers.size(), CheckedSize(uint64_t{2} << out.bits), 145,
                       "the table's integers do not count 2^bits"));
  } else {
    QRT_TRY(equal(out.values.count, 1 << out.bits, 145, "the table's values do not count 2^bits"));
  }
  QRT_TRY(read_kbit_codes(r, t.codes(), w, out.bits, &out.codes));
  QRT_TRY(read_scales(r, t.scales(), w, &out.scales, true));
  QRT_TRY(fill_constant(r, t.offset(), &out.offset));
  QRT_REQUIRE(!out.offset.present() || out.offset.count == 1 || out.offset.count == w.outputs,
              kBadModel, 148, "the table's offset counts neither 1 nor the outputs");
  return {};
}

Status read_affine(Reader& r, const fb::Affine& a, Weights& w) {
  AffineWeights& out = w.affine;
  QRT_TRY(in_range(a.bits(), 1, 8, 143, "affine bits are out of range"));
  out.bits = a.bits();
  out.is_signed = a.is_signed();
  if (a.zero_halves() != nullptr)
    out.zero_halves = {a.zero_halves()->data(), a.zero_halves()->size()};
  const size_t zeros = out.zero_halves.size();
  QRT_REQUIRE(zeros <= 1 || zeros == w.outputs, kBadModel, 148,
              "the zero points count neither 0, 1 nor the outputs");
  QRT_TRY(read_kbit_codes(r, a.codes(), w, out.bits, &out.codes));
  return read_scales(r, a.scales(), w, &out.scales);
}

Status read_bit_planes(Reader& r, const fb::BitPlanes& b, Weights& w) {
  BitPlaneWeights& out = w.bit_planes;
  QRT_TRY(read_enum(b.packing(), &out.packing, "the planes' packing is unknown"));
  QRT_TRY(in_range(b.group(), 0, w.inputs, 143, "the planes' group is out of range"));
  out.group = b.group();
  QRT_TRY(read_buffer(r, b.counts(), &out.counts));
  QRT_TRY(read_buffer(r, b.planes(), &out.planes));
  QRT_TRY(fill_constant(r, b.alphas(), &out.alphas));
  const uint64_t groups = out.group == 0 ? 1 : ceil_div(w.inputs, out.group);
  QRT_TRY(equal_size(out.counts.size(), CheckedSize(w.outputs) * groups, 145,
                     "the planes' counts do not count the groups"));
  QRT_TRY(claim(r, b.counts()));
  QRT_TRY(claim(r, b.planes()));
  return check_planes(out, w.outputs, w.inputs);
}

// The table that `encoding` names, and no other.
Status check_presence(const fb::Weights& f, Encoding encoding) {
  const bool present[] = {f.dense() != nullptr, f.codebook() != nullptr, f.table() != nullptr,
                          f.affine() != nullptr, f.bit_planes() != nullptr};
  for (size_t i = 0; i < 5; ++i) {
    if (present[i] && i != static_cast<size_t>(encoding))
      return Status(kBadModel, 141, "the weights hold a second encoding's table");
    if (!present[i] && i == static_cast<size_t>(encoding))
      return Status(kBadModel, 141, "the weights lack the table of their encoding");
  }
  return {};
}

Status read_rounding(const fb::Weights& f, Weights& w) {
  w.table_bits = f.table_bits();
  w.table_shift = f.table_shift();
  if (w.numerics != Numerics::rounded) {
    QRT_REQUIRE(w.table_bits == 0 && w.table_shift == 0, kBadModel, 152,
                "table_bits and table_shift belong to rounded numerics only");
    return {};
  }
  QRT_REQUIRE(w.encoding == Encoding::codebook, kBadModel, 152,
              "rounded numerics are for codebooks only");
  QRT_REQUIRE(w.table_bits == 7 || w.table_bits == 8 || w.table_bits == 12, kBadModel, 152,
              "table_bits are neither 7, 8 nor 12");
  const bool bytes = w.table_bits == 8;
  QRT_TRY(
      in_range(w.table_shift, bytes ? 8 : 1, bytes ? 15 : 20, 152, "table_shift is out of range"));
  QRT_TRY(in_range(w.codebook.code_bits, 0, 8, 152,
                   "the codes of a layer with rounded tables are too wide"));
  return in_range(w.codebook.dim, 1, 64, 152,
                  "the block of a layer with rounded tables is too long");
}

Status read_one(Reader& r, const fb::Weights& f, Weights& w) {
  QRT_TRY(in_range(f.outputs(), 1, layout::kMaxDim, 140, "outputs are out of range"));
  QRT_TRY(in_range(f.inputs(), 1, layout::kMaxDim, 140, "inputs are out of range"));
  w.outputs = f.outputs();
  w.inputs = f.inputs();
  QRT_TRY(in_range(static_cast<int64_t>(uint64_t{w.outputs} * w.inputs), 1, layout::kMaxElements,
                   140, "outputs x inputs is out of range"));
  QRT_TRY(read_enum(f.order(), &w.order, "the input order is unknown"));
  QRT_TRY(read_enum(f.numerics(), &w.numerics, "the numerics are unknown"));
  QRT_TRY(read_enum(f.encoding(), &w.encoding, "the encoding is unknown"));
  QRT_TRY(check_presence(f, w.encoding));
  switch (w.encoding) {
    case Encoding::dense:
      QRT_TRY(read_dense(r, *f.dense(), w));
      break;
    case Encoding::codebook:
      QRT_TRY(read_codebook(r, *f.codebook(), w));
      break;
    case Encoding::table:
      QRT_TRY(read_table(r, *f.table(), w));
      break;
    case Encoding::affine:
      QRT_TRY(read_affine(r, *f.affine(), w));
      break;
    case Encoding::bit_planes:
      QRT_TRY(read_bit_planes(r, *f.bit_planes(), w));
      break;
  }
  if (w.numerics != Numerics::f32) QRT_TRY(check_integers(w));
  return read_rounding(f, w);
}

}  // namespace

Status read_weights(Reader& r) {
  for (uint32_t i = 0; i < r.model.weights.size(); ++i) {
    auto& w = const_cast<Weights&>(r.model.weights[i]);  // ours until open_model() returns
    QRT_TRY(read_one(r, *r.root.weights()->Get(i), w).at(Where::weights, i));
  }
  return {};
}

}  // namespace qrt

// The tables of weights, one per encoding; see tables.h.
#include <variant>

#include "converter/emit/tables.h"
#include "schema/layout.h"

namespace qrt::emit {

namespace {

static_assert(static_cast<int>(lower::InputOrder::kh_kw_cin) ==
              static_cast<int>(fb::InputOrder::kh_kw_cin));
static_assert(static_cast<int>(quant::ScaleAxis::layer) == static_cast<int>(fb::ScaleAxis::layer));
static_assert(static_cast<int>(quant::ScaleAxis::group) == static_cast<int>(fb::ScaleAxis::group));

uint32_t u32(int32_t v) {
  return static_cast<uint32_t>(v);
}

fb::DType dtype(const Numbers& n) {
  return n.powers ? fb::DType::u8 : n.f16 ? fb::DType::f16 : fb::DType::f32;
}

fb::DType dtype(quant::EntryType t) {
  if (t == quant::EntryType::i8) return fb::DType::i8;
  return t == quant::EntryType::f16 ? fb::DType::f16 : fb::DType::f32;
}

}  // namespace

Tables::Offset<fb::Codebook> Tables::codebook(const quant::Codebook& c, const StoredWeights& s) {
  const Offset<fb::Constant> scales = s.scales.count == 0 ? 0 : constant(s.scales);
  const Offset<fb::Constant> levels = s.levels.count == 0 ? 0 : constant(s.levels);
  fb::CodebookBuilder t(b_);
  t.add_books(static_cast<uint8_t>(c.books));
  t.add_count(u32(c.count));
  t.add_dim(static_cast<uint16_t>(c.dim));
  t.add_entry(dtype(c.entry));
  t.add_entries(s.entries);
  if (!scales.IsNull()) t.add_entry_scales(scales);
  t.add_code_bits(static_cast<uint8_t>(layout::code_bits(u32(c.count))));
  t.add_codes(s.codes);
  t.add_scope_rows(u32(c.scope_rows));
  if (!levels.IsNull()) t.add_levels(levels);
  if (!c.level_of.empty()) {
    t.add_level_of(s.level_of);
    t.add_has_level_of(true);
  }
  return t.Finish();
}

Tables::Offset<fb::Scales> Tables::scales(const quant::Scales& scales, const StoredWeights& s) {
  const bool grouped = scales.axis == quant::ScaleAxis::group;
  return fb::CreateScales(b_, static_cast<fb::ScaleAxis>(scales.axis),
                          grouped ? u32(scales.group) : 0, constant(s.scales));
}

Tables::Offset<fb::CodeTable> Tables::table(const quant::Table& table, const StoredWeights& s) {
  const bool integers = !table.integers.empty();
  const Offset<fb::Constant> values = integers ? 0 : constant(s.levels);
  const auto of_scales = scales(table.scales, s);
  const Offset<fb::Constant> offset = table.offset.empty() ? 0 : constant(s.offset);
  return fb::CreateCodeTable(b_, static_cast<uint8_t>(table.bits), values, s.entries, integers,
                             s.codes, of_scales, offset);
}

Tables::Offset<fb::Affine> Tables::affine(const quant::Affine& a, const StoredWeights& s) {
  const auto of_scales = scales(a.scales, s);
  Offset<flatbuffers::Vector<int16_t>> zeros = 0;
  if (!a.zero_halves.empty()) zeros = b_.CreateVector(a.zero_halves);
  return fb::CreateAffine(b_, static_cast<uint8_t>(a.bits), a.is_signed, zeros, s.codes, of_scales);
}

Tables::Offset<fb::BitPlanes> Tables::bit_planes(const quant::BitPlanes& p,
                                                 const StoredWeights& s) {
  const auto packing = p.ternary5 ? fb::PlanePacking::ternary5 : fb::PlanePacking::planes;
  return fb::CreateBitPlanes(b_, packing, u32(p.group), s.entries, s.codes, constant(s.scales));
}

Tables::Offset<fb::Dense> Tables::dense(const lower::Weights& w, const StoredWeights& s) {
  if (w.encoding == nullptr) return fb::CreateDense(b_, dtype(s.dense), s.dense.buffer);
  const auto scales = fb::CreateScales(b_, fb::ScaleAxis::output, 0, constant(s.scales));
  return fb::CreateDense(b_, fb::DType::i8, s.integers, scales);
}

// What Weights holds of an encoding: which one, and where its table lies.
struct Tables::Stored {
  fb::Encoding encoding;
  flatbuffers::voffset_t field;
  flatbuffers::uoffset_t table;
};

Tables::Stored Tables::stored(const lower::Weights& w, const StoredWeights& s) {
  const quant::Encoding* e = w.encoding.get();
  if (e != nullptr) {
    if (const auto* c = std::get_if<quant::Codebook>(e))
      return {fb::Encoding::codebook, fb::Weights::VT_CODEBOOK, codebook(*c, s).o};
    if (const auto* t = std::get_if<quant::Table>(e))
      return {fb::Encoding::table, fb::Weights::VT_TABLE, table(*t, s).o};
    if (const auto* a = std::get_if<quant::Affine>(e))
      return {fb::Encoding::affine, fb::Weights::VT_AFFINE, affine(*a, s).o};
    if (const auto* p = std::get_if<quant::BitPlanes>(e))
      return {fb::Encoding::bit_planes, fb::Weights::VT_BIT_PLANES, bit_planes(*p, s).o};
  }
  return {fb::Encoding::dense, fb::Weights::VT_DENSE, dense(w, s).o};
}

Tables::Offset<fb::Weights> Tables::weights(const lower::Weights& w, const StoredWeights& s) {
  const auto name = required_string(w.name);
  const Stored what = stored(w, s);
  fb::WeightsBuilder t(b_);
  t.add_name(name);
  t.add_outputs(static_cast<uint32_t>(w.outputs));
  t.add_inputs(static_cast<uint32_t>(w.inputs));
  t.add_order(static_cast<fb::InputOrder>(w.order));
  t.add_encoding(what.encoding);
  if (w.exact) {
    const auto* book = std::get_if<quant::Codebook>(w.encoding.get());
    const bool rounded = book != nullptr && book->table_bits > 0;
    t.add_numerics(rounded ? fb::Numerics::rounded : fb::Numerics::exact);
    if (rounded) {
      t.add_table_bits(static_cast<uint8_t>(book->table_bits));
      t.add_table_shift(static_cast<uint8_t>(book->table_shift));
    }
  }
  t.fbb_.AddOffset(what.field, Offset<void>(what.table));
  return t.Finish();
}

}  // namespace qrt::emit

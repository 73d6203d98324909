// Numbers and codes as the file's bytes; see bulk.h. The format is little-endian
// and so is every byte written here, whatever the machine.
#include "converter/emit/bulk.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "converter/base/half.h"
#include "converter/ir/edit.h"
#include "converter/quant/powers.h"
#include "schema/layout.h"

namespace qrt::emit {

namespace {

template <class Word>
void put(std::string& to, Word word) {
  for (size_t i = 0; i < sizeof(Word); ++i) to.push_back(static_cast<char>(word >> (8 * i) & 0xff));
}

}  // namespace

bool fits_half(const std::vector<float>& v) {
  return std::all_of(v.begin(), v.end(), is_half);
}

std::string f32_bytes(const std::vector<float>& v) {
  std::string r;
  r.reserve(v.size() * 4);
  for (float f : v) put(r, std::bit_cast<uint32_t>(f));
  return r;
}

std::string f16_bytes(const std::vector<float>& v) {
  std::string r;
  r.reserve(v.size() * 2);
  for (float f : v) put(r, float_to_half(f));
  return r;
}

std::string i8_bytes(const std::vector<float>& v) {
  std::string r;
  r.reserve(v.size());
  for (float f : v) r.push_back(static_cast<char>(static_cast<int8_t>(f)));
  return r;
}

std::string i8_bytes(const std::vector<int8_t>& v) {
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

std::string i16_bytes(const std::vector<int16_t>& v) {
  std::string r;
  for (const int16_t i : v) put(r, static_cast<uint16_t>(i));
  return r;
}

std::string int_bytes(ir::ElementType type, const std::vector<int64_t>& v) {
  std::string r;
  for (int64_t i : v) {
    const auto bits = static_cast<uint64_t>(i);
    if (type == ir::ElementType::i64) {
      put(r, bits);
    } else if (type == ir::ElementType::i32) {
      put(r, static_cast<uint32_t>(bits));
    } else {
      put(r, static_cast<uint8_t>(type == ir::ElementType::boolean ? i != 0 : bits));
    }
  }
  return r;
}

std::string element_bytes(ir::ElementType type, const std::vector<float>& floats,
                          const std::vector<int64_t>& ints) {
  return ir::is_float(type) ? f32_bytes(floats) : int_bytes(type, ints);
}

std::string code_bytes(const quant::Codebook& c, int64_t outputs, int64_t inputs) {
  const uint32_t bits = layout::code_bits(static_cast<uint32_t>(c.count));
  const auto row = static_cast<uint64_t>(outputs);
  const uint64_t blocks =
      layout::codebook_blocks(static_cast<uint64_t>(inputs), static_cast<uint64_t>(c.dim));
  const uint64_t rows = static_cast<uint64_t>(c.books) * blocks;
  const uint64_t row_bytes = layout::codebook_row_bytes(row, bits);
  std::string packed(layout::codebook_code_bytes(static_cast<uint64_t>(c.books), blocks, row, bits),
                     '\0');
  if (bits == 0) return packed;
  auto* to = reinterpret_cast<uint8_t*>(packed.data());
  for (uint64_t r = 0; r < rows; ++r)
    for (uint64_t o = 0; o < row; ++o)
      layout::write_code(to + r * row_bytes, o, bits, c.codes[r * row + o]);
  return packed;
}

namespace {

// Negative codes in two's complement.
template <class Code>
std::string packed_rows(const std::vector<Code>& codes, int64_t inputs, int32_t bits) {
  const auto row = static_cast<size_t>(inputs);
  const auto width = static_cast<uint32_t>(bits);
  const uint64_t row_bytes = layout::kbit_row_bytes(row, width);
  std::string packed(codes.size() / row * row_bytes, '\0');
  auto* to = reinterpret_cast<uint8_t*>(packed.data());
  for (size_t i = 0; i < codes.size(); ++i)
    layout::write_code(to + i / row * row_bytes, i % row, width,
                       static_cast<uint32_t>(codes[i]) & ((1u << width) - 1));
  return packed;
}

// Signs or trits of one plane as the file's bytes.
std::string packed_plane(const uint8_t* signs, uint64_t width, const quant::BitPlanes& p) {
  std::string r(p.ternary5 ? layout::ternary5_row_bytes(width) : layout::plane_row_bytes(width),
                '\0');
  const uint64_t each = p.ternary5 ? 5 : 8;
  for (uint64_t i = width; i-- > 0;) {
    const auto before = static_cast<uint8_t>(r[i / each]);
    r[i / each] = static_cast<char>(before * (p.ternary5 ? 3 : 2) + signs[i]);
  }
  return r;
}

}  // namespace

std::string kbit_bytes(const std::vector<uint8_t>& codes, int64_t inputs, int32_t bits) {
  return packed_rows(codes, inputs, bits);
}
std::string kbit_bytes(const std::vector<int16_t>& codes, int64_t inputs, int32_t bits) {
  return packed_rows(codes, inputs, bits);
}

std::string plane_bytes(const quant::BitPlanes& p, int64_t outputs, int64_t inputs) {
  if (p.group > 0 && !p.ternary5)  // the signs of all planes bit after bit
    return packed_rows(p.signs, std::max<int64_t>(1, static_cast<int64_t>(p.signs.size())), 1);
  std::string r;
  const int64_t group = p.group == 0 ? inputs : p.group;
  const uint8_t* signs = p.signs.data();
  const uint8_t* count = p.counts.data();
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t first = 0; first < inputs; first += group, ++count) {
      const auto width = static_cast<uint64_t>(std::min(group, inputs - first));
      for (uint8_t plane = 0; plane < *count; ++plane, signs += width)
        r += packed_plane(signs, width, p);
    }
  return r;
}

uint32_t Bulk::add(std::string bytes) {
  const auto next = static_cast<uint32_t>(buffers_.size());
  const auto [at, is_new] = index_.try_emplace(std::move(bytes), next);
  if (is_new) append(at->first);
  return at->second;
}

uint32_t Bulk::add_codes(std::string bytes) {
  append(codes_.emplace_back(std::move(bytes)));
  return static_cast<uint32_t>(buffers_.size() - 1);
}

void Bulk::append(const std::string& bytes) {
  buffers_.push_back(&bytes);
  padded_ += layout::ceil_div(bytes.size() + 4, layout::kAlignment) * layout::kAlignment;
}

Numbers Bulk::add_numbers(const std::vector<float>& v) {
  const bool f16 = fits_half(v);
  return {add(f16 ? f16_bytes(v) : f32_bytes(v)), f16, static_cast<uint32_t>(v.size())};
}

Numbers Bulk::add_scales(const quant::Scales& s) {
  if (!quant::are_powers(s)) return add_numbers(s.values);
  std::string bytes;
  for (const float scale : s.values)
    bytes.push_back(static_cast<char>(std::ilogb(scale) - quant::kLeastPower));
  return {add(std::move(bytes)), false, static_cast<uint32_t>(s.values.size()), true};
}

StoredWeights Bulk::add(const quant::Codebook& c, const lower::Weights& w) {
  StoredWeights s;
  s.entries = add(c.entry == quant::EntryType::f32   ? f32_bytes(c.entries)
                  : c.entry == quant::EntryType::f16 ? f16_bytes(c.entries)
                                                     : i8_bytes(c.entries));
  s.codes = add_codes(code_bytes(c, w.outputs, w.inputs));
  if (c.entry == quant::EntryType::i8) s.scales = add_numbers(c.entry_scales);
  if (!c.levels.empty()) s.levels = add_numbers(c.levels);
  if (!c.level_of.empty()) s.level_of = add({c.level_of.begin(), c.level_of.end()});
  return s;
}

StoredWeights Bulk::add(const quant::Integers& v, const lower::Weights&) {
  StoredWeights s;
  s.integers = add(i8_bytes(v.values));
  s.scales = add_numbers(v.scales);
  return s;
}

StoredWeights Bulk::add(const quant::Table& t, const lower::Weights& w) {
  StoredWeights s;
  s.codes = add_codes(kbit_bytes(t.codes, w.inputs, t.bits));
  if (t.integers.empty())
    s.levels = add_numbers(t.values);
  else
    s.entries = add(i16_bytes(t.integers));
  s.scales = add_scales(t.scales);
  if (!t.offset.empty()) s.offset = add_numbers(t.offset);
  return s;
}

StoredWeights Bulk::add(const quant::Affine& a, const lower::Weights& w) {
  StoredWeights s;
  s.codes = add_codes(kbit_bytes(a.codes, w.inputs, a.bits));
  s.scales = add_numbers(a.scales.values);
  return s;
}

StoredWeights Bulk::add(const quant::BitPlanes& p, const lower::Weights& w) {
  StoredWeights s;
  s.entries = add_codes({p.counts.begin(), p.counts.end()});
  s.codes = add_codes(plane_bytes(p, w.outputs, w.inputs));
  s.scales = add_numbers(p.alphas);
  return s;
}

StoredWeights Bulk::add_weights(const lower::Weights& w) {
  if (w.encoding != nullptr)
    return std::visit([&](const auto& kind) { return add(kind, w); }, *w.encoding);
  StoredWeights s;
  s.dense = add_numbers(w.dense);
  return s;
}

}  // namespace qrt::emit

// Numbers and codes as the file's bytes; see bulk.h. The format is little-endian
// and so is every byte written here, whatever the machine.
#include "converter/emit/bulk.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "converter/base/half.h"
#include "converter/ir/edit.h"
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

StoredWeights Bulk::add_weights(const lower::Weights& w) {
  StoredWeights s;
  if (w.encoding == nullptr) {
    s.dense = add_numbers(w.dense);
    return s;
  }
  if (const auto* v = std::get_if<quant::Integers>(w.encoding.get())) {
    s.integers = add(i8_bytes(v->values));
    s.scales = add_numbers(v->scales);
    return s;
  }
  const auto& c = std::get<quant::Codebook>(*w.encoding);
  s.entries = add(c.entry == quant::EntryType::f32   ? f32_bytes(c.entries)
                  : c.entry == quant::EntryType::f16 ? f16_bytes(c.entries)
                                                     : i8_bytes(c.entries));
  s.codes = add_codes(code_bytes(c, w.outputs, w.inputs));
  if (c.entry == quant::EntryType::i8) s.scales = add_numbers(c.entry_scales);
  if (!c.levels.empty()) s.levels = add_numbers(c.levels);
  if (!c.level_of.empty()) s.level_of = add({c.level_of.begin(), c.level_of.end()});
  return s;
}

}  // namespace qrt::emit

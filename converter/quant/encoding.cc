// The meaning of the encodings: decode() is the definition that kernels must
// agree with, check() is the gate in front of it, stored_bytes() counts by the
// same layout functions that the writer and the runtime use.
#include "converter/quant/encoding.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include "converter/base/half.h"
#include "converter/base/text.h"
#include "converter/quant/encoding_parts.h"
#include "runtime/base/checked.h"
#include "schema/layout.h"

namespace qrt::quant {
namespace {

constexpr int kBadEncoding = 700;
constexpr int kBadCode = 701;

Error bad(const std::string& text) {
  return Error{kBadEncoding, "codebook: " + text};
}

std::string count_of(const char* what, size_t found, uint64_t want) {
  return std::string("it holds ") + std::to_string(found) + " " + what + " where " +
         std::to_string(want) + " belong";
}

uint64_t scopes(const Codebook& c, uint64_t outputs) {
  return c.scope_rows == 0 ? 1 : layout::ceil_div(outputs, static_cast<uint64_t>(c.scope_rows));
}

Result<void> check_entries(const Codebook& c) {
  for (size_t i = 0; i < c.entries.size(); ++i) {
    const float v = c.entries[i];
    const bool fits = c.entry == EntryType::f32   ? std::isfinite(v)
                      : c.entry == EntryType::f16 ? std::isfinite(v) && is_half(v)
                                                  : v >= -128 && v <= 127 && v == std::nearbyint(v);
    if (!fits)
      return bad("entry value " + std::to_string(i) + " is " + std::to_string(v) +
                 ", which its entry type cannot hold exactly; round the entries, or use f32");
  }
  for (size_t i = 0; i < c.entry_scales.size(); ++i)
    if (!std::isfinite(c.entry_scales[i]))
      return bad("entry scale " + std::to_string(i) + " is not finite");
  return {};
}

Result<void> check_levels(const Codebook& c, uint64_t outputs) {
  if (c.levels.empty()) {
    if (!c.level_of.empty() || c.table_bits != 0 || c.table_shift != 0)
      return bad("it has level_of or tables, but no levels");
    return {};
  }
  const bool tables = c.table_bits != 0 || c.table_shift != 0;
  if (c.levels.size() > (tables ? 1 : kMaxLevels))
    return bad("it has " + std::to_string(c.levels.size()) + " levels; 16 are allowed, and one " +
               "with rounded tables");
  for (const float level : c.levels)
    if (!std::isnormal(level) || level < 0 || !std::isnormal(1 / level))
      return bad("level " + std::to_string(level) + " is not a positive finite number");
  const uint64_t wanted = c.levels.size() > 1 ? outputs : 0;
  if (c.level_of.size() != wanted)
    return bad(count_of("levels of outputs", c.level_of.size(), wanted));
  for (const uint8_t level : c.level_of)
    if (level >= c.levels.size()) return bad("an output has level " + std::to_string(level));
  if (!tables) return {};
  const bool bytes = c.table_bits == 8;
  if ((!bytes && c.table_bits != 7 && c.table_bits != 12) || c.table_shift < (bytes ? 8 : 1) ||
      c.table_shift > (bytes ? 15 : 20) || c.dim > 64)
    return bad("tables of " + std::to_string(c.table_bits) + " bits shifted by " +
               std::to_string(c.table_shift) + " in blocks of " + std::to_string(c.dim) +
               " are not in the format");
  return {};
}

Result<void> check_integers(const Integers& v, int64_t outputs, int64_t inputs) {
  if (outputs < 1 || inputs < 1 ||
      v.values.size() != static_cast<uint64_t>(outputs) * static_cast<uint64_t>(inputs) ||
      v.scales.size() != static_cast<uint64_t>(outputs))
    return Error{kBadEncoding, "integers: " + count_of("weights", v.values.size(),
                                                       static_cast<uint64_t>(outputs * inputs))};
  for (const float scale : v.scales)
    if (!std::isfinite(scale)) return Error{kBadEncoding, "integers: a scale is not finite"};
  return {};
}

Result<void> check_codebook(const Codebook& c, int64_t outputs, int64_t inputs) {
  if (outputs < 1 || inputs < 1 || outputs > layout::kMaxDim || inputs > layout::kMaxDim)
    return bad("the matrix is " + std::to_string(outputs) + " x " + std::to_string(inputs) +
               "; both sides must be 1.." + std::to_string(layout::kMaxDim));
  if (c.books < 1 || c.books > static_cast<int32_t>(layout::kMaxBooks))
    return bad("it has " + std::to_string(c.books) + " books; 1..4 are allowed");
  if (c.count < 1 || c.count > static_cast<int32_t>(layout::kMaxCentroids))
    return bad("it has " + std::to_string(c.count) + " centroids; 1..65536 are allowed");
  if (c.dim < 1 || c.dim > static_cast<int32_t>(layout::kMaxBlockDim))
    return bad("its blocks are " + std::to_string(c.dim) + " long; 1..1024 are allowed");
  if (c.scope_rows < 0) return bad("scope_rows is " + std::to_string(c.scope_rows));
  const uint64_t n = static_cast<uint64_t>(outputs), books = static_cast<uint64_t>(c.books);
  const uint64_t blocks =
      layout::codebook_blocks(static_cast<uint64_t>(inputs), static_cast<uint64_t>(c.dim));
  const uint64_t count = static_cast<uint64_t>(c.count);
  const auto vectors = (CheckedSize(scopes(c, n)) * books * count).get(layout::kMaxElements);
  const auto codes = (CheckedSize(books) * blocks * n).get(layout::kMaxElements);
  if (!vectors || !codes) return bad("its size overflows the format's 2^31 - 1 elements");
  const uint64_t values = *vectors * static_cast<uint64_t>(c.dim);
  if (c.entries.size() != values) return bad(count_of("entry values", c.entries.size(), values));
  if (c.codes.size() != *codes) return bad(count_of("codes", c.codes.size(), *codes));
  const uint64_t scales = c.entry == EntryType::i8 ? *vectors : 0;
  if (c.entry_scales.size() != scales)
    return bad(count_of("entry scales", c.entry_scales.size(), scales));
  for (size_t i = 0; i < c.codes.size(); ++i)
    if (c.codes[i] >= count)
      return Error{kBadCode, "codebook: code " + std::to_string(c.codes[i]) + " (block " +
                                 std::to_string(i / n % blocks) + ", output " +
                                 std::to_string(i % n) + ") names no centroid: there are " +
                                 std::to_string(count) +
                                 "; the source is damaged or its codebook "
                                 "and codes belong to different layers"};
  QRT_CHECK_OK(check_levels(c, n));
  return check_entries(c);
}

float rounded(float value, float inverse) {
  return std::clamp(std::nearbyint(value * inverse), -127.0f, 127.0f);
}

// The value of an entry that stands at `at` among all.
float entry_value(const Codebook& c, size_t at) {
  if (c.entry != EntryType::i8) return c.entries[at];
  return c.entry_scales[at / static_cast<size_t>(c.dim)] * c.entries[at];
}

// Books add up one after the other, each sum kept between -128 and 127.
std::vector<int16_t> integers_of_codebook(const Codebook& c, int64_t outputs, int64_t inputs) {
  std::vector<std::vector<float>> entries;
  for (size_t l = 0; l < c.levels.size(); ++l) entries.push_back(integer_entries(c, l));
  std::vector<int16_t> out(static_cast<size_t>(outputs * inputs));
  const int64_t blocks = (inputs + c.dim - 1) / c.dim;
  for (int64_t row = 0; row < c.books * blocks; ++row)
    for (int64_t o = 0; o < outputs; ++o) {
      const auto& mine = entries[c.level_of.empty() ? 0 : c.level_of[static_cast<size_t>(o)]];
      const int64_t scope = c.scope_rows == 0 ? 0 : o / c.scope_rows;
      const int64_t code = c.codes[static_cast<size_t>(row * outputs + o)];
      const int64_t vector = (scope * c.books + row / blocks) * c.count + code;
      const int64_t first = row % blocks * c.dim;
      for (int64_t t = 0; t < c.dim && first + t < inputs; ++t) {
        int16_t& to = out[static_cast<size_t>(o * inputs + first + t)];
        const float sum = static_cast<float>(to) + mine[static_cast<size_t>(vector * c.dim + t)];
        to = static_cast<int16_t>(std::clamp(sum, -128.0f, 127.0f));
      }
    }
  return out;
}

std::vector<float> decode_codebook(const Codebook& c, int64_t outputs, int64_t inputs) {
  std::vector<float> out(static_cast<size_t>(outputs * inputs), 0.0f);
  const int64_t blocks = (inputs + c.dim - 1) / c.dim;
  for (int64_t book = 0; book < c.books; ++book) {
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = block * c.dim;
      const int64_t length = std::min<int64_t>(c.dim, inputs - first);  // the last may be short
      for (int64_t o = 0; o < outputs; ++o) {
        const int64_t scope = c.scope_rows == 0 ? 0 : o / c.scope_rows;
        const int64_t code = c.codes[static_cast<size_t>((book * blocks + block) * outputs + o)];
        const int64_t vector = (scope * c.books + book) * c.count + code;
        const float scale =
            c.entry == EntryType::i8 ? c.entry_scales[static_cast<size_t>(vector)] : 1.0f;
        const float* entry = &c.entries[static_cast<size_t>(vector * c.dim)];
        float* row = &out[static_cast<size_t>(o * inputs + first)];
        for (int64_t t = 0; t < length; ++t) row[t] += scale * entry[t];
      }
    }
  }
  return out;
}

StoredBytes bytes_of_codebook(const Codebook& c, int64_t outputs, int64_t inputs) {
  const uint64_t n = static_cast<uint64_t>(outputs);
  const uint64_t blocks =
      layout::codebook_blocks(static_cast<uint64_t>(inputs), static_cast<uint64_t>(c.dim));
  const uint64_t entry_bytes = c.entry == EntryType::f32 ? 4 : c.entry == EntryType::f16 ? 2 : 1;
  StoredBytes bytes;
  bytes.codes = layout::codebook_code_bytes(static_cast<uint64_t>(c.books), blocks, n,
                                            layout::code_bits(static_cast<uint32_t>(c.count)));
  bytes.entries = c.entries.size() * entry_bytes;
  bytes.scales =
      parts::number_bytes(c.entry_scales) + parts::number_bytes(c.levels) + c.level_of.size();
  return bytes;
}

std::string name_of_planes(const BitPlanes& p) {
  const int most = p.counts.empty() ? 0 : *std::max_element(p.counts.begin(), p.counts.end());
  std::string name = p.ternary5 ? "ternary" : most <= 1 ? "binary" : cat("planes up to ", most);
  return p.group == 0 ? name : cat(name, " by ", p.group);
}

std::string name_of_codebook(const Codebook& c) {
  std::string name =
      cat("codebook ", c.books > 1 ? cat(c.books, " x ") : "", c.count, " x ", c.dim);
  if (!c.levels.empty()) name += c.table_bits > 0 ? " i8 rounded" : " i8";
  return name;
}

template <class Kind>
constexpr bool is_lattice =
    std::is_same_v<Kind, Table> || std::is_same_v<Kind, Affine> || std::is_same_v<Kind, BitPlanes>;

}  // namespace

Result<void> check(const Encoding& e, int64_t outputs, int64_t inputs) {
  if (const auto* v = std::get_if<Integers>(&e)) return check_integers(*v, outputs, inputs);
  if (const auto* c = std::get_if<Codebook>(&e)) return check_codebook(*c, outputs, inputs);
  if (const auto* t = std::get_if<Table>(&e)) return parts::check(*t, outputs, inputs);
  if (const auto* a = std::get_if<Affine>(&e)) return parts::check(*a, outputs, inputs);
  return parts::check(std::get<BitPlanes>(e), outputs, inputs);
}

bool needs_integers(const Encoding& e) {
  const auto* book = std::get_if<Codebook>(&e);
  return std::holds_alternative<Integers>(e) || (book != nullptr && !book->levels.empty());
}

bool is_integer(const Encoding& e) {
  return std::visit(
      [&](const auto& kind) {
        if constexpr (is_lattice<std::decay_t<decltype(kind)>>)
          return parts::is_integer(kind);
        else
          return needs_integers(e);
      },
      e);
}

std::vector<float> integer_entries(const Codebook& c, size_t level) {
  const float inverse = 1 / c.levels.at(level);
  std::vector<float> r(c.entries.size());
  for (size_t i = 0; i < r.size(); ++i) r[i] = rounded(entry_value(c, i), inverse);
  return r;
}

const Scales* group_scales(const Encoding& e) {
  const auto* t = std::get_if<Table>(&e);
  return t != nullptr && t->scales.axis == ScaleAxis::group ? &t->scales : nullptr;
}

std::vector<int16_t> integers_of(const Encoding& e, int64_t outputs, int64_t inputs) {
  if (const auto* v = std::get_if<Integers>(&e)) return {v->values.begin(), v->values.end()};
  if (const auto* c = std::get_if<Codebook>(&e)) return integers_of_codebook(*c, outputs, inputs);
  return std::visit(
      [&](const auto& kind) -> std::vector<int16_t> {
        if constexpr (is_lattice<std::decay_t<decltype(kind)>>)
          return parts::source_order(parts::integers(kind, outputs, inputs), inputs, kind.taps);
        else
          return {};
      },
      e);
}

float weight_scale(const Encoding& e, int64_t output) {
  if (const auto* v = std::get_if<Integers>(&e)) return v->scales[static_cast<size_t>(output)];
  if (group_scales(e) != nullptr) return 1;
  if (const auto* t = std::get_if<Table>(&e)) return parts::scale_at(t->scales, output);
  if (const auto* a = std::get_if<Affine>(&e)) return parts::weight_scale(*a, output);
  if (const auto* p = std::get_if<BitPlanes>(&e)) return parts::weight_scale(*p, output);
  const auto& c = std::get<Codebook>(e);
  return c.levels[c.level_of.empty() ? 0 : c.level_of[static_cast<size_t>(output)]];
}

std::vector<float> decode(const Encoding& e, int64_t outputs, int64_t inputs) {
  if (needs_integers(e)) {
    const std::vector<int16_t> integers = integers_of(e, outputs, inputs);
    std::vector<float> out(integers.begin(), integers.end());
    for (size_t i = 0; i < out.size(); ++i)
      out[i] *= weight_scale(e, static_cast<int64_t>(i) / inputs);
    return out;
  }
  if (const auto* c = std::get_if<Codebook>(&e)) return decode_codebook(*c, outputs, inputs);
  return std::visit(
      [&](const auto& kind) -> std::vector<float> {
        if constexpr (is_lattice<std::decay_t<decltype(kind)>>)
          return parts::source_order(parts::decode(kind, outputs, inputs), inputs, kind.taps);
        else
          return {};
      },
      e);
}

StoredBytes stored_bytes(const Encoding& e, int64_t outputs, int64_t inputs) {
  if (const auto* v = std::get_if<Integers>(&e)) {
    StoredBytes bytes;
    bytes.dense = v->values.size();
    bytes.scales = parts::number_bytes(v->scales);
    return bytes;
  }
  if (const auto* t = std::get_if<Table>(&e)) return parts::stored_bytes(*t, outputs, inputs);
  if (const auto* a = std::get_if<Affine>(&e)) return parts::stored_bytes(*a, outputs, inputs);
  if (const auto* p = std::get_if<BitPlanes>(&e)) return parts::stored_bytes(*p, outputs, inputs);
  return bytes_of_codebook(std::get<Codebook>(e), outputs, inputs);
}

int64_t taps_of(const Encoding& e) {
  return std::visit(
      [](const auto& kind) -> int64_t {
        if constexpr (is_lattice<std::decay_t<decltype(kind)>>)
          return kind.taps;
        else
          return 1;
      },
      e);
}

std::optional<Encoding> taps_first(const Encoding& e, int64_t outputs, int64_t inputs,
                                   int64_t taps) {
  return std::visit(
      [&](const auto& kind) -> std::optional<Encoding> {
        if constexpr (is_lattice<std::decay_t<decltype(kind)>>)
          return parts::taps_first(kind, outputs, inputs, taps);
        else
          return std::nullopt;
      },
      e);
}

std::optional<Encoding> flattened_last(const Encoding& e, int64_t outputs, int64_t inputs,
                                       int64_t taps) {
  return std::visit(
      [&](const auto& kind) -> std::optional<Encoding> {
        using Kind = std::decay_t<decltype(kind)>;
        if constexpr (is_lattice<Kind>) {
          // Stored columns are the new order of inputs.
          std::optional<Kind> moved;
          if (kind.taps == 1) moved = parts::taps_first(kind, outputs, inputs, taps);
          if (moved) moved->taps = 1;
          return moved;
        } else if constexpr (std::is_same_v<Kind, Integers>) {
          return Integers{parts::stored_order(kind.values, inputs, taps), kind.scales};
        } else {
          return std::nullopt;
        }
      },
      e);
}

std::string describe(const Encoding& e) {
  if (const auto* c = std::get_if<Codebook>(&e)) return name_of_codebook(*c);
  if (const auto* t = std::get_if<Table>(&e)) return cat("table ", t->bits, " bits");
  if (const auto* p = std::get_if<BitPlanes>(&e)) return name_of_planes(*p);
  const auto* a = std::get_if<Affine>(&e);
  return a == nullptr ? "dense i8" : cat("affine ", a->bits, a->bits == 1 ? " bit" : " bits");
}

}  // namespace qrt::quant

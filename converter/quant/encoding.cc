// The meaning of the encodings: decode() is the definition that kernels must
// agree with, check() is the gate in front of it, stored_bytes() counts by the
// same layout functions that the writer and the runtime use.
#include "converter/quant/encoding.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "converter/base/half.h"
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
  return check_entries(c);
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
  const bool halves = std::all_of(c.entry_scales.begin(), c.entry_scales.end(), is_half);
  bytes.scales = c.entry_scales.size() * (halves ? 2 : 4);
  return bytes;
}

}  // namespace

Result<void> check(const Encoding& e, int64_t outputs, int64_t inputs) {
  return std::visit([&](const Codebook& c) { return check_codebook(c, outputs, inputs); }, e);
}

std::vector<float> decode(const Encoding& e, int64_t outputs, int64_t inputs) {
  return std::visit([&](const Codebook& c) { return decode_codebook(c, outputs, inputs); }, e);
}

StoredBytes stored_bytes(const Encoding& e, int64_t outputs, int64_t inputs) {
  return std::visit([&](const Codebook& c) { return bytes_of_codebook(c, outputs, inputs); }, e);
}

}  // namespace qrt::quant

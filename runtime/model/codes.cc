#include "runtime/model/codes.h"

#include <algorithm>
#include <cstring>

namespace qrt {
namespace {

uint32_t largest_u8(const uint8_t* p, uint64_t n) {
  uint8_t most = 0;
  for (uint64_t i = 0; i < n; ++i) most = std::max(most, p[i]);
  return most;
}

uint32_t largest_u16(const uint8_t* p, uint64_t n) {
  uint16_t most = 0;
  for (uint64_t i = 0; i < n; ++i) {
    uint16_t v;
    std::memcpy(&v, p + 2 * i, sizeof v);
    most = std::max(most, v);
  }
  return most;
}

// Any width: a bit reservoir that never loads past the row.
uint32_t largest_bits(const uint8_t* p, uint64_t n, uint32_t bits) {
  const uint32_t mask = (1u << bits) - 1;
  uint64_t have = 0;
  uint32_t have_bits = 0, most = 0;
  for (uint64_t i = 0; i < n; ++i) {
    while (have_bits < bits) have |= uint64_t{*p++} << have_bits, have_bits += 8;
    most = std::max(most, static_cast<uint32_t>(have) & mask);
    have >>= bits;
    have_bits -= bits;
  }
  return most;
}

// The bits of a row's last byte that no code uses.
bool pad_is_zero(const uint8_t* row, uint64_t row_bytes, uint64_t used_bits) {
  return used_bits % 8 == 0 || (row[row_bytes - 1] >> (used_bits % 8)) == 0;
}

}  // namespace

Status claim(Reader& r, uint32_t buffer) {
  QRT_REQUIRE(!(r.known[buffer] & known_codes), kBadModel, 151,
              "two layers share one buffer of codes");
  r.known[buffer] |= known_codes;
  return {};
}

Status check_codes(Reader& r, uint32_t buffer, const CodeRows& c) {
  QRT_TRY(claim(r, buffer));
  if (c.bits == 0) return {};
  const bool any_value = c.count == 1u << c.bits;
  const bool padded = c.per_row * c.bits % 8 != 0;
  if (any_value && !padded) return {};
  const uint8_t* row = r.model.buffers[buffer].data();
  for (uint64_t i = 0; i < c.rows; ++i, row += c.row_bytes) {
    QRT_REQUIRE(!padded || pad_is_zero(row, c.row_bytes, c.per_row * c.bits), kBadModel, 147,
                "the unused bits at the end of a row of codes are not zero");
    if (any_value) continue;
    const uint32_t most = c.bits == 8    ? largest_u8(row, c.per_row)
                          : c.bits == 16 ? largest_u16(row, c.per_row)
                                         : largest_bits(row, c.per_row, c.bits);
    if (most >= c.count)
      return Status(kBadModel, 146, "a code names no entry of its codebook")
          .at_most(most, c.count - 1);
  }
  return {};
}

Status check_planes(const BitPlaneWeights& b, uint64_t outputs, uint64_t inputs) {
  const uint64_t group = b.group == 0 ? inputs : b.group;
  const uint64_t groups = layout::ceil_div(inputs, group);
  const bool trits = b.packing == PlanePacking::ternary5;
  const int64_t most = trits ? 1 : 8;  // a row of trits stands for one coordinate
  const bool packed = b.group != 0 && !trits;
  const uint8_t* at = b.planes.data();
  uint64_t left = b.planes.size(), alphas = 0, signs = 0;
  for (uint64_t g = 0; g < outputs * groups; ++g) {
    const uint32_t count = b.counts.data()[g];
    QRT_TRY(in_range(count, 0, most, 143, "a group's number of planes is out of range"));
    const uint64_t first = g % groups * group;
    const uint64_t width = std::min(group, inputs - first);
    const uint64_t bytes =
        trits ? layout::ternary5_row_bytes(width) : layout::plane_row_bytes(width);
    alphas += count;
    signs += count * width;
    if (packed) continue;
    for (uint32_t plane = 0; plane < count; ++plane, at += bytes, left -= bytes) {
      QRT_REQUIRE(left >= bytes, kBadModel, 145, "the planes' buffer is too short");
      if (trits) {
        QRT_REQUIRE(largest_u8(at, bytes) < 243, kBadModel, 146,
                    "a byte of five trits exceeds 242");
        continue;
      }
      uint64_t last;
      std::memcpy(&last, at + bytes - 8, 8);
      QRT_REQUIRE(width % 64 == 0 || (last >> (width % 64)) == 0, kBadModel, 147,
                  "the pad bits of a plane are not zero");
    }
  }
  if (packed) {
    const uint64_t bytes = layout::plane_group_bytes(signs);
    QRT_REQUIRE(left >= bytes, kBadModel, 145, "the planes' buffer is too short");
    QRT_REQUIRE(signs % 8 == 0 || at[bytes - 1] >> (signs % 8) == 0, kBadModel, 147,
                "the pad bits of a plane are not zero");
    left -= bytes;
  }
  QRT_TRY(equal(static_cast<int64_t>(left), 0, 145, "the planes' buffer is too long"));
  return equal(b.alphas.count, static_cast<int64_t>(alphas), 145,
               "the planes' coordinates do not count the planes");
}

}  // namespace qrt

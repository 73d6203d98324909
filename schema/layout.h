// Where each bit of a .qrt file's bulk data lies: the one definition that the
// converter writes by and the runtime reads by. Pure arithmetic, no
// dependencies. Every function takes sizes already known to be sane; callers
// that face untrusted sizes use the checked_* forms of runtime/base/checked.h.
#ifndef QRT_SCHEMA_LAYOUT_H_
#define QRT_SCHEMA_LAYOUT_H_

#include <cstddef>
#include <cstdint>

namespace qrt::layout {

inline constexpr uint32_t kSchemaVersion = 1;
inline constexpr size_t kAlignment = 64;  // of every bulk vector, from the file's start
inline constexpr uint64_t kMaxFileBytes = 0x7fffffff;  // 2 GiB - 1: FlatBuffers' offsets are 32-bit
inline constexpr int kMaxRank = 6;
inline constexpr int32_t kMaxDim = 1 << 24;
inline constexpr uint64_t kMaxElements = 0x7fffffff;
inline constexpr int32_t kMaxPoolPower = 64;  // of a pool by p-norm
inline constexpr uint32_t kMaxBooks = 4;
inline constexpr uint32_t kMaxCentroids = 65536;
inline constexpr uint32_t kMaxBlockDim = 1024;
inline constexpr int32_t kMaxLevel = 1 << 16;         // of a grid that activations are rounded to
inline constexpr uint32_t kMaxSteps = (1 << 16) - 1;  // thresholds per channel

constexpr uint64_t ceil_div(uint64_t x, uint64_t by) {
  return (x + by - 1) / by;
}

// Bits of a code that can name any of `count` entries: ceil(log2 count), 0 for a single entry.
constexpr uint32_t code_bits(uint32_t count) {
  uint32_t bits = 0;
  while ((uint64_t{1} << bits) < count) ++bits;
  return bits;
}

// ---- codebook: codes [book][block][output], LSB first, each (book, block) row on a byte --------

constexpr uint64_t codebook_blocks(uint64_t inputs, uint64_t dim) {
  return ceil_div(inputs, dim);
}

constexpr uint64_t codebook_row_bytes(uint64_t outputs, uint32_t bits) {
  return ceil_div(outputs * bits, 8);
}

constexpr uint64_t codebook_code_bytes(uint64_t books, uint64_t blocks, uint64_t outputs,
                                       uint32_t bits) {
  return books * blocks * codebook_row_bytes(outputs, bits);
}

// ---- k-bit codes (Table, Affine): [output][input], LSB first, each output row on a byte ---------

constexpr uint64_t kbit_row_bytes(uint64_t inputs, uint32_t bits) {
  return ceil_div(inputs * bits, 8);
}

// The code at position i of a row packed LSB first, `bits` <= 16 wide. Reads only
// bytes that hold bits of this code.
inline uint32_t read_code(const uint8_t* row, uint64_t i, uint32_t bits) {
  const uint64_t bit = i * bits;
  const uint8_t* p = row + bit / 8;
  const uint32_t shift = static_cast<uint32_t>(bit % 8);
  uint32_t word = 0;
  for (uint32_t have = 0; have < shift + bits; have += 8) word |= uint32_t{*p++} << have;
  return (word >> shift) & ((1u << bits) - 1u);
}

// Sets that code in a row that was zero before.
inline void write_code(uint8_t* row, uint64_t i, uint32_t bits, uint32_t code) {
  const uint64_t bit = i * bits;
  uint8_t* p = row + bit / 8;
  uint32_t word = code << (bit % 8);
  for (uint32_t have = 0; have < bit % 8 + bits; have += 8, word >>= 8)
    *p++ |= static_cast<uint8_t>(word & 0xff);
}

// ---- sign planes: bit i of a plane is input i (1 means +), LSB first ---------------------------

// Output after output, group after group, plane after plane. A plane of a whole row is padded to 64
// bits with zeros, so that kernels read it in place. Groups may be as small as one kernel's window:
// their planes follow each other bit after bit, `inputs` in all, zeros behind the layer's last.
constexpr uint64_t plane_row_bytes(uint64_t inputs) {
  return ceil_div(inputs, 64) * 8;
}
constexpr uint64_t plane_group_bytes(uint64_t inputs) {
  return ceil_div(inputs, 8);
}

// ternary5: five trits, least significant first, each 0, 1, 2 for -1, 0, +1; rows and groups start
// on a byte.
constexpr uint64_t ternary5_row_bytes(uint64_t inputs) {
  return ceil_div(inputs, 5);
}

}  // namespace qrt::layout

#endif  // QRT_SCHEMA_LAYOUT_H_

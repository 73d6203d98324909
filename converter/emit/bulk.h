// The bulk data of a file: byte strings by index, each stored once. Knows how
// numbers and codes lie in them (schema/layout.h), nothing about FlatBuffers.
#ifndef QRT_CONVERTER_EMIT_BULK_H_
#define QRT_CONVERTER_EMIT_BULK_H_

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "converter/lower/file.h"
#include "converter/quant/encoding.h"

namespace qrt::emit {

struct Numbers {
  uint32_t buffer = 0;
  bool f16 = false;
  uint32_t count = 0;
  bool powers = false;  // of two, u8
};

// True where f16 loses nothing: then that is how the file stores it.
bool fits_half(const std::vector<float>&);

std::string f32_bytes(const std::vector<float>&);
std::string f16_bytes(const std::vector<float>&);
std::string i8_bytes(const std::vector<float>&);  // whole numbers -128..127
std::string i8_bytes(const std::vector<int8_t>&);
std::string i16_bytes(const std::vector<int16_t>&);
std::string int_bytes(ir::ElementType, const std::vector<int64_t>&);
// The elements of a tensor of this type: one of the two lists is empty.
std::string element_bytes(ir::ElementType, const std::vector<float>&, const std::vector<int64_t>&);

// codes [book][block][output], LSB first, every (book, block) row on a byte.
std::string code_bytes(const quant::Codebook&, int64_t outputs, int64_t inputs);

// Codes of a Table or an Affine, [output][input], LSB first, rows on a byte.
std::string kbit_bytes(const std::vector<uint8_t>& codes, int64_t inputs, int32_t bits);
std::string kbit_bytes(const std::vector<int16_t>& codes, int64_t inputs, int32_t bits);

// Signs of planes as schema/layout.h lays them out.
std::string plane_bytes(const quant::BitPlanes&, int64_t outputs, int64_t inputs);

// Where the parts of a weight matrix lie: `dense`, or the parts of its encoding. Of a Table,
// `levels` are values, `entries` integers; of BitPlanes, `entries` are counts, `codes` planes,
// `scales` coordinates.
struct StoredWeights {
  Numbers dense, scales, levels, offset;
  uint32_t integers = 0, entries = 0, codes = 0, level_of = 0;
};

class Bulk {
 public:
  uint32_t add(std::string bytes);  // equal contents share an index
  // An index of its own whatever the contents: the runtime walks a buffer of codes or thresholds
  // once for every layer that names it, and takes only one (QRT-E0151).
  uint32_t add_codes(std::string bytes);
  Numbers add_numbers(const std::vector<float>&);  // f16 where exact, else f32
  Numbers add_scales(const quant::Scales&);  // those of groups u8 where they are powers of two
  StoredWeights add_weights(const lower::Weights&);
  const std::vector<const std::string*>& buffers() const { return buffers_; }
  uint64_t padded_bytes() const { return padded_; }  // with room for alignment

 private:
  void append(const std::string& bytes);
  StoredWeights add(const quant::Codebook&, const lower::Weights&);
  StoredWeights add(const quant::Integers&, const lower::Weights&);
  StoredWeights add(const quant::Table&, const lower::Weights&);
  StoredWeights add(const quant::Affine&, const lower::Weights&);
  StoredWeights add(const quant::BitPlanes&, const lower::Weights&);

  std::unordered_map<std::string, uint32_t> index_;  // owns the bytes; nodes never move
  std::deque<std::string> codes_;                    // owns those of codes
  std::vector<const std::string*> buffers_;
  uint64_t padded_ = 0;
};

}  // namespace qrt::emit

#endif  // QRT_CONVERTER_EMIT_BULK_H_

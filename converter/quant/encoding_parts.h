// The encodings of encoding.h one by one; only encoding.cc includes this. The
// functions here see columns in stored order: encoding.cc turns them.
#ifndef QRT_CONVERTER_QUANT_ENCODING_PARTS_H_
#define QRT_CONVERTER_QUANT_ENCODING_PARTS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "converter/quant/encoding.h"

namespace qrt::quant::parts {

Result<void> check(const Table&, int64_t outputs, int64_t inputs);
Result<void> check(const Affine&, int64_t outputs, int64_t inputs);
Result<void> check(const BitPlanes&, int64_t outputs, int64_t inputs);

std::vector<float> decode(const Table&, int64_t outputs, int64_t inputs);
std::vector<float> decode(const Affine&, int64_t outputs, int64_t inputs);
std::vector<float> decode(const BitPlanes&, int64_t outputs, int64_t inputs);

bool is_integer(const Table&);
bool is_integer(const Affine&);
bool is_integer(const BitPlanes&);

std::vector<int16_t> integers(const Table&, int64_t outputs, int64_t inputs);
std::vector<int16_t> integers(const Affine&, int64_t outputs, int64_t inputs);
std::vector<int16_t> integers(const BitPlanes&, int64_t outputs, int64_t inputs);

float scale_at(const Scales&, int64_t output);  // of an axis that is not group
float weight_scale(const Affine&, int64_t output);
float weight_scale(const BitPlanes&, int64_t output);

StoredBytes stored_bytes(const Table&, int64_t outputs, int64_t inputs);
StoredBytes stored_bytes(const Affine&, int64_t outputs, int64_t inputs);
StoredBytes stored_bytes(const BitPlanes&, int64_t outputs, int64_t inputs);

// Of columns as they are, kh and kw innermost, to kh and kw outermost.
std::optional<Table> taps_first(const Table&, int64_t outputs, int64_t inputs, int64_t taps);
std::optional<Affine> taps_first(const Affine&, int64_t outputs, int64_t inputs, int64_t taps);
std::optional<BitPlanes> taps_first(const BitPlanes&, int64_t outputs, int64_t inputs,
                                    int64_t taps);

// Bytes of numbers in a file: f16 where all of them are.
uint64_t number_bytes(const std::vector<float>&);

// Rows of `inputs` elements: element c * taps + t moves to t * (inputs / taps) + c, and back.
template <class T>
std::vector<T> stored_order(const std::vector<T>& rows, int64_t inputs, int64_t taps) {
  if (taps == 1) return rows;
  const auto row = static_cast<size_t>(inputs), each = static_cast<size_t>(taps);
  std::vector<T> r(rows.size());
  for (size_t first = 0; first < rows.size(); first += row)
    for (size_t i = 0; i < row; ++i)
      r[first + i % each * (row / each) + i / each] = rows[first + i];
  return r;
}
template <class T>
std::vector<T> source_order(std::vector<T> rows, int64_t inputs, int64_t taps) {
  return taps == 1 ? rows : stored_order(rows, inputs, inputs / taps);
}

}  // namespace qrt::quant::parts

#endif  // QRT_CONVERTER_QUANT_ENCODING_PARTS_H_

// Scans of bulk codes at open: what kernels index with must be in range before
// any kernel sees it, and unused bits are zero, so that vector loads that take
// in the end of a row read valid codes too. Linear in the bytes scanned.
#ifndef QRT_RUNTIME_MODEL_CODES_H_
#define QRT_RUNTIME_MODEL_CODES_H_

#include "runtime/model/reader.h"

namespace qrt {

// Rows of `per_row` codes of `bits` bits (0..16), LSB first, each code below `count`.
struct CodeRows {
  uint64_t rows, row_bytes, per_row;
  uint32_t bits, count;
};

// A buffer of codes belongs to one layer: scanning it again and again for many
// layers would let a small file cost much time.
Status claim(Reader&, uint32_t buffer);

Status check_codes(Reader&, uint32_t buffer, const CodeRows&);

// Counts at most 8, planes and coordinates as many as the counts ask for, pad bits zero.
Status check_planes(const BitPlaneWeights&, uint64_t outputs, uint64_t inputs);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_CODES_H_

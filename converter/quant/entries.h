// Between real numbers and what a file can hold of them: the entries of a codebook
// rounded to their type, and back.
#ifndef QRT_CONVERTER_QUANT_ENTRIES_H_
#define QRT_CONVERTER_QUANT_ENTRIES_H_

#include <span>
#include <vector>

#include "converter/quant/encoding.h"

namespace qrt::quant {

// Fills entries (and entry_scales) of `book` with `values` [scope][book][count][dim] rounded to
// book.entry; `dim` of the book must be set. f16: to nearest; values must lie within +-65504.
// i8: integers -127..127 times a scale per entry, the largest magnitude over 127. Scales are f16
// where that costs none of the integers' precision in any entry, else f32.
void set_entries(std::span<const float> values, Codebook& book);

// What the entries mean: [scope][book][count][dim], scales multiplied in.
std::vector<float> entry_values(const Codebook&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ENTRIES_H_

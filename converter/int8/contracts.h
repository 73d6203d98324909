// Exact sums or rounded tables, layer by layer: what each would take on the machines
// a file is meant for, and what rounding costs on samples.
#ifndef QRT_CONVERTER_INT8_CONTRACTS_H_
#define QRT_CONVERTER_INT8_CONTRACTS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "converter/quant/encoding.h"

namespace qrt::int8 {

// portable: a file for all of them.
enum class Target { portable, x86_vnni, x86_avx2, arm_dotprod, arm_baseline };

// "x86-vnni" and so on; nothing for another word.
std::optional<Target> target_of(std::string_view name);

// Of one group of a coded layer, for one row of the batch.
struct LayerShape {
  int64_t rows = 0, outputs = 0, inputs = 0, groups = 1;
};

// How many times as fast as exact sums tables of so many bits are predicted to be; for portable on
// the machine where they gain least. 0 where the format has no tables for such a codebook.
double table_gain(Target, const LayerShape&, const quant::Codebook&, int32_t bits);

// Tables must gain that much: they lose accuracy, and a file meant for one machine runs on others.
double least_gain(Target);

// The shift of tables of `bits` that rounds least on `rows` rows of inputs [rows][inputs], bytes
// less their zero, of group 0; `c` has one level. `noise` becomes the energy that rounding adds
// over the variance of the exact sums.
int32_t best_shift(const quant::Codebook& c, int64_t outputs, int64_t inputs, int32_t bits,
                   std::span<const float> rows, double* noise);

}  // namespace qrt::int8

#endif  // QRT_CONVERTER_INT8_CONTRACTS_H_

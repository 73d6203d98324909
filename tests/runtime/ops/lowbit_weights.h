// Random weights of few bits for tests, with what each of them means known from how it was made:
// nothing of the runtime's own decoders is used.
#ifndef QRT_TESTS_RUNTIME_OPS_LOWBIT_WEIGHTS_H_
#define QRT_TESTS_RUNTIME_OPS_LOWBIT_WEIGHTS_H_

#include <random>
#include <string>
#include <vector>

#include "runtime/model/model.h"

namespace qrt::test {

enum class Zeros { none, layer, output };

struct LowbitSpec {
  Encoding encoding = Encoding::affine;
  uint32_t bits = 4;  // of codes; of bit planes: the most planes of a group
  ScaleAxis axis = ScaleAxis::output;
  uint32_t group = 0;   // of scales, or of planes
  bool powers = false;  // scales of a table's groups are powers of two, a byte each
  bool is_signed = false;
  Zeros zeros = Zeros::none;
  bool odd_zeros = false;  // halves that are odd in some outputs, or in the layer's
  int shifted = 0;         // added to zeros, in halves: integers leave s8
  bool integers = false;   // of a table, else values
  int most = 127;          // of the size of those integers
  uint32_t offsets = 0;    // of a table: 0, 1 or 2 for one per output
  bool trits = false;      // of planes: ternary5
  bool one_plane = false;  // of planes: exactly one in every group
  InputOrder order = InputOrder::kh_kw_cin;

  std::string str() const;
};

struct LowbitWeights {
  Weights weights;
  std::vector<double> values;    // [output][input], file order
  std::vector<int> integers;     // the same where the weights are exact integers:
  std::vector<float> scales_of;  //   values = integers * scales_of[output]
  std::vector<uint8_t> codes, counts, integer_bytes, powers;
  std::vector<int16_t> zeros;
  std::vector<float> scales, table, offset, alphas;
};
void make_lowbit(const LowbitSpec&, uint32_t outputs, uint32_t inputs, LowbitWeights*);

// Every kind of encoding, axis, zero point and packing, at `bits` of 1 to 8 where that applies.
std::vector<LowbitSpec> every_lowbit_spec();
// Those of them whose weights are integers with one scale per output.
std::vector<LowbitSpec> exact_lowbit_specs();

}  // namespace qrt::test

#endif  // QRT_TESTS_RUNTIME_OPS_LOWBIT_WEIGHTS_H_

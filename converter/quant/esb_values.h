// The value sets of elastic significant bit quantization (ESB; Gong et al., IEEE TPDS 33(11), 2022,
// arXiv 2109.03513) and the scale that suits normally distributed weights best, which the paper
// calls the distribution difference aligner (DDA).
//
// A code of b bits is, from the top down, a sign, an exponent field E of b - 1 - k bits and a
// fraction field M of k bits:
//
//   E = 0:  M / 2^k                     zero and what lies below the first power of two
//   E > 0:  (1 + M / 2^k) * 2^(E - 1)
//
// One exponent bit gives a uniform grid, no fraction bit powers of two. (4,1) is FP4 (E2M1) of the
// OCP microscaling formats, (6,3) and (6,2) are FP6 (E2M3, E3M2) up to a power of two. The
// `mid-rise` relative has no zero: all odd numbers up to 2^b - 1, with both signs.
#ifndef QRT_CONVERTER_QUANT_ESB_VALUES_H_
#define QRT_CONVERTER_QUANT_ESB_VALUES_H_

#include <cstdint>
#include <vector>

#include "converter/base/result.h"

namespace qrt::quant {

inline constexpr int32_t kMaxEsbBits = 8;

struct EsbFormat {
  int32_t bits = 4, fraction = 1;  // 2 to kMaxEsbBits, 0 to bits - 2
  bool mid_rise = false;           // then fraction is 0 and bits may be 1
  bool operator==(const EsbFormat&) const = default;
};

// Why a format does not exist, QRT-E0741; numbers included.
Result<void> check(const EsbFormat&);

// By code, in units of 2^-k (of mid-rise: 1): whole numbers, exact. 2^bits of them; the code of -0
// stands for 0.
std::vector<double> esb_numbers(const EsbFormat&);

// The largest of them, and whether all are whole numbers of 16 bits, or of 8.
double esb_most(const EsbFormat&);

// Codes of the values nearest to numbers in the units of esb_numbers(). A tie goes to the even
// fraction, as the published quantizer's rounding has it (of mid-rise: to the even code). Never the
// code of -0.
class EsbCoder {
 public:
  explicit EsbCoder(const EsbFormat&);
  uint8_t code(double number) const;
  double number(uint8_t code) const { return numbers_[code]; }
  double most() const { return sizes_.back(); }

 private:
  EsbFormat format_;
  std::vector<double> numbers_;
  std::vector<double> sizes_;      // not negative, ascending
  std::vector<uint8_t> positive_;  // the code of each size
};

// The mean of (z - a Q(z / a))^2 over a standard normal z, Q the nearest value of the set (as
// fractions of 2^k, the paper's own unit), a > 0.
double gaussian_error(const EsbFormat&, double a);

// The paper's alpha*: the a of least gaussian_error(). Powers of two make it nearly periodic in
// log2 a, so it is searched everywhere, then narrowed down to 1e-9.
double gaussian_scale(const EsbFormat&);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_ESB_VALUES_H_

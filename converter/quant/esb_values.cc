// Values, codes and the normal distribution's integrals.
#include "converter/quant/esb_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "converter/base/text.h"

namespace qrt::quant {
namespace {

constexpr int kImpossible = 741;

// Mean of (z - v)^2 over the part of a standard normal z between two bounds. With the density p:
//   integral p = P,  integral z p = -[p],  integral z^2 p = P - [z p]
double normal_part(double low, double high, double v) {
  const auto density = [](double z) {
    return std::isfinite(z) ? std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi) : 0.0;
  };
  // Of the upper tails, which keep their digits far out.
  const auto beyond = [](double z) { return std::erfc(z / std::numbers::sqrt2) / 2; };
  const double p = beyond(low) - beyond(high), at_low = density(low), at_high = density(high);
  const double first = at_low - at_high;
  const double second = p + (at_low != 0 ? low * at_low : 0) - (at_high != 0 ? high * at_high : 0);
  return second - 2 * v * first + v * v * p;
}

// The sizes of a format without their signs, ascending, each once.
std::vector<double> sizes_of(const EsbFormat& f) {
  std::vector<double> sizes;
  const int32_t half = 1 << (f.bits - 1);
  for (int32_t code = 0; code < half; ++code) {
    const int32_t exponent = code >> f.fraction, rest = code & ((1 << f.fraction) - 1);
    if (f.mid_rise)
      sizes.push_back(2 * code + 1);
    else if (exponent == 0)
      sizes.push_back(rest);
    else
      sizes.push_back(std::ldexp((1 << f.fraction) + rest, exponent - 1));
  }
  return sizes;
}

double unit_of(const EsbFormat& f) {
  return f.mid_rise ? 0.5 : std::ldexp(1.0, -f.fraction);
}

}  // namespace

Result<void> check(const EsbFormat& f) {
  const int32_t least = f.mid_rise ? 1 : 2;
  if (f.bits < least || f.bits > kMaxEsbBits)
    return fail(kImpossible, "ESB of ", f.bits, " bits does not exist; allowed are ", least, " to ",
                kMaxEsbBits, f.mid_rise ? " bits without a zero" : " bits");
  const int32_t most = f.mid_rise ? 0 : f.bits - 2;
  if (f.fraction < 0 || f.fraction > most)
    return fail(kImpossible, "ESB of ", f.bits, " bits with ", f.fraction,
                " fraction bits does not exist: a sign and an exponent bit at least are needed; "
                "allowed are 0 to ",
                most, " fraction bits");
  return {};
}

std::vector<double> esb_numbers(const EsbFormat& f) {
  const std::vector<double> sizes = sizes_of(f);
  std::vector<double> numbers = sizes;
  for (double size : sizes) numbers.push_back(size == 0 ? 0 : -size);
  return numbers;
}

double esb_most(const EsbFormat& f) {
  return sizes_of(f).back();
}

EsbCoder::EsbCoder(const EsbFormat& f) : format_(f), numbers_(esb_numbers(f)), sizes_(sizes_of(f)) {
  for (size_t i = 0; i < sizes_.size(); ++i) positive_.push_back(static_cast<uint8_t>(i));
}

uint8_t EsbCoder::code(double number) const {
  const double size = std::abs(number);
  const auto above = std::lower_bound(sizes_.begin(), sizes_.end(), size);
  size_t at = static_cast<size_t>(above - sizes_.begin());
  if (at == sizes_.size()) {
    at = sizes_.size() - 1;
  } else if (at > 0) {
    const double up = sizes_[at] - size, down = size - sizes_[at - 1];
    // The significand counts steps of the lower neighbour's exponent. Fractions alternate between
    // even and odd; without a fraction it is 1, and twice it the even one.
    const bool even = format_.fraction == 0 && !format_.mid_rise ? at == 1 : (at - 1) % 2 == 0;
    if (down < up || (down == up && even)) --at;
  }
  if (sizes_[at] == 0 || !(number < 0)) return positive_[at];
  return static_cast<uint8_t>(positive_[at] + sizes_.size());
}

double gaussian_error(const EsbFormat& f, double a) {
  const std::vector<double> sizes = sizes_of(f);
  const double unit = a * unit_of(f);
  double sum = 0, low = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const double high = i + 1 < sizes.size() ? unit * (sizes[i] + sizes[i + 1]) / 2
                                             : std::numeric_limits<double>::infinity();
    sum += normal_part(low, high, unit * sizes[i]);
    low = high;
  }
  return 2 * sum;
}

double gaussian_scale(const EsbFormat& f) {
  // The best largest value lies between half a deviation and, as one exponent step more never
  // helps beyond that, 64 deviations.
  const double most = esb_most(f) * unit_of(f);
  const double first = std::log(0.5 / most), last = std::log(64 / most);
  constexpr int kSteps = 2000;
  const double step = (last - first) / kSteps;
  const auto error = [&](double log_a) { return gaussian_error(f, std::exp(log_a)); };
  double best = first;
  for (int i = 1; i <= kSteps; ++i)
    if (error(first + i * step) < error(best)) best = first + i * step;
  // Golden section between the neighbours of the best.
  const double golden = 1 / std::numbers::phi;
  double low = best - step, high = best + step;
  double left = high - golden * (high - low), right = low + golden * (high - low);
  while (high - low > 1e-9) {
    if (error(left) < error(right))
      high = right, right = left, left = high - golden * (high - low);
    else
      low = left, left = right, right = low + golden * (high - low);
  }
  return std::exp((low + high) / 2);
}

}  // namespace qrt::quant

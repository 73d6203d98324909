// Table and Affine: one code of a few bits per weight; see encoding_parts.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "converter/base/half.h"
#include "converter/base/text.h"
#include "converter/quant/encoding_parts.h"
#include "converter/quant/powers.h"
#include "schema/layout.h"

namespace qrt::quant::parts {
namespace {

constexpr int kBadLattice = 770;

template <class... Parts>
Error bad(const char* kind, const Parts&... text) {
  return fail(kBadLattice, kind, ": ", text..., "; the method or the source that made it is wrong");
}

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Whether all is finite.
bool finite(const std::vector<float>& v) {
  return std::all_of(v.begin(), v.end(), [](float f) { return std::isfinite(f); });
}

uint64_t scale_count(const Scales& s, int64_t outputs, int64_t inputs) {
  if (s.axis == ScaleAxis::layer) return 1;
  if (s.axis == ScaleAxis::output) return static_cast<uint64_t>(outputs);
  return static_cast<uint64_t>(outputs) *
         layout::ceil_div(static_cast<uint64_t>(inputs), static_cast<uint64_t>(s.group));
}

// What Table and Affine share.
template <class Kind>
Result<void> check_shape(const char* name, const Kind& k, int64_t outputs, int64_t inputs) {
  if (outputs < 1 || inputs < 1 || outputs > layout::kMaxDim || inputs > layout::kMaxDim ||
      static_cast<uint64_t>(outputs) * static_cast<uint64_t>(inputs) > layout::kMaxElements)
    return bad(name, "the matrix is ", outputs, " x ", inputs, ", beyond the format's limits");
  if (k.bits < 1 || k.bits > 8) return bad(name, "it has ", k.bits, " bits; 1 to 8 are allowed");
  if (k.taps < 1 || inputs % k.taps != 0)
    return bad(name, "its kernels have ", k.taps, " elements, its rows ", inputs);
  if (k.codes.size() != at(outputs * inputs))
    return bad(name, "it holds ", k.codes.size(), " codes where ", outputs * inputs, " belong");
  const Scales& s = k.scales;
  if (s.axis == ScaleAxis::group && (s.group < 1 || s.group > inputs))
    return bad(name, "its scales are for groups of ", s.group, " of ", inputs, " inputs");
  const uint64_t wanted = scale_count(s, outputs, inputs);
  if (s.values.size() != wanted)
    return bad(name, "it holds ", s.values.size(), " scales where ", wanted, " belong");
  if (!finite(s.values)) return bad(name, "a scale is not finite");
  return {};
}

// The scale of every stored column of an output.
template <class Each>
void for_columns(const Scales& s, int64_t outputs, int64_t inputs, const Each& each) {
  const int64_t group = s.axis == ScaleAxis::group ? s.group : inputs;
  size_t next = 0;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t first = 0; first < inputs; first += group) {
      const float scale = s.values[s.axis == ScaleAxis::layer ? 0 : next++];
      const int64_t end = std::min(inputs, first + group);
      for (int64_t i = first; i < end; ++i) each(o, at(o * inputs + i), scale);
    }
}

// Twice the zero point of an output.
int32_t zero_of(const Affine& a, int64_t output) {
  if (a.zero_halves.empty()) return 0;
  return a.zero_halves[a.zero_halves.size() == 1 ? 0 : at(output)];
}

// The integer that stands for a code where sums are exact: of half steps where the zero is odd.
int32_t integer_of(int32_t code, int32_t zero) {
  return zero % 2 == 0 ? code - zero / 2 : 2 * code - zero;
}

template <class Kind>
std::optional<Kind> reordered(const Kind& k, int64_t inputs, int64_t taps) {
  if (k.taps == taps) return k;
  if (k.taps != 1 || inputs % taps != 0 || k.scales.axis == ScaleAxis::group) return std::nullopt;
  Kind r = k;
  r.codes = stored_order(k.codes, inputs, taps);
  r.taps = static_cast<int32_t>(taps);
  return r;
}

uint64_t code_bytes(int64_t outputs, int64_t inputs, int32_t bits) {
  return static_cast<uint64_t>(outputs) *
         layout::kbit_row_bytes(static_cast<uint64_t>(inputs), static_cast<uint32_t>(bits));
}

}  // namespace

uint64_t number_bytes(const std::vector<float>& v) {
  return v.size() * (std::all_of(v.begin(), v.end(), is_half) ? 2 : 4);
}

float scale_at(const Scales& s, int64_t output) {
  return s.values[s.axis == ScaleAxis::layer ? 0 : at(output)];
}

Result<void> check(const Table& t, int64_t outputs, int64_t inputs) {
  QRT_CHECK_OK(check_shape("table", t, outputs, inputs));
  const size_t count = size_t{1} << t.bits;
  if (t.values.empty() == t.integers.empty())
    return bad("table", "it needs either values or integers");
  if (t.values.size() + t.integers.size() != count)
    return bad("table", "it holds ", t.values.size() + t.integers.size(), " numbers where ", count,
               " belong");
  if (!finite(t.values) || !finite(t.offset))
    return bad("table", "a value or an offset is not finite");
  if (t.offset.size() > 1 && t.offset.size() != at(outputs))
    return bad("table", "it holds ", t.offset.size(), " offsets for ", outputs, " outputs");
  const auto largest = std::max_element(t.codes.begin(), t.codes.end());
  if (*largest >= count) return bad("table", "code ", int{*largest}, " of ", count, " numbers");
  return {};
}

Result<void> check(const Affine& a, int64_t outputs, int64_t inputs) {
  QRT_CHECK_OK(check_shape("affine", a, outputs, inputs));
  if (a.zero_halves.size() > 1 && a.zero_halves.size() != at(outputs))
    return bad("affine", "it holds ", a.zero_halves.size(), " zero points for ", outputs,
               " outputs");
  const int32_t low = a.is_signed ? -(1 << (a.bits - 1)) : 0, high = low + (1 << a.bits) - 1;
  const auto [least, most] = std::minmax_element(a.codes.begin(), a.codes.end());
  if (*least < low || *most > high)
    return bad("affine", "its codes are ", *least, " to ", *most, "; ", a.bits, " bits hold ", low,
               " to ", high);
  return {};
}

std::vector<float> decode(const Table& t, int64_t outputs, int64_t inputs) {
  std::vector<float> out(t.codes.size());
  for_columns(t.scales, outputs, inputs, [&](int64_t o, size_t i, float scale) {
    const size_t code = t.codes[i];
    const float number = t.integers.empty() ? t.values[code] : static_cast<float>(t.integers[code]);
    out[i] = scale * number;
    if (!t.offset.empty()) out[i] += t.offset[t.offset.size() == 1 ? 0 : at(o)];
  });
  return out;
}

std::vector<float> decode(const Affine& a, int64_t outputs, int64_t inputs) {
  std::vector<float> out(a.codes.size());
  for_columns(a.scales, outputs, inputs, [&](int64_t o, size_t i, float scale) {
    out[i] = scale * (static_cast<float>(2 * a.codes[i] - zero_of(a, o)) / 2);
  });
  return out;
}

bool is_integer(const Table& t) {
  return !t.integers.empty() && t.offset.empty() &&
         std::all_of(t.integers.begin(), t.integers.end(),
                     [](int16_t v) { return v >= -kMostInteger && v <= kMostInteger; });
}

bool is_integer(const Affine& a) {
  if (a.scales.axis == ScaleAxis::group) return false;
  const size_t zeros = std::max<size_t>(a.zero_halves.size(), 1), row = a.codes.size() / zeros;
  for (size_t i = 0; i < a.codes.size(); ++i) {
    const int32_t v = integer_of(a.codes[i], zero_of(a, static_cast<int64_t>(i / row)));
    if (v < -255 || v > 255) return false;
  }
  return true;
}

std::vector<int16_t> integers(const Table& t, int64_t, int64_t) {
  std::vector<int16_t> out(t.codes.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = t.integers[t.codes[i]];
  return out;
}

std::vector<int16_t> integers(const Affine& a, int64_t outputs, int64_t inputs) {
  std::vector<int16_t> out(a.codes.size());
  for (int64_t o = 0; o < outputs; ++o)
    for (size_t i = at(o * inputs); i < at((o + 1) * inputs); ++i)
      out[i] = static_cast<int16_t>(integer_of(a.codes[i], zero_of(a, o)));
  return out;
}

float weight_scale(const Affine& a, int64_t output) {
  const float scale = scale_at(a.scales, output);
  return zero_of(a, output) % 2 == 0 ? scale : scale / 2;
}

StoredBytes stored_bytes(const Table& t, int64_t outputs, int64_t inputs) {
  StoredBytes bytes;
  bytes.codes = code_bytes(outputs, inputs, t.bits);
  bytes.entries = number_bytes(t.values) + 2 * t.integers.size();
  const uint64_t scales = t.scales.values.size();
  bytes.scales =
      (are_powers(t.scales) ? scales : number_bytes(t.scales.values)) + number_bytes(t.offset);
  return bytes;
}

StoredBytes stored_bytes(const Affine& a, int64_t outputs, int64_t inputs) {
  StoredBytes bytes;
  bytes.codes = code_bytes(outputs, inputs, a.bits);
  bytes.scales = number_bytes(a.scales.values) + 2 * a.zero_halves.size();
  return bytes;
}

std::optional<Table> taps_first(const Table& t, int64_t, int64_t inputs, int64_t taps) {
  return reordered(t, inputs, taps);
}

std::optional<Affine> taps_first(const Affine& a, int64_t, int64_t inputs, int64_t taps) {
  return reordered(a, inputs, taps);
}

}  // namespace qrt::quant::parts

#include "converter/lowbit/sums.h"

#include <algorithm>
#include <cmath>

#include "converter/base/text.h"
#include "converter/int8/weights.h"
#include "converter/ir/edit.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"

namespace qrt::lowbit {
namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

std::optional<Sums> no(std::string* why, std::string reason) {
  if (why != nullptr) *why = std::move(reason);
  return {};
}

// q becomes low + high - q, and the zero point moves along: the range of codes stays.
void negate(quant::Affine& a, int64_t output, int64_t outputs, int64_t inputs) {
  if (a.zero_halves.size() != at(outputs))
    a.zero_halves.assign(at(outputs), a.zero_halves.empty() ? int16_t{0} : a.zero_halves[0]);
  const int32_t span = a.is_signed ? -1 : (1 << a.bits) - 1;
  for (int64_t i = output * inputs; i < (output + 1) * inputs; ++i)
    a.codes[at(i)] = static_cast<int16_t>(span - a.codes[at(i)]);
  a.zero_halves[at(output)] = static_cast<int16_t>(2 * span - a.zero_halves[at(output)]);
}

// The code of every number's negative, where there is one.
bool negate(quant::Table& t, int64_t output, int64_t inputs) {
  for (int64_t i = output * inputs; i < (output + 1) * inputs; ++i) {
    const int32_t wanted = -t.integers[t.codes[at(i)]];
    const auto found = std::find(t.integers.begin(), t.integers.end(), wanted);
    if (found == t.integers.end()) return false;
    t.codes[at(i)] = static_cast<uint8_t>(found - t.integers.begin());
  }
  return true;
}

// One plane of one group per output, as integer weights have them.
void negate(quant::BitPlanes& p, int64_t output, int64_t inputs) {
  for (int64_t i = output * inputs; i < (output + 1) * inputs; ++i)
    p.signs[at(i)] = static_cast<uint8_t>((p.ternary5 ? 2 : 1) - p.signs[at(i)]);
}

}  // namespace

std::optional<Sums> sums_of(const ir::Graph& g, const ir::Node& layer,
                            const std::optional<Grid>& grid, std::string* why) {
  if (!passes::takes_codes(layer))
    return no(why, "only convolutions and linear layers sum integers");
  const ir::Constant* w = ir::constant_of(g, layer.in[1]);
  if (w == nullptr) return no(why, "its weights are computed");
  if (w->encoding == nullptr || !quant::is_integer(*w->encoding))
    return no(why, "its weights lie on no grid of integers");
  if (quant::group_scales(*w->encoding) != nullptr)
    return no(why, "its sums are of groups with scales of their own");
  if (!grid) return no(why, "its input lies on no grid");
  const int64_t outputs = passes::outputs_of(g, layer);
  const int64_t inputs =
      ir::element_count(passes::value_of(g, layer.in[1]).shape) / std::max<int64_t>(outputs, 1);
  int64_t largest = 0;
  if (!int8::sums_fit(*w->encoding, outputs, inputs, &largest))
    return no(why, cat("its sums reach ", largest, ", beyond 32 bits"));
  const auto* book = std::get_if<quant::Codebook>(w->encoding.get());
  if (book != nullptr && book->table_bits > 0) return no(why, "its sums are rounded");
  const std::vector<int16_t> integers = quant::integers_of(*w->encoding, outputs, inputs);
  Sums r;
  r.is_signs =
      std::all_of(integers.begin(), integers.end(), [](int16_t v) { return v == 1 || v == -1; });
  // What is padded adds 0.
  const int64_t least = std::min(0, grid->low - grid->zero),
                most = std::max(0, grid->high - grid->zero);
  for (int64_t o = 0; o < outputs; ++o) {
    int64_t low = 0, high = 0;
    for (int64_t i = o * inputs; i < (o + 1) * inputs; ++i) {
      const int64_t v = integers[at(i)];
      low += v < 0 ? v * most : v * least;
      high += v < 0 ? v * least : v * most;
    }
    r.low.push_back(low), r.high.push_back(high);
    const long double scale = quant::weight_scale(*w->encoding, o);
    if (!(scale > 0)) return no(why, "a scale of its weights is not positive");
    r.unit.push_back(scale * grid->scale);
  }
  return r;
}

std::optional<quant::Encoding> negate_outputs(const quant::Encoding& from,
                                              const std::vector<bool>& which, int64_t inputs) {
  quant::Encoding r = from;
  const auto outputs = static_cast<int64_t>(which.size());
  for (int64_t o = 0; o < outputs; ++o) {
    if (!which[at(o)]) continue;
    if (auto* affine = std::get_if<quant::Affine>(&r)) {
      negate(*affine, o, outputs, inputs);
    } else if (auto* table = std::get_if<quant::Table>(&r)) {
      if (!negate(*table, o, inputs)) return {};
    } else if (auto* planes = std::get_if<quant::BitPlanes>(&r)) {
      if (planes->signs.size() != at(outputs * inputs)) return {};
      negate(*planes, o, inputs);
    } else if (auto* dense = std::get_if<quant::Integers>(&r)) {
      for (int64_t i = o * inputs; i < (o + 1) * inputs; ++i)
        dense->values[at(i)] = static_cast<int8_t>(-dense->values[at(i)]);
    } else {
      return {};
    }
  }
  return r;
}

}  // namespace qrt::lowbit

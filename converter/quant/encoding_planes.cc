// BitPlanes: every group of inputs is a sum of scaled signs; see encoding_parts.h.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "converter/base/text.h"
#include "converter/quant/encoding_parts.h"
#include "schema/layout.h"

namespace qrt::quant::parts {
namespace {

constexpr int kBadPlanes = 771;
constexpr int kMaxPlanes = 8;

template <class... Parts>
Error bad(const Parts&... text) {
  return fail(kBadPlanes, "bit planes: ", text..., "; the method or the source that made them is ",
              "wrong");
}

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Calls each(output, first, width, count) for every group; width is that of the last one, too.
template <class Each>
void for_groups(const BitPlanes& p, int64_t outputs, int64_t inputs, const Each& each) {
  const int64_t group = p.group == 0 ? inputs : p.group;
  size_t g = 0;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t first = 0; first < inputs; first += group)
      each(o, first, std::min(group, inputs - first), p.counts[g++]);
}

Result<void> check_signs(const BitPlanes& p, int64_t outputs, int64_t inputs) {
  size_t signs = 0, alphas = 0;
  int most = 0;
  for_groups(p, outputs, inputs, [&](int64_t, int64_t, int64_t width, int count) {
    signs += at(width * count);
    alphas += at(count);
    most = std::max(most, count);
  });
  const int allowed = p.ternary5 ? 1 : kMaxPlanes;
  if (most > allowed) return bad("a group has ", most, " planes; ", allowed, " are allowed");
  if (p.signs.size() != signs || p.alphas.size() != alphas)
    return bad("they hold ", p.signs.size(), " signs and ", p.alphas.size(), " coordinates where ",
               signs, " and ", alphas, " belong");
  const int top = p.ternary5 ? 2 : 1;
  for (const uint8_t sign : p.signs)
    if (sign > top) return bad("a sign is ", int{sign}, "; 0 to ", top, " are allowed");
  return {};
}

}  // namespace

Result<void> check(const BitPlanes& p, int64_t outputs, int64_t inputs) {
  if (outputs < 1 || inputs < 1 || outputs > layout::kMaxDim || inputs > layout::kMaxDim ||
      static_cast<uint64_t>(outputs) * static_cast<uint64_t>(inputs) > layout::kMaxElements)
    return bad("the matrix is ", outputs, " x ", inputs, ", beyond the format's limits");
  if (p.taps < 1 || inputs % p.taps != 0)
    return bad("kernels have ", p.taps, " elements, rows ", inputs);
  if (p.group < 0 || p.group > inputs)
    return bad("groups have ", p.group, " of ", inputs, " inputs");
  const int64_t groups = p.group == 0 ? 1 : (inputs + p.group - 1) / p.group;
  if (p.counts.size() != at(outputs * groups))
    return bad("they hold ", p.counts.size(), " counts where ", outputs * groups, " belong");
  for (const float alpha : p.alphas)
    if (!std::isfinite(alpha)) return bad("a coordinate is not finite");
  return check_signs(p, outputs, inputs);
}

std::vector<float> decode(const BitPlanes& p, int64_t outputs, int64_t inputs) {
  std::vector<float> out(at(outputs * inputs), 0.0f);
  const uint8_t* sign = p.signs.data();
  const float* alpha = p.alphas.data();
  for_groups(p, outputs, inputs, [&](int64_t o, int64_t first, int64_t width, int count) {
    float* to = &out[at(o * inputs + first)];
    for (int plane = 0; plane < count; ++plane, ++alpha)
      for (int64_t i = 0; i < width; ++i, ++sign) {
        const int value = p.ternary5 ? *sign - 1 : 2 * *sign - 1;
        to[i] += *alpha * static_cast<float>(value);
      }
  });
  return out;
}

bool is_integer(const BitPlanes& p) {
  return p.group == 0 &&
         std::all_of(p.counts.begin(), p.counts.end(), [](uint8_t c) { return c <= 1; });
}

std::vector<int16_t> integers(const BitPlanes& p, int64_t outputs, int64_t inputs) {
  std::vector<int16_t> out(at(outputs * inputs), 0);
  const uint8_t* sign = p.signs.data();
  for_groups(p, outputs, inputs, [&](int64_t o, int64_t first, int64_t width, int count) {
    for (int64_t i = 0; i < width * count; ++i, ++sign)
      out[at(o * inputs + first + i)] =
          static_cast<int16_t>(p.ternary5 ? *sign - 1 : 2 * *sign - 1);
  });
  return out;
}

// Rows without a plane have no coordinate either.
float weight_scale(const BitPlanes& p, int64_t output) {
  if (p.counts[at(output)] == 0) return 0;
  if (p.alphas.size() == p.counts.size()) return p.alphas[at(output)];
  return p.alphas[std::accumulate(p.counts.begin(), p.counts.begin() + output, size_t{0})];
}

StoredBytes stored_bytes(const BitPlanes& p, int64_t outputs, int64_t inputs) {
  StoredBytes bytes;
  bytes.codes = p.counts.size();
  if (p.group > 0 && !p.ternary5) bytes.codes += layout::plane_group_bytes(p.signs.size());
  for_groups(p, outputs, inputs, [&](int64_t, int64_t, int64_t width, int count) {
    const auto signs = static_cast<uint64_t>(width);
    if (p.ternary5)
      bytes.codes += static_cast<uint64_t>(count) * layout::ternary5_row_bytes(signs);
    else if (p.group == 0)
      bytes.codes += static_cast<uint64_t>(count) * layout::plane_row_bytes(signs);
  });
  bytes.scales = number_bytes(p.alphas);
  return bytes;
}

std::optional<BitPlanes> taps_first(const BitPlanes& p, int64_t, int64_t inputs, int64_t taps) {
  if (p.taps == taps) return p;
  if (p.taps != 1 || inputs % taps != 0 || p.group != 0) return std::nullopt;
  BitPlanes r = p;
  r.signs = stored_order(p.signs, inputs, taps);  // a plane is a row here
  r.taps = static_cast<int32_t>(taps);
  return r;
}

}  // namespace qrt::quant::parts

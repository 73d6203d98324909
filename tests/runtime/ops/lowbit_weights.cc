// See lowbit_weights.h.
#include "tests/runtime/ops/lowbit_weights.h"

#include <cmath>
#include <cstring>

#include "schema/layout.h"
#include "tests/support/op_runner.h"

namespace qrt::test {
namespace {

using Bits = std::mt19937;

uint32_t pick(Bits& bits, uint32_t count) {
  return (bits() >> 5) % count;
}

// Positive, with short fractions.
std::vector<float> positive(size_t n, Bits& bits) {
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(1 + pick(bits, 1000)) / 1024;
  return v;
}

// One scale per layer, output or group of inputs; where the scale of a weight is.
size_t scale_place(const LowbitSpec& s, uint32_t inputs, uint32_t n, uint32_t k) {
  if (s.axis == ScaleAxis::layer) return 0;
  if (s.axis == ScaleAxis::output) return n;
  return size_t{n} * ((inputs + s.group - 1) / s.group) + k / s.group;
}

Scales make_scales(const LowbitSpec& s, Bits& bits, LowbitWeights* w) {
  const uint32_t outputs = w->weights.outputs, inputs = w->weights.inputs;
  w->scales = positive(scale_place(s, inputs, outputs - 1, inputs - 1) + 1, bits);
  Constant values = constant_of(w->scales);
  if (s.powers) {
    for (float& scale : w->scales) {
      w->powers.push_back(static_cast<uint8_t>(127 - 2 + pick(bits, 5)));
      scale = std::ldexp(1.0f, w->powers.back() - 127);
    }
    values.data = w->powers.data(), values.dtype = DType::u8;
  }
  return {s.axis, s.axis == ScaleAxis::group ? s.group : 0, values};
}

// Codes are packed and handed to use(output, input, code).
template <class Use>
void make_codes(uint32_t width, Bits& bits, LowbitWeights* w, Use&& use) {
  const uint32_t outputs = w->weights.outputs, inputs = w->weights.inputs;
  const uint64_t row = layout::kbit_row_bytes(inputs, width);
  w->codes.assign(row * outputs, 0);
  for (uint32_t n = 0; n < outputs; ++n)
    for (uint32_t k = 0; k < inputs; ++k) {
      const uint32_t code = pick(bits, 1u << width);
      layout::write_code(w->codes.data() + n * row, k, width, code);
      use(n, k, code);
    }
}

void make_affine(const LowbitSpec& s, Bits& bits, LowbitWeights* w) {
  Weights& out = w->weights;
  const uint32_t outputs = out.outputs, inputs = out.inputs;
  const int range = 1 << s.bits, lowest = s.is_signed ? -range / 2 : 0;
  const size_t zeros = s.zeros == Zeros::none ? 0 : s.zeros == Zeros::layer ? 1 : outputs;
  // In the middle of the codes, where integers are smallest; of 8 bits always within s8.
  for (size_t i = 0; i < zeros; ++i) {
    int halves = 2 * lowest + range + (s.bits < 8 ? 2 * int(pick(bits, 3)) - 2 : 0);
    halves += i % 3 == 0 ? s.shifted : 0;
    if (s.odd_zeros && (zeros == 1 || i % 2 == 0)) halves -= 1;
    w->zeros.push_back(static_cast<int16_t>(halves));
  }
  const Scales scales = make_scales(s, bits, w);
  for (uint32_t n = 0; n < outputs; ++n) {
    const int zero = zeros == 0 ? 0 : w->zeros[zeros == 1 ? 0 : n];
    const float scale = w->scales[scale_place(s, inputs, n, 0)];
    w->scales_of.push_back(zero % 2 != 0 ? scale / 2 : scale);
  }
  make_codes(s.bits, bits, w, [&](uint32_t n, uint32_t k, uint32_t code) {
    const int q = s.is_signed && code >= uint32_t(range) / 2 ? int(code) - range : int(code);
    const int zero = zeros == 0 ? 0 : w->zeros[zeros == 1 ? 0 : n];
    w->values.push_back((q - zero / 2.0) * double{w->scales[scale_place(s, inputs, n, k)]});
    w->integers.push_back(zero % 2 != 0 ? 2 * q - zero : q - zero / 2);
  });
  out.affine = {
      s.bits, s.is_signed, {w->zeros.data(), zeros}, {w->codes.data(), w->codes.size()}, scales};
}

void make_table(const LowbitSpec& s, Bits& bits, LowbitWeights* w) {
  Weights& out = w->weights;
  const uint32_t inputs = out.inputs, count = 1u << s.bits;
  std::vector<int16_t> integers;
  for (uint32_t i = 0; i < count; ++i)
    integers.push_back(int16_t(int(pick(bits, uint32_t(2 * s.most + 1))) - s.most));
  if (s.integers) {
    w->integer_bytes.resize(2 * count);
    std::memcpy(w->integer_bytes.data(), integers.data(), 2 * count);
  } else {
    w->table = random_floats(count, 3 * s.bits);
  }
  const Scales scales = make_scales(s, bits, w);
  const uint32_t offsets = s.offsets == 2 ? out.outputs : s.offsets;
  w->offset = random_floats(offsets, 77);
  for (uint32_t n = 0; n < out.outputs; ++n)
    w->scales_of.push_back(w->scales[scale_place(s, inputs, n, 0)]);
  make_codes(s.bits, bits, w, [&](uint32_t n, uint32_t k, uint32_t code) {
    const double value = s.integers ? integers[code] : double{w->table[code]};
    const double add = offsets == 0 ? 0.0 : double{w->offset[offsets == 1 ? 0 : n]};
    w->values.push_back(value * double{w->scales[scale_place(s, inputs, n, k)]} + add);
    w->integers.push_back(integers[code]);
  });
  out.table = {s.bits,
               s.integers ? Constant{} : constant_of(w->table),
               {w->integer_bytes.data(), w->integer_bytes.size()},
               {w->codes.data(), w->codes.size()},
               scales,
               offsets == 0 ? Constant{} : constant_of(w->offset)};
}

// A plane of `width` signs or trits behind the others.
std::vector<int> append_plane(const LowbitSpec& s, uint32_t width, Bits& bits, LowbitWeights* w,
                              size_t* signs_before) {
  const bool follows = s.group != 0 && !s.trits;
  const size_t at = w->codes.size();
  if (!follows)
    w->codes.resize(at +
                    (s.trits ? layout::ternary5_row_bytes(width) : layout::plane_row_bytes(width)));
  std::vector<int> signs;
  const int power[5] = {1, 3, 9, 27, 81};
  for (uint32_t k = 0; k < width; ++k) {
    const int sign = s.trits ? int(pick(bits, 3)) - 1 : 2 * int(pick(bits, 2)) - 1;
    signs.push_back(sign);
    if (follows) {  // the next bit of all
      if (*signs_before % 8 == 0) w->codes.push_back(0);
      w->codes.back() |= static_cast<uint8_t>((sign + 1) / 2 << (*signs_before)++ % 8);
      continue;
    }
    uint8_t& byte = w->codes[at + k / (s.trits ? 5 : 8)];
    byte = static_cast<uint8_t>(byte +
                                (s.trits ? (sign + 1) * power[k % 5] : (sign + 1) / 2 << k % 8));
  }
  return signs;
}

void make_planes(const LowbitSpec& s, Bits& bits, LowbitWeights* w) {
  Weights& out = w->weights;
  const uint32_t inputs = out.inputs, group = s.group == 0 ? inputs : s.group;
  size_t signs_before = 0;
  for (uint32_t n = 0; n < out.outputs; ++n)
    for (uint32_t first = 0; first < inputs; first += group) {
      const uint32_t width = inputs - first < group ? inputs - first : group;
      const uint32_t count = s.one_plane ? 1 : pick(bits, (s.trits ? 1 : s.bits) + 1);
      w->counts.push_back(static_cast<uint8_t>(count));
      std::vector<double> values(width, 0);
      for (uint32_t p = 0; p < count; ++p) {
        w->alphas.push_back(static_cast<float>(1 + pick(bits, 1000)) / 1024);
        const std::vector<int> signs = append_plane(s, width, bits, w, &signs_before);
        for (uint32_t k = 0; k < width; ++k) values[k] += double{w->alphas.back()} * signs[k];
        if (s.one_plane) w->integers.insert(w->integers.end(), signs.begin(), signs.end());
      }
      w->values.insert(w->values.end(), values.begin(), values.end());
    }
  if (s.one_plane) w->scales_of = w->alphas;
  out.bit_planes = {s.trits ? PlanePacking::ternary5 : PlanePacking::planes,
                    s.group,
                    {w->counts.data(), w->counts.size()},
                    {w->codes.data(), w->codes.size()},
                    constant_of(w->alphas)};
}

}  // namespace

std::string LowbitSpec::str() const {
  std::string s = std::string(name_of(encoding)) + " " + std::to_string(bits) + " bits, axis " +
                  std::to_string(int(axis)) + ", group " + std::to_string(group) + ", zeros " +
                  std::to_string(int(zeros)) + ", offsets " + std::to_string(offsets);
  for (const auto& [flag, name] : {std::pair(is_signed, ", signed"),
                                   {odd_zeros, ", odd"},
                                   {integers, ", integers"},
                                   {trits, ", trits"},
                                   {one_plane, ", one plane"}})
    if (flag) s += name;
  return s;
}

void make_lowbit(const LowbitSpec& s, uint32_t outputs, uint32_t inputs, LowbitWeights* w) {
  Bits bits(outputs * 7 + inputs + s.bits * 31 + s.group);
  w->weights.outputs = outputs, w->weights.inputs = inputs;
  w->weights.encoding = s.encoding, w->weights.order = s.order;
  if (s.encoding == Encoding::affine)
    make_affine(s, bits, w);
  else if (s.encoding == Encoding::table)
    make_table(s, bits, w);
  else
    make_planes(s, bits, w);
}

std::vector<LowbitSpec> exact_lowbit_specs() {
  std::vector<LowbitSpec> all;
  for (uint32_t bits = 1; bits <= 8; ++bits) {
    LowbitSpec affine;
    affine.bits = bits, affine.is_signed = bits % 2 == 0;
    affine.zeros = bits == 8 ? Zeros::layer : Zeros::output;
    affine.odd_zeros = bits < 7;
    all.push_back(affine);
    affine.is_signed = !affine.is_signed, affine.zeros = Zeros::layer, affine.odd_zeros = false;
    affine.axis = ScaleAxis::layer;
    all.push_back(affine);
    LowbitSpec table;
    table.encoding = Encoding::table, table.bits = bits, table.integers = true;
    all.push_back(table);
  }
  for (const bool trits : {false, true}) {
    LowbitSpec planes;
    planes.encoding = Encoding::bit_planes, planes.bits = 1, planes.trits = trits;
    planes.one_plane = true;
    all.push_back(planes);
  }
  return all;
}

std::vector<LowbitSpec> every_lowbit_spec() {
  std::vector<LowbitSpec> all = exact_lowbit_specs();
  for (uint32_t bits = 1; bits <= 8; ++bits) {
    LowbitSpec s;
    s.bits = bits, s.axis = ScaleAxis::group, s.group = bits % 2 == 0 ? 8 : 5;
    s.zeros = Zeros::output, s.odd_zeros = true, s.is_signed = bits % 3 == 0;
    all.push_back(s);
    s.encoding = Encoding::table, s.offsets = bits % 3, s.integers = bits % 2 == 0;
    all.push_back(s);
    s.powers = true;
    all.push_back(s);
    s.powers = false;
    s.axis = ScaleAxis::layer, s.group = 0, s.integers = false;
    all.push_back(s);
    s.encoding = Encoding::bit_planes, s.group = bits == 8 ? 1 : 3 * bits % 7;
    all.push_back(s);
    s.trits = true;
    all.push_back(s);
  }
  return all;
}

}  // namespace qrt::test

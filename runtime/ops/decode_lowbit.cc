// See decode_lowbit.h.
#include "runtime/ops/decode_lowbit.h"

#include <cstring>

#include "runtime/base/checked.h"
#include "schema/layout.h"

namespace qrt {
namespace {

Status wrong(const char* what, uint64_t found, uint64_t allowed) {
  return Status(Code::invalid_model, 256, what)
      .values(static_cast<int64_t>(found), static_cast<int64_t>(allowed))
      .next("convert the model again");
}

Status check_codes(const Weights& w, uint32_t bits, Bytes codes, const Scales& s) {
  if (bits < 1 || bits > 8) return wrong("codes have 1 to 8 bits", bits, 8);
  const auto bytes = (CheckedSize(w.outputs) * layout::kbit_row_bytes(w.inputs, bits)).get();
  if (codes.size() != bytes)
    return wrong("codes have the wrong size", codes.size(), bytes.value_or(0));
  CheckedSize count(1);
  if (s.axis == ScaleAxis::output) count = CheckedSize(w.outputs);
  if (s.axis == ScaleAxis::group) {
    if (s.group == 0) return wrong("a scale per group needs a group size of at least 1", 0, 1);
    count = CheckedSize(w.outputs) * layout::ceil_div(w.inputs, s.group);
  }
  if (s.values.count != count.get(UINT32_MAX))
    return wrong("wrong number of weight scales", s.values.count, count.get().value_or(0));
  return {};
}

Status check_table(const Weights& w) {
  const TableWeights& t = w.table;
  QRT_TRY(check_codes(w, t.bits, t.codes, t.scales));
  const uint64_t entries = uint64_t{1} << t.bits;
  if (t.values.present() ? t.values.count != entries : t.integers.size() != 2 * entries)
    return wrong("a table has the wrong number of entries", t.values.count, entries);
  if (t.offset.count > 1 && t.offset.count != w.outputs)
    return wrong("wrong number of offsets", t.offset.count, w.outputs);
  return {};
}

Status check_affine(const Weights& w) {
  const size_t zeros = w.affine.zero_halves.size();
  if (zeros > 1 && zeros != w.outputs)
    return wrong("wrong number of zero points", zeros, w.outputs);
  return check_codes(w, w.affine.bits, w.affine.codes, w.affine.scales);
}

uint64_t plane_bytes(const BitPlaneWeights& b, uint64_t width) {
  if (b.packing == PlanePacking::ternary5) return layout::ternary5_row_bytes(width);
  return layout::plane_row_bytes(width);
}

Status check_planes(const Weights& w) {
  const BitPlaneWeights& b = w.bit_planes;
  const uint64_t group = b.group == 0 ? w.inputs : b.group;
  const uint64_t groups = layout::ceil_div(w.inputs, group);
  const auto counts = (CheckedSize(w.outputs) * groups).get();
  if (b.counts.size() != counts)
    return wrong("wrong number of counts of planes", b.counts.size(), counts.value_or(0));
  CheckedSize bytes(0);
  uint64_t alphas = 0, signs = 0;
  for (size_t i = 0; i < b.counts.size(); ++i) {
    const uint64_t count = b.counts.data()[i], first = i % groups * group;
    if (count > (b.packing == PlanePacking::ternary5 ? 1 : 8))
      return wrong("a group has too many planes", count, 8);
    const uint64_t width = w.inputs - first < group ? w.inputs - first : group;
    bytes = bytes + CheckedSize(count) * plane_bytes(b, width);
    alphas += count, signs += count * width;
  }
  if (planes_follow(b)) bytes = CheckedSize(layout::plane_group_bytes(signs));
  if (b.planes.size() != bytes.get())
    return wrong("planes have the wrong size", b.planes.size(), bytes.get().value_or(0));
  if (b.alphas.count != alphas) return wrong("wrong number of alphas", b.alphas.count, alphas);
  return {};
}

void decode_affine(const Weights& w, float* out) {
  const AffineWeights& a = w.affine;
  const uint64_t row = layout::kbit_row_bytes(w.inputs, a.bits);
  const int32_t sign = a.is_signed ? 1 << (a.bits - 1) : 0;
  for (uint32_t n = 0; n < w.outputs; ++n)
    for (uint32_t k = 0; k < w.inputs; ++k) {
      const auto code =
          static_cast<int32_t>(layout::read_code(a.codes.data() + n * row, k, a.bits));
      const int32_t q = (code ^ sign) - sign;
      *out++ = static_cast<float>(2 * q - zero_of(a, n)) * 0.5f *
               read_constant(a.scales.values, scale_at(a.scales, w.inputs, n, k));
    }
}

void decode_table(const Weights& w, float* out) {
  const TableWeights& t = w.table;
  const uint64_t row = layout::kbit_row_bytes(w.inputs, t.bits);
  for (uint32_t n = 0; n < w.outputs; ++n)
    for (uint32_t k = 0; k < w.inputs; ++k) {
      const uint32_t code = layout::read_code(t.codes.data() + n * row, k, t.bits);
      float value = table_value(t, code);
      value *= read_constant(t.scales.values, scale_at(t.scales, w.inputs, n, k));
      if (t.offset.present()) value += read_constant(t.offset, t.offset.count == 1 ? 0 : n);
      *out++ = value;
    }
}

void decode_planes(const Weights& w, float* out) {
  const BitPlaneWeights& b = w.bit_planes;
  const uint32_t group = b.group == 0 ? w.inputs : b.group;
  const uint8_t *count = b.counts.data(), *plane = b.planes.data();
  uint32_t alpha = 0;
  uint64_t signs = 0;  // before this plane, where they follow each other
  for (uint32_t n = 0; n < w.outputs; ++n)
    for (uint32_t first = 0; first < w.inputs; first += group, ++count) {
      const uint32_t width = w.inputs - first < group ? w.inputs - first : group;
      for (uint32_t k = 0; k < width; ++k) out[k] = 0;
      for (uint32_t p = 0; p < *count; ++p) {
        const float a = read_constant(b.alphas, alpha++);
        for (uint32_t k = 0; k < width; ++k) {
          const float part = static_cast<float>(plane_sign(b, plane, signs + k)) * a;
          out[k] = p == 0 ? part : out[k] + part;
        }
        if (planes_follow(b))
          signs += width;
        else
          plane += plane_bytes(b, width);
      }
      out += width;
    }
}

}  // namespace

int32_t plane_sign(const BitPlaneWeights& b, const uint8_t* plane, uint64_t k) {
  if (b.packing == PlanePacking::planes) return (plane[k / 8] >> k % 8 & 1) != 0 ? 1 : -1;
  int32_t byte = plane[k / 5];
  for (uint64_t skip = k % 5; skip != 0; --skip) byte /= 3;
  return byte % 3 - 1;
}

float table_value(const TableWeights& t, uint32_t code) {
  if (t.values.present()) return read_constant(t.values, code);
  int16_t integer;
  std::memcpy(&integer, t.integers.data() + 2 * code, sizeof integer);
  return static_cast<float>(integer);
}

Status check_lowbit(const Weights& w) {
  if (w.encoding == Encoding::affine) return check_affine(w);
  return w.encoding == Encoding::table ? check_table(w) : check_planes(w);
}

void decode_lowbit(const Weights& w, float* out) {
  if (w.encoding == Encoding::affine)
    decode_affine(w, out);
  else if (w.encoding == Encoding::table)
    decode_table(w, out);
  else
    decode_planes(w, out);
}

}  // namespace qrt

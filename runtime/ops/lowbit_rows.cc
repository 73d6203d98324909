// See lowbit_rows.h.
#include "runtime/ops/lowbit_rows.h"

#include "runtime/model/exact.h"
#include "runtime/ops/layer_geometry.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace lb = kernels::lowbit;

size_t group_of(const Weights& w) {
  return w.bit_planes.group == 0 ? w.inputs : w.bit_planes.group;
}

size_t plane_bytes(const BitPlaneWeights& b, size_t width) {
  return static_cast<size_t>(b.packing == PlanePacking::ternary5 ? layout::ternary5_row_bytes(width)
                                                                 : layout::plane_row_bytes(width));
}

// From one plane to the next, in units of PlanePlace::at.
size_t plane_step(const BitPlaneWeights& b, size_t width) {
  return planes_follow(b) ? width : plane_bytes(b, width);
}

}  // namespace

Status LowbitFloats::prepare(const Weights& w, const lb::Kit& kit, size_t step, Arena& keep) {
  w_ = &w, kit_ = &kit, step_ = step;
  QRT_TRY(check_lowbit(w));
  if (w.encoding == Encoding::bit_planes) return index_planes(keep);
  if (w.encoding != Encoding::table) return {};
  const Span<float> map = keep.array<float>(256);
  if (map.size() != 256) return layer_too_large();
  for (uint32_t code = 0; code < 256; ++code)
    map[code] = code < 1u << w.table.bits ? table_value(w.table, code) : 0.0f;
  map_ = map.data();
  return {};
}

// Where the planes begin of the group that holds the first input of every step.
Status LowbitFloats::index_planes(Arena& keep) {
  const BitPlaneWeights& b = w_->bit_planes;
  if (planes_follow(b) && b.planes.size() > UINT32_MAX / 8) return layer_too_large();
  const size_t inputs = w_->inputs, group = group_of(*w_);
  steps_ = (inputs + step_ - 1) / step_;
  const Span<PlanePlace> places = keep.array<PlanePlace>(steps_ * w_->outputs);
  if (places.size() != steps_ * w_->outputs) return layer_too_large();
  PlanePlace* to = places.data();
  PlanePlace at{0, 0};
  const uint8_t* count = b.counts.data();
  for (size_t n = 0; n < w_->outputs; ++n) {
    size_t step = 0;
    for (size_t first = 0; first < inputs; first += group, ++count) {
      const size_t width = inputs - first < group ? inputs - first : group;
      for (; step < steps_ && step * step_ < first + width; ++step) *to++ = at;
      at.at += static_cast<uint32_t>(*count * plane_step(b, width));
      at.alpha += *count;
    }
  }
  places_ = places.data();
  return {};
}

void LowbitFloats::decode(size_t n, size_t k0, size_t k1, uint8_t* codes, float* to) const {
  if (w_->encoding == Encoding::bit_planes)
    decode_planes(n, k0, k1, codes, to);
  else
    decode_codes(n, k0, k1, codes, to);
}

const uint8_t* LowbitFloats::unpack(const uint8_t* row, const uint8_t* end, uint32_t bits,
                                    size_t first, size_t last, uint8_t* codes) const {
  const size_t run = lb::codes_per_byte_run(bits), skip = first % run;
  const size_t bytes = first / run * (bits == lb::kTrits ? 1 : bits);
  kit_->unpack({{row + bytes, end, bits}, last - first + skip, codes});
  return codes + skip;
}

void LowbitFloats::decode_codes(size_t n, size_t k0, size_t k1, uint8_t* codes, float* to) const {
  const bool table = w_->encoding == Encoding::table;
  const Bytes all = table ? w_->table.codes : w_->affine.codes;
  const Scales& scales = table ? w_->table.scales : w_->affine.scales;
  const uint32_t bits = table ? w_->table.bits : w_->affine.bits;
  const auto output = static_cast<uint32_t>(n);
  const uint8_t* row =
      all.data() + n * static_cast<size_t>(layout::kbit_row_bytes(w_->inputs, bits));
  lb::FloatsArgs a{};
  a.codes = unpack(row, all.end(), bits, k0, k1, codes);
  a.map = map_;
  if (table) {
    const Constant& offset = w_->table.offset;
    a.has_offset = offset.present();
    if (a.has_offset) a.offset = read_constant(offset, offset.count == 1 ? 0 : output);
  } else {
    a.flip = static_cast<uint8_t>(w_->affine.is_signed ? 1u << (bits - 1) : 0);
    a.zero2 = 2 * a.flip + zero_of(w_->affine, output), a.unit = 0.5f;
  }
  while (k0 < k1) {
    const size_t group = scales.axis == ScaleAxis::group ? scales.group : w_->inputs;
    const size_t left = group - k0 % group;
    a.count = left < k1 - k0 ? left : k1 - k0;
    a.scale = read_constant(scales.values,
                            scale_at(scales, w_->inputs, output, static_cast<uint32_t>(k0)));
    a.to = to;
    kit_->floats(a);
    a.codes += a.count, to += a.count, k0 += a.count;
  }
}

// A group of no planes is a plane of coordinate 0 that is not there.
void LowbitFloats::decode_planes(size_t n, size_t k0, size_t k1, uint8_t* codes, float* to) const {
  const BitPlaneWeights& b = w_->bit_planes;
  const bool trits = b.packing == PlanePacking::ternary5;
  const size_t inputs = w_->inputs, group = group_of(*w_), groups = (inputs + group - 1) / group;
  PlanePlace at = places_[n * steps_ + k0 / step_];
  while (k0 < k1) {
    const size_t first = k0 / group * group, end = inputs - first < group ? inputs : first + group;
    const size_t some = (end < k1 ? end : k1) - k0, step = plane_step(b, end - first);
    const uint32_t count = b.counts.data()[n * groups + k0 / group];
    if (count == 0)
      for (size_t i = 0; i < some; ++i) to[i] = 0;
    for (uint32_t p = 0; p < count; ++p, ++at.alpha, at.at += static_cast<uint32_t>(step)) {
      const size_t skip = k0 - first + (planes_follow(b) ? at.at : 0);
      lb::FloatsArgs a{};
      a.codes = unpack(b.planes.data() + (planes_follow(b) ? 0 : at.at), b.planes.end(),
                       trits ? lb::kTrits : 1, skip, skip + some, codes);
      a.count = some;
      a.scale = read_constant(b.alphas, at.alpha);
      a.zero2 = trits ? 2 : 1, a.unit = trits ? 0.5f : 1.0f;  // trit - 1, or 2 * bit - 1
      a.adds = p != 0, a.to = to;
      kit_->floats(a);
    }
    to += some, k0 += some;
  }
}

Status LowbitIntegers::prepare(const Weights& w, const lb::Kit& kit, Arena& keep) {
  w_ = &w, kit_ = &kit;
  QRT_TRY(check_lowbit(w));
  QRT_TRY(check_integers(w));
  if (w.encoding != Encoding::table) return {};
  const Span<int8_t> map = keep.array<int8_t>(256);
  if (map.size() != 256) return layer_too_large();
  for (uint32_t code = 0; code < 256; ++code)
    map[code] =
        code < 1u << w.table.bits ? static_cast<int8_t>(table_value(w.table, code)) : int8_t{0};
  map_ = map.data();
  return {};
}

float LowbitIntegers::scale(uint32_t n) const {
  if (w_->encoding == Encoding::bit_planes) return read_constant(w_->bit_planes.alphas, n);
  const Scales& s = w_->encoding == Encoding::table ? w_->table.scales : w_->affine.scales;
  const float scale = read_constant(s.values, s.axis == ScaleAxis::layer ? 0 : n);
  const bool halves = w_->encoding == Encoding::affine && affine_integer(w_->affine, n).factor == 2;
  return halves ? scale / 2 : scale;
}

size_t LowbitIntegers::row_bytes() const {
  if (w_->encoding == Encoding::bit_planes) return plane_bytes(w_->bit_planes, w_->inputs);
  const bool table = w_->encoding == Encoding::table;
  return static_cast<size_t>(
      layout::kbit_row_bytes(w_->inputs, table ? w_->table.bits : w_->affine.bits));
}

LowbitIntegers::Row LowbitIntegers::row(size_t n) const {
  const auto code_row = [&](Bytes codes, uint32_t bits) {
    return lb::Packed{codes.data() + n * row_bytes(), codes.end(), bits};
  };
  if (w_->encoding == Encoding::table)
    return {code_row(w_->table.codes, w_->table.bits), map_, 0, 1, 0};
  if (w_->encoding == Encoding::affine) {
    const AffineWeights& a = w_->affine;
    const AffineInteger integer = affine_integer(a, static_cast<uint32_t>(n));
    const int32_t flip = a.is_signed ? 1 << (a.bits - 1) : 0;
    return {code_row(a.codes, a.bits), nullptr, static_cast<uint8_t>(flip), integer.factor,
            integer.zero + integer.factor * flip};
  }
  const BitPlaneWeights& b = w_->bit_planes;
  const uint8_t* plane = b.planes.data() + n * row_bytes();
  if (b.packing == PlanePacking::ternary5)
    return {{plane, b.planes.end(), lb::kTrits}, nullptr, 0, 1, 1};
  return {{plane, b.planes.end(), 1}, nullptr, 0, 2, 1};
}

bool LowbitIntegers::same_integers() const {
  return w_->encoding != Encoding::affine || w_->affine.zero_halves.size() <= 1;
}

void LowbitIntegers::describe(size_t first, size_t outputs, Packed* to) const {
  const Row r = row(first);
  const bool same = same_integers();
  for (size_t i = 0; i < outputs; ++i) {
    const Row& other = same ? r : row(first + i);
    to->zero[i] = static_cast<int8_t>(other.zero);
    to->doubled[i] = other.factor == 2;
  }
  kernels::int8::PackedArgs& a = to->args;
  a.codes = r.packed.codes, a.end = r.packed.end;
  a.row_bytes = row_bytes();
  a.bits = r.packed.bits == lb::kTrits ? 0 : r.packed.bits;
  a.map = r.map, a.flip = r.flip, a.doubled = to->doubled, a.zero = to->zero;
  a.outputs = outputs;
}

void LowbitIntegers::decode(size_t n, size_t k0, size_t k1, uint8_t* codes, int8_t* to) const {
  Row r = row(n);
  r.packed.codes += r.packed.bits == lb::kTrits ? k0 / 5 : k0 / 8 * r.packed.bits;
  kit_->unpack({r.packed, k1 - k0, codes});
  kit_->integers({codes, k1 - k0, r.map, r.packed.bits <= 4, r.flip, r.factor == 2, r.zero, to});
}

}  // namespace qrt

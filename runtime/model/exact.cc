// See exact.h.
#include "runtime/model/exact.h"

#include <cstring>

#include "schema/layout.h"

namespace qrt {
namespace {

constexpr int32_t kMostInteger = 32639;  // 256 * 127 + 127: two signed bytes hold it

// The largest magnitude so far, of integers that must be s8, or 9 bits of affine codes.
class Largest {
 public:
  void add(int64_t v) {
    const auto size = static_cast<uint64_t>(v < 0 ? -v : v);
    most_ = size > most_ ? size : most_;
    fits_ = fits_ && fits_s8(v);
  }
  bool fits() const { return fits_; }
  bool fits_9_bits() const { return most_ <= 255; }
  uint64_t most() const { return most_; }

 private:
  uint64_t most_ = 0;
  bool fits_ = true;
};

Status no_integers(const char* what) {
  return Status(Code::invalid_model, 142, what)
      .next("convert it again; layers without integers take f32 activations");
}

Status check_scales(const Scales& s) {
  if (s.axis == ScaleAxis::group)
    return no_integers("exact numerics with a scale per group of inputs");
  return {};
}

// The least and the largest integer that the codes of one row stand for.
void add_row(const Weights& w, uint32_t output, const AffineInteger& integer, Largest* largest) {
  const AffineWeights& a = w.affine;
  const uint8_t* row = a.codes.data() + output * layout::kbit_row_bytes(w.inputs, a.bits);
  const int32_t sign = a.is_signed ? 1 << (a.bits - 1) : 0;
  for (uint32_t k = 0; k < w.inputs; ++k) {
    const auto code = static_cast<int32_t>(layout::read_code(row, k, a.bits));
    largest->add(integer.of((code ^ sign) - sign));
  }
}

// Rows are looked at only where the zero point leaves room for codes beyond s8.
Status check_affine(const Weights& w, Largest* largest) {
  const AffineWeights& a = w.affine;
  QRT_TRY(check_scales(a.scales));
  const int32_t range = 1 << a.bits, lowest = a.is_signed ? -range / 2 : 0;
  for (uint32_t n = 0; n < w.outputs; ++n) {
    const AffineInteger integer = affine_integer(a, n);
    Largest possible;
    possible.add(integer.of(lowest)), possible.add(integer.of(lowest + range - 1));
    if (possible.fits())
      largest->add(static_cast<int64_t>(possible.most() > 127 ? -128 : possible.most()));
    else
      add_row(w, n, integer, largest);
    if (!largest->fits_9_bits())
      return no_integers("exact numerics with affine integers that exceed 9 bits");
  }
  return {};
}

void add_table(const TableWeights& t, Largest* largest) {
  for (size_t i = 0; i + 2 <= t.integers.size(); i += 2) {
    int16_t v;
    std::memcpy(&v, t.integers.data() + i, sizeof v);
    largest->add(v);
  }
}

Status check_table(const Weights& w, Largest* largest) {
  const TableWeights& t = w.table;
  if (t.integers.empty()) return no_integers("exact numerics need integer entries");
  if (t.offset.present()) return no_integers("exact numerics with an offset of weights");
  add_table(t, largest);
  if (largest->most() > kMostInteger)
    return no_integers("exact numerics with table entries beyond 32639")
        .at_most(static_cast<int64_t>(largest->most()), kMostInteger);
  return {};
}

// Of integers beyond a byte, and where groups have scales: no sum of a group (or all inputs) leaves
// int32 with the 128 that kernels add to bytes and to weights meanwhile.
Status check_table_sums(const Weights& w, const Largest& largest) {
  const Scales& s = w.table.scales;
  const uint64_t span = s.axis == ScaleAxis::group && s.group < w.inputs ? s.group : w.inputs;
  const uint64_t sum = span * (255 + 128) * (largest.most() + 128);  // below 2^24 * 2^9 * 2^16
  if (sum <= INT32_MAX) return {};
  return Status(Code::invalid_model, 153, "a layer's sums may exceed int32")
      .at_most(static_cast<int64_t>(sum), INT32_MAX);
}

// One plane of signs, or of trits, over all inputs of every output.
Status check_planes(const BitPlaneWeights& b, Largest* largest) {
  const auto check = [](uint32_t found, uint32_t wanted, const char* what) {
    if (found == wanted) return Status();
    return Status(Code::invalid_model, 159, what).values(found, wanted);
  };
  QRT_TRY(check(b.group, 0, "planes of exact numerics are cut into groups"));
  for (const uint8_t count : b.counts)
    QRT_TRY(check(count, 1, "an output of exact numerics has not one plane"));
  largest->add(1);
  return {};
}

Status check_dense(const Weights& w, Largest* largest) {
  if (w.dense.dtype != DType::i8) return no_integers("exact numerics need integer entries");
  for (const uint8_t byte : w.dense.data) largest->add(static_cast<int8_t>(byte));
  return {};
}

Status check_encoding(const Weights& w, Largest* largest) {
  switch (w.encoding) {
    case Encoding::dense:
      return check_dense(w, largest);
    case Encoding::codebook:
      if (!w.codebook.levels.present()) return no_integers("exact numerics need integer entries");
      largest->add(-128);
      return {};
    case Encoding::table:
      return check_table(w, largest);
    case Encoding::affine:
      return check_affine(w, largest);
    case Encoding::bit_planes:
      return check_planes(w.bit_planes, largest);
  }
  return {};
}

}  // namespace

uint64_t most_integer(const Weights& w) {
  Largest largest;
  if (w.encoding == Encoding::table) {
    add_table(w.table, &largest);
    return largest.most();
  }
  if (w.encoding != Encoding::affine || !check_affine(w, &largest).ok()) return 128;
  return largest.most() < 128 ? 128 : largest.most();
}

AffineInteger affine_integer(const AffineWeights& a, uint32_t output) {
  const size_t zeros = a.zero_halves.size();
  const int32_t zero = zeros == 0 ? 0 : a.zero_halves.data()[zeros == 1 ? 0 : output];
  return zero % 2 == 0 ? AffineInteger{1, zero / 2} : AffineInteger{2, zero};
}

Status check_integers(const Weights& w) {
  Largest largest;
  QRT_TRY(check_encoding(w, &largest));
  if (w.encoding == Encoding::table && (!largest.fits() || w.table.scales.axis == ScaleAxis::group))
    return check_table_sums(w, largest);
  const uint64_t sum = uint64_t{w.inputs} * 255 * largest.most();  // below 2^24 * 2^8 * 2^9
  if (sum > INT32_MAX)
    return Status(Code::invalid_model, 153, "a layer's sums may exceed int32")
        .at_most(static_cast<int64_t>(sum), INT32_MAX);
  return {};
}

}  // namespace qrt

// What the parts of open_model() share: the verified FlatBuffer on one side, the
// plain structs being filled on the other. Each part checks every field it
// copies; nothing outside runtime/model sees a FlatBuffer.
//
// Order matters: bounds of the file, then buffers (whose checksums end the work
// on bulk bytes), names (so that later refusals can say where), tensors,
// weights, operators, ports; last the relations between them (validate.h).
#ifndef QRT_RUNTIME_MODEL_READER_H_
#define QRT_RUNTIME_MODEL_READER_H_

#include "qrt_generated.h"
#include "runtime/base/checked.h"
#include "runtime/model/model.h"
#include "schema/layout.h"

namespace qrt {

struct Reader {
  const fb::Model& root;
  Arena& keep;
  Model& model;
  Span<uint8_t> known;   // per buffer: what scans have found, so that each runs once at most
  Span<uint32_t> steps;  // per buffer of thresholds: how they were read, likewise
};
enum Known : uint8_t {
  known_finite_f32 = 1,
  known_finite_f16 = 2,
  known_codes = 4,
  known_scales_f32 = 8,
  known_scales_f16 = 16,
  known_levels_f32 = 32,
  known_levels_f16 = 64,
  known_powers = 128
};

inline constexpr Code kBadModel = Code::invalid_model;

inline Status out_of_memory() {
  return Status(Code::out_of_memory, 1, "out of memory");
}

// lo <= found <= hi, or a refusal that says which bound was broken.
inline Status in_range(int64_t found, int64_t lo, int64_t hi, uint16_t id, const char* what) {
  if (found < lo) return Status(kBadModel, id, what).at_least(found, lo);
  if (found > hi) return Status(kBadModel, id, what).at_most(found, hi);
  return {};
}
inline Status equal(int64_t found, int64_t wanted, uint16_t id, const char* what) {
  if (found != wanted) return Status(kBadModel, id, what).values(found, wanted);
  return {};
}
// found == wanted, where `wanted` is arithmetic on untrusted sizes.
inline Status equal_size(uint64_t found, CheckedSize wanted, uint16_t id, const char* what) {
  const auto size = wanted.get(layout::kMaxFileBytes);
  if (!size) return Status(kBadModel, id, what);
  return equal(static_cast<int64_t>(found), static_cast<int64_t>(*size), id, what);
}

// The model's enum for the file's, whose values are the same (static_asserts in model.cc);
// flatc's verifier lets any byte pass.
template <class To, class From>
Status read_enum(From value, To* out, const char* what) {
  QRT_TRY(in_range(static_cast<int64_t>(value), 0, static_cast<int64_t>(From::MAX), 110, what));
  *out = static_cast<To>(value);
  return {};
}

// Fields of every table, in the order of the file.
Status read_buffers(Reader&);
Status read_names(Reader&);
Status read_tensors(Reader&);
Status read_weights(Reader&);
Status read_nodes(Reader&);
Status read_ports(Reader&);

// A buffer by index, and a short vector of finite floats in one.
Status read_buffer(const Reader&, uint32_t index, Bytes* out);
// With `powers` it may be u8: powers of two, E8M0.
Status fill_constant(Reader&, const fb::Constant*, Constant* out, bool powers = false);
Status check_finite(Reader&, uint32_t buffer, DType f16_or_f32);
Status read_text(const flatbuffers::String*, const char** out);

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_READER_H_

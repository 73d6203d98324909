// Coded weights into panels, written once over the primitives of generic.h and generic_blocks.h.
#ifndef QRT_KERNELS_INT8_GENERIC_DECODE_H_
#define QRT_KERNELS_INT8_GENERIC_DECODE_H_

#include "kernels/int8/generic_blocks.h"
#include "kernels/int8/generic_rows.h"

namespace qrt::kernels::int8 {

// ---- whole blocks of four inputs ----------------------------------------------------

template <class V, uint32_t kDim, bool kAdd>
__attribute__((noinline)) void put_blocks(const Coded& s, const uint32_t* at, size_t count,
                                          uint8_t* to) {
  constexpr size_t kStride = step_bytes<V>();
  const size_t bytes = (kDim ? kDim : s.dim) / kStep * kStride;
  const size_t stride = V::kTileN * (kAdd ? s.books : 1);
  const int8_t* p = s.entries;
  for (; count != 0; --count, at += stride, to += bytes) {
    each_step<V, kDim, kAdd>(
        s, p, at, [to](size_t i, typename V::Raw raw) { V::put_w(to + i * kStride, raw); });
    each_step<V, kDim, kAdd>(s, p, at + V::kLanes, [to](size_t i, typename V::Raw raw) {
      V::put_w(to + i * kStride + V::kWBytes, raw);
    });
  }
}

template <class V>
void decode_blocks(const DecodeArgs& a, const Outputs<V>& outputs, size_t blocks, uint8_t* to) {
  const Coded& s = a.source;
  const size_t ahead = kAhead / s.books, bytes = s.dim / kStep * step_bytes<V>();
  const auto put = s.books > 1  ? put_blocks<V, 0, true>
                   : s.dim == 4 ? put_blocks<V, 4, false>
                   : s.dim == 8 ? put_blocks<V, 8, false>
                                : put_blocks<V, 0, false>;
  alignas(64) uint32_t at[kAhead][V::kTileN];
  for (size_t block = 0; block < blocks; block += ahead) {
    const size_t count = blocks - block < ahead ? blocks - block : ahead;
    for (uint32_t b = 0; b < s.books; ++b) outputs.offsets(b, block, count, at + b, s.books);
    put(s, at[0], count, to);
    to += count * bytes;
  }
}

// ---- the panel ----------------------------------------------------------------------

template <class V>
void decode(const DecodeArgs& a) {
  const Coded& s = a.source;
  int32_t* head = static_cast<int32_t*>(a.panel);
  for (size_t n = 0; n < V::kTileN; ++n) head[n] = 0;
  if (a.inputs == 0) return;
  uint8_t* body = reinterpret_cast<uint8_t*>(head + kMaxTileN);
  const bool fours = a.inputs / a.taps % kStep == 0, sums = a.sums || V::kOffset != 0;
  if (a.taps > 1 && fours && s.dim % a.taps == 0) {
    const Outputs<V> outputs(s, a.first_output, a.outputs);
    typename V::Sum halves[2] = {V::zero(), V::zero()};
    (s.books > 1 ? decode_windows<V, true> : decode_windows<V, false>)(a, outputs, body,
                                                                       sums ? halves : nullptr);
    V::store_i(head, V::total(halves[0]));
    V::store_i(head + V::kLanes, V::total(halves[1]));
    return;
  }
  if (a.taps == 1) {
    const size_t blocks = s.dim % kStep == 0 ? a.inputs / s.dim : 0, place = blocks * s.dim;
    if (blocks != 0) decode_blocks<V>(a, Outputs<V>(s, a.first_output, a.outputs), blocks, body);
    for (size_t j = 0; j < V::kTileN / V::kLanes; ++j)
      decode_rows<V>(a, j * V::kLanes, place,
                     body + place / kStep * step_bytes<V>() + j * V::kWBytes);
  } else {
    const auto columns =
        fours && a.taps <= kMaxStaged / 4 ? decode_row_windows<V> : decode_places<V>;
    for (size_t j = 0; j < V::kTileN / V::kLanes; ++j)
      columns(a, j * V::kLanes, body + j * V::kWBytes);
  }
  if (sums) panel_sums<V>(a.inputs, head);
}

template <class V>
void round(const RoundArgs& a) {
  const float* values = a.values;
  int8_t* to = a.entries;
  const typename V::F most = V::set1(127), least = V::set1(-127), inverse = V::set1(a.inverse);
  const auto one = [&](const float* v, int8_t* q) {
    V::store_s8(q, V::min(V::max(V::mul(V::load(v), inverse), least), most));
  };
  constexpr size_t L = V::kLanes;
  const size_t whole = a.count / L * L, rest = a.count - whole;
  for (size_t i = 0; i < whole; i += L) one(values + i, to + i);
  if (rest == 0) return;
  float v[L] = {};
  int8_t q[L];
  std::memcpy(v, values + whole, rest * sizeof(float));
  one(v, q);
  std::memcpy(to + whole, q, rest);
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_DECODE_H_

// Coded weights into panels, written once over the primitives that generic.h lists.
#ifndef QRT_KERNELS_INT8_GENERIC_DECODE_H_
#define QRT_KERNELS_INT8_GENERIC_DECODE_H_

#include "kernels/int8/generic.h"

namespace qrt::kernels::int8 {

// A code lies in the four bytes from its first bit on; nothing at or past codes_end is read.
template <class V>
inline uint32_t code_of(const Coded& s, const uint8_t* row, size_t output) {
  if (s.bits == 8) return row[output];
  const size_t bit = output * s.bits;
  const uint8_t* p = row + bit / 8;
  uint32_t word = 0;
  if (s.codes_end - p >= 4) {
    std::memcpy(&word, p, 4);
  } else {
    for (ptrdiff_t byte = 0; byte < s.codes_end - p; ++byte) word |= uint32_t{p[byte]} << 8 * byte;
  }
  return word >> bit % 8 & ((1u << s.bits) - 1u);
}

// Where the entries of an output begin: those of its level and its scope.
template <class V>
inline uint32_t base_of(const Coded& s, size_t output) {
  const size_t level = s.level_of ? s.level_of[output] * s.level_stride : 0;
  const size_t scope = s.scope_rows ? output / s.scope_rows * s.scope_stride : 0;
  return static_cast<uint32_t>(level + scope);
}

// ---- any order of inputs: weight by weight ----------------------------------------

template <class V>
inline int8_t weight_of(const Coded& s, uint32_t base, size_t output, size_t input) {
  const size_t block = input / s.dim, place = input % s.dim;
  int32_t sum = 0;
  for (uint32_t book = 0; book < s.books; ++book) {
    const uint8_t* row = s.codes + book * s.book_bytes + block * s.row_bytes;
    const size_t entry = book * s.book_stride + code_of<V>(s, row, output) * s.entry_stride;
    sum += s.entries[base + entry + place];
    sum = sum < -128 ? -128 : (sum > 127 ? 127 : sum);
  }
  return static_cast<int8_t>(sum);
}

// kLanes outputs, 16 places of the panel at a time.
template <class V>
void decode_weights(const DecodeArgs& a, size_t column, uint8_t* to) {
  constexpr size_t L = V::kLanes;
  const size_t live = a.outputs > column ? (a.outputs - column < L ? a.outputs - column : L) : 0;
  const size_t channels = a.inputs / a.taps, first = a.first_output + column;
  uint32_t at[L];
  for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * 16);
  for (size_t place = 0; place < a.inputs; place += 16) {
    int8_t rows[L * 16] = {};
    const size_t depth = a.inputs - place < 16 ? a.inputs - place : 16;
    for (size_t i = 0; i < live; ++i) {
      const uint32_t base = base_of<V>(a.source, first + i);
      for (size_t j = 0; j < depth; ++j) {
        const size_t input = (place + j) % channels * a.taps + (place + j) / channels;
        rows[i * 16 + j] = weight_of<V>(a.source, base, first + i, input);
      }
    }
    const typename V::Four f = V::transpose4(rows, at);
    const typename V::Raw raw[4] = {f.a, f.b, f.c, f.d};
    for (size_t step = 0; step < (depth + kStep - 1) / kStep; ++step, to += step_bytes<V>())
      V::put_w(to, raw[step]);
  }
}

// ---- the panel ----------------------------------------------------------------------

// Sums of the columns of a whole panel: products with activations of 1.
template <class V>
void panel_sums(size_t inputs, int32_t* head) {
  constexpr size_t L = V::kLanes;
  const uint32_t ones = 0x01010101u * (1 + V::kOffset);
  uint8_t bytes[kStep];
  std::memcpy(bytes, &ones, kStep);
  const typename V::X x = V::set_x(bytes);
  typename V::Sum lo = V::zero(), hi = V::zero();
  const uint8_t* w = reinterpret_cast<const uint8_t*>(head + kMaxTileN);
  for (size_t k = 0; k < inputs; k += kStep, w += step_bytes<V>()) {
    lo = V::mac(lo, x, V::load_w(w));
    hi = V::mac(hi, x, V::load_w(w + V::kWBytes));
  }
  V::store_i(head, V::total(lo));
  V::store_i(head + L, V::total(hi));
}

template <class V>
void decode(const DecodeArgs& a) {
  int32_t* head = static_cast<int32_t*>(a.panel);
  for (size_t n = 0; n < V::kTileN; ++n) head[n] = 0;
  if (a.inputs == 0) return;
  uint8_t* body = reinterpret_cast<uint8_t*>(head + kMaxTileN);
  for (size_t j = 0; j < V::kTileN / V::kLanes; ++j)
    decode_weights<V>(a, j * V::kLanes, body + j * V::kWBytes);
  if (a.sums || V::kOffset != 0) panel_sums<V>(a.inputs, head);
}

// Rounded as bytes 1 ... 255 about 128, then made signed: -127 ... 127.
template <class V>
void round(const RoundArgs& a) {
  uint8_t* bytes = reinterpret_cast<uint8_t*>(a.entries);
  const typename V::F most = V::set1(127), least = V::set1(-127), inverse = V::set1(a.inverse);
  const typename V::Int half = V::set1_i(128);
  const auto one = [&](const float* v, uint8_t* q) {
    V::store_u8(q, V::min(V::max(V::mul(V::load(v), inverse), least), most), half);
  };
  constexpr size_t L = V::kLanes;
  const size_t whole = a.count / L * L, rest = a.count - whole;
  for (size_t i = 0; i < whole; i += L) one(a.values + i, bytes + i);
  if (rest != 0) {
    float v[L] = {};
    uint8_t q[L];
    std::memcpy(v, a.values + whole, rest * sizeof(float));
    one(v, q);
    std::memcpy(bytes + whole, q, rest);
  }
  for (size_t i = 0; i < a.count; ++i) bytes[i] ^= 0x80;
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_DECODE_H_

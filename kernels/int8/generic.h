// The loops of the int8 family, written once over the primitives of an ISA. An ISA file
// gives a struct V in an anonymous namespace, so that every instance here stays internal to it:
//
//   kLanes, kTileM, kTileN   lanes of 32 bits; the register tile, kTileN = 2 * kLanes
//   kWBytes                  of a panel: kLanes outputs by kStep inputs
//   kOffset                  what mac() subtracts from every x: 0, or 128 where x must be signed
//   Sum zero mac total       mac(s, x, w): s + inner products of 4; total: a vector of int32
//   X set_x(p)               4 activations at any address, for every lane
//   W load_w                 from a panel
//   kQuads                   products by a lane: X16 load_x16(p) are 16 activations of a row, and
//                            mac_lane<S>(s, x16, w) takes those of step S
//   Raw, Four quads turn     bytes of weights: see generic_decode.h
//   widen_w(raw)             W of 4 weights of kLanes outputs; put_w(to, raw): to a panel
//   Int set1_i load_i store_i add_i sub_i mul_i widen_u8(p)
//   F to_float set1 load store add mul min max   min, max give b if a is a NaN
//   store_u8(p, f, zero)     zero + f rounded to nearest even, kLanes bytes
//   store_s8(p, f)           f rounded to nearest even, kLanes signed bytes
//   kDirect, detach(sum)     whether sums are finished in registers: multiply_bytes()
//   D d_zero d_mac d_total   kDot activations by kDot weights at any address; d_total: int32
#ifndef QRT_KERNELS_INT8_GENERIC_H_
#define QRT_KERNELS_INT8_GENERIC_H_

#include <cstring>
#include <utility>

#include "kernels/int8/int8.h"

namespace qrt::kernels::int8 {

template <class V>
constexpr size_t step_bytes() {
  return V::kTileN / V::kLanes * V::kWBytes;
}

template <class V>
void sums(const SumsArgs& a) {
  for (size_t n = 0; n < a.outputs; ++n) {
    const int8_t* w = a.weights + n * a.stride;
    int32_t sum = 0;
    for (size_t k = 0; k < a.inputs; ++k) sum += w[k];
    a.sums[n] = sum;
  }
}

// ---- panels -------------------------------------------------------------------

template <class V>
inline typename V::Four turned(const int8_t* p, const uint32_t* at) {
  return V::turn(V::quads(p, at), V::quads(p, at + 1), V::quads(p, at + 2), V::quads(p, at + 3));
}

// kLanes outputs: 16 inputs at a time as four steps, the last ones from a copy with zeros behind.
template <class V>
void panel_columns(const PanelArgs& a, size_t column, uint8_t* to) {
  constexpr size_t L = V::kLanes, kStride = step_bytes<V>();
  const size_t live = a.outputs > column ? (a.outputs - column < L ? a.outputs - column : L) : 0;
  const int8_t* rows = a.weights + column * a.stride;
  uint32_t at[L];
  size_t k = 0;
  if (live == L) {
    for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * a.stride);
    for (; k + 16 <= a.inputs; k += 16, to += 4 * kStride) {
      const typename V::Four f = turned<V>(rows + k, at);
      V::put_w(to, f.a), V::put_w(to + kStride, f.b);
      V::put_w(to + 2 * kStride, f.c), V::put_w(to + 3 * kStride, f.d);
    }
  }
  for (size_t i = 0; i < L; ++i) at[i] = static_cast<uint32_t>(i * 16);
  for (; k < a.inputs; k += 16) {
    int8_t copy[L * 16] = {};
    const size_t depth = a.inputs - k < 16 ? a.inputs - k : 16;
    for (size_t i = 0; i < live; ++i) std::memcpy(copy + i * 16, rows + i * a.stride + k, depth);
    const typename V::Four f = turned<V>(copy, at);
    const typename V::Raw raw[4] = {f.a, f.b, f.c, f.d};
    for (size_t step = 0; step < (depth + kStep - 1) / kStep; ++step, to += kStride)
      V::put_w(to, raw[step]);
  }
}

// Four times 1, as set_x takes it.
template <class V>
inline typename V::X ones() {
  const uint32_t four = 0x01010101u * (1 + V::kOffset);
  uint8_t bytes[kStep];
  std::memcpy(bytes, &four, kStep);
  return V::set_x(bytes);
}

// Sums of the columns of a whole panel: products with activations of 1.
template <class V>
void panel_sums(size_t inputs, int32_t* head) {
  constexpr size_t L = V::kLanes;
  const typename V::X x = ones<V>();
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
void panel(const PanelArgs& a) {
  int32_t* head = static_cast<int32_t*>(a.panel);
  uint8_t* body = reinterpret_cast<uint8_t*>(head + kMaxTileN);
  for (size_t j = 0; j < V::kTileN / V::kLanes; ++j)
    panel_columns<V>(a, j * V::kLanes, body + j * V::kWBytes);
  panel_sums<V>(a.inputs, head);
}

// ---- what becomes of a sum -----------------------------------------------------

template <class V>
inline typename V::F residual(const Finish& f, const uint8_t* p) {
  const typename V::Int q = V::sub_i(V::widen_u8(p), V::set1_i(f.residual_zero));
  return V::mul(V::to_float(q), V::set1(f.residual_scale));
}

template <class V>
inline typename V::F finished(const Finish& f, typename V::Int sum) {
  typename V::F t = V::to_float(sum);
  if (f.bias_first) t = V::add(t, V::load(f.bias));
  if (f.scale) t = V::mul(t, V::load(f.scale));
  if (f.bias && !f.bias_first) t = V::add(t, V::load(f.bias));
  if (f.residual) t = V::add(t, residual<V>(f, f.residual));
  return V::min(V::max(t, V::set1(f.min)), V::set1(f.max));
}

// ---- one row ----------------------------------------------------------------------

// Row `row` of outputs n0 ... n0 + live - 1 <= kLanes from their sums, staged: vectors may reach
// beyond the outputs.
template <class V>
inline void finish_row(const Finish& from, size_t row, size_t n0, size_t live, const int32_t* sum,
                       uint8_t* to8, float* to32) {
  constexpr size_t L = V::kLanes;
  float scale[L] = {}, bias[L] = {}, y32[L];
  uint8_t add[L] = {}, y8[L];
  Finish f = from;
  const size_t bytes = live * sizeof(float);
  if (f.scale) std::memcpy(scale, f.scale + n0, bytes), f.scale = scale;
  if (f.bias) std::memcpy(bias, f.bias + n0, bytes), f.bias = bias;
  if (f.residual) {
    std::memcpy(add, f.residual + row * f.residual_stride + n0, live);
    f.residual = add;
  }
  const typename V::F t = finished<V>(f, V::load_i(sum));
  if (to8)
    V::store_u8(y8, t, V::set1_i(f.zero)), std::memcpy(to8 + n0, y8, live);
  else
    V::store(y32, t), std::memcpy(to32 + n0, y32, bytes);
}

// Four outputs at a time hide the latency of the sums; the last inputs go through copies.
template <class V>
void dot(const DotArgs& a) {
  constexpr size_t L = V::kLanes, kGroup = L < 4 ? 4 : L;
  const size_t whole = a.inputs / V::kDot * V::kDot, rest = a.inputs - whole;
  uint8_t last_x[V::kDot] = {};
  std::memcpy(last_x, a.x + whole, rest);
  for (size_t n0 = 0; n0 < a.outputs; n0 += kGroup) {
    const size_t live = a.outputs - n0 < kGroup ? a.outputs - n0 : kGroup;
    int32_t sum[kGroup] = {};
    for (size_t i = 0; i < live; i += 4) {
      const int8_t* w[4];
      typename V::D d[4];
      for (size_t j = 0; j < 4; ++j) {
        w[j] = a.weights + (n0 + (i + j < live ? i + j : i)) * a.stride;
        d[j] = V::d_zero();
      }
      for (size_t k = 0; k < whole; k += V::kDot)
        _Pragma("GCC unroll 4") for (size_t j = 0; j < 4; ++j) d[j] =
            V::d_mac(d[j], a.x + k, w[j] + k);
      for (size_t j = 0; j < 4; ++j) {
        int8_t last_w[V::kDot] = {};
        std::memcpy(last_w, w[j] + whole, rest);
        if (rest != 0) d[j] = V::d_mac(d[j], last_x, last_w);
        if (i + j < live)
          sum[i + j] = V::d_total(d[j]) + (V::kOffset - a.x_zero) * a.sums[n0 + i + j];
      }
    }
    for (size_t i = 0; i < live; i += L)
      finish_row<V>(a.finish, 0, n0 + i, live - i < L ? live - i : L, sum + i, a.y8, a.y32);
  }
}

template <class V>
void quantize(const QuantizeArgs& a) {
  constexpr size_t L = V::kLanes;
  const typename V::F lo = V::set1(static_cast<float>(-a.zero)),
                      hi = V::set1(static_cast<float>(255 - a.zero)), inverse = V::set1(a.inverse);
  const typename V::Int zero = V::set1_i(a.zero);
  const auto one = [&](const float* x, uint8_t* q) {
    V::store_u8(q, V::min(V::max(V::mul(V::load(x), inverse), lo), hi), zero);
  };
  size_t i = 0;
  for (; i + L <= a.count; i += L) one(a.x + i, a.q + i);
  if (i == a.count) return;
  float x[L] = {};
  uint8_t q[L];
  std::memcpy(x, a.x + i, (a.count - i) * sizeof(float));
  one(x, q);
  std::memcpy(a.q + i, q, a.count - i);
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_H_

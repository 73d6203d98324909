// Sums of the way `outputs`, a line of outputs of one row at a time, become outputs. Lanes stay in
// the order in which nibbles came: scale and bias are brought into it once per call, bytes at the
// end into the order of outputs.
#ifndef QRT_KERNELS_TABLES_GENERIC_LINE_H_
#define QRT_KERNELS_TABLES_GENERIC_LINE_H_

#include "kernels/tables/generic_finish.h"

namespace qrt::kernels::tables {
namespace {

// The output, from the first of its line, that byte p of a line belongs to.
template <class V>
constexpr size_t output_of(size_t p) {
  return p < V::kBytes / 2 ? 2 * p : 2 * (p - V::kBytes / 2) + 1;
}

// Floats of `live` outputs in the order of a line's int32 vectors.
template <class V>
inline void order_floats(const float* from, size_t live, float* to) {
  float copy[V::kBytes] = {};
  if (live < V::kBytes) {
    std::memcpy(copy, from, live * sizeof(float));
    from = copy;
  }
  _Pragma("GCC unroll 64") for (size_t p = 0; p < V::kBytes; ++p) to[V::int_of_byte(p)] =
      from[output_of<V>(p)];
}

// Once for all rows of a call: scale and bias of all outputs as finish_line() reads them.
template <class V>
void order_affine(const Args& a, float* scale, float* bias) {
  for (size_t n = 0; n < a.outputs; n += V::kBytes) {
    const size_t live = least(V::kBytes, a.outputs - n);
    if (a.finish.scale) order_floats<V>(a.finish.scale + n, live, scale + n);
    if (a.finish.bias) order_floats<V>(a.finish.bias + n, live, bias + n);
  }
}

// `live` bytes at any address.
template <class V>
inline typename V::Vec load_live(const uint8_t* p, size_t live) {
  if (live == V::kBytes) return V::loadu(p);
  alignas(64) uint8_t copy[V::kBytes] = {};
  std::memcpy(copy, p, live);
  return V::load(copy);
}
template <class V>
inline void store_live(uint8_t* p, typename V::Vec v, size_t live) {
  if (live == V::kBytes) return V::storeu(p, v);
  alignas(64) uint8_t copy[V::kBytes];
  V::store(copy, v);
  std::memcpy(p, copy, live);
}

// One row of a line's outputs, n being the first.
template <class V>
inline void finish_line(const Args& a, size_t row, size_t n, const float* scale, const float* bias,
                        const typename V::Vec* v) {
  const size_t live = least(V::kBytes, a.outputs - n);
  typename V::F t[4];
  const int8::Finish& f = a.finish;
#define QRT_EACH _Pragma("GCC unroll 4") for (size_t z = 0; z < 4; ++z)
  QRT_EACH {
    t[z] = V::to_float(v[z]);
    if (f.scale) t[z] = V::mul_f(t[z], V::load_f(scale + n + z * V::kLanes));
    if (f.bias) t[z] = V::add_f(t[z], V::load_f(bias + n + z * V::kLanes));
  }
  if (f.residual) {
    const uint8_t* const from = f.residual + row * f.residual_stride + n;
    typename V::Vec q[4];
    V::ints_of_line(V::apart(load_live<V>(from, live)), 4, q);
    add_residual<V, 4>(f, q, t);
  }
  clamp<V, 4>(f, t);
  if (a.y8) {
    typename V::Vec q[4];
    QRT_EACH q[z] = V::add32(V::nearest(t[z]), V::set32(f.zero));
    store_live<V>(a.y8 + row * a.y_stride + n, V::in_turn(V::line_of_ints(q, 4)), live);
    return;
  }
  float floats[V::kBytes];
  QRT_EACH V::store_f(floats + z * V::kLanes, t[z]);
#undef QRT_EACH
  float* const y = a.y32 + row * a.y_stride + n;
  for (size_t p = 0; p < V::kBytes; ++p)
    if (output_of<V>(p) < live) y[output_of<V>(p)] = floats[V::int_of_byte(p)];
}

// Sums in 16 bits are added to those in 32 bits, or finished.
struct Settle {
  const float *scale, *bias;  // in order
  const uint8_t* acc;
  size_t lookups;
  int32_t* sums;
  bool first, last;
  bool tame = false;
};

// What is most frequent, as finish_plain().
template <class V, int kKeep>
inline void settle_plain(const Args& a, size_t n, const Settle& k) {
  const int8::Finish& f = a.finish;
  const typename V::Limits limits =
      V::limits(f.zero, static_cast<int>(f.min) + f.zero, static_cast<int>(f.max) + f.zero);
  const typename V::F take = V::to_take(static_cast<int32_t>(k.lookups) << (kKeep - 1));
  const float *const scale = k.scale + n, *const bias = k.bias + n;
  const size_t live = least(V::kBytes, a.outputs - n);
  for (size_t r = 0; r < a.rows; ++r) {
    typename V::F t[4];
    V::floats_of_acc8(V::load8(k.acc + r * 2 * V::kBytes), take, t);
    _Pragma("GCC unroll 4") for (size_t z = 0; z < 4; ++z) t[z] =
        V::add_f(V::mul_f(t[z], V::load_f(scale + z * V::kLanes)), V::load_f(bias + z * V::kLanes));
    const typename V::Vec line = V::line_of_packed(V::line_of_floats(t, 4, limits));
    store_live<V>(a.y8 + r * a.y_stride + n, V::in_turn(line), live);
  }
}

template <class V, int kKeep>
__attribute__((noinline)) void settle(const Args& a, size_t n, const Settle& k) {
  if constexpr (V::kFloatSums) {
    if (k.tame && k.first && k.last && a.finish.scale && a.finish.bias && !a.finish.residual)
      return settle_plain<V, kKeep>(a, n, k);
  }
  for (size_t r = 0; r < a.rows; ++r) {
    typename V::Vec v[4];
    V::ints_of_acc8(V::load8(k.acc + r * 2 * V::kBytes),
                    static_cast<int32_t>(k.lookups) << (kKeep - 1), v);
    uint8_t* const p = reinterpret_cast<uint8_t*>(k.sums + r * V::kBytes);
    _Pragma("GCC unroll 4") for (size_t z = 0; z < 4; ++z) {
      if (!k.first) v[z] = V::add32(v[z], V::load(p + z * V::kBytes));
      if (!k.last) V::store(p + z * V::kBytes, v[z]);
    }
    if (k.last) finish_line<V>(a, r, n, k.scale, k.bias, v);
  }
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_LINE_H_

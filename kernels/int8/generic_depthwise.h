// Depthwise convolution. A chunk of 4 * kLanes channels is a vector of bytes; interleaving those of
// four taps, then pairs of them, puts the four taps of a channel into a lane, as mac() wants them:
// channels 4 i ... 4 i + 3 of every 16 become lanes of vector i. Weights take the same way, and
// packing the sums to bytes undoes it; f32 results, scale and bias are brought into that order in
// memory.
//
// Beside the primitives of generic.h and generic_blocks.h:
//   Raw zero_raw load_raw(p) load_raw_part(p, n)   bytes, all of them or the first n and zeros
//   X x_of_raw(raw)                activations of four taps; Int int_of_raw(raw): lanes of 32 bits
//   store4_u8(p, f0 ... f3, zero)  store_u8 of four vectors, in the order of the channels
#ifndef QRT_KERNELS_INT8_GENERIC_DEPTHWISE_H_
#define QRT_KERNELS_INT8_GENERIC_DEPTHWISE_H_

#include "kernels/int8/generic_blocks.h"

namespace qrt::kernels::int8 {

template <class V>
inline constexpr size_t kChunk = 4 * V::kLanes;

template <class V>
inline typename V::Raw load_upto(const void* p, size_t live) {
  return live >= kChunk<V> ? V::load_raw(p) : V::load_raw_part(p, live);
}

template <class V>
inline typename V::Four interleave(typename V::Raw a, typename V::Raw b, typename V::Raw c,
                                   typename V::Raw d) {
  const typename V::Raw ab_lo = V::lo8(a, b), ab_hi = V::hi8(a, b);
  const typename V::Raw cd_lo = V::lo8(c, d), cd_hi = V::hi8(c, d);
  return {V::lo16(ab_lo, cd_lo), V::hi16(ab_lo, cd_lo), V::lo16(ab_hi, cd_hi),
          V::hi16(ab_hi, cd_hi)};
}

// Where lane `lane` of vector i of a chunk has its channel.
template <class V>
constexpr size_t channel_of(size_t i, size_t lane) {
  return lane / 4 * 16 + 4 * i + lane % 4;
}

// Of a chunk: the sums of its weights, [4][kLanes], then four vectors of weights per four taps.
template <class V>
constexpr size_t chunk_bytes(size_t taps) {
  return kChunk<V> * sizeof(int32_t) + (taps + 3) / 4 * 4 * V::kWBytes;
}

// The last chunk of a layer overlaps the one before rather than being cut.
template <class V>
inline size_t chunk_start(size_t c, size_t channels) {
  return channels - c < kChunk<V> && channels >= kChunk<V> ? channels - kChunk<V> : c;
}

template <class V>
void depthwise_panel(const DepthwisePanelArgs& a) {
  uint8_t* chunk = static_cast<uint8_t*>(a.panel);
  for (size_t next = 0; next < a.channels; next += kChunk<V>, chunk += chunk_bytes<V>(a.taps)) {
    const size_t c = chunk_start<V>(next, a.channels);
    const size_t live = a.channels - c < kChunk<V> ? a.channels - c : kChunk<V>;
    int32_t* head = reinterpret_cast<int32_t*>(chunk);
    for (size_t i = 0; i < 4; ++i) {
      for (size_t lane = 0; lane < V::kLanes; ++lane) {
        const size_t channel = channel_of<V>(i, lane);
        int32_t sum = 0;
        for (size_t t = 0; channel < live && t < a.taps; ++t)
          sum += a.weights[t * a.channels + c + channel];
        head[i * V::kLanes + lane] = sum;
      }
    }
    uint8_t* to = chunk + kChunk<V> * sizeof(int32_t);
    for (size_t t = 0; t < a.taps; t += 4, to += 4 * V::kWBytes) {
      typename V::Raw w[4];
      for (size_t i = 0; i < 4; ++i)
        w[i] = t + i < a.taps ? load_upto<V>(a.weights + (t + i) * a.channels + c, live)
                              : V::zero_raw();
      const typename V::Four f = interleave<V>(w[0], w[1], w[2], w[3]);
      V::put_w(to, f.a), V::put_w(to + V::kWBytes, f.b);
      V::put_w(to + 2 * V::kWBytes, f.c), V::put_w(to + 3 * V::kWBytes, f.d);
    }
  }
}

template <class V>
struct FourSums {
  typename V::Sum a, b, c, d;
};

template <class V, int kTaps>
inline void add_taps(FourSums<V>& s, const uint8_t* const* x, size_t c, size_t live,
                     const uint8_t* w) {
  using Raw = typename V::Raw;
  const Raw zero = V::zero_raw();
  const Raw x0 = load_upto<V>(x[0] + c, live);
  const Raw x1 = kTaps > 1 ? load_upto<V>(x[kTaps > 1 ? 1 : 0] + c, live) : zero;
  const Raw x2 = kTaps > 2 ? load_upto<V>(x[kTaps > 2 ? 2 : 0] + c, live) : zero;
  const Raw x3 = kTaps > 3 ? load_upto<V>(x[kTaps > 3 ? 3 : 0] + c, live) : zero;
  const typename V::Four f = interleave<V>(x0, x1, x2, x3);
  s.a = V::mac(s.a, V::x_of_raw(f.a), V::load_w(w));
  s.b = V::mac(s.b, V::x_of_raw(f.b), V::load_w(w + V::kWBytes));
  s.c = V::mac(s.c, V::x_of_raw(f.c), V::load_w(w + 2 * V::kWBytes));
  s.d = V::mac(s.d, V::x_of_raw(f.d), V::load_w(w + 3 * V::kWBytes));
}

template <class V>
inline FourSums<V> pixel_sums(const uint8_t* const* x, size_t taps, size_t c, size_t live,
                              const uint8_t* w) {
  FourSums<V> s{V::zero(), V::zero(), V::zero(), V::zero()};
  for (; taps >= 4; taps -= 4, x += 4, w += 4 * V::kWBytes) add_taps<V, 4>(s, x, c, live, w);
  if (taps == 3) add_taps<V, 3>(s, x, c, live, w);
  if (taps == 2) add_taps<V, 2>(s, x, c, live, w);
  if (taps == 1) add_taps<V, 1>(s, x, c, live, w);
  return s;
}

// What the finish of a chunk reads, in the order of its vectors.
template <class V>
struct ChunkFinish {
  ChunkFinish(const Finish& f, const int32_t* head, int32_t offset, size_t c, size_t live) {
    for (size_t i = 0; i < 4; ++i) {
      for (size_t lane = 0; lane < V::kLanes; ++lane) {
        const size_t channel = channel_of<V>(i, lane);
        const bool in = channel < live;
        scale[i][lane] = f.scale && in ? f.scale[c + channel] : 1;
        bias[i][lane] = f.bias && in ? f.bias[c + channel] : 0;
        start[i][lane] = head[i * V::kLanes + lane] * offset;
      }
    }
  }
  alignas(64) float scale[4][V::kLanes], bias[4][V::kLanes];
  alignas(64) int32_t start[4][V::kLanes];
};

template <class V>
inline typename V::F finished_lanes(const Finish& f, const ChunkFinish<V>& chunk, int i,
                                    typename V::Sum sum, typename V::Raw residual) {
  typename V::F t = V::to_float(V::add_i(V::total(sum), V::load_i(chunk.start[i])));
  if (f.bias_first) t = V::add(t, V::load(chunk.bias[i]));
  t = V::mul(t, V::load(chunk.scale[i]));
  if (f.bias && !f.bias_first) t = V::add(t, V::load(chunk.bias[i]));
  if (f.residual) {
    const typename V::Int q = V::sub_i(V::int_of_raw(residual), V::set1_i(f.residual_zero));
    t = V::add(t, V::mul(V::to_float(q), V::set1(f.residual_scale)));
  }
  return V::min(V::max(t, V::set1(f.min)), V::set1(f.max));
}

// All pixels of the channels from c on, `live` of which are written.
template <class V>
void depthwise_chunk(const DepthwiseArgs& a, size_t c, size_t live, const uint8_t* panel) {
  using F = typename V::F;
  const ChunkFinish<V> chunk(a.finish, reinterpret_cast<const int32_t*>(panel),
                             V::kOffset - a.x_zero, c, live);
  const uint8_t* w = panel + kChunk<V> * sizeof(int32_t);
  const typename V::Int zero = V::set1_i(a.finish.zero);
  typename V::Four add{V::zero_raw(), V::zero_raw(), V::zero_raw(), V::zero_raw()};
  const uint8_t* const* x = a.x;
  for (size_t p = 0; p < a.pixels; ++p, x += a.next) {
    const FourSums<V> s = pixel_sums<V>(x, a.taps, c, live, w);
    if (a.finish.residual) {
      const uint8_t* r = a.finish.residual + p * a.finish.residual_stride + c;
      const typename V::Raw none = V::zero_raw();
      add = interleave<V>(load_upto<V>(r, live), none, none, none);
    }
    const F f0 = finished_lanes<V>(a.finish, chunk, 0, s.a, add.a);
    const F f1 = finished_lanes<V>(a.finish, chunk, 1, s.b, add.b);
    const F f2 = finished_lanes<V>(a.finish, chunk, 2, s.c, add.c);
    const F f3 = finished_lanes<V>(a.finish, chunk, 3, s.d, add.d);
    const size_t to = p * a.y_stride + c;
    if (a.y8 && live == kChunk<V>) {
      V::store4_u8(a.y8 + to, f0, f1, f2, f3, zero);
    } else if (a.y8) {
      uint8_t bytes[kChunk<V>];
      V::store4_u8(bytes, f0, f1, f2, f3, zero);
      std::memcpy(a.y8 + to, bytes, live);
    } else {
      float t[4][V::kLanes];
      V::store(t[0], f0), V::store(t[1], f1), V::store(t[2], f2), V::store(t[3], f3);
      for (size_t n = 0; n < live; ++n) a.y32[to + n] = t[n % 16 / 4][n / 16 * 4 + n % 4];
    }
  }
}

template <class V>
void depthwise(const DepthwiseArgs& a) {
  const uint8_t* panel = static_cast<const uint8_t*>(a.panel);
  for (size_t next = 0; next < a.channels; next += kChunk<V>, panel += chunk_bytes<V>(a.taps)) {
    const size_t c = chunk_start<V>(next, a.channels), left = a.channels - c;
    depthwise_chunk<V>(a, c, left < kChunk<V> ? left : kChunk<V>, panel);
  }
}

}  // namespace qrt::kernels::int8

#endif  // QRT_KERNELS_INT8_GENERIC_DEPTHWISE_H_

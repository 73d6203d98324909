// Lookups of the way `bytes` (generic_bytes.h), and what becomes of their sums.
#ifndef QRT_KERNELS_TABLES_GENERIC_SWEEP_H_
#define QRT_KERNELS_TABLES_GENERIC_SWEEP_H_

#include "kernels/tables/generic_outputs.h"

namespace qrt::kernels::tables {
namespace {

enum class Codes { nibbles, packed, sevens, bytes };

template <Codes kCodes>
struct Kind {
  static constexpr size_t kLines = kCodes == Codes::nibbles ? 2 : 1;  // of 64 outputs in a chunk
  static constexpr size_t kTable = kCodes == Codes::nibbles  ? 16
                                   : kCodes == Codes::packed ? 64
                                   : kCodes == Codes::sevens ? 128
                                                             : 256;  // bytes
  static constexpr size_t kVectors = kTable < 64 ? 1 : kTable / 64;  // of a table
  // Blocks of one pass: 16 registers of tables at most.
  static constexpr int kTogether = kCodes == Codes::bytes ? 4 : 8;
};

// ---- lookups --------------------------------------------------------------------

template <class V>
struct Flow {
  const uint8_t* codes;
  size_t stride, step;  // from one block's codes to the next one's, from one chunk's to the next
  size_t ahead;         // from codes to those of a pass to come
  size_t chunks;
  const uint8_t* tables;
  size_t table_stride;  // from one block's to the next one's
  uint8_t* acc;
  bool first;
  const typename V::Spread* spread;
};

// 64 indices of as many bits as the kind's tables have.
template <class V, Codes kCodes>
inline typename V::Vec indices(const uint8_t* codes, const typename V::Spread& spread) {
  if constexpr (kCodes == Codes::packed || kCodes == Codes::sevens)
    return V::spread(spread, codes);
  else
    return V::once(V::loadu(codes));
}
template <class V, Codes kCodes>
inline typename V::Vec pick(const typename V::Vec* t, typename V::Vec at) {
  if constexpr (kCodes == Codes::bytes)
    return V::pick256(t, at);
  else if constexpr (kCodes == Codes::sevens)
    return V::pick128(t, at);
  else if constexpr (kCodes == Codes::packed)
    return V::pick64(t[0], at);
  else
    return V::pick16(t[0], at);
}

// Whether sums of even and of odd codes are apart from the first lookup on: a vector that has
// to look them up apart adds two blocks at a time.
template <class V, Codes kCodes>
inline constexpr bool kIsApart = V::kApart&& kCodes != Codes::nibbles;

// kBlocks blocks. Codes of the next pass are asked for up to L2: L1 can wait for 24 lines from
// memory, L2 for 48, and from L2 they come in time.
template <class V, Codes kCodes, int kKeep, int kBlocks>
__attribute__((noinline)) void sweep_codes(const Flow<V>& k) {
  using K = Kind<kCodes>;
  constexpr int kLines = K::kLines, kVectors = K::kVectors;
  constexpr bool kPairs = kKeep == 7 && kBlocks % 2 == 0;
#define QRT_EACH_BLOCK _Pragma("GCC unroll 8") for (int b = 0; b < kBlocks; ++b)
#define QRT_EACH_LINE _Pragma("GCC unroll 2") for (int l = 0; l < kLines; ++l)
  typename V::Vec t[kBlocks][kVectors];
  QRT_EACH_BLOCK _Pragma("GCC unroll 4") for (int i = 0; i < kVectors; ++i) t[b][i] =
      K::kTable == 16 ? V::dup16(k.tables + static_cast<size_t>(b) * k.table_stride)
                      : V::load(k.tables + static_cast<size_t>(b) * k.table_stride +
                                static_cast<size_t>(i) * V::kBytes);
  const typename V::Spread spread = *k.spread;
  const size_t stride = k.stride, step = k.step, ahead = k.ahead;
  const uint8_t* codes = k.codes;
  uint8_t* acc = k.acc;
  const bool first = k.first;
  for (size_t n = k.chunks; n != 0; --n, codes += step, acc += kLines * 2 * V::kBytes) {
    typename V::Acc8 s[kLines];
    if (first) {
      QRT_EACH_LINE s[l] = V::none8();
    } else {
      QRT_EACH_LINE s[l] = V::load8(acc + static_cast<size_t>(l) * 2 * V::kBytes);
    }
    const uint8_t* p = codes;
    if constexpr (kIsApart<V, kCodes>) {
      if constexpr (kBlocks == 1) s[0] = V::template acc_one<K::kTable>(s[0], spread, t[0], p);
      _Pragma("GCC unroll 4") for (int b = 0; b + 1 < kBlocks; b += 2, p += 2 * stride) {
        s[0] = V::template acc_two<K::kTable>(s[0], spread, t[b], p, t[b + 1], p + stride);
        __builtin_prefetch(p + ahead, 0, 2), __builtin_prefetch(p + stride + ahead, 0, 2);
      }
      V::store8(acc, s[0]);
      continue;
    }
    typename V::Vec line[kBlocks][kLines];
    QRT_EACH_BLOCK {
      const typename V::Vec at = indices<V, kCodes>(p, spread);
      line[b][0] = pick<V, kCodes>(t[b], at);
      if constexpr (kLines == 2) line[b][1] = pick<V, kCodes>(t[b], V::high_nibbles(at));
      __builtin_prefetch(p + ahead, 0, 2);
      p += stride;
      if constexpr (kPairs) {
        if (b % 2 == 1) QRT_EACH_LINE s[l] = V::acc8(s[l], V::add8(line[b - 1][l], line[b][l]));
      } else {
        QRT_EACH_LINE s[l] = V::acc8(s[l], line[b][l]);
      }
      QRT_EACH_LINE V::settle(&s[l]);
    }
    QRT_EACH_LINE V::store8(acc + static_cast<size_t>(l) * 2 * V::kBytes, s[l]);
  }
#undef QRT_EACH_LINE
#undef QRT_EACH_BLOCK
}

// Rows of codes between those that are looked up and those that are asked for.
inline size_t rows_ahead(size_t row_bytes) {
  constexpr size_t kBytes = 4096;
  return row_bytes < kBytes ? (kBytes + row_bytes - 1) / row_bytes : 1;
}

template <class V, Codes kCodes, int kKeep, int kBlocks>
struct BytesSweep {
  static constexpr size_t kTaken = kBlocks, kOutputs = Kind<kCodes>::kLines * V::kBytes;
  static constexpr size_t kAccBytes = 2 * kOutputs;
  static constexpr size_t kReads =
      V::kBytes + (kIsApart<V, kCodes> && kCodes == Codes::bytes ? 1 : 0);
  static void run(const Flow<V>& k) { sweep_codes<V, kCodes, kKeep, kBlocks>(k); }
};

// All outputs; sets the chunks of k, and `ahead` to 0 where the file ends. Chunks of which
// V::kBytes cannot be read go by a copy of their codes: one that is not whole, and the last one of
// the file. k is not passed by value: a copy of what was just written waits until it is in the
// cache.
template <class V, class Sweep>
void sweep_outputs(const Args& a, Flow<V>* k, uint8_t* copy) {
  constexpr size_t kOutputs = Sweep::kOutputs, kBlocks = Sweep::kTaken;
  const int8::Coded& s = a.source;
  const uint8_t* const last = k->codes + (kBlocks - 1) * k->stride;
  size_t chunks = a.outputs / kOutputs;
  // Codes of few bits are less than half a vector apart: it may be more than one chunk.
  while (chunks != 0 &&
         static_cast<size_t>(s.codes_end - last) < (chunks - 1) * k->step + Sweep::kReads)
    --chunks;
  k->chunks = chunks;
  if (static_cast<size_t>(s.codes_end - last) <= k->ahead + s.row_bytes) k->ahead = 0;
  Sweep::run(*k);
  size_t n = chunks * kOutputs;
  if (n >= a.outputs) return;
  Flow<V> tail = *k;
  const uint8_t* from = k->codes + chunks * k->step;
  tail.codes = copy, tail.stride = V::kBytes, tail.ahead = 0;
  for (tail.acc += chunks * Sweep::kAccBytes, tail.chunks = 1; n < a.outputs;
       n += kOutputs, from += k->step) {
    const size_t left = least(kOutputs, a.outputs - n);
    const size_t bytes = (a.first_output * s.bits % 8 + left * s.bits + 7) / 8;
    for (size_t b = 0; b < kBlocks; ++b)
      std::memcpy(copy + b * V::kBytes, from + b * k->stride, bytes);
    Sweep::run(tail);
    tail.acc += Sweep::kAccBytes;
  }
}

// ---- outputs --------------------------------------------------------------------

// V::kLanes outputs from n on, in their order.
template <class V>
inline void finish_ints(const Args& a, size_t row, size_t n, typename V::Vec v) {
  const size_t live = least(V::kLanes, a.outputs - n);
  const int8::Finish& f = a.finish;
  const auto floats = [live](const float* from) {
    if (live == V::kLanes) return V::load_f(from);
    float copy[V::kLanes] = {};
    std::memcpy(copy, from, live * sizeof(float));
    return V::load_f(copy);
  };
  typename V::F t = V::to_float(v);
  if (f.scale) t = V::mul_f(t, floats(f.scale + n));
  if (f.bias) t = V::add_f(t, floats(f.bias + n));
  if (f.residual) {
    const uint8_t* const from = f.residual + row * f.residual_stride + n;
    uint8_t copy[V::kLanes] = {};
    std::memcpy(copy, from, live);
    const typename V::Vec q = V::ints_of_bytes(copy);
    add_residual<V, 1>(f, &q, &t);
  }
  clamp<V, 1>(f, &t);
  if (a.y8) {
    uint8_t bytes[V::kLanes];
    V::put_bytes(bytes, V::add32(V::nearest(t), V::set32(f.zero)));
    uint8_t* const y = a.y8 + row * a.y_stride + n;
    if (live == V::kLanes)
      std::memcpy(y, bytes, sizeof bytes);
    else
      std::memcpy(y, bytes, live);
  } else if (live == V::kLanes) {
    V::store_f(a.y32 + row * a.y_stride + n, t);
  } else {
    float copy[V::kLanes];
    V::store_f(copy, t);
    std::memcpy(a.y32 + row * a.y_stride + n, copy, live * sizeof(float));
  }
}

// One row's sums in 16 bits are added to those in 32 bits, or finished.
template <class V, Codes kCodes, int kKeep>
__attribute__((noinline)) void settle_row(const Args& a, size_t row, const Settle& k) {
  constexpr size_t kLines = Kind<kCodes>::kLines;
  const int32_t bias = static_cast<int32_t>(k.lookups) << (kKeep - 1);
  const uint8_t* acc = k.acc;
  for (size_t n = 0; n < a.outputs; acc += kLines * 2 * V::kBytes) {
    typename V::Vec w[2 * kLines];
    if constexpr (kIsApart<V, kCodes>)
      V::words_apart(V::load8(acc), bias, w);
    else
      V::words_of_acc8(V::load8(acc), bias, w);
    if constexpr (kLines == 2) {
      typename V::Vec high[2], low[2] = {w[0], w[1]};
      V::words_of_acc8(V::load8(acc + 2 * V::kBytes), bias, high);
      V::zip16(low[0], high[0], w), V::zip16(low[1], high[1], w + 2);
    }
    for (size_t i = 0; i < 4 * kLines && n < a.outputs; ++i, n += V::kLanes) {
      typename V::Vec v = V::ints_of_half(w[i / 2], i % 2);
      int32_t* const sum = k.sums + n;
      if (!k.first) v = V::add32(v, V::load(sum));
      if (k.last)
        finish_ints<V>(a, row, n, v);
      else
        V::store(sum, v);
    }
  }
}

}  // namespace
}  // namespace qrt::kernels::tables

#endif  // QRT_KERNELS_TABLES_GENERIC_SWEEP_H_

// Every kit of the lowbit family that this CPU runs, on guarded memory, against the formulas of
// lowbit.h over codes that are known from how they were packed.
#include "kernels/lowbit/lowbit.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/kernels/int8_case.h"
#include "tests/support/guarded_buffer.h"

namespace qrt::kernels::lowbit {
namespace {

using test::Guard;
using test::GuardedBuffer;
using test::Int8Random;

template <class F>
void each_kit(F&& f) {
  for (const Kernel<const Kit>& row : kKits) {
    if (!includes(detect_isa(), row.isa)) continue;
    CAPTURE(std::string(row.name));
    f(*row.run);
  }
}

constexpr size_t kCounts[] = {0, 1, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 127, 257};

TEST_CASE("lowbit: codes of every width and trits are unpacked, and nothing beyond is read") {
  for (const uint32_t bits : {kTrits, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u})
    for (const size_t count : kCounts) {
      CAPTURE(bits);
      CAPTURE(count);
      Int8Random random(count * 9 + bits);
      std::vector<uint8_t> want(count);
      const size_t bytes = bits == kTrits ? (count + 4) / 5 : (count * bits + 7) / 8;
      GuardedBuffer<uint8_t> packed(bytes, Guard::after, 0);
      for (size_t i = 0; i < count; ++i) {
        const int most = bits == kTrits ? 2 : (1 << bits) - 1;
        want[i] = static_cast<uint8_t>(random.between(0, most));
        if (bits == kTrits) {
          int value = want[i];
          for (size_t j = i % 5; j != 0; --j) value *= 3;
          packed[i / 5] = static_cast<uint8_t>(packed[i / 5] + value);
          continue;
        }
        for (uint32_t b = 0; b < bits; ++b)
          packed[(i * bits + b) / 8] |=
              static_cast<uint8_t>((want[i] >> b & 1) << (i * bits + b) % 8);
      }
      each_kit([&](const Kit& kit) {
        GuardedBuffer<uint8_t> to(count);
        kit.unpack({{packed.data(), packed.end(), bits}, count, to.data()});
        CHECK(std::vector<uint8_t>(to.begin(), to.end()) == want);
      });
    }
}

TEST_CASE("lowbit: codes become integers by a map or by a zero point") {
  for (const size_t count : kCounts) {
    CAPTURE(count);
    Int8Random random(count);
    GuardedBuffer<uint8_t> codes(count), small(count);
    for (uint8_t& c : codes) c = static_cast<uint8_t>(random.between(0, 255));
    for (uint8_t& c : small) c = static_cast<uint8_t>(random.between(0, 15));
    GuardedBuffer<int8_t> map(256);
    for (int8_t& m : map) m = static_cast<int8_t>(random.between(-128, 127));
    each_kit([&](const Kit& kit) {
      GuardedBuffer<int8_t> to(count);
      kit.integers({codes.data(), count, map.data(), false, 0, 0, 0, to.data()});
      for (size_t i = 0; i < count; ++i) CHECK(to[i] == map[codes[i]]);
      GuardedBuffer<int8_t> first(16);
      for (size_t i = 0; i < 16; ++i) first[i] = map[i];
      kit.integers({small.data(), count, first.data(), true, 0, 0, 0, to.data()});
      for (size_t i = 0; i < count; ++i) CHECK(to[i] == map[small[i]]);
      for (const int zero : {0, 1, 7, 15}) {
        kit.integers({small.data(), count, nullptr, true, 8, 1, zero, to.data()});
        for (size_t i = 0; i < count; ++i) CHECK(int{to[i]} == 2 * (small[i] ^ 8) - zero);
        kit.integers({small.data(), count, nullptr, true, 0, 0, zero, to.data()});
        for (size_t i = 0; i < count; ++i) CHECK(int{to[i]} == small[i] - zero);
      }
      kit.integers({codes.data(), count, nullptr, false, 0x80, 0, 128, to.data()});
      for (size_t i = 0; i < count; ++i) CHECK(to[i] == static_cast<int8_t>(codes[i]));
    });
  }
}

TEST_CASE("lowbit: codes become floats, every operation rounded on its own") {
  for (const size_t count : kCounts) {
    CAPTURE(count);
    Int8Random random(count);
    GuardedBuffer<uint8_t> codes(count);
    for (uint8_t& c : codes) c = static_cast<uint8_t>(random.between(0, 255));
    GuardedBuffer<float> map(256), to(count);
    for (float& m : map) m = random.real(3);
    each_kit([&](const Kit& kit) {
      for (int kind = 0; kind < 16; ++kind) {
        CAPTURE(kind);
        const bool mapped = kind % 2 != 0, offset = kind / 2 % 2 != 0, adds = kind / 4 % 2 != 0;
        const float unit = kind < 8 ? 0.5f : 1.0f;
        for (float& v : to) v = 0.3f;
        kit.floats({codes.data(), count, mapped ? map.data() : nullptr, 0x80, 256 + 7, unit, 0.37f,
                    offset ? 0.11f : 0.0f, offset, adds, to.data()});
        for (size_t i = 0; i < count; ++i) {
          const int q = static_cast<int8_t>(codes[i]);
          volatile float v = mapped ? map[codes[i]] : static_cast<float>(2 * q - 7) * unit;
          v = v * 0.37f;
          if (offset) v = v + 0.11f;
          if (adds) v = 0.3f + v;
          CHECK(to[i] == v);
        }
      }
    });
  }
}

TEST_CASE("lowbit: a row of bytes against rows of trits") {
  for (const size_t inputs : {1u,   2u,   3u,   4u,   5u,   6u,   79u,  80u,  81u,   159u,  160u,
                              161u, 319u, 320u, 321u, 322u, 323u, 324u, 325u, 1215u, 1601u, 5000u})
    for (const size_t outputs : {1u, 3u, 4u, 9u})
      for (const bool extreme : {false, true}) {
        CAPTURE(inputs);
        CAPTURE(outputs);
        Int8Random random(inputs * 5 + outputs);
        const size_t row = (inputs + 4) / 5;
        GuardedBuffer<uint8_t> codes(row * outputs), x(inputs);
        for (size_t i = 0; i < codes.size(); ++i)
          codes[i] = static_cast<uint8_t>(extreme ? 242 : (i * 7 + outputs) % 243);
        for (uint8_t& b : x) b = static_cast<uint8_t>(extreme ? 0 : random.between(0, 255));
        constexpr int kPower[] = {1, 3, 9, 27, 81};
        std::vector<int32_t> want(outputs);
        for (size_t n = 0; n < outputs; ++n)
          for (size_t k = 0; k < inputs; ++k)
            want[n] += codes[n * row + k / 5] / kPower[k % 5] % 3 * (x[k] - 128);
        each_kit([&](const Kit& kit) {
          GuardedBuffer<int8_t> spread(spread_bytes(kit, kTrits, inputs));
          kit.spread({x.data(), inputs, kTrits, spread.data()});
          GuardedBuffer<int32_t> sums(outputs);
          kit.dot({{codes.data(), codes.end(), kTrits},
                   row,
                   inputs,
                   outputs,
                   nullptr,
                   0,
                   spread.data(),
                   sums.data()});
          CHECK(std::vector<int32_t>(sums.begin(), sums.end()) == want);
        });
      }
}

// Rows of codes against a row of bytes; `most` is of the map's integers, 0: no map.
void check_dots(uint32_t bits, size_t inputs, size_t outputs, bool extreme, int most) {
  CAPTURE(bits);
  CAPTURE(inputs);
  CAPTURE(outputs);
  CAPTURE(most);
  Int8Random random(inputs * 5 + outputs + bits);
  const size_t row = (inputs * bits + 7) / 8, used = inputs * bits % 8;
  GuardedBuffer<uint8_t> codes(row * outputs), x(inputs);
  for (uint8_t& b : codes) b = static_cast<uint8_t>(extreme ? 255 : random.between(0, 255));
  for (size_t n = 0; used != 0 && n < outputs; ++n)
    codes[n * row + row - 1] &= static_cast<uint8_t>((1u << used) - 1);
  for (uint8_t& b : x) b = static_cast<uint8_t>(extreme ? 0 : random.between(0, 255));
  const uint8_t flip = static_cast<uint8_t>(outputs % 2 != 0 ? 1u << (bits - 1) : 0);
  GuardedBuffer<int8_t> map(size_t{1} << bits);
  for (int8_t& m : map) m = static_cast<int8_t>(random.between(most > 127 ? -128 : -most, most));
  if (most > 0) map[0] = static_cast<int8_t>(-most), map[map.size() - 1] = map[1];
  if (most > 0 && extreme) map[map.size() - 1] = static_cast<int8_t>(outputs > 3 ? most : -most);
  std::vector<int32_t> want(outputs);
  for (size_t n = 0; n < outputs; ++n)
    for (size_t k = 0; k < inputs; ++k) {
      uint32_t code = 0;
      for (uint32_t b = 0; b < bits; ++b)
        code |= (codes[n * row + (k * bits + b) / 8] >> (k * bits + b) % 8 & 1u) << b;
      want[n] += (most ? map[code] : static_cast<int32_t>(code ^ flip)) * (x[k] - 128);
    }
  each_kit([&](const Kit& kit) {
    const int8_t* const use = most ? map.data() : nullptr;
    if (!kit.can_dot(bits, use)) return;
    GuardedBuffer<int8_t> spread(spread_bytes(kit, bits, inputs));
    kit.spread({x.data(), inputs, bits, spread.data()});
    GuardedBuffer<int32_t> sums(outputs);
    kit.dot({{codes.data(), codes.end(), bits},
             row,
             inputs,
             outputs,
             use,
             flip,
             spread.data(),
             sums.data()});
    CHECK(std::vector<int32_t>(sums.begin(), sums.end()) == want);
  });
}

TEST_CASE("lowbit: a row of bytes against rows of codes, as they are and by maps") {
  for (const uint32_t bits : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u})
    for (const size_t inputs : {1u, 7u, 64u, 127u, 128u, 511u, 512u, 513u, 2049u, 5000u})
      for (const size_t outputs : {1u, 3u, 4u, 9u})
        for (const bool extreme : {false, true})
          for (const int most : {0, 1, 12, 31, 64, 127})
            check_dots(bits, inputs, outputs, extreme, most);
}

TEST_CASE("lowbit: which codes can be multiplied as they lie") {
  int8_t fp4[16], wide[16], any[256];
  for (int c = 0; c < 256; ++c) any[c] = static_cast<int8_t>(c);
  for (int c = 0; c < 16; ++c)
    fp4[c] = static_cast<int8_t>((c < 8 ? 1 : -1) * (c % 8 < 4 ? c % 8 : c % 8 * 2 - 4)),
    wide[c] = any[c * 17];
  each_kit([&](const Kit& kit) {
    for (const uint32_t bits : {kTrits, 1u, 2u, 4u}) CHECK(kit.can_dot(bits, nullptr));
    CHECK(kit.can_dot(4, fp4));
    CHECK(!kit.can_dot(kTrits, any));
  });
  for (const Kernel<const Kit>& row : kKits) {
    const bool sums32 = (row.isa & (x86_avx512vnni | arm_neondot)) != 0 || row.isa == isa_none;
    const bool spreads = (row.isa & x86_avx512vbmi) != 0 || row.isa == isa_none;
    if (!includes(detect_isa(), row.isa)) continue;
    CAPTURE(std::string(row.name));
    CHECK(row.run->can_dot(4, wide) == sums32);
    for (const uint32_t bits : {3u, 5u, 6u, 7u, 8u}) {
      CHECK(row.run->can_dot(bits, nullptr) == spreads);
      CHECK(row.run->can_dot(bits, any) == spreads);
    }
  }
}

TEST_CASE("lowbit: what becomes of sums, as the int8 family has it") {
  for (const size_t outputs : {1u, 5u, 64u, 130u}) {
    Int8Random random(outputs);
    GuardedBuffer<int32_t> sums(outputs);
    GuardedBuffer<float> scale(outputs), bias(outputs);
    GuardedBuffer<uint8_t> residual(outputs);
    for (size_t n = 0; n < outputs; ++n) {
      sums[n] = random.between(-100000, 100000);
      scale[n] = random.real(0.003f), bias[n] = random.real(50);
      residual[n] = static_cast<uint8_t>(random.between(0, 255));
    }
    for (const int constants : {0, 1, 2})
      for (const bool bytes : {false, true}) {
        int8::Finish f{};
        f.bias_first = constants == 2;
        if (constants > 0)
          f.scale = scale.data(), f.bias = bias.data(), f.residual = residual.data();
        f.residual_scale = 0.37f, f.residual_zero = 17, f.zero = 100;
        f.min = -100, f.max = 140;
        GuardedBuffer<uint8_t> want8(outputs);
        GuardedBuffer<float> want32(outputs);
        lowbit_reference.finish({sums.data(), outputs, f, bytes ? want8.data() : nullptr,
                                 bytes ? nullptr : want32.data()});
        each_kit([&](const Kit& kit) {
          GuardedBuffer<uint8_t> y8(outputs);
          GuardedBuffer<float> y32(outputs);
          kit.finish(
              {sums.data(), outputs, f, bytes ? y8.data() : nullptr, bytes ? nullptr : y32.data()});
          for (size_t n = 0; bytes && n < outputs; ++n) CHECK(y8[n] == want8[n]);
          for (size_t n = 0; !bytes && n < outputs; ++n) CHECK(y32[n] == want32[n]);
        });
      }
  }
}

}  // namespace
}  // namespace qrt::kernels::lowbit

// Windows of images of bits: rows that are gathered, and the classes that take back what padding
// counted, against convolutions of the numbers -1 and +1 whose padding adds nothing.
#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "kernels/bits/border.h"
#include "tests/kernels/int8_case.h"
#include "tests/support/guarded_buffer.h"

namespace qrt::kernels::bits {
namespace {

struct Image {
  size_t in_h, in_w, kernel_h, kernel_w, stride, dilation, pad;
  size_t channels, groups, outputs;  // of one group
  size_t images = 2;

  size_t depth() const { return channels * groups; }
  size_t taps() const { return kernel_h * kernel_w; }
  size_t out(size_t in, size_t kernel) const {
    return (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
  }
  size_t out_h() const { return out(in_h, kernel_h); }
  size_t out_w() const { return out(in_w, kernel_w); }
  size_t rows() const { return images * out_h() * out_w(); }
};

std::vector<int> random_signs(size_t n, uint32_t seed) {
  test::Int8Random random(seed);
  std::vector<int> v(n);
  for (int& x : v) x = 2 * random.between(0, 1) - 1;
  return v;
}

// Rows of words on guarded pages.
struct Packed {
  Packed(const std::vector<int>& values, size_t row)
      : stride(words_of(row)), words(values.size() / row * stride) {
    for (size_t i = 0; i < values.size() / row * stride; ++i) words.data()[i] = 0;
    for (size_t i = 0; i < values.size(); ++i)
      words.data()[i / row * stride + i % row / kWord] |= uint64_t{values[i] > 0}
                                                          << i % row % kWord;
  }
  size_t stride;
  test::GuardedBuffer<uint64_t> words;
};

void check(const Image& m) {
  CAPTURE(m.channels);
  CAPTURE(m.kernel_h);
  CAPTURE(m.stride);
  CAPTURE(m.dilation);
  const std::vector<int> x = random_signs(m.images * m.in_h * m.in_w * m.depth(), 1);
  const std::vector<int> w = random_signs(m.groups * m.outputs * m.taps() * m.channels, 2);
  const size_t inputs = m.taps() * m.channels, words = words_of(inputs);
  const Packed image(x, m.depth()), weights(w, inputs);
  // Which class a row has: the rectangle of its taps that are inside.
  std::vector<Inside> classes;
  std::vector<size_t> class_of;
  const auto range = [&](size_t at, size_t kernel, size_t extent) {
    std::pair<uint32_t, uint32_t> r{0, 0};
    for (size_t t = 0; t < kernel; ++t) {
      const int64_t p =
          static_cast<int64_t>(at * m.stride + t * m.dilation) - static_cast<int64_t>(m.pad);
      if (p < 0 || p >= static_cast<int64_t>(extent)) continue;
      if (r.second == 0) r.first = static_cast<uint32_t>(t);
      r.second = static_cast<uint32_t>(t + 1);
    }
    return r;
  };
  for (size_t r = 0; r < m.rows(); ++r) {
    const auto y = range(r / m.out_w() % m.out_h(), m.kernel_h, m.in_h);
    const auto c = range(r % m.out_w(), m.kernel_w, m.in_w);
    class_of.push_back(classes.size());
    classes.push_back({y.first, y.second, c.first, c.second});
  }
  for (size_t g = 0; g < m.groups; ++g) {
    test::GuardedBuffer<uint64_t> rows(m.rows() * words);
    GatherArgs a{
        m.in_h,     m.in_w,         m.out_h(),    m.out_w(),          m.kernel_h, m.kernel_w,
        m.stride,   m.stride,       m.dilation,   m.dilation,         m.pad,      m.pad,
        m.channels, g * m.channels, image.stride, image.words.data(), 0,          0,
        nullptr,    words};
    // In two parts, the second from the middle of an image on.
    const size_t half = m.rows() / 3;
    a.rows = half, a.to = rows.data();
    gather(a);
    a.row0 = half, a.rows = m.rows() - half, a.to = rows.data() + half * words;
    gather(a);
    test::GuardedBuffer<int32_t> base(classes.size() * m.outputs),
        work((m.kernel_h + 1) * (m.kernel_w + 1));
    const uint64_t* own = weights.words.data() + g * m.outputs * words;
    bases({m.kernel_h, m.kernel_w, m.channels, m.outputs, classes.size(), own, words,
           classes.data(), base.data(), m.outputs, work.data()});
    size_t wrong = 0;
    for (size_t r = 0; r < m.rows(); ++r)
      for (size_t n = 0; n < m.outputs; ++n) {
        int sum = 0, differ = 0;
        const Inside& in = classes[class_of[r]];
        for (size_t t = 0; t < m.taps(); ++t) {
          const size_t ty = t / m.kernel_w, tx = t % m.kernel_w;
          if (ty < in.y0 || ty >= in.y1 || tx < in.x0 || tx >= in.x1) continue;
          const size_t py = r / m.out_w() % m.out_h() * m.stride + ty * m.dilation - m.pad;
          const size_t px = r % m.out_w() * m.stride + tx * m.dilation - m.pad;
          const size_t pixel = (r / (m.out_h() * m.out_w()) * m.in_h + py) * m.in_w + px;
          for (size_t c = 0; c < m.channels; ++c)
            sum += x[pixel * m.depth() + g * m.channels + c] *
                   w[((g * m.outputs + n) * m.taps() + t) * m.channels + c];
        }
        for (size_t i = 0; i < words; ++i)
          differ += __builtin_popcountll(rows.data()[r * words + i] ^ own[n * words + i]);
        wrong += base.data()[class_of[r] * m.outputs + n] - 2 * differ != sum;
      }
    CHECK(wrong == 0);
  }
}

TEST_CASE("bits: windows of an image, padding adds nothing") {
  for (const size_t channels : {1u, 3u, 16u, 63u, 64u, 65u, 100u, 128u}) {
    check({5, 4, 3, 3, 1, 1, 1, channels, 1, 7});
    check({7, 6, 3, 3, 2, 1, 1, channels, 1, 3});
    check({6, 7, 2, 3, 1, 2, 3, channels, 2, 3});
    check({4, 4, 1, 1, 2, 1, 0, channels, 3, 5});
    check({2, 2, 5, 5, 1, 1, 3, channels, 1, 2});  // windows in the padding alone
  }
}

TEST_CASE("bits: copies begin and end within words, and leave what lies around them") {
  const std::vector<int> values = random_signs(400, 5);
  const Packed from(values, 400);
  for (const size_t at : {0u, 1u, 63u, 64u, 100u})
    for (const size_t to : {0u, 5u, 63u, 64u})
      for (const size_t count : {0u, 1u, 64u, 65u, 200u}) {
        test::GuardedBuffer<uint64_t> line(words_of(to + count));
        for (size_t i = 0; i < words_of(to + count); ++i) line.data()[i] = 0xaaaaaaaaaaaaaaaa;
        copy_bits(from.words.data(), at, count, line.data(), to);
        size_t wrong = 0;
        for (size_t i = 0; i < words_of(to + count) * kWord; ++i) {
          const bool inside = i >= to && i < to + count;
          const bool want = inside ? values[at + i - to] > 0 : i % 2 == 1;
          wrong += (line.data()[i / kWord] >> i % kWord & 1u) != want;
        }
        CHECK(wrong == 0);
      }
}

}  // namespace
}  // namespace qrt::kernels::bits

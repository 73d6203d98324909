// What the tests of the int8 family share: every kit of this CPU, and a small random layer of coded
// weights in guarded memory with its weights decoded the plain way.
#ifndef QRT_TESTS_KERNELS_INT8_CASE_H_
#define QRT_TESTS_KERNELS_INT8_CASE_H_

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/int8/int8.h"
#include "tests/support/guarded_buffer.h"

namespace qrt::test {

template <class F>
void each_int8_kit(F&& f) {
  for (const kernels::Kernel<const kernels::int8::Kit>& row : kernels::int8::kKits) {
    if (!kernels::includes(kernels::detect_isa(), row.isa)) continue;
    CAPTURE(std::string(row.name));
    f(row);
  }
}

class Int8Random {
 public:
  explicit Int8Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  int between(int lo, int hi) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return lo + static_cast<int>((state_ >> 33) % static_cast<uint64_t>(hi - lo + 1));
  }
  float real(float most) {
    return most * static_cast<float>(between(-1000000, 1000000)) / 1000000.0f;
  }

 private:
  uint64_t state_;
};

struct CodedCase {
  size_t outputs = 37, inputs = 36;
  uint32_t dim = 9, bits = 8, books = 1;
  size_t scope_rows = 0;
  uint32_t levels = 1;
  size_t taps = 1;
  std::string str() const {
    return "outputs " + std::to_string(outputs) + " inputs " + std::to_string(inputs) + " dim " +
           std::to_string(dim) + " bits " + std::to_string(bits) + " books " +
           std::to_string(books) + " scope_rows " + std::to_string(scope_rows) + " levels " +
           std::to_string(levels) + " taps " + std::to_string(taps);
  }
};

// Codes end where memory ends; entries do so behind their slack.
class CodedData {
 public:
  explicit CodedData(const CodedCase& c)
      : c_(c),
        blocks_((c.inputs + c.dim - 1) / c.dim),
        row_bytes_((c.outputs * c.bits + 7) / 8),
        stride_((c.dim + 3) / 4 * 4),
        scopes_(c.scope_rows == 0 ? 1 : (c.outputs + c.scope_rows - 1) / c.scope_rows),
        room_((c.levels * scopes_ * c.books << c.bits) * stride_ + kernels::int8::kEntrySlack),
        codes_(c.books * blocks_ * row_bytes_, Guard::after, 0),
        entry_memory_((room_ + 63) / 64 * 64, Guard::after, 0),
        level_of_(c.outputs),
        weights_(c.outputs * c.inputs) {
    Int8Random random(c.outputs * 31 + c.inputs * 7 + c.dim * 3 + c.bits + c.books + c.taps);
    const size_t count = (c.levels * scopes_ * c.books) << c.bits;
    for (size_t i = 0; i < count; ++i)
      for (size_t t = 0; t < c.dim; ++t)
        entry_memory_[i * stride_ + t] = static_cast<int8_t>(random.between(-127, 127));
    for (uint8_t& level : level_of_)
      level = static_cast<uint8_t>(random.between(0, static_cast<int>(c.levels) - 1));
    for (uint32_t book = 0; book < c.books; ++book)
      for (size_t b = 0; b < blocks_; ++b)
        for (size_t n = 0; n < c.outputs; ++n)
          put(book, b, n, static_cast<uint32_t>(random.between(0, (1 << c.bits) - 1)));
  }

  kernels::int8::Coded source() const {
    kernels::int8::Coded s{};
    s.codes = codes_.data(), s.codes_end = codes_.end();
    s.row_bytes = row_bytes_, s.book_bytes = row_bytes_ * blocks_;
    s.entries = entry_memory_.data(), s.entry_stride = stride_;
    s.book_stride = stride_ << c_.bits, s.scope_stride = s.book_stride * c_.books;
    s.level_stride = s.scope_stride * scopes_;
    s.scope_rows = c_.scope_rows, s.level_of = c_.levels > 1 ? level_of_.data() : nullptr;
    s.bits = c_.bits, s.books = c_.books, s.dim = c_.dim;
    return s;
  }
  // In the order of a panel: place t * (inputs / taps) + c is input c * taps + t.
  int8_t weight(size_t n, size_t place) const {
    const size_t channels = c_.inputs / c_.taps;
    return weights_[n * c_.inputs + place % channels * c_.taps + place / channels];
  }
  size_t blocks() const { return blocks_; }

 private:
  // Writes a code bit by bit and adds what it stands for to the decoded weights.
  void put(uint32_t book, size_t block, size_t n, uint32_t code) {
    uint8_t* row = codes_.data() + (book * blocks_ + block) * row_bytes_;
    for (uint32_t b = 0; b < c_.bits; ++b) {
      const size_t bit = n * c_.bits + b;
      row[bit / 8] = static_cast<uint8_t>(row[bit / 8] | ((code >> b & 1u) << bit % 8));
    }
    const size_t level = c_.levels > 1 ? level_of_[n] : 0u;
    const size_t scope = c_.scope_rows ? n / c_.scope_rows : 0;
    const size_t entry = (((level * scopes_ + scope) * c_.books + book) << c_.bits) + code;
    for (size_t t = 0; t < c_.dim && block * c_.dim + t < c_.inputs; ++t) {
      int8_t& w = weights_[n * c_.inputs + block * c_.dim + t];
      w = static_cast<int8_t>(std::clamp(w + entry_memory_[entry * stride_ + t], -128, 127));
    }
  }

  CodedCase c_;
  size_t blocks_, row_bytes_, stride_, scopes_, room_;
  GuardedBuffer<uint8_t> codes_;
  GuardedBuffer<int8_t> entry_memory_;
  std::vector<uint8_t> level_of_;
  std::vector<int8_t> weights_;
};

}  // namespace qrt::test

#endif  // QRT_TESTS_KERNELS_INT8_CASE_H_

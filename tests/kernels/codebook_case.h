// A small random codebook layer in guarded memory, and its weights decoded the
// plain way: what the kits of kernels/codebook are compared with.
#ifndef QRT_TESTS_KERNELS_CODEBOOK_CASE_H_
#define QRT_TESTS_KERNELS_CODEBOOK_CASE_H_

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/codebook/codebook.h"
#include "tests/support/guarded_buffer.h"

namespace qrt::test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint32_t below(uint32_t n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>((state_ >> 33) % n);
  }
  float real() { return static_cast<float>(below(1u << 20)) / (1 << 19) - 1.0f; }

 private:
  uint64_t state_;
};

struct CodebookCase {
  size_t outputs = 37, inputs = 36;
  uint32_t dim = 9, bits = 8, books = 1;
  size_t scope_rows = 0;
  std::string str() const {
    return "outputs " + std::to_string(outputs) + " inputs " + std::to_string(inputs) + " dim " +
           std::to_string(dim) + " bits " + std::to_string(bits) + " books " +
           std::to_string(books) + " scope_rows " + std::to_string(scope_rows);
  }
};

// Codes end where memory ends; so do the entries.
class CodebookData {
 public:
  explicit CodebookData(const CodebookCase& c)
      : c_(c),
        blocks_((c.inputs + c.dim - 1) / c.dim),
        row_bytes_((c.outputs * c.bits + 7) / 8),
        stride_((c.dim + 3) / 4 * 4),
        scopes_(c.scope_rows == 0 ? 1 : (c.outputs + c.scope_rows - 1) / c.scope_rows),
        codes_(c.books * blocks_ * row_bytes_, Guard::after, 0),
        entries_((scopes_ * c.books << c.bits) * stride_, Guard::after, 0),
        weights_(c.outputs * c.inputs) {
    Random random(c.outputs * 31 + c.inputs * 7 + c.dim * 3 + c.bits + c.books);
    for (size_t i = 0; i < entries_.size() / stride_; ++i)
      for (size_t t = 0; t < c.dim; ++t) entries_[i * stride_ + t] = random.real();
    for (uint32_t book = 0; book < c.books; ++book)
      for (size_t b = 0; b < blocks_; ++b)
        for (size_t n = 0; n < c.outputs; ++n) put(book, b, n, random.below(1u << c.bits));
  }

  kernels::codebook::Source source() const {
    kernels::codebook::Source s{};
    s.codes = codes_.data(), s.codes_end = codes_.end();
    s.row_bytes = row_bytes_, s.book_bytes = row_bytes_ * blocks_;
    s.entries = entries_.data(), s.entry_stride = stride_;
    s.book_stride = stride_ << c_.bits, s.scope_stride = s.book_stride * c_.books;
    s.scope_rows = c_.scope_rows;
    s.bits = c_.bits, s.books = c_.books, s.dim = c_.dim;
    return s;
  }
  float weight(size_t n, size_t k) const { return weights_[n * c_.inputs + k]; }
  size_t blocks() const { return blocks_; }

 private:
  // Writes a code bit by bit and adds what it stands for to the decoded weights.
  void put(uint32_t book, size_t block, size_t n, uint32_t code) {
    uint8_t* row = codes_.data() + (book * blocks_ + block) * row_bytes_;
    for (uint32_t b = 0; b < c_.bits; ++b) {
      const size_t bit = n * c_.bits + b;
      row[bit / 8] = static_cast<uint8_t>(row[bit / 8] | ((code >> b & 1u) << bit % 8));
    }
    const size_t scope = c_.scope_rows == 0 ? 0 : n / c_.scope_rows;
    const float* entry =
        entries_.data() + (((scope * c_.books + book) << c_.bits) + code) * stride_;
    for (size_t t = 0; t < c_.dim && block * c_.dim + t < c_.inputs; ++t)
      weights_[n * c_.inputs + block * c_.dim + t] += entry[t];
  }

  CodebookCase c_;
  size_t blocks_, row_bytes_, stride_, scopes_;
  GuardedBuffer<uint8_t> codes_;
  GuardedBuffer<float> entries_;
  std::vector<float> weights_;
};

// Fills with values in [-1, 1).
inline void fill(const GuardedBuffer<float>& b, uint64_t seed) {
  Random random(seed);
  for (float& v : b) v = random.real();
}

// |got - want| <= (terms + 4) * 2^-24 * magnitude: the bound of a sum of `terms` products
// in any order, magnitude being the sum of their absolute values.
inline bool close(float got, double want, size_t terms, double magnitude) {
  return std::abs(got - want) <= static_cast<double>(terms + 4) * 0x1p-24 * magnitude + 1e-30;
}

// The cases every kit must survive: dims and code widths that hurt, several books,
// scopes, short last blocks, one output, one input.
inline std::vector<CodebookCase> codebook_cases() {
  std::vector<CodebookCase> cases;
  for (uint32_t dim : {1u, 2u, 3u, 4u, 7u, 8u, 9u, 16u, 18u, 32u}) {
    cases.push_back({37, dim * 5, dim, 8, 1, 0});
    cases.push_back({16, dim * 3 + 1, dim, 4, 2, 8});  // the last block is short
  }
  for (uint32_t bits : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 10u, 11u, 12u})
    cases.push_back({45, 24, 4, bits, 1, 0});
  for (uint32_t books : {1u, 2u, 3u, 4u}) cases.push_back({33, 40, 8, 5, books, 11});
  for (size_t outputs : {1u, 2u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 64u, 97u})
    cases.push_back({outputs, 19, 3, 6, 1, 0});
  cases.push_back({5, 1, 1, 8, 1, 0});
  cases.push_back({3, 1, 1024, 2, 1, 0});
  cases.push_back({40, 1153, 9, 8, 1, 20});  // deep
  return cases;
}

}  // namespace qrt::test

#endif  // QRT_TESTS_KERNELS_CODEBOOK_CASE_H_

// Small .qrt files made in memory: for tests of operators (build a graph, open
// it through the public API) and of the validator (change any one field of
// `model`, or any byte of the result, and put the checksums right again).
//
//   ModelBuilder b;
//   const uint32_t x = b.tensor("x", {1, 8, 8, 3}), y = b.tensor("y", {1, 8, 8, 16});
//   const uint32_t w = b.dense("w", 16, 27, random_floats(16 * 27, 1));
//   b.conv2d("conv", x, y, w, 3, 3).pad_top = 1;
//   b.input(x), b.output(y);
//   std::vector<uint8_t> file = b.finish();
#ifndef QRT_TESTS_SUPPORT_MODEL_BUILDER_H_
#define QRT_TESTS_SUPPORT_MODEL_BUILDER_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "qrt_generated.h"
#include "runtime/base/span.h"

namespace qrt::testing {

// n values in [lo, hi), the same for the same seed on every machine.
std::vector<float> random_floats(size_t n, uint32_t seed, float lo = -1, float hi = 1);

// A codebook layer in words; entries and codes are random, from `seed`.
struct CodebookSpec {
  uint32_t outputs, inputs, count, dim;
  uint32_t books = 1, scope_rows = 0;
  fb::DType entry = fb::DType::f32;
  fb::InputOrder order = fb::InputOrder::cin_kh_kw;
  uint32_t seed = 1;
};

class ModelBuilder {
 public:
  ModelBuilder();
  fb::ModelT model;  // everything may be edited before finish()

  // Each returns the index of what it appended.
  uint32_t buffer(const void* data, size_t bytes);
  template <class T>
  uint32_t buffer(const std::vector<T>& v) {
    return buffer(v.data(), v.size() * sizeof(T));
  }
  uint32_t tensor(const std::string& name, const std::vector<int32_t>& dims, bool batched = true,
                  fb::DType dtype = fb::DType::f32);
  uint32_t constant_tensor(const std::string& name, const std::vector<int32_t>& dims,
                           const std::vector<float>& values);
  // values [output][input] f32.
  uint32_t dense(const std::string& name, uint32_t outputs, uint32_t inputs,
                 const std::vector<float>& values,
                 fb::InputOrder order = fb::InputOrder::cin_kh_kw);
  uint32_t codebook(const std::string& name, const CodebookSpec&);

  std::unique_ptr<fb::ConstantT> constant(const std::vector<float>& values);  // f32

  // Appends an operator without options; the named forms add those of their kind.
  fb::OperatorT& op(const std::string& name, fb::OpKind, const std::vector<uint32_t>& inputs,
                    uint32_t output);
  // No padding, stride and dilation 1, one group, empty epilogue; edit what is returned.
  fb::Conv2dT& conv2d(const std::string& name, uint32_t in, uint32_t out, uint32_t weights,
                      uint32_t kernel_h, uint32_t kernel_w);
  fb::LinearT& linear(const std::string& name, uint32_t in, uint32_t out, uint32_t weights);
  fb::Pool2dT& pool2d(const std::string& name, fb::PoolMode, uint32_t in, uint32_t out,
                      uint32_t kernel_h, uint32_t kernel_w);
  fb::Pool2dT& global_pool(const std::string& name, fb::PoolMode, uint32_t in, uint32_t out);

  void input(uint32_t tensor);  // a port named as its tensor
  void output(uint32_t tensor);

  std::vector<uint8_t> finish() const;
};

// The file of `model`, with all checksums and file_bytes right.
std::vector<uint8_t> seal(const fb::ModelT& model);
// As seal(), but file_bytes and checksums are those of `model` as they stand.
std::vector<uint8_t> pack(const fb::ModelT& model);

// Where the checksums of a good file lie, to put them right after bytes were changed.
struct Seals {
  size_t file_checksum_at = 0;
  struct Bulk {
    size_t data_at, bytes, checksum_at;
  };
  std::vector<Bulk> buffers;
};
Seals find_seals(const std::vector<uint8_t>& good_file);
void reseal(std::vector<uint8_t>& file, const Seals&);

// A model of every operator kind that a residual network needs, with a dense and
// a codebook layer, preprocessing, labels and provenance. About 3 KB.
ModelBuilder sample_model();

// A copy that starts `offset` bytes past a 64-byte boundary.
class AlignedBytes {
 public:
  explicit AlignedBytes(const std::vector<uint8_t>& bytes, size_t offset = 0);
  ~AlignedBytes();
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  Span<const uint8_t> bytes() const { return {data_ + offset_, size_}; }

 private:
  uint8_t* data_;
  size_t offset_, size_;
};

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_MODEL_BUILDER_H_

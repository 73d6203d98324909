// Layers whose input is bits and whose weights are one plane of signs: sums are counts of bits
// that differ (kernels/bits). Weights are read from the file, or kept as a way of that family lays
// them out, within what the session may keep.
#ifndef QRT_RUNTIME_OPS_BITS_LAYER_H_
#define QRT_RUNTIME_OPS_BITS_LAYER_H_

#include "kernels/bits/border.h"
#include "runtime/ops/int8_layer.h"
#include "runtime/ops/thresholds.h"

namespace qrt {

// Whether the weights are one plane of signs per output, as the file holds it.
bool is_sign_plane(const Weights&);

class BitsOp final : public Op {
 public:
  Status prepare(const Node&, PrepareContext&) override;
  Status run(const RunContext&) const override;
  const char* kernel_name() const override { return kernel_name_; }
  const char* choice() const override { return choice_.text(); }

 private:
  using Shape = kernels::bits::Shape;

  Status check_tensors(const Epilogue&, PrepareContext&);
  Status find_classes(PrepareContext&);
  Status choose(const Epilogue&, PrepareContext&);
  Status pack(const Epilogue&, PrepareContext&);
  Status make_bases(int32_t* base, const PrepareContext&) const;
  Status reserve(PrepareContext&);
  Shape shape_of(size_t rows) const;
  void item(const RunContext&, size_t i, uint32_t thread) const;
  void compute(const RunContext&, size_t group, size_t row0, size_t rows, size_t output,
               size_t outputs, std::byte* own) const;
  void give(const RunContext&, kernels::bits::Args&, size_t row0, size_t output,
            std::byte* own) const;
  void store(const RunContext&, size_t row0, size_t rows, const float* sums) const;
  size_t class_of(size_t row) const;

  Int8Layer layer_;
  Thresholds thresholds_;
  bool to_bits_ = false;  // the output is packed
  bool direct_ = false;   // and a way of the kernels packs it
  bool gathers_ = false;
  const kernels::bits::Row* row_ = nullptr;
  size_t words_ = 0;   // of a row of one group
  size_t stride_ = 0;  // words from one row of x to the next where rows lie in place

  // Kinds of windows along both axes; a class is one of each.
  const uint32_t *kind_y_ = nullptr, *kind_x_ = nullptr;
  const kernels::bits::Inside* inside_ = nullptr;  // [class]
  size_t kinds_x_ = 1, classes_ = 1;
  bool few_classes_ = true;  // as many as a call may have

  const int32_t* base_ = nullptr;  // [class][output]; null where bounds are packed
  std::byte* kept_ = nullptr;      // [group]
  size_t kept_bytes_ = 0;          // of a group

  // An item is a chunk of rows, of a range of outputs of a group or, where these are gathered into
  // whole rows of sums, of all groups.
  size_t chunk_ = 1, chunks_ = 0, range_ = 1, ranges_ = 1, groups_apart_ = 1;
  size_t rows_at_ = 0, class_at_ = 0, sums_at_ = 0, own_bytes_ = 0;
  ScratchSlot own_ = 0;
  char kernel_name_[40] = "";
  ChoiceText choice_;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_BITS_LAYER_H_

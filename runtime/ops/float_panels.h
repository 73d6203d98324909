// f32 layers by panels: weights become f32 panels just in time, a register-tiled
// GEMM multiplies them, and the panels are forgotten.
//
//   item = panels of one group of outputs x a chunk of rows        (split over threads)
//     for each step of K:  make the panels                          (in L2)
//       for each tile of rows:  gather it                           (in L1)
//         for each panel:  tile x panel, sums stay in registers
//
// How a panel is made is the encoding's: codebook_decode.cc, lowbit_float.cc.
#ifndef QRT_RUNTIME_OPS_FLOAT_PANELS_H_
#define QRT_RUNTIME_OPS_FLOAT_PANELS_H_

#include "runtime/ops/codebook_layer.h"

namespace qrt {

class FloatPanels : public CodebookStrategy {
 public:
  Status prepare(const CodebookLayer&, PrepareContext&) final;
  Status run(const CodebookLayer&, const RunContext&) const final;

 protected:
  // Inputs [k0, k1) of `outputs` <= tile.n outputs, as PanelArgs of kernels/codebook says.
  struct Panel {
    size_t first_output, outputs, k0, k1;
    float* to;
    float* work;  // work_floats() of them
  };
  // Inputs that a panel holds, and what preparing and every run begin with.
  virtual size_t step_of(const CodebookLayer&) const = 0;
  virtual Status begin_prepare(const CodebookLayer&, PrepareContext&, size_t step) = 0;
  virtual size_t work_floats(const CodebookLayer&, size_t) const { return 0; }
  virtual kernels::codebook::Source begin_run(const CodebookLayer&, const RunContext&) const {
    return {};
  }
  virtual void make(const CodebookLayer&, const kernels::codebook::Source&, const Panel&) const = 0;

 private:
  struct Rows {
    size_t group, begin, end, k0, k1;
  };
  void divide(const CodebookLayer&, const kernels::Tile&);
  void item(const CodebookLayer&, const RunContext&, const kernels::codebook::Source&, size_t i,
            float* own) const;
  void multiply(const CodebookLayer&, const RunContext&, const Rows&, size_t first_panel,
                size_t panels, float* own) const;

  size_t step_ = 0, panels_ = 0, panel_items_ = 0, chunk_tiles_ = 0, chunks_ = 0;
  size_t row_stride_ = 0, rows_at_ = 0, work_at_ = 0, thread_bytes_ = 0;
  ScratchSlot own_ = 0;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_FLOAT_PANELS_H_

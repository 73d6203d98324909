// What folding knows of weights that it rounds: a FakeQuantize or a sign of constants
// says which grid its result lies on. The knowledge follows the constant through moves,
// and where the constant becomes the weight of a layer it becomes an encoding, if that
// gives the same floats bit by bit.
#ifndef QRT_CONVERTER_PASSES_FOLDED_GRIDS_H_
#define QRT_CONVERTER_PASSES_FOLDED_GRIDS_H_

#include <cstddef>
#include <map>
#include <vector>

#include "converter/ir/graph.h"

namespace qrt::passes {

class FoldedGrids {
 public:
  // Of a node of constants that is about to be folded.
  void note(const ir::Graph&, const ir::Node&);
  // Gives the weights of convolutions and linear layers their encodings.
  void encode(ir::Graph&) const;

 private:
  // scale * (q - zero) with q from low to high; signs: +scale and -scale.
  struct Grid {
    bool signs = false;
    float low = 0, high = 0;
    std::vector<float> scale, zero;  // one each, or as many as the axis is long
    size_t axis = 0;
  };

  static Grid grid_of(const ir::Graph&, const ir::Node&, const ir::FakeQuantize&);
  std::map<ir::ValueId, Grid> grids_;  // in order, so that constants are made in order
};

}  // namespace qrt::passes

#endif  // QRT_CONVERTER_PASSES_FOLDED_GRIDS_H_

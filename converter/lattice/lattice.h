// Weights that lie on a lattice although they arrive as plain floats: networks
// trained by a method's own code and exported without a special exporter. What
// is recognised is stored in the smallest encoding that decodes to the same
// floats; README.md lists what is looked for and how.
#ifndef QRT_CONVERTER_LATTICE_LATTICE_H_
#define QRT_CONVERTER_LATTICE_LATTICE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "converter/base/result.h"
#include "converter/ir/graph.h"
#include "converter/quant/encoding.h"

namespace qrt::lattice {

// A weight matrix of a layer, rows in the source's order.
struct Weights {
  std::span<const float> values;
  int64_t outputs = 0, inputs = 0;
  int64_t taps = 1;        // elements of a kernel, which are innermost
  bool has_blocks = true;  // whether the layer may be a codebook
};

struct Options {
  bool on = true;
  // How far a weight may be from what is stored, as a part of the largest magnitude of its matrix.
  // 0: not at all, but for the sign of a zero.
  double tolerance = 0;
  // Codebooks and integers alone: layers that will sum integers round all others anew.
  bool only_integers = false;
};

// The smallest encoding of all that fit, where it is clearly smaller than floats.
std::optional<quant::Encoding> find(const Weights&, const Options&);

// Bytes of bulk data: as encoded, and as floats (of f16 where all are).
uint64_t bytes_of(const quant::Encoding&, const Weights&);
uint64_t dense_bytes(const Weights&);

struct Found {
  std::string layer, encoding;  // as quant::describe() calls it
  int64_t outputs = 0, inputs = 0;
  uint64_t before = 0, after = 0;  // bytes
};

// Encodes every weight of Conv2d and Linear layers that is plain floats and has a lattice, source
// "lattice"; in the order of the graph.
std::vector<Found> recognise(ir::Graph&, const Options&);

// What recognise() found, a line for each layer.
std::string found_table(const std::vector<Found>&);

}  // namespace qrt::lattice

#endif  // QRT_CONVERTER_LATTICE_LATTICE_H_

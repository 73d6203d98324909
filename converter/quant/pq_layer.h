// Product quantization of one layer, whatever network it stands in: a matrix
// [outputs][inputs] becomes a Codebook. Drivers (product.h, searches) decide which
// layers, with which settings, on which activations.
#ifndef QRT_CONVERTER_QUANT_PQ_LAYER_H_
#define QRT_CONVERTER_QUANT_PQ_LAYER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "converter/base/result.h"
#include "converter/quant/encoding.h"

namespace qrt::quant {

// How many entries a layer of few blocks may have; p = outputs * blocks points are clustered.
enum class Clip {
  code,     // the largest power of two strictly below p / 4: the published code, and its files
  paper,    // p / 4, rounded down: "And the Bit Goes Down", section 4.1
  largest,  // the largest power of two up to p / 4: "Permute, Quantize, and Fine-tune"
};

// By which Gram matrices blocks are compared (metric.h).
enum class GramKind { none, shared, per_block };

struct PqLayerSettings {
  int32_t dim = 4;          // d, inputs per block
  int32_t centroids = 256;  // k of each book, before clipping
  int32_t books = 1;        // 1..4; several add up
  EntryType entry = EntryType::f16;
  Clip clip = Clip::code;
  GramKind gram = GramKind::shared;
  int32_t iterations = 100;  // of k-means, at most
  bool dense = false;        // the layer stays as it is; nothing else counts
};

struct PqLayer {
  Codebook book;
  // Energies lost, relative: |W - W'|^2 over |W|^2, and the same through the Gram matrices given
  // (without any, the two are equal). 0 where there is no energy.
  double weight_error = 0, output_error = 0;
};

// k clipped for stability. Below 2 there is nothing to share.
int32_t clipped_centroids(int32_t wanted, int64_t points, Clip clip = Clip::code);

// Sub-vectors of a matrix [outputs][inputs] in the order of the codes, [block][output][dim], zeros
// behind a short last block.
std::vector<float> blocks_of(std::span<const float> weights, int64_t outputs, int64_t inputs,
                             int32_t dim);

// Encodes `weights` [outputs][inputs]. `grams` is empty, [dim][dim] or [blocks][dim][dim] (sums of
// x x' over the layer's inputs, calibrate.h); with GramKind::shared the latter are added up, with
// GramKind::none they only measure. `threads` 0: all cores. A function of its arguments but for
// `threads`: the same bytes with any number of them and on every x86 level.
// Errors name no layer, the caller puts it in front: QRT-E0713 (weights not finite, or beyond f16),
// QRT-E0715 (settings out of range or contradictory), QRT-E0716 (Gram matrices of a wrong size or
// not finite), QRT-E0717 (fewer than two entries after clipping).
Result<PqLayer> encode_pq_layer(std::span<const float> weights, int64_t outputs, int64_t inputs,
                                const PqLayerSettings&, std::span<const double> grams,
                                uint64_t seed, int32_t threads = 0);

// The codes that suit the entries of `book` best, for weights, settings and metric as above: what
// remains to be done after entries were changed. Sizes of `book` must fit. Returns [book][block]
// [output]. Several books start from the codes of `book`, never to end worse.
std::vector<uint16_t> choose_codes(std::span<const float> weights, int64_t outputs, int64_t inputs,
                                   const Codebook& book, GramKind kind,
                                   std::span<const double> grams, int32_t threads = 0);

// weight_error and output_error of `book` as a substitute for the weights.
PqLayer measured(Codebook book, std::span<const float> weights, int64_t outputs, int64_t inputs,
                 std::span<const double> grams);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_PQ_LAYER_H_

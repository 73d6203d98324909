// The runtime's own reader and reference decoder, so that nothing is understood
// twice.
#include "converter/tools/stored_layers.h"

#include "converter/base/text.h"
#include "runtime/memory/arena.h"
#include "runtime/model/model.h"
#include "runtime/ops/decode_weights.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"

namespace qrt::verify {
namespace {

using io::ToolError;

std::vector<float> floats_of(const qrt::Constant& c) {
  std::vector<float> out(c.count);
  for (uint32_t i = 0; i < c.count; ++i) out[i] = read_constant(c, i);
  return out;
}

uint64_t stored_bytes(const Weights& w) {
  const auto constant = [](const qrt::Constant& c) { return uint64_t{c.count} * size_of(c.dtype); };
  if (w.encoding == Encoding::codebook)
    return w.codebook.codes.size() + w.codebook.entries.size() + constant(w.codebook.entry_scales);
  if (w.encoding == Encoding::table)
    return w.table.codes.size() + constant(w.table.values) + w.table.integers.size() +
           constant(w.table.scales.values) + constant(w.table.offset);
  if (w.encoding == Encoding::affine)
    return w.affine.codes.size() + w.affine.zero_halves.size() * sizeof(int16_t) +
           constant(w.affine.scales.values);
  if (w.encoding == Encoding::bit_planes)
    return w.bit_planes.counts.size() + w.bit_planes.planes.size() + constant(w.bit_planes.alphas);
  return w.dense.data.size() + constant(w.dense.scales.values);
}

std::string describe(const Weights& w) {
  const CodebookWeights& c = w.codebook;
  if (w.encoding == Encoding::codebook)
    return cat("codebook ", c.books > 1 ? cat(c.books, " of ") : "", c.count, " x ", c.dim);
  if (w.encoding == Encoding::dense) return cat("dense ", name_of(w.dense.dtype));
  return name_of(w.encoding);
}

// The file's input order to the graph's (cin, kh, kw).
std::vector<float> to_graph_order(const Node& n, const Weights& w, std::vector<float> decoded) {
  if (w.order != InputOrder::kh_kw_cin || n.kind == OpKind::linear) return decoded;
  const Window& taps = n.kind == OpKind::conv2d ? n.conv2d->window : n.conv_transpose->window;
  const size_t window = size_t{taps.kernel_h} * taps.kernel_w;
  const size_t channels = w.inputs / window;
  std::vector<float> out(decoded.size());
  for (size_t o = 0; o < w.outputs; ++o)
    for (size_t k = 0; k < window; ++k)
      for (size_t c = 0; c < channels; ++c)
        out[o * w.inputs + c * window + k] = decoded[o * w.inputs + k * channels + c];
  return out;
}

StoredLayer decode(const std::string& path, const Node& n, const Weights& w) {
  StoredLayer layer;
  const uint64_t scalars = uint64_t{w.outputs} * w.inputs;
  layer.encoding = describe(w);
  layer.bits_per_weight = 8.0 * static_cast<double>(stored_bytes(w)) / static_cast<double>(scalars);
  layer.compressed = w.encoding != Encoding::dense;
  std::vector<float> decoded(static_cast<size_t>(scalars));
  const Status s = decode_weights(w, decoded.data());
  if (!s.ok())
    throw ToolError(
        460, path + ": layer " + n.name + ": " + s.what() + "; this build cannot compare it");
  layer.weights = to_graph_order(n, w, std::move(decoded));
  return layer;
}

}  // namespace

std::map<std::string, StoredLayer> read_layers(const std::string& path) {
  const io::MappedFile file(path);
  Arena keep(default_allocator());
  Model model;
  const Status opened = open_model({file.data(), file.size()}, keep, model);
  if (!opened.ok())
    throw ToolError(opened.id(), path + ": " + opened.what() + "; " + opened.hint());
  std::map<std::string, StoredLayer> layers;
  for (const Node& n : model.nodes) {
    StoredLayer layer;
    if (const Weights* weights = weights_of(n)) {
      layer = decode(path, n, *weights);
      layer.scale = floats_of(epilogue_of(n)->scale);
      layer.bias = floats_of(epilogue_of(n)->bias);
    } else if (n.kind == OpKind::affine) {
      layer.scale = floats_of(n.affine->scale);
      layer.bias = floats_of(n.affine->bias);
    } else {
      continue;
    }
    layers.emplace(n.name, std::move(layer));
  }
  return layers;
}

}  // namespace qrt::verify

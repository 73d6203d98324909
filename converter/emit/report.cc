// What a file's bytes are made of; see emit.h. Counts what bulk.cc would write.
#include <set>
#include <tuple>

#include "converter/base/text.h"
#include "converter/emit/bulk.h"
#include "converter/emit/emit.h"

namespace qrt::emit {

namespace {

uint64_t number_bytes(const std::vector<float>& v) {
  return v.size() * (fits_half(v) ? 2u : 4u);
}

void count_weights(const lower::Weights& w, LayerBytes& r) {
  r.weights = w.name;
  r.outputs = w.outputs;
  r.inputs = w.inputs;
  if (w.encoding == nullptr) {
    r.encoding = fits_half(w.dense) ? "dense f16" : "dense f32";
    r.dense = number_bytes(w.dense);
    return;
  }
  const quant::StoredBytes s = quant::stored_bytes(*w.encoding, w.outputs, w.inputs);
  r.dense = s.dense;
  r.encoding = quant::describe(*w.encoding);
  r.codes = s.codes;
  r.entries = s.entries;
  r.entry_scales = s.scales;
}

}  // namespace

double LayerBytes::bits_per_weight() const {
  const double weights_count = static_cast<double>(outputs) * static_cast<double>(inputs);
  return weights_count == 0 ? 0 : 8.0 * static_cast<double>(weight_bytes()) / weights_count;
}

SizeReport size_report(const lower::File& file, uint64_t file_bytes) {
  SizeReport r;
  std::set<uint32_t> seen;
  for (const lower::Operator& op : file.operators) {
    const bool is_layer = lower::is_layer(op.kind);
    r.vectors += number_bytes(op.scale) + number_bytes(op.bias);
    if (!is_layer) continue;
    LayerBytes layer;
    layer.layer = op.name;
    layer.vectors = number_bytes(op.scale) + number_bytes(op.bias);
    if (seen.insert(op.weights).second) count_weights(file.weights[op.weights], layer);
    r.codes += layer.codes;
    r.entries += layer.entries;
    r.entry_scales += layer.entry_scales;
    r.dense += layer.dense;
    r.layers.push_back(std::move(layer));
  }
  const uint64_t counted = r.codes + r.entries + r.entry_scales + r.dense + r.vectors;
  r.file_bytes = file_bytes;
  r.rest =
      file_bytes > counted ? file_bytes - counted : 0;  // shared buffers count once in the file
  return r;
}

}  // namespace qrt::emit

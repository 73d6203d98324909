// Only the codebook is kept: its errors follow from it in no time.
#include "converter/quant/kept_layer.h"

#include "converter/base/file.h"

namespace qrt::quant {

std::string layer_key(std::span<const float> weights, int64_t outputs, int64_t inputs,
                      const PqLayerSettings& s, std::span<const double> grams, uint64_t seed) {
  Fingerprint print;
  print.add("pq layer").add(weights.data(), weights.size_bytes());
  print.add(grams.data(), grams.size_bytes());
  for (const int64_t v :
       {outputs, inputs, int64_t{s.dim}, int64_t{s.centroids}, int64_t{s.books},
        static_cast<int64_t>(s.entry), static_cast<int64_t>(s.clip), static_cast<int64_t>(s.gram),
        int64_t{s.iterations}, int64_t{s.dense}, static_cast<int64_t>(seed)})
    print.add(v);
  return print.hex();
}

double layer_work(int64_t outputs, int64_t inputs, const PqLayerSettings& s) {
  return static_cast<double>(outputs * inputs) * s.centroids * s.books;
}

Result<PqLayer> encode_kept_layer(Journal* journal, std::span<const float> weights, int64_t outputs,
                                  int64_t inputs, const PqLayerSettings& settings,
                                  std::span<const double> grams, uint64_t seed, int32_t threads,
                                  bool* found) {
  if (found != nullptr) *found = false;
  if (journal == nullptr)
    return encode_pq_layer(weights, outputs, inputs, settings, grams, seed, threads);
  const std::string key = layer_key(weights, outputs, inputs, settings, grams, seed);
  if (const std::string* bytes = journal->find(key)) {
    std::optional<Codebook> book = codebook_from(*bytes);
    if (book && check(Encoding(*book), outputs, inputs).ok()) {
      if (found != nullptr) *found = true;
      return measured(std::move(*book), weights, outputs, inputs, grams);
    }
  }
  auto layer = encode_pq_layer(weights, outputs, inputs, settings, grams, seed, threads);
  if (layer.ok()) journal->record(key, to_bytes(layer->book));
  return layer;
}

}  // namespace qrt::quant

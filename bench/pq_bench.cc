// Product quantization of single layers: how long it takes, and what several books
// are worth against one.
//   pq_bench [THREADS]                   a 2048 x 512 layer, d = 8, with a hash of the result
//   pq_bench MODEL.onnx DATA.npy [ROWS]  every layer of a network, by kinds of books
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "converter/base/file.h"
#include "converter/cli/convert.h"
#include "converter/cli/data.h"
#include "converter/ir/edit.h"
#include "converter/quant/calibrate.h"
#include "converter/quant/pq_layer.h"
#include "converter/quant/random.h"
#include "runtime/tools/io/error.h"

namespace {

using namespace qrt;         // NOLINT: a program
using namespace qrt::quant;  // NOLINT

PqLayerSettings settings(int32_t dim, int32_t centroids, int32_t books) {
  PqLayerSettings s;
  s.dim = dim, s.centroids = centroids, s.books = books;
  return s;
}

std::string hash(const Codebook& b) {
  std::string bytes(reinterpret_cast<const char*>(b.codes.data()), b.codes.size() * 2);
  bytes.append(reinterpret_cast<const char*>(b.entries.data()), b.entries.size() * 4);
  return sha256_hex(bytes.data(), bytes.size()).substr(0, 16);
}

void time_one(const char* what, const PqLayerSettings& s, const std::vector<double>& grams,
              int32_t threads) {
  constexpr int64_t kOutputs = 2048, kInputs = 512;
  Random r(1);
  std::vector<float> w(kOutputs * kInputs);
  for (float& v : w) v = static_cast<float>(0.05 * r.normal());
  const auto start = std::chrono::steady_clock::now();
  const auto layer = encode_pq_layer(w, kOutputs, kInputs, s, grams, 1, threads);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (!layer.ok()) {
    std::printf("%s: %s\n", what, layer.error().message.c_str());
    return;
  }
  std::printf("| %s | %.2f | %.4f | %s |\n", what, took.count(), layer->output_error,
              hash(layer->book).c_str());
}

int time_layers(int32_t threads) {
  // Grams of 64 blocks whose inputs are correlated and differ in scale.
  Random r(2);
  std::vector<double> per_block;
  for (int block = 0; block < 64; ++block) {
    std::vector<double> g(64, 0.0), x(8);
    for (int row = 0; row < 64; ++row) {
      double level = 0;
      for (double& v : x) v = level = 0.6 * level + r.normal() * (1 + block % 5);
      for (size_t i = 0; i < 64; ++i) g[i] += x[i / 8] * x[i % 8];
    }
    per_block.insert(per_block.end(), g.begin(), g.end());
  }
  std::printf("2048 x 512, d = 8, at most 100 iterations, %d threads (0: all cores)\n\n", threads);
  std::printf("| books x entries | s | output error | sha256 |\n|---|---|---|---|\n");
  PqLayerSettings s = settings(8, 256, 1);
  time_one("1 x 256", s, per_block, threads);
  s.gram = GramKind::per_block;
  time_one("1 x 256, G per block", s, per_block, threads);
  time_one("2 x 16", settings(8, 16, 2), per_block, threads);
  time_one("2 x 256", settings(8, 256, 2), per_block, threads);
  time_one("1 x 2048", settings(8, 2048, 1), per_block, threads);
  return 0;
}

struct Tried {
  double error = 0;
  uint64_t bytes = 0;
  int32_t count = 0;
};

Tried tried(const std::vector<float>& w, int64_t outputs, int64_t inputs, const PqLayerSettings& s,
            const Gram& gram) {
  const auto layer = encode_pq_layer(w, outputs, inputs, s, gram.sums, 1);
  if (!layer.ok()) return {};
  const StoredBytes b = stored_bytes(Encoding(layer->book), outputs, inputs);
  return {layer->output_error, b.codes + b.entries + b.scales, layer->book.count};
}

// One book with the most entries whose codes and entries fit into `bytes`.
Tried best_within(uint64_t bytes, const std::vector<float>& w, int64_t outputs, int64_t inputs,
                  int32_t dim, const Gram& gram) {
  const int64_t blocks = (inputs + dim - 1) / dim;
  for (int32_t k = 256; k >= 2; --k) {
    Codebook b;
    b.count = k, b.dim = dim;
    b.entries.resize(static_cast<size_t>(k) * static_cast<size_t>(dim));
    const StoredBytes size = stored_bytes(Encoding(b), outputs, inputs);
    if (size.codes + size.entries > bytes || k > outputs * blocks / 4) continue;
    PqLayerSettings s = settings(dim, k, 1);
    s.clip = Clip::paper;
    return tried(w, outputs, inputs, s, gram);
  }
  return {};
}

int compare_books(const std::string& model, const std::string& data, int64_t rows) {
  const cli::Source source = cli::load_source(model, "", {}, false);
  const ir::Graph& g = source.graph;
  const CalibrationData samples{cli::load_inputs(g, "DATA", {data}, std::nullopt, rows)};
  std::vector<GramRequest> requests;
  for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(g.nodes.size()); ++i) {
    const auto* conv = std::get_if<ir::Conv2d>(&g.nodes[i].attr);
    if (!conv && !std::holds_alternative<ir::Linear>(g.nodes[i].attr)) continue;
    if (conv && conv->groups > 1) continue;
    const bool is_3x3 = conv && conv->window.kernel[0] == 3 && conv->window.kernel[1] == 3;
    requests.push_back({i, is_3x3 ? 9 : 4});
  }
  const auto grams = collect_grams(g, requests, samples, 16, 1);
  if (!grams.ok()) throw io::ToolError(grams.error().id, grams.error().message);
  std::printf(
      "| layer | weights | d | 1 x k: k, bytes, error | 2 x 16: bytes, error | "
      "1 x k in the bytes of 2 x 16: k, bytes, error |\n|---|---|---|---|---|---|\n");
  Tried sums[3];
  int layers = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const ir::Node& node = g.nodes[requests[i].node];
    const ir::Constant* c = ir::constant_of(g, node.in[1]);
    if (!c || c->data.empty()) continue;
    const int64_t outputs = g.values[node.in[1]].shape[0];
    const int64_t inputs = ir::element_count(g.values[node.in[1]].shape) / outputs;
    const int32_t d = requests[i].dim;
    const Tried t[3] = {tried(c->data, outputs, inputs, settings(d, 256, 1), (*grams)[i]),
                        tried(c->data, outputs, inputs, settings(d, 16, 2), (*grams)[i]),
                        {}};
    if (t[0].count == 0 || t[1].count == 0) continue;
    const Tried equal = best_within(t[1].bytes, c->data, outputs, inputs, d, (*grams)[i]);
    const auto b = [](uint64_t v) { return static_cast<unsigned long long>(v); };
    std::printf("| %s | %lld | %d | %d, %llu, %.4f | %llu, %.4f | %d, %llu, %.4f |\n",
                node.name.c_str(), static_cast<long long>(outputs * inputs), d, t[0].count,
                b(t[0].bytes), t[0].error, b(t[1].bytes), t[1].error, equal.count, b(equal.bytes),
                equal.error);
    std::fflush(stdout);
    const Tried* row[3] = {&t[0], &t[1], &equal};
    for (int k = 0; k < 3; ++k) sums[k].error += row[k]->error, sums[k].bytes += row[k]->bytes;
    ++layers;
  }
  std::printf("| mean error, all bytes | | |");
  for (const Tried& s : sums)
    std::printf(" %llu, %.4f |", static_cast<unsigned long long>(s.bytes), s.error / layers);
  std::printf("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc <= 2) return time_layers(argc == 2 ? std::atoi(argv[1]) : 0);
  try {
    return compare_books(argv[1], argv[2], argc > 3 ? std::atoll(argv[3]) : 64);
  } catch (const io::ToolError& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

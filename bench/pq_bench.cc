// Product quantization of single layers: how long it takes, and what several books
// are worth against one.
//   pq_bench [THREADS]                     a 2048 x 512 layer, d = 8, with a hash of the result
//   pq_bench MODEL.onnx DATA.npy [WAY...]  every layer of a network, in several ways
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
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
  const std::clock_t cpu = std::clock();
  auto layer = encode_pq_layer(w, kOutputs, kInputs, s, grams, 1, threads);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double busy = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  if (!layer.ok()) {
    std::printf("%s: %s\n", what, layer.error().message.c_str());
    return;
  }
  std::printf("| %s | %.2f | %.2f | %.4f | %s |\n", what, took.count(), busy, layer->output_error,
              hash(layer->book).c_str());
  std::fflush(stdout);
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
  std::printf(
      "| books x entries | s | s of all cores | output error | sha256 |\n|---|---|---|---|---|\n");
  PqLayerSettings s = settings(8, 256, 1);
  time_one("1 x 256", s, per_block, threads);
  s.gram = GramKind::per_block;
  time_one("1 x 256, G per block", s, per_block, threads);
  time_one("2 x 16", settings(8, 16, 2), per_block, threads);
  time_one("2 x 256", settings(8, 256, 2), per_block, threads);
  time_one("1 x 2048", settings(8, 2048, 1), per_block, threads);
  return 0;
}

// A way to code a layer: "2x16" is two books of 16 entries, with "/8" behind it in blocks of 8
// (else 9 for 3x3 kernels, 4 for others); "=2x16" is one book, with as many entries as fit into
// the bytes of two of 16.
struct Way {
  int32_t books = 1, count = 256, dim = 0;
  bool is_one_as_large = false;
};

struct Tried {
  double error = 0;
  uint64_t bytes = 0;
  int32_t count = 0;
};

struct Layer {
  std::string name;
  const std::vector<float>* weights;
  int64_t outputs, inputs;
  ir::NodeId node;
  int32_t dim;
};

Tried tried(const Layer& l, const PqLayerSettings& s, const Gram& gram) {
  auto layer = encode_pq_layer(*l.weights, l.outputs, l.inputs, s, gram.sums, 1);
  if (!layer.ok()) return {};
  const StoredBytes b = stored_bytes(Encoding(layer->book), l.outputs, l.inputs);
  return {layer->output_error, b.codes + b.entries + b.scales, layer->book.count};
}

uint64_t bytes_of(const Layer& l, int32_t books, int32_t count, int32_t dim) {
  Codebook b;
  b.books = books, b.count = count, b.dim = dim;
  b.entries.resize(static_cast<size_t>(books * count * dim));
  const StoredBytes size = stored_bytes(Encoding(b), l.outputs, l.inputs);
  return size.codes + size.entries;
}

Tried tried(const Layer& l, const Way& way, int32_t dim, const Gram& gram) {
  if (!way.is_one_as_large) return tried(l, settings(dim, way.count, way.books), gram);
  const int64_t points = l.outputs * ((l.inputs + dim - 1) / dim);
  const uint64_t most = bytes_of(l, way.books, clipped_centroids(way.count, points), dim);
  for (int32_t k = 4096; k >= 2; --k) {
    if (k > points / 4 || bytes_of(l, 1, k, dim) > most) continue;
    PqLayerSettings s = settings(dim, k, 1);
    s.clip = Clip::paper;
    return tried(l, s, gram);
  }
  return {};
}

Way parse(const char* text) {
  Way way;
  way.is_one_as_large = *text == '=';
  if (std::sscanf(text + way.is_one_as_large, "%dx%d/%d", &way.books, &way.count, &way.dim) < 2)
    throw io::ToolError(400,
                        std::string(text) + " is no way to code a layer; write 2x16 or 2x16/8");
  return way;
}

std::vector<Layer> layers_of(const ir::Graph& g) {
  std::vector<Layer> out;
  for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(g.nodes.size()); ++i) {
    const auto* conv = std::get_if<ir::Conv2d>(&g.nodes[i].attr);
    if (!conv && !std::holds_alternative<ir::Linear>(g.nodes[i].attr)) continue;
    const ir::Constant* c = ir::constant_of(g, g.nodes[i].in[1]);
    if ((conv && conv->groups > 1) || !c || c->data.empty()) continue;
    const bool is_3x3 = conv && conv->window.kernel[0] == 3 && conv->window.kernel[1] == 3;
    const std::vector<int64_t>& shape = g.values[g.nodes[i].in[1]].shape;
    out.push_back({g.nodes[i].name, &c->data, shape[0], ir::element_count(shape) / shape[0], i,
                   is_3x3 ? 9 : 4});
  }
  return out;
}

void print(const Tried& t) {
  if (t.count == 0)
    std::printf(" - |");
  else
    std::printf(" %d: %llu, %.4f |", t.count, static_cast<unsigned long long>(t.bytes), t.error);
}

int compare(const std::string& model, const std::string& data, const std::vector<Way>& ways,
            char** names) {
  const cli::Source source = cli::load_source(model, "", {}, false);
  const ir::Graph& g = source.graph;
  const CalibrationData samples{cli::load_inputs(g, "DATA", {data}, std::nullopt, 64)};
  const std::vector<Layer> layers = layers_of(g);
  // Layer by layer the ways in turn; requests that repeat are cheap beside k-means.
  std::vector<GramRequest> requests;
  for (const Layer& l : layers)
    for (const Way& w : ways) requests.push_back({l.node, w.dim > 0 ? w.dim : l.dim});
  auto grams = collect_grams(g, requests, samples, 16, 1);
  if (!grams.ok()) throw io::ToolError(grams.error().id, grams.error().message);
  std::printf("Entries of a book: bytes of codes and entries, output energy lost\n\n| layer |");
  for (size_t w = 0; w < ways.size(); ++w) std::printf(" %s |", names[w]);
  std::printf("\n|---|");
  for (size_t w = 0; w < ways.size(); ++w) std::printf("---|");
  std::vector<Tried> sums(ways.size());
  int counted = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    std::printf("\n| %s |", layers[i].name.c_str());
    std::vector<Tried> row;
    bool is_complete = true;
    for (size_t w = 0; w < ways.size(); ++w) {
      const size_t request = i * ways.size() + w;
      row.push_back(tried(layers[i], ways[w], requests[request].dim, (*grams)[request]));
      print(row.back());
      std::fflush(stdout);
      is_complete = is_complete && row.back().count > 0;
    }
    if (!is_complete) continue;
    ++counted;
    for (size_t w = 0; w < ways.size(); ++w)
      sums[w].error += row[w].error, sums[w].bytes += row[w].bytes;
  }
  std::printf("\n| mean error, bytes of all |");
  for (const Tried& t : sums)
    std::printf(" %llu, %.4f |", static_cast<unsigned long long>(t.bytes), t.error / counted);
  std::printf("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc <= 2) return time_layers(argc == 2 ? std::atoi(argv[1]) : 0);
  try {
    std::vector<Way> ways;
    for (int i = 3; i < argc; ++i) ways.push_back(parse(argv[i]));
    if (!ways.empty()) return compare(argv[1], argv[2], ways, argv + 3);
    char words[3][8] = {"1x256", "2x16", "=2x16"};
    char* names[3] = {words[0], words[1], words[2]};
    return compare(argv[1], argv[2], {{1, 256}, {2, 16}, {2, 16, 0, true}}, names);
  } catch (const io::ToolError& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

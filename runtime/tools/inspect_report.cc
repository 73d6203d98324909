// The findings of qrt inspect as a table and as JSON.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "runtime/tools/inspect.h"
#include "runtime/tools/io/npy.h"

namespace qrt::tools {
namespace {

using nlohmann::ordered_json;

std::string hex(uint64_t v) {
  char text[20];
  std::snprintf(text, sizeof text, "%016" PRIx64, v);
  return text;
}

std::string fixed(double v, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, v);
  return text;
}

std::string port_shape(const qrt::Model& m, const Port& p) {
  const TensorInfo& t = m.tensors[p.tensor];
  std::vector<int64_t> dims(t.shape.dim.begin(), t.shape.dim.begin() + t.shape.rank);
  return std::string(name_of(t.dtype)) + " " + io::shape_text(dims) +
         (t.batched ? ", batch free" : "");
}

// Columns as wide as their widest cell; figures to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text(size_t words) const {  // the first `words` columns are words
    std::vector<size_t> width(rows_[0].size());
    for (const auto& row : rows_)
      for (size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
    std::string out;
    for (const auto& row : rows_) {
      std::string line;
      for (size_t c = 0; c < row.size(); ++c) {
        const std::string pad(width[c] - row[c].size(), ' ');
        line += (c == 0 ? "" : "  ") + (c < words ? row[c] + pad : pad + row[c]);
      }
      out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

ordered_json to_json(const ByteCount& b) {
  return {{"codes", b.codes}, {"centroids", b.centroids}, {"scales", b.scales},
          {"dense", b.dense}, {"constants", b.constants}, {"golden", b.golden}};
}

uint64_t other(const ByteCount& b) {
  return b.scales + b.dense + b.constants + b.golden;
}

std::string sizes_text(const ModelReport& r) {
  const ByteCount& t = r.total;
  Table table({"bytes of", "", "share"});
  const auto row = [&](const char* what, uint64_t bytes) {
    table.add(
        {what, std::to_string(bytes),
         fixed(100.0 * static_cast<double>(bytes) / static_cast<double>(r.file_bytes), 2) + " %"});
  };
  row("indices", t.codes);
  row("centroids", t.centroids);
  row("weight scales", t.scales);
  row("dense weights", t.dense);
  row("scales and biases", t.constants);
  row("golden data", t.golden);
  row("overhead", r.overhead);
  row("file", r.file_bytes);
  return table.text(1);
}

}  // namespace

std::string report_text(const Facts& facts, const ModelReport& r, const InspectOptions& o) {
  const qrt::Model& m = facts.model();
  std::string out = o.model + ": " + (m.name[0] != 0 ? m.name : "unnamed") + ", " +
                    std::to_string(r.file_bytes) + " bytes, schema " +
                    std::to_string(m.schema_version) + ", xxh3 " + hex(m.checksum) + " (" +
                    std::to_string(m.buffers.size()) + " buffers, all checksums verified)\n";
  for (const Port& p : m.inputs)
    out += std::string("input  ") + p.name + ": " + port_shape(m, p) + "\n";
  for (size_t i = 0; i < m.inputs.size(); ++i)
    if (const auto p = facts.preprocessing(i)) out += "  pictures: " + io::to_json(*p) + "\n";
  for (const Port& p : m.outputs)
    out += std::string("output ") + p.name + ": " + port_shape(m, p) + "\n";
  const Provenance& v = m.provenance;
  for (const auto& [what, text] : {std::pair("tool", v.tool),
                                   {"source sha256", v.source_sha256},
                                   {"weights sha256", v.weights_sha256},
                                   {"method", v.method},
                                   {"options", v.options}})
    if (text != nullptr && text[0] != 0) out += std::string(what) + ": " + text + "\n";

  Table layers({"layer", "kind", "output", "encoding", "kernel", "weights", "bits/w", "indices",
                "centroids", "other", "MMAC"});
  for (const LayerInfo& l : r.layers) {
    const bool coded = l.outputs != 0;
    layers.add({l.name, l.kind, l.output, l.encoding, l.kernel,
                coded ? std::to_string(l.outputs) + " x " + std::to_string(l.inputs) : "",
                coded ? fixed(l.bits_per_weight, 3) : "", std::to_string(l.bytes.codes),
                std::to_string(l.bytes.centroids), std::to_string(other(l.bytes)),
                fixed(static_cast<double>(l.macs) * 1e-6, 2)});
  }
  out += "\n" + layers.text(5) + "\n" + sizes_text(r);
  const double bits = r.weights == 0 ? 0
                                     : 8.0 * static_cast<double>(r.total.sum() - r.total.golden) /
                                           static_cast<double>(r.weights);
  out += "weights: " + std::to_string(r.weights) + ", " + std::to_string(r.coded_weights) +
         " of them compressed; " + fixed(bits, 3) + " bits per weight over all, " +
         fixed(4.0 * static_cast<double>(r.weights) / static_cast<double>(r.file_bytes), 2) +
         " x smaller than f32\n";
  out += "memory: activations and scratch " + std::to_string(r.memory.arena_bytes) +
         " bytes for batch " + std::to_string(o.engine.batch) +
         " (tensors without a plan: " + std::to_string(r.activation_bytes) +
         " for batch 1), weights in other forms " + std::to_string(r.memory.weight_bytes) +
         ", everything else " + std::to_string(r.memory.keep_bytes) + "\n";
  bool headed = false;
  for (const LayerInfo& l : r.layers) {
    if (l.choice.empty()) continue;
    out += (headed ? "  " : "kernel choices:\n  ") + l.name + ": " + l.choice + "\n";
    headed = true;
  }
  return out;
}

std::string report_json(const Facts& facts, const ModelReport& r, const InspectOptions& o) {
  const qrt::Model& m = facts.model();
  const auto ports = [&](Span<const Port> list) {
    ordered_json out = ordered_json::array();
    for (const Port& p : list) {
      const TensorInfo& t = m.tensors[p.tensor];
      out.push_back(
          {{"name", p.name},
           {"dtype", name_of(t.dtype)},
           {"shape", std::vector<int32_t>(t.shape.dim.begin(), t.shape.dim.begin() + t.shape.rank)},
           {"batch_is_free", t.batched}});
    }
    return out;
  };
  const auto text = [](const char* s) { return s == nullptr ? "" : s; };
  const Provenance& v = m.provenance;
  ordered_json tree = {{"file", o.model},
                       {"name", text(m.name)},
                       {"file_bytes", r.file_bytes},
                       {"schema_version", m.schema_version},
                       {"checksum", hex(m.checksum)},
                       {"inputs", ports(m.inputs)},
                       {"outputs", ports(m.outputs)},
                       {"labels", m.labels.size()},
                       {"provenance",
                        {{"tool", text(v.tool)},
                         {"source_sha256", text(v.source_sha256)},
                         {"weights_sha256", text(v.weights_sha256)},
                         {"method", text(v.method)},
                         {"options", text(v.options)}}}};
  for (size_t i = 0; i < m.inputs.size(); ++i)
    if (const auto p = facts.preprocessing(i))
      tree["inputs"][i]["preprocess"] = ordered_json::parse(io::to_json(*p));
  tree["sizes"] = to_json(r.total);
  tree["sizes"]["overhead"] = r.overhead;
  tree["sizes"]["file"] = r.file_bytes;
  tree["weights"] = r.weights;
  tree["coded_weights"] = r.coded_weights;
  tree["layers"] = ordered_json::array();
  for (const LayerInfo& l : r.layers)
    tree["layers"].push_back({{"name", l.name},
                              {"kind", l.kind},
                              {"output", l.output},
                              {"encoding", l.encoding},
                              {"kernel", l.kernel},
                              {"choice", l.choice},
                              {"outputs", l.outputs},
                              {"inputs", l.inputs},
                              {"macs", l.macs},
                              {"bits_per_weight", l.bits_per_weight},
                              {"bytes", to_json(l.bytes)}});
  tree["buffers"] = ordered_json::array();
  for (size_t i = 0; i < m.buffers.size(); ++i)
    tree["buffers"].push_back(
        {{"bytes", m.buffers[i].size()}, {"checksum", hex(m.buffer_checksums[i])}});
  tree["memory"] = {{"batch", o.engine.batch},
                    {"threads", o.engine.threads},
                    {"file_bytes", r.memory.file_bytes},
                    {"copied_bytes", r.memory.copied_bytes},
                    {"weight_bytes", r.memory.weight_bytes},
                    {"resident_weight_bytes",
                     r.memory.file_bytes + r.memory.copied_bytes + r.memory.weight_bytes},
                    {"arena_bytes", r.memory.arena_bytes},
                    {"unplanned_activation_bytes", r.activation_bytes},
                    {"keep_bytes", r.memory.keep_bytes}};
  return tree.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace qrt::tools

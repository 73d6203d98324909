// Counting: every bulk byte of the file is put under one purpose and one layer.
#include "runtime/tools/inspect.h"

#include <cstdio>
#include <set>

#include "runtime/tools/io/error.h"
#include "runtime/tools/io/npy.h"

namespace qrt::tools {
namespace {

// Adds each distinct run of the file's bytes once.
class Counter {
 public:
  void add(const void* data, uint64_t bytes, uint64_t& to) {
    if (data != nullptr && bytes != 0 && seen_.insert(data).second) to += bytes;
  }
  void add(const Bytes& b, uint64_t& to) { add(b.data(), b.size(), to); }
  void add(const Constant& c, uint64_t& to) {
    add(c.data, uint64_t{c.count} * size_of(c.dtype), to);
  }

 private:
  std::set<const void*> seen_;
};

std::string describe(const Weights& w) {
  char text[96];
  switch (w.encoding) {
    case Encoding::dense:
      return std::string("dense ") + name_of(w.dense.dtype);
    case Encoding::codebook: {
      const CodebookWeights& c = w.codebook;
      std::snprintf(text, sizeof text, "codebook %s%u x %u %s, %u-bit codes%s",
                    c.books > 1 ? (std::to_string(c.books) + " of ").c_str() : "", c.count, c.dim,
                    name_of(c.entry), c.code_bits, c.scope_rows == 0 ? "" : ", grouped");
      return text;
    }
    case Encoding::table:
      return "table, " + std::to_string(w.table.bits) + "-bit codes";
    case Encoding::affine:
      return "affine, " + std::to_string(w.affine.bits) + "-bit codes";
    case Encoding::bit_planes:
      return w.bit_planes.packing == PlanePacking::ternary5 ? "ternary planes" : "bit planes";
  }
  return "";
}

void count_weights(const Weights& w, Counter& counter, ByteCount& b) {
  switch (w.encoding) {
    case Encoding::dense:
      counter.add(w.dense.data, b.dense);
      counter.add(w.dense.scales.values, b.scales);
      break;
    case Encoding::codebook:
      counter.add(w.codebook.codes, b.codes);
      counter.add(w.codebook.entries, b.centroids);
      counter.add(w.codebook.entry_scales, b.scales);
      break;
    case Encoding::table:
      counter.add(w.table.codes, b.codes);
      counter.add(w.table.values, b.centroids);
      counter.add(w.table.integers, b.centroids);
      counter.add(w.table.scales.values, b.scales);
      counter.add(w.table.offset, b.scales);
      break;
    case Encoding::affine:
      counter.add(w.affine.codes, b.codes);
      counter.add(w.affine.scales.values, b.scales);
      break;
    case Encoding::bit_planes:
      counter.add(w.bit_planes.counts, b.codes);
      counter.add(w.bit_planes.planes, b.codes);
      counter.add(w.bit_planes.alphas, b.scales);
      break;
  }
}

void count_epilogue(const Epilogue& e, Counter& counter, ByteCount& b) {
  counter.add(e.scale, b.constants);
  counter.add(e.bias, b.constants);
}

std::vector<int64_t> dims_of(const Shape& s) {
  return {s.dim.begin(), s.dim.begin() + s.rank};
}

LayerInfo describe_layer(const qrt::Model& m, const Node& n, Counter& counter) {
  LayerInfo layer;
  layer.name = n.name;
  layer.kind = name_of(n.kind);
  layer.output = io::shape_text(dims_of(m.tensors[n.outputs[0]].shape));
  if (const Epilogue* e = epilogue_of(n)) count_epilogue(*e, counter, layer.bytes);
  if (n.kind == OpKind::affine) {
    counter.add(n.affine->scale, layer.bytes.constants);
    counter.add(n.affine->bias, layer.bytes.constants);
  }
  if (n.kind == OpKind::fake_quantize) {
    counter.add(n.fake_quantize->scale, layer.bytes.constants);
    counter.add(n.fake_quantize->zero, layer.bytes.constants);
  }
  if (n.kind == OpKind::steps) counter.add(n.steps->thresholds, layer.bytes.constants);
  for (uint32_t t : n.inputs)
    if (m.tensors[t].is_constant) counter.add(m.tensors[t].constant, layer.bytes.constants);
  if (const Weights* w = weights_of(n)) {
    layer.encoding = describe(*w);
    layer.outputs = w->outputs;
    layer.inputs = w->inputs;
    count_weights(*w, counter, layer.bytes);
    const ByteCount& b = layer.bytes;
    layer.bits_per_weight = 8.0 * static_cast<double>(b.codes + b.centroids + b.scales + b.dense) /
                            (static_cast<double>(w->outputs) * w->inputs);
  }
  return layer;
}

}  // namespace

void ByteCount::add(const ByteCount& o) {
  codes += o.codes, centroids += o.centroids, scales += o.scales;
  dense += o.dense, constants += o.constants, golden += o.golden;
}

ModelReport make_report(const Facts& facts, const Session& session) {
  const qrt::Model& m = facts.model();
  ModelReport r;
  Counter counter;
  const std::vector<qrt_op_info> ops = session.ops();
  for (size_t i = 0; i < m.nodes.size(); ++i) {
    LayerInfo layer = describe_layer(m, m.nodes[i], counter);
    if (i < ops.size()) {
      layer.kernel = ops[i].kernel;
      layer.choice = ops[i].choice;
      layer.macs = ops[i].macs;
    }
    r.total.add(layer.bytes);
    const uint64_t scalars = layer.outputs * layer.inputs;
    r.weights += scalars;
    if (weights_of(m.nodes[i]) != nullptr && weights_of(m.nodes[i])->encoding != Encoding::dense)
      r.coded_weights += scalars;
    r.layers.push_back(std::move(layer));
  }
  for (const Bytes& b : m.golden_inputs) counter.add(b, r.total.golden);
  for (const Bytes& b : m.golden_outputs) counter.add(b, r.total.golden);
  for (const TensorInfo& t : m.tensors)
    if (!t.is_constant) r.activation_bytes += bytes_of(t.dtype, t.shape).get().value_or(0);
  r.file_bytes = m.file.size();
  r.overhead = r.file_bytes - r.total.sum();
  r.memory = session.memory();
  return r;
}

int inspect(const InspectOptions& o) {
  const Model model(o.model);
  const Session session(model, o.engine);
  const Facts facts(o.model);
  const ModelReport report = make_report(facts, session);
  const std::string text = o.json ? report_json(facts, report, o) : report_text(facts, report, o);
  std::fputs(text.c_str(), stdout);
  return io::kDone;
}

}  // namespace qrt::tools

// Weights spelled as lookups (Gather of a constant codebook by constant codes,
// brought into shape) become Codebook encodings, before constant folding would
// make them dense. trace.h says where each weight comes from; here the blocks
// are found: d consecutive inputs of an output row that copy one entry whole.
// A lookup that has no such blocks is left to folding, and a note says so.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "converter/base/half.h"
#include "converter/base/text.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/passes/passes.h"
#include "converter/passes/trace.h"
#include "schema/layout.h"

namespace qrt::passes {

namespace {

using ir::Graph;
using ir::ValueId;
using quant::Codebook;

struct Size {
  int64_t outputs, inputs;
};

// Entries and their length of a codebook constant: [k, ...] or, for single numbers, [k].
struct BookShape {
  int64_t count, dim;
};
BookShape book_shape(const Graph& g, const Term& t) {
  const auto& shape = value_of(g, t.codebook).shape;
  if (shape.empty() || shape[0] == 0) return {0, 0};
  return {shape[0], ir::element_count(shape) / shape[0]};
}

// The codes [block][output] of a term, or nothing if its blocks are not whole entries.
std::optional<std::vector<uint16_t>> codes_of(const Term& t, Size size, int64_t dim) {
  const int64_t blocks = (size.inputs + dim - 1) / dim;
  std::vector<uint16_t> codes(static_cast<size_t>(blocks * size.outputs));
  for (int64_t o = 0; o < size.outputs; ++o) {
    const int64_t* row = t.position.data() + o * size.inputs;
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t first = row[b * dim];
      if (first % dim != 0) return {};
      const int64_t length = std::min(dim, size.inputs - b * dim);
      for (int64_t i = 1; i < length; ++i)
        if (row[b * dim + i] != first + i) return {};
      codes[static_cast<size_t>(b * size.outputs + o)] = static_cast<uint16_t>(first / dim);
    }
  }
  return codes;
}

// The encoding of a traced weight; otherwise `why` says what is in the way.
std::optional<Codebook> encode(const Graph& g, const Trace& trace, Size size, std::string& why) {
  Codebook c;
  c.books = static_cast<int32_t>(trace.terms.size());
  for (const Term& t : trace.terms) {
    const BookShape shape = book_shape(g, t);
    if (shape.count < 1 || shape.count > layout::kMaxCentroids || shape.dim < 1 ||
        shape.dim > layout::kMaxBlockDim || (c.dim != 0 && shape.dim != c.dim)) {
      why = cat("codebook ", value_of(g, t.codebook).name, " has ", shape.count, " entries of ",
                shape.dim, " (1 to 65536 of 1 to 1024 are allowed, all of one length)");
      return {};
    }
    c.dim = static_cast<int32_t>(shape.dim);
    c.count = std::max(c.count, static_cast<int32_t>(shape.count));
  }
  for (const Term& t : trace.terms) {
    const auto codes = codes_of(t, size, c.dim);
    if (!codes) {
      why = cat("its rows are not runs of whole entries of ", value_of(g, t.codebook).name);
      return {};
    }
    c.codes.insert(c.codes.end(), codes->begin(), codes->end());
    // A shorter book is filled up with zeros that no code names.
    const std::vector<float>& entries = *floats_of(g, t.codebook);
    const size_t begin = c.entries.size();
    c.entries.insert(c.entries.end(), entries.begin(), entries.end());
    c.entries.resize(begin + static_cast<size_t>(c.count) * static_cast<size_t>(c.dim));
  }
  const bool halves = std::all_of(c.entries.begin(), c.entries.end(), is_half);
  c.entry = halves ? quant::EntryType::f16 : quant::EntryType::f32;
  const auto stored = quant::stored_bytes(c, size.outputs, size.inputs);
  const auto dense = static_cast<uint64_t>(size.outputs * size.inputs) * (halves ? 2 : 4);
  if (stored.codes + stored.entries >= dense) {
    why = cat("codes and entries take ", stored.codes + stored.entries,
              " bytes, the dense weights ", dense);
    return {};
  }
  return c;
}

// Replaces the node that makes `weight` by an encoded constant of the same name.
void replace(Graph& g, ValueId weight, Codebook codebook) {
  ir::Constant constant;
  constant.encoding = std::make_shared<quant::Encoding>(std::move(codebook));
  constant.source = "gather";
  ir::Value& v = g.values[static_cast<size_t>(weight)];
  g.nodes[static_cast<size_t>(v.producer)].out.clear();
  v.producer = -1;
  v.type = ir::ElementType::f32;
  v.constant = static_cast<int32_t>(g.constants.size());
  g.constants.push_back(std::move(constant));
}

// Whether a Gather takes part in making `v`: only then is a dense weight worth a note.
bool is_looked_up(const Graph& g, ValueId v) {
  std::vector<ValueId> todo{v};
  std::set<ValueId> seen;
  while (!todo.empty()) {
    const ir::NodeId p = value_of(g, todo.back()).producer;
    todo.pop_back();
    if (p < 0) continue;
    const ir::Node& n = g.nodes[static_cast<size_t>(p)];
    if (std::holds_alternative<ir::Gather>(n.attr)) return true;
    for (ValueId in : n.in)
      if (seen.insert(in).second) todo.push_back(in);
  }
  return false;
}

Result<void> recognise(Graph& g, ValueId weight, const std::string& layer) {
  const std::vector<int64_t>& shape = value_of(g, weight).shape;
  const int64_t elements = ir::element_count(shape);
  if (shape.size() < 2 || elements <= 0) return {};
  auto trace = trace_weight(g, weight);
  if (!trace.ok()) return trace.error();
  std::string why = trace->why;
  std::optional<Codebook> c;
  if (!trace->terms.empty()) {
    const Size size{shape[0], elements / shape[0]};
    for (const Term& t : trace->terms)
      for (float f : *floats_of(g, t.codebook))
        if (!std::isfinite(f))
          return fail(611, layer, ": codebook ", value_of(g, t.codebook).name, " holds ", f,
                      "; entries must be finite: check the training run or the export");
    c = encode(g, *trace, size, why);
  }
  if (c)
    replace(g, weight, std::move(*c));
  else if (is_looked_up(g, weight))
    g.notes.push_back(cat(layer, ": the weight ", value_of(g, weight).name,
                          " is not kept as a codebook but made dense: ", why));
  return {};
}

}  // namespace

Result<void> recognise_codebooks(Graph& g) {
  std::set<ValueId> seen;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!takes_codes(g.nodes[i]) || g.nodes[i].in.size() < 2) continue;
    const ValueId weight = g.nodes[i].in[1];
    if (value_of(g, weight).producer < 0 || !seen.insert(weight).second) continue;
    QRT_CHECK_OK(recognise(g, weight, g.nodes[i].name));
  }
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes

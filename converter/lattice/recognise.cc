// Which constants of a graph are looked at, and what is said about them.
#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "converter/base/printed.h"
#include "converter/ir/edit.h"
#include "converter/lattice/lattice.h"
#include "converter/passes/layer.h"

namespace qrt::lattice {

std::vector<Found> recognise(ir::Graph& g, const Options& o) {
  std::vector<Found> all;
  if (!o.on) return all;
  const auto readers = ir::consumers(g);
  std::set<ir::ValueId> seen;
  for (const ir::Node& n : g.nodes) {
    if (!passes::takes_codes(n) || !seen.insert(n.in[1]).second) continue;
    const ir::ValueId weight = n.in[1];
    const ir::Constant* c = ir::constant_of(g, weight);
    if (c == nullptr || c->encoding != nullptr || !ir::is_float(c->type)) continue;
    const auto is_weight = [&](ir::NodeId reader) {
      const ir::Node& r = g.nodes[static_cast<size_t>(reader)];
      return passes::takes_codes(r) && std::count(r.in.begin(), r.in.end(), weight) == 1 &&
             r.in[1] == weight;
    };
    const auto& users = readers[static_cast<size_t>(weight)];
    if (!std::all_of(users.begin(), users.end(), is_weight)) continue;
    ir::Value& value = g.values[static_cast<size_t>(weight)];
    Weights w;
    w.values = c->data;
    w.outputs = value.shape[0];
    w.inputs = static_cast<int64_t>(c->data.size()) / w.outputs;
    if (value.shape.size() > 2) w.taps = w.inputs / value.shape[1];
    w.has_blocks = value.shape[1] > 1;  // depthwise layers run without codes
    auto encoding = find(w, o);
    if (!encoding) continue;
    all.push_back({n.name, quant::describe(*encoding), w.outputs, w.inputs, dense_bytes(w),
                   bytes_of(*encoding, w)});
    ir::Constant coded;
    coded.encoding = std::make_shared<const quant::Encoding>(std::move(*encoding));
    coded.source = "lattice";
    value.type = coded.type;
    value.constant = static_cast<int32_t>(g.constants.size());
    g.constants.push_back(std::move(coded));
  }
  ir::remove_dead(g);
  return all;
}

std::string found_table(const std::vector<Found>& all) {
  if (all.empty()) return "";
  std::string text = "weights that lie on a lattice, stored without loss:\n";
  for (const Found& f : all) {
    const double bits =
        8.0 * static_cast<double>(f.after) / static_cast<double>(f.outputs * f.inputs);
    text += printed(
        "  %-32s %5lld x %-6lld %-20s %6.3f bits  %10llu -> %llu bytes\n", f.layer.c_str(),
        static_cast<long long>(f.outputs), static_cast<long long>(f.inputs), f.encoding.c_str(),
        bits, static_cast<unsigned long long>(f.before), static_cast<unsigned long long>(f.after));
  }
  return text;
}

}  // namespace qrt::lattice

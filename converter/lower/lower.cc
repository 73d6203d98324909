// Walks the graph once and applies the rules; see lower.h.
#include "converter/lower/lower.h"

#include <optional>
#include <string>
#include <type_traits>

#include "converter/base/text.h"
#include "converter/lower/rules.h"

namespace qrt::lower {

namespace {

using Rule = Result<void> (*)(Context&, const ir::Node&, Operator&);

struct Row {
  Kind kind;
  Rule rule;
};

std::optional<Row> row_of(const ir::Attr& attr) {
#define QRT_LOWER(Attr, name) \
  if (std::holds_alternative<ir::Attr>(attr)) return Row{Kind::name, lower_##name};
#include "converter/lower/rules.inc"
#undef QRT_LOWER
  return std::nullopt;
}

Result<void> refuse_leftovers(const ir::Graph& g) {
  std::string list;
  int count = 0;
  for (const ir::Node& n : g.nodes) {
    if (row_of(n.attr)) continue;
    list += cat(count == 0 ? "" : ", ", n.name, " (", ir::name_of(n.attr), ")");
    ++count;
  }
  if (count == 0) return {};
  return fail(600, count, count == 1 ? " node is" : " nodes are",
              " left that the engine has no operator for: ", list,
              "; they run only where all their inputs are constants: make those inputs "
              "initializers, or simplify the model before converting");
}

Result<void> lower_node(Context& context, const ir::Node& n, File& file) {
  const Row row = *row_of(n.attr);
  Operator op;
  op.name = n.name;
  op.kind = row.kind;
  op.attr = n.attr;
  QRT_CHECK_OK(row.rule(context, n, op));
  for (ir::ValueId v : n.out) {
    auto t = context.tensor(v);
    if (!t.ok()) return t.error();
    op.outputs.push_back(*t);
  }
  file.operators.push_back(std::move(op));
  return {};
}

}  // namespace

Result<File> lower(const ir::Graph& g) {
  QRT_CHECK_OK(refuse_leftovers(g));
  File file;
  Context context(g, file);
  for (ir::ValueId v : g.inputs) {
    auto t = context.tensor(v);
    if (!t.ok()) return t.error();
    file.inputs.push_back(*t);
  }
  for (const ir::Node& n : g.nodes) QRT_CHECK_OK(lower_node(context, n, file));
  for (ir::ValueId v : g.outputs) {
    if (context.value(v).producer < 0)
      return fail(605, "output ", context.value(v).name, " is ",
                  context.value(v).constant >= 0 ? "a constant" : "an input passed through",
                  "; an output must be computed from an input: drop it from the model");
    auto t = context.tensor(v);
    if (!t.ok()) return t.error();
    file.outputs.push_back(*t);
  }
  // Only the interface keeps its names.
  std::vector<bool> named(file.tensors.size());
  for (uint32_t t : file.inputs) named[t] = true;
  for (uint32_t t : file.outputs) named[t] = true;
  for (size_t t = 0; t < named.size(); ++t)
    if (!named[t]) file.tensors[t].name.clear();
  return file;
}

}  // namespace qrt::lower

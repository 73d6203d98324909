// Builds a small graph of integers beside the real one, where every float
// constant holds its own positions, and evaluates it; see trace.h.
#include "converter/passes/trace.h"

#include <numeric>
#include <optional>
#include <utility>

#include "converter/base/text.h"
#include "converter/eval/evaluate.h"
#include "converter/passes/edit.h"
#include "schema/layout.h"

namespace qrt::passes {

namespace {

using ir::Graph;
using ir::Node;
using ir::ValueId;

// Longer chains are no exporter's spelling of a weight.
constexpr int kMaxDepth = 32;
// A weight with more elements than this (1 GiB of positions) is left to constant folding.
constexpr int64_t kMaxTraced = 1 << 27;
// A node that is read several times is copied as often: nested twice over, that would double with
// every level. Both bounds hold for all copies together.
constexpr int kMaxCopies = 4096;

class Tracer {
 public:
  explicit Tracer(const Graph& g) : g_(g) {}

  Result<Trace> run(ValueId weight) {
    auto terms = copy(weight, 0);
    if (!terms.ok()) return terms.error();
    if (terms->empty() || gathers_ == 0) return nothing();
    for (ValueId t : *terms) twin_.outputs.push_back(t);
    auto values = eval::evaluate(twin_, {});
    if (!values.ok()) return values.error();
    Trace r;
    for (eval::Tensor& v : *values) {
      Term term{-1, std::move(v.ints)};
      if (!resolve(term)) {
        why_ = "one block mixes several codebooks";
        return nothing();
      }
      r.terms.push_back(std::move(term));
    }
    return r;
  }

 private:
  struct Source {
    ValueId constant;
    int64_t begin, count;  // its positions are [begin, begin + count)
  };
  using Terms = std::vector<ValueId>;  // values of twin_; empty: cannot be traced

  Trace nothing() const { return {{}, why_.empty() ? "no Gather of constants makes it" : why_}; }

  Terms give_up(const std::string& why) {
    if (why_.empty()) why_ = why;
    return {};
  }

  // The values of twin_ that sum up to `v`.
  Result<Terms> copy(ValueId v, int depth) {
    const ir::Value& value = value_of(g_, v);
    if (depth > kMaxDepth || ++copies_ > kMaxCopies)
      return give_up("the chain of nodes that makes it is too long");
    if (ir::element_count(value.shape) < 0 || ir::element_count(value.shape) > kMaxTraced)
      return give_up("it is too large");
    if (value.constant >= 0) return copy_constant(v);
    if (value.producer < 0) return give_up("it depends on an input of the graph");
    const Node& n = g_.nodes[static_cast<size_t>(value.producer)];
    if (std::holds_alternative<ir::Cast>(n.attr)) return copy_cast(n, depth);
    if (std::holds_alternative<ir::Identity>(n.attr)) return copy(n.in[0], depth + 1);
    if (std::holds_alternative<ir::Gather>(n.attr)) return copy_gather(n, depth);
    if (std::holds_alternative<ir::Concat>(n.attr)) return copy_concat(n, depth);
    if (const auto* b = std::get_if<ir::Binary>(&n.attr); b && b->op == ir::Binary::Op::add)
      return copy_sum(n, depth);
    if (std::holds_alternative<ir::Reshape>(n.attr) ||
        std::holds_alternative<ir::Transpose>(n.attr) ||
        std::holds_alternative<ir::Unsqueeze>(n.attr) ||
        std::holds_alternative<ir::Squeeze>(n.attr) || std::holds_alternative<ir::Slice>(n.attr))
      return move(n, depth);
    return give_up(cat("the node ", n.name, " (", ir::name_of(n.attr), ") computes it"));
  }

  Terms copy_constant(ValueId v) {
    const ir::Value& value = value_of(g_, v);
    const ir::Constant& c = g_.constants[static_cast<size_t>(value.constant)];
    held_ += ir::element_count(value.shape);
    if (held_ > 4 * kMaxTraced) return give_up("it is made of too much");
    ir::Constant twin;
    twin.type = ir::ElementType::i64;
    if (!ir::is_float(c.type)) {
      twin.ints = c.ints;
    } else {
      const int64_t count = ir::element_count(value.shape);
      if (c.encoding != nullptr) return give_up(cat("constant ", value.name, " is encoded"));
      twin.ints.resize(static_cast<size_t>(count));
      std::iota(twin.ints.begin(), twin.ints.end(), next_);
      sources_.push_back({v, next_, count});
      next_ += count;
    }
    return {ir::add_constant(twin_, value.name, value.shape, std::move(twin))};
  }

  // Casts between floats keep the values where none is lost, those between integers here always do.
  Result<Terms> copy_cast(const Node& n, int depth) {
    const ir::ElementType from = value_of(g_, n.in[0]).type, to = value_of(g_, n.out[0]).type;
    const bool loses = from == ir::ElementType::f32 && to == ir::ElementType::f16;
    if (ir::is_float(from) != ir::is_float(to) || loses)
      return give_up(
          cat("the node ", n.name, " casts ", ir::name_of(from), " to ", ir::name_of(to)));
    return copy(n.in[0], depth + 1);
  }

  Result<Terms> add_node(const Node& n, std::vector<ValueId> in) {
    Node twin;
    twin.name = n.name;
    twin.attr = n.attr;
    twin.in = std::move(in);
    auto v = ir::add_node(twin_, std::move(twin), value_of(g_, n.out[0]).name);
    if (!v.ok()) return v.error();
    return Terms{*v};
  }

  Result<Terms> copy_gather(const Node& n, int depth) {
    auto data = copy(n.in[0], depth + 1);
    if (!data.ok() || data->empty()) return data;
    if (data->size() != 1) return give_up("codebooks are added before they are looked up");
    const size_t sources = sources_.size();
    auto codes = copy(n.in[1], depth + 1);
    if (!codes.ok() || codes->empty()) return codes;
    if (codes->size() != 1 || sources_.size() != sources)
      return give_up(cat("the codes of ", n.name, " are computed"));
    QRT_CHECK_OK(check_codes(n, codes->front()));
    ++gathers_;
    return add_node(n, {data->front(), codes->front()});
  }

  Result<void> check_codes(const Node& n, ValueId codes) {
    Graph part = twin_;
    part.outputs = {codes};
    auto values = eval::evaluate(part, {});
    if (!values.ok()) return values.error();
    const auto& shape = value_of(g_, n.in[0]).shape;
    const auto& gather = std::get<ir::Gather>(n.attr);
    const auto rank = static_cast<int32_t>(shape.size());
    const int64_t k =
        shape.at(static_cast<size_t>(gather.axis < 0 ? gather.axis + rank : gather.axis));
    const auto& ints = values->front().ints;
    for (size_t i = 0; i < ints.size(); ++i)
      if (ints[i] < -k || ints[i] >= k)
        return fail(610, n.name, ": code ", i, " of ", value_of(g_, n.in[1]).name, " is ", ints[i],
                    "; codebook ", value_of(g_, n.in[0]).name, " has entries 0 to ", k - 1,
                    ": the codes and the codebook do not belong together");
    return {};
  }

  Result<Terms> copy_concat(const Node& n, int depth) {
    std::vector<ValueId> in;
    for (ValueId v : n.in) {
      auto part = copy(v, depth + 1);
      if (!part.ok() || part->empty()) return part;
      if (part->size() != 1) return give_up("sums of codebooks are concatenated");
      in.push_back(part->front());
    }
    return add_node(n, std::move(in));
  }

  Result<Terms> copy_sum(const Node& n, int depth) {
    if (value_of(g_, n.in[0]).shape != value_of(g_, n.in[1]).shape)
      return give_up(cat("the sum ", n.name, " broadcasts"));
    auto a = copy(n.in[0], depth + 1);
    if (!a.ok() || a->empty()) return a;
    auto b = copy(n.in[1], depth + 1);
    if (!b.ok() || b->empty()) return b;
    a->insert(a->end(), b->begin(), b->end());
    if (a->size() > layout::kMaxBooks)
      return give_up(cat("more than ", layout::kMaxBooks, " codebooks are added"));
    return a;
  }

  Result<Terms> move(const Node& n, int depth) {
    auto terms = copy(n.in[0], depth + 1);
    if (!terms.ok()) return terms;
    for (ValueId& t : *terms) {
      auto moved = add_node(n, {t});
      if (!moved.ok()) return moved.error();
      t = moved->front();
    }
    return terms;
  }

  // Positions over all sources to those of the one source they must all lie in.
  bool resolve(Term& term) const {
    for (const Source& s : sources_) {
      if (term.position.empty() || term.position[0] < s.begin ||
          term.position[0] >= s.begin + s.count)
        continue;
      for (int64_t& p : term.position) {
        if (p < s.begin || p >= s.begin + s.count) return false;
        p -= s.begin;
      }
      term.codebook = s.constant;
      return true;
    }
    return false;
  }

  const Graph& g_;
  Graph twin_;
  std::vector<Source> sources_;
  int64_t next_ = 0, held_ = 0;
  int gathers_ = 0, copies_ = 0;
  std::string why_;
};

}  // namespace

Result<Trace> trace_weight(const Graph& g, ValueId weight) {
  return Tracer(g).run(weight);
}

}  // namespace qrt::passes

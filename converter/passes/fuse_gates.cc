// Activations that exporters write out become one operator again:
//
//   gelu        0.5 x (1 + erf(x / sqrt 2))
//   gelu_tanh   0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
//   silu        x sigmoid(x)
//   hard_swish  x hard_sigmoid(x) with 1/6 and 1/2, or x clamp(x + 3, 0, 6) / 6
//
// Each is a product of numbers, of x, and of a gate made of x. The product is looked
// at flat, so that the order in which it was written does not matter. Constants may
// differ by rounding (1e-4): exporters print them with five digits.
#include <cmath>
#include <vector>

#include "converter/passes/edit.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Binary;
using ir::Graph;
using ir::Node;
using ir::Unary;
using ir::ValueId;

constexpr int kMaxDepth = 6;

bool near(double a, double b) {
  return std::abs(a - b) <= 1e-4 * std::abs(b);
}

class Matcher {
 public:
  explicit Matcher(const Graph& g) : g_(g) {}

  // What the node computes of one value, if it is one of the gates above.
  bool match(const Node& n, Unary* gate, ValueId* x) const {
    const auto* b = std::get_if<Binary>(&n.attr);
    if (b == nullptr || n.out.empty()) return false;
    const Product p = product(n.out[0], 0);
    if (p.factors.size() != 2) return false;
    for (size_t k = 0; k < 2; ++k) {
      *x = p.factors[k];
      const ValueId other = p.factors[1 - k];
      if (!is_gate(p.number, *x, other, gate)) continue;
      const ir::Value &in = value_of(g_, *x), &out = value_of(g_, n.out[0]);
      return in.shape == out.shape && in.batched == out.batched && in.constant < 0;
    }
    return false;
  }

 private:
  // number * factor * factor ...
  struct Product {
    double number = 1;
    std::vector<ValueId> factors;
  };

  const Node* maker(ValueId v) const {
    const ir::NodeId p = value_of(g_, v).producer;
    return p < 0 ? nullptr : &g_.nodes[static_cast<size_t>(p)];
  }
  const Node* binary(ValueId v, Binary::Op op) const {
    const Node* n = maker(v);
    const auto* b = n == nullptr ? nullptr : std::get_if<Binary>(&n->attr);
    return b != nullptr && b->op == op && b->clamp == ir::kNoClamp ? n : nullptr;
  }
  const Node* unary(ValueId v, Unary::Op op) const {
    const Node* n = maker(v);
    const auto* u = n == nullptr ? nullptr : std::get_if<Unary>(&n->attr);
    return u != nullptr && u->op == op ? n : nullptr;
  }
  // A constant of one element.
  const float* number(ValueId v) const {
    const auto* data = floats_of(g_, v);
    return data != nullptr && data->size() == 1 ? data->data() : nullptr;
  }

  Product product(ValueId v, int depth) const {
    Product p;
    collect(v, depth, p);
    return p;
  }
  void collect(ValueId v, int depth, Product& p) const {
    if (const float* c = number(v)) {
      p.number *= double{*c};
      return;
    }
    if (depth < kMaxDepth) {
      if (const Node* n = binary(v, Binary::Op::mul)) {
        collect(n->in[0], depth + 1, p);
        return collect(n->in[1], depth + 1, p);
      }
      const Node* d = binary(v, Binary::Op::div);
      const float* by = d == nullptr ? nullptr : number(d->in[1]);
      if (by != nullptr && *by != 0) {
        p.number /= double{*by};
        return collect(d->in[0], depth + 1, p);
      }
      const Node* pow = binary(v, Binary::Op::pow);
      const float* e = pow == nullptr ? nullptr : number(pow->in[1]);
      if (e != nullptr && *e == 3) {
        for (int i = 0; i < 3; ++i) p.factors.push_back(pow->in[0]);
        return;
      }
    }
    p.factors.push_back(v);
  }

  // v = other + c.
  bool is_shifted(ValueId v, double c, ValueId* other) const {
    const Node* add = binary(v, Binary::Op::add);
    if (add == nullptr) return false;
    for (size_t k = 0; k < 2; ++k) {
      const float* found = number(add->in[k]);
      if (found == nullptr || !near(double{*found}, c)) continue;
      *other = add->in[1 - k];
      return true;
    }
    return false;
  }

  // v = c * x.
  bool is_scaled(ValueId v, double c, ValueId x) const {
    const Product p = product(v, 0);
    return near(p.number, c) && p.factors == std::vector<ValueId>{x};
  }

  // v = sqrt(2/pi) (x + 0.044715 x^3).
  bool is_cubic(ValueId v, ValueId x) const {
    const Product p = product(v, 0);
    if (!near(p.number, 0.7978845608) || p.factors.size() != 1) return false;
    const Node* add = binary(p.factors[0], Binary::Op::add);
    if (add == nullptr) return false;
    for (size_t k = 0; k < 2; ++k) {
      if (add->in[k] != x) continue;
      const Product cube = product(add->in[1 - k], 0);
      if (near(cube.number, 0.044715) && cube.factors == std::vector<ValueId>{x, x, x}) return true;
    }
    return false;
  }

  // Whether number * x * other is a gate.
  bool is_gate(double factor, ValueId x, ValueId other, Unary* gate) const {
    ValueId inner = -1;
    if (near(factor, 0.5) && is_shifted(other, 1, &inner)) {
      const Node* erf = unary(inner, Unary::Op::erf);
      const Node* tanh = unary(inner, Unary::Op::tanh);
      *gate = {erf != nullptr ? Unary::Op::gelu : Unary::Op::gelu_tanh, 0, 0};
      if (erf != nullptr) return is_scaled(erf->in[0], std::sqrt(0.5), x);
      return tanh != nullptr && is_cubic(tanh->in[0], x);
    }
    if (near(factor, 1)) {
      const Node* sigmoid = unary(other, Unary::Op::sigmoid);
      const Node* hard = unary(other, Unary::Op::hard_sigmoid);
      *gate = {sigmoid != nullptr ? Unary::Op::silu : Unary::Op::hard_swish, 0, 0};
      if (sigmoid != nullptr) return sigmoid->in[0] == x;
      if (hard == nullptr || hard->in[0] != x) return false;
      const auto& u = std::get<Unary>(hard->attr);
      return near(double{u.alpha}, 1.0 / 6) && near(double{u.beta}, 0.5);
    }
    const Node* clamp = near(factor, 1.0 / 6) ? unary(other, Unary::Op::clamp) : nullptr;
    if (clamp == nullptr) return false;
    const auto& limits = std::get<Unary>(clamp->attr);
    *gate = {Unary::Op::hard_swish, 0, 0};
    return limits.alpha == 0 && limits.beta == 6 && is_shifted(clamp->in[0], 3, &inner) &&
           inner == x;
  }

  const Graph& g_;
};

}  // namespace

Result<void> fuse_gates(Graph& g) {
  for (Node& n : g.nodes) {
    Unary gate;
    ValueId x = -1;
    if (!Matcher(g).match(n, &gate, &x)) continue;
    n.attr = gate;
    n.in = {x};
  }
  ir::remove_dead(g);
  return {};
}

}  // namespace qrt::passes

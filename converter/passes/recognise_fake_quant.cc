// Fake quantization spelled in plain operators becomes one FakeQuantize:
//
//   clip, divide by s, round, multiply by s      PACT, LSQ, any uniform grid
//   clip, multiply by n, round, divide by n      DoReFa, SAT
//   floor(x + 1/2) for round, an offset in front of the rounding, a clip behind it
//
// A rounding (Round, Floor, Ceil) whose result is bounded by a clip, before or after it, gives
// finitely many whole numbers: it is a FakeQuantize with scale 1. The clip in front goes where
// every step between the two rises with its input; then
// round(f(clip(x, a, b))) = clip(round(f(x)), round(f(a)), round(f(b))), in floats as in numbers.
// A division by s in front and a multiplication by s behind join it, as FakeQuantize divides and
// multiplies itself; so does an offset that is added and taken away again. x * (1 / s) is not x / s
// in floats, nor is q / n equal to q * (1 / n): such products stay as they are beside a grid of
// whole numbers. Every number that comes out is the one that came out before (-0 is 0).
#include <algorithm>
#include <cmath>
#include <optional>

#include "converter/eval/functions.h"
#include "converter/passes/edit.h"
#include "converter/passes/passes.h"
#include "schema/layout.h"

namespace qrt::passes {

namespace {

using ir::Binary;
using ir::FakeQuantize;
using ir::Graph;
using ir::Node;
using ir::Unary;
using ir::ValueId;

constexpr int kMaxSteps = 8;  // between the clip and the rounding

// x op number, or number op x where the order does not matter.
struct Step {
  Node* node;
  size_t x;  // which input is not the number
  Binary::Op op;
  float number;
  float apply(float v) const { return eval::apply(op, v, number); }
};

std::optional<FakeQuantize::Rounding> rounding_of(const Node& n) {
  const auto* unary = std::get_if<Unary>(&n.attr);
  if (unary == nullptr || n.out.empty()) return std::nullopt;
  if (unary->op == Unary::Op::round) return FakeQuantize::Rounding::half_even;
  if (unary->op == Unary::Op::floor) return FakeQuantize::Rounding::floor;
  if (unary->op == Unary::Op::ceil) return FakeQuantize::Rounding::ceil;
  return std::nullopt;
}

bool is_level(float v) {
  return v == std::floor(v) && std::fabs(v) <= static_cast<float>(layout::kMaxLevel);
}

class Recogniser {
 public:
  explicit Recogniser(Graph& g) : g_(g) {}

  void run() {
    for (size_t i = 0; i < g_.nodes.size(); ++i)
      if (const auto rounding = rounding_of(g_.nodes[i])) recognise(i, *rounding);
    ir::remove_dead(g_);
  }

 private:
  // A binary node with one constant number that keeps the order of its other input.
  std::optional<Step> step_of(Node* n) const {
    const auto* b = n == nullptr ? nullptr : std::get_if<Binary>(&n->attr);
    if (b == nullptr || n->out.empty() || !(b->clamp == ir::kNoClamp)) return std::nullopt;
    const bool sums = b->op == Binary::Op::add || b->op == Binary::Op::sub;
    const bool turns = b->op == Binary::Op::add || b->op == Binary::Op::mul;
    if (!sums && !turns && b->op != Binary::Op::div) return std::nullopt;
    for (const size_t x : {size_t{0}, size_t{1}}) {
      const std::vector<float>* c = floats_of(g_, n->in[1 - x]);
      if (c == nullptr || c->size() != 1 || (x == 1 && !turns)) continue;
      const bool keeps_shape = value_of(g_, n->in[x]).shape == value_of(g_, n->out[0]).shape;
      if (keeps_shape && (sums || (*c)[0] > 0)) return Step{n, x, b->op, (*c)[0]};
    }
    return std::nullopt;
  }

  const Unary* clamp_of(const Node* n) const {
    const auto* unary = n == nullptr || n->out.empty() ? nullptr : std::get_if<Unary>(&n->attr);
    return unary != nullptr && unary->op == Unary::Op::clamp ? unary : nullptr;
  }

  // The only reader of a value that is no output.
  Node* sole_reader(const std::vector<int>& uses, ValueId v) {
    if (uses[static_cast<size_t>(v)] != 1 || is_graph_output(g_, v)) return nullptr;
    for (Node& n : g_.nodes)
      if (std::count(n.in.begin(), n.in.end(), v) == 1) return &n;
    return nullptr;
  }

  void recognise(size_t at, FakeQuantize::Rounding rounding) {
    Node& round = g_.nodes[at];
    const std::vector<int> used = count_uses(g_);
    std::vector<Step> steps;  // the last one first
    ValueId from = round.in[0];
    Node* before = nullptr;
    for (int k = 0; k <= kMaxSteps; ++k) {
      Node* n = sole_producer(g_, used, from);
      if (clamp_of(n) != nullptr) {
        before = n;
        break;
      }
      const std::optional<Step> step = step_of(n);
      if (!step) break;
      steps.push_back(*step);
      from = n->in[step->x];
    }
    FakeQuantize grid;
    grid.rounding = rounding;
    grid.low = -INFINITY, grid.high = INFINITY;
    if (before != nullptr) {
      grid.low = bound(clamp_of(before)->alpha, ir::kNoMin, steps, rounding);
      grid.high = bound(clamp_of(before)->beta, ir::kNoMax, steps, rounding);
    }
    Node* after = sole_reader(used, round.out[0]);
    const Unary* limits = clamp_of(after);
    if (limits != nullptr && is_level(limits->alpha) && is_level(limits->beta) &&
        limits->alpha <= limits->beta) {
      grid.low = std::clamp(grid.low, limits->alpha, limits->beta);
      grid.high = std::clamp(grid.high, limits->alpha, limits->beta);
    } else {
      after = nullptr;
    }
    if (!is_level(grid.low) || !is_level(grid.high) || grid.low > grid.high) return;
    const Parameters found = join(steps, used, after != nullptr ? after->out[0] : round.out[0]);
    rewrite(round, before, after, grid, found, steps);
  }

  // What a limit of the clip becomes, or infinity where it is none.
  static float bound(float limit, float none, const std::vector<Step>& steps,
                     FakeQuantize::Rounding rounding) {
    if (limit == none) return none < 0 ? -INFINITY : INFINITY;
    for (size_t k = steps.size(); k-- > 0;) limit = steps[k].apply(limit);
    FakeQuantize whole;
    whole.rounding = rounding;
    whole.low = -INFINITY, whole.high = INFINITY;
    return eval::fake_quantized(whole, limit, 1, 0);
  }

  // Steps before and behind the rounding that undo each other, which FakeQuantize takes over.
  struct Parameters {
    float scale = 1, zero = 0;
    size_t joined = 0;  // of the steps in front, the last ones
    std::vector<Node*> behind;
  };
  Parameters join(const std::vector<Step>& steps, const std::vector<int>& used, ValueId made) {
    Parameters p;
    const size_t& k = p.joined;
    const auto next = [&]() -> std::optional<Step> {
      return k < steps.size() ? step_of(sole_reader(used, made)) : std::nullopt;
    };
    const auto take = [&](const Step& behind) {
      ++p.joined;
      p.behind.push_back(behind.node);
      made = behind.node->out[0];
    };
    // x + z ... - z, or x - z ... + z.
    if (const std::optional<Step> behind = next();
        behind && behind->number == steps[k].number &&
        ((steps[k].op == Binary::Op::add && behind->op == Binary::Op::sub) ||
         (steps[k].op == Binary::Op::sub && behind->op == Binary::Op::add))) {
      p.zero = steps[k].op == Binary::Op::add ? steps[k].number : -steps[k].number;
      take(*behind);
    }
    if (const std::optional<Step> behind = next()) {
      const std::optional<float> s = divisor(steps[k]), t = factor(*behind);
      if (s && t && *s == *t && std::isnormal(*s)) {
        p.scale = *s;
        take(*behind);
      }
    }
    return p;
  }

  // The step as x / s, or as x * s: a power of two divides as its inverse multiplies.
  static std::optional<float> inverse(float v) {
    int exponent = 0;
    if (std::frexp(v, &exponent) != 0.5f || !std::isnormal(1 / v)) return std::nullopt;
    return 1 / v;
  }
  static std::optional<float> divisor(const Step& s) {
    if (s.op == Binary::Op::div) return s.number;
    return s.op == Binary::Op::mul ? inverse(s.number) : std::nullopt;
  }
  static std::optional<float> factor(const Step& s) {
    if (s.op == Binary::Op::mul) return s.number;
    return s.op == Binary::Op::div ? inverse(s.number) : std::nullopt;
  }

  // The nodes that went hand their readers on; the clip in front is no longer needed.
  void rewrite(Node& round, Node* before, Node* after, FakeQuantize grid, const Parameters& found,
               const std::vector<Step>& steps) {
    const auto parameter = [&](const char* what, float v) {
      return ir::add_floats(g_, round.name + what, {1}, {v});
    };
    if (before != nullptr) {
      Node& first = steps.empty() ? round : *steps.back().node;
      record_origin(round, *before);
      first.in[steps.empty() ? 0 : steps.back().x] = before->in[0];
    }
    ValueId x = round.in[0];
    for (size_t k = 0; k < found.joined; ++k) {
      record_origin(round, *steps[k].node);
      x = steps[k].node->in[steps[k].x];
    }
    round.attr = grid;
    round.in = {x, parameter(".scale", found.scale), parameter(".zero", found.zero)};
    if (after != nullptr) absorb(g_, round, *after);
    for (Node* n : found.behind) absorb(g_, round, *n);
  }

  Graph& g_;
};

}  // namespace

Result<void> recognise_fake_quant(Graph& g) {
  Recogniser(g).run();
  return {};
}

}  // namespace qrt::passes

// Binarisation and other step functions spelled in plain operators become one Steps:
//
//   sign(x), with any rule for 0      Where(x >= 0, 1, -1), Sign(Sign(x) + 0.1),
//                                     2 * Cast(x > 0) - 1, Where(Equal(s, 0), 1, s)
//
// A comparison of x with one number, and Sign, are functions of the interval that x lies in. So is
// all that is computed of such values of one x and of single numbers, whatever the operators are:
// its levels are found by running the nodes once, on one element per interval. Where the levels
// of a value that others read rise or fall by equal steps, exactly in f32, the value is a Steps of
// x. A NaN, which has no interval, gets the lowest.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "converter/eval/compute.h"
#include "converter/passes/edit.h"
#include "converter/passes/passes.h"

namespace qrt::passes {

namespace {

using ir::Binary;
using ir::Graph;
using ir::Node;
using ir::ValueId;

constexpr size_t kMaxThresholds = 255;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A value that is levels[i] where x reaches i of the thresholds, which ascend.
struct Function {
  ValueId x = -1;
  std::vector<float> thresholds;
  eval::Tensor levels;
};

class Recogniser {
 public:
  explicit Recogniser(Graph& g) : g_(g), functions_(g.values.size()) {}

  Result<void> run() {
    for (const Node& n : g_.nodes) {
      if (start(n)) continue;
      QRT_CHECK_OK(follow(n));
    }
    // From the last to the first: what is no Steps itself reads its inputs, which may be some.
    std::vector<bool> read = read_elsewhere();
    for (size_t i = g_.nodes.size(); i-- > 0;) {
      const ValueId y = g_.nodes[i].out[0];
      if (!read[static_cast<size_t>(y)] || !function(y) || replace(y)) continue;
      for (const ValueId v : g_.nodes[i].in) read[static_cast<size_t>(v)] = true;
    }
    ir::remove_dead(g_);
    return {};
  }

 private:
  std::optional<Function>& function(ValueId v) { return functions_[static_cast<size_t>(v)]; }

  std::optional<float> number(ValueId v) const {
    const std::vector<float>* c = floats_of(g_, v);
    if (c == nullptr || c->size() != 1) return std::nullopt;
    return (*c)[0];
  }

  bool is_data(ValueId v) const {
    return ir::is_float(value_of(g_, v).type) && value_of(g_, v).constant < 0;
  }

  // Sign, and comparisons with a number, of a value that is no such function itself.
  bool start(const Node& n) {
    const ValueId y = n.out[0], x = n.in[0];
    const float least = std::nextafter(0.0f, 1.0f);
    if (const auto* unary = std::get_if<ir::Unary>(&n.attr)) {
      if (unary->op != ir::Unary::Op::sign || !is_data(x) || function(x)) return false;
      function(y) = Function{x, {0, least}, {ir::ElementType::f32, {3}, {-1, 0, 1}, {}}};
      return true;
    }
    const auto* b = std::get_if<Binary>(&n.attr);
    if (b == nullptr) return false;
    const std::optional<float> left = number(x), right = number(n.in[1]);
    const ValueId data = right ? x : n.in[1];
    if (left.has_value() == right.has_value() || !is_data(data) || function(data) ||
        value_of(g_, data).shape != value_of(g_, y).shape)
      return false;
    using Op = Binary::Op;
    // number < x is x > number.
    const Op mirrored = b->op == Op::less            ? Op::greater
                        : b->op == Op::less_equal    ? Op::greater_equal
                        : b->op == Op::greater       ? Op::less
                        : b->op == Op::greater_equal ? Op::less_equal
                                                     : b->op;
    const Op op = right ? b->op : mirrored;
    const float c = right ? *right : *left;
    const bool strict = op == Op::greater || op == Op::less_equal;
    const bool rises = op == Op::greater || op == Op::greater_equal;
    if (!rises && op != Op::less && op != Op::less_equal) return false;
    const float threshold = strict ? std::nextafter(c, kInfinity) : c;
    if (!std::isfinite(threshold)) return false;
    function(y) = Function{
        data, {threshold}, {ir::ElementType::boolean, {2}, {}, {rises ? 0 : 1, rises ? 1 : 0}}};
    return true;
  }

  // A node all of whose inputs are functions of one x, or single numbers: run on the intervals.
  Result<void> follow(const Node& n) {
    if (!works_alone(n)) return {};
    const Function* any = nullptr;
    Function y;
    for (const ValueId v : n.in) {
      const std::optional<Function>& f = function(v);
      if (!f) {
        const ir::Constant* c = ir::constant_of(g_, v);
        if (c == nullptr || c->encoding || c->data.size() + c->ints.size() != 1) return {};
        continue;
      }
      if (any != nullptr && f->x != any->x) return {};
      if (value_of(g_, v).shape != value_of(g_, n.out[0]).shape) return {};
      any = &*f;
      y.thresholds.insert(y.thresholds.end(), f->thresholds.begin(), f->thresholds.end());
    }
    if (any == nullptr) return {};
    y.x = any->x;
    std::sort(y.thresholds.begin(), y.thresholds.end());
    y.thresholds.erase(std::unique(y.thresholds.begin(), y.thresholds.end()), y.thresholds.end());
    if (y.thresholds.size() > kMaxThresholds) return {};
    return run_on_intervals(n, std::move(y));
  }

  static bool works_alone(const Node& n) {
    return std::holds_alternative<ir::Unary>(n.attr) || std::holds_alternative<Binary>(n.attr) ||
           std::holds_alternative<ir::Select>(n.attr) || std::holds_alternative<ir::Cast>(n.attr);
  }

  Result<void> run_on_intervals(const Node& n, Function y) {
    std::vector<eval::Tensor> in;
    for (const ValueId v : n.in) {
      const std::optional<Function>& f = function(v);
      in.push_back(f ? spread(*f, y.thresholds)
                     : eval::Tensor{value_of(g_, v).type,
                                    {},
                                    ir::constant_of(g_, v)->data,
                                    ir::constant_of(g_, v)->ints});
    }
    std::vector<eval::View> views;
    for (const eval::Tensor& t : in) views.push_back(eval::view(t));
    const auto count = static_cast<int64_t>(y.thresholds.size()) + 1;
    Result<eval::Tensor> levels =
        eval::run_node(n, std::move(views), value_of(g_, n.out[0]).type, {count}, false);
    if (!levels.ok()) return levels.error();
    y.levels = std::move(*levels);
    function(n.out[0]) = std::move(y);
    return {};
  }

  // The levels over more thresholds.
  static eval::Tensor spread(const Function& f, const std::vector<float>& thresholds) {
    eval::Tensor t{f.levels.type, {static_cast<int64_t>(thresholds.size()) + 1}, {}, {}};
    size_t reached = 0;
    for (size_t i = 0; i <= thresholds.size(); ++i) {
      if (i > 0 && reached < f.thresholds.size() && f.thresholds[reached] == thresholds[i - 1])
        ++reached;
      if (ir::is_float(t.type)) {
        t.data.push_back(f.levels.data[reached]);
      } else {
        t.ints.push_back(f.levels.ints[reached]);
      }
    }
    return t;
  }

  // Values that an output is, or that a node reads which is no function itself.
  std::vector<bool> read_elsewhere() {
    std::vector<bool> read(functions_.size());
    for (const Node& n : g_.nodes)
      for (const ValueId v : n.in)
        read[static_cast<size_t>(v)] = read[static_cast<size_t>(v)] || !function(n.out[0]);
    for (const ValueId v : g_.outputs) read[static_cast<size_t>(v)] = true;
    return read;
  }

  bool replace(ValueId y) {
    const Function& f = *function(y);
    if (!ir::is_float(value_of(g_, y).type)) return false;
    std::vector<float> thresholds, levels = {f.levels.data[0]};
    for (size_t i = 0; i < f.thresholds.size(); ++i) {
      if (f.levels.data[i + 1] == levels.back()) continue;
      thresholds.push_back(f.thresholds[i]);
      levels.push_back(f.levels.data[i + 1]);
    }
    if (thresholds.empty()) return false;
    const ir::Steps steps{levels[1] - levels[0], levels[0], 1};
    for (size_t i = 0; i < levels.size(); ++i) {
      const float level = steps.bias + steps.scale * static_cast<float>(i);
      if (!(level == levels[i])) return false;
    }
    Node& n = g_.nodes[static_cast<size_t>(value_of(g_, y).producer)];
    const auto count = static_cast<int64_t>(thresholds.size());
    n.attr = steps;
    n.in = {f.x, ir::add_floats(g_, n.name + ".thresholds", {1, count}, std::move(thresholds))};
    return true;
  }

  Graph& g_;
  std::vector<std::optional<Function>> functions_;
};

}  // namespace

Result<void> recognise_steps(Graph& g) {
  return Recogniser(g).run();
}

}  // namespace qrt::passes

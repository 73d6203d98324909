// MatMul, Gemm and BatchNormalization in all their forms, read from ONNX and taken
// through all passes.
#include <doctest/doctest.h>

#include "converter/ir/edit.h"
#include "tests/support/onnx_run.h"

namespace qrt {
namespace {

using eval::Tensor;
using test::Floats;
using test::one;
using test::OnnxBuilder;
using test::run_through_passes;
using test::set;
using Ints = std::vector<int64_t>;

Tensor tensor(Ints shape, Floats data) {
  return {ir::ElementType::f32, std::move(shape), std::move(data), {}};
}

// 1, 2, 3, ... over a shape.
Tensor counting(const Ints& shape, float first = 1) {
  Tensor t = tensor(shape, Floats(static_cast<size_t>(ir::element_count(shape))));
  for (float& x : t.data) x = first++;
  return t;
}

// NumPy's matmul in plain loops.
Floats product(const Tensor& a, const Tensor& b) {
  Ints p = a.shape, q = b.shape;
  if (p.size() == 1) p.insert(p.begin(), 1);
  if (q.size() == 1) q.push_back(1);
  const int64_t m = p[p.size() - 2], k = p.back(), n = q.back();
  const size_t rank = std::max(p.size(), q.size());
  p.insert(p.begin(), rank - p.size(), 1);
  q.insert(q.begin(), rank - q.size(), 1);
  Ints outer;
  for (size_t i = 0; i + 2 < rank; ++i) outer.push_back(std::max(p[i], q[i]));
  Floats y;
  for (int64_t at = 0; at < ir::element_count(outer); ++at) {
    int64_t rest = at, step = 1, from_a = 0, from_b = 0, step_a = m * k, step_b = k * n;
    for (size_t i = outer.size(); i-- > 0; step *= outer[i]) {
      const int64_t here = rest % outer[i];
      rest /= outer[i];
      from_a += p[i] == 1 ? 0 : here * step_a;
      from_b += q[i] == 1 ? 0 : here * step_b;
      step_a *= p[i];
      step_b *= q[i];
    }
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t c = 0; c < n; ++c) {
        float sum = 0;
        for (int64_t i = 0; i < k; ++i) {
          sum += a.data[static_cast<size_t>(from_a + r * k + i)] *
                 b.data[static_cast<size_t>(from_b + i * n + c)];
        }
        y.push_back(sum);
      }
    }
  }
  return y;
}

struct Form {
  Ints a, b, y;
};

TEST_CASE("MatMul: two inputs, a constant on either side, every rank") {
  const Form forms[] = {
      {{2, 3}, {3, 4}, {2, 4}},
      {{3}, {3, 4}, {4}},
      {{2, 3}, {3}, {2}},
      {{3}, {3}, {}},
      {{5, 2, 3}, {3, 4}, {5, 2, 4}},
      {{2, 3}, {5, 3, 4}, {5, 2, 4}},
      {{5, 2, 3}, {5, 3, 1}, {5, 2, 1}},
      {{2, 1, 2, 3}, {5, 3, 4}, {2, 5, 2, 4}},
      {{3}, {2, 3, 4}, {2, 4}},
      {{2, 5, 3}, {3}, {2, 5}},
      {{1, 1, 2, 3}, {1, 2, 3, 9}, {1, 2, 2, 9}},
  };
  for (const Form& form : forms) {
    const Tensor a = counting(form.a), b = counting(form.b, -5);
    const Floats want = product(a, b);
    for (const char* constant : {"", "a", "b"}) {
      CAPTURE(constant);
      OnnxBuilder builder;
      std::vector<Tensor> inputs;
      const auto add = [&](const char* name, const Tensor& t) {
        if (std::string(constant) == name) {
          builder.floats(name, t.shape, t.data);
        } else {
          builder.input(name, t.shape);
          inputs.push_back(t);
        }
      };
      add("a", a);
      add("b", b);
      builder.node("MatMul", {"a", "b"}, "y");
      builder.output("y");
      CHECK(run_through_passes(builder, inputs) == want);
      const ir::Graph graph = test::imported(builder);
      CHECK(graph.values[graph.outputs[0]].shape == form.y);
      // Matrices that are constant are weights, and weights can be compressed.
      const bool is_weight = (std::string(constant) == "a" && form.a.size() <= 2) ||
                             (std::string(constant) == "b" && form.b.size() <= 2);
      int layers = 0;
      for (const ir::Node& n : graph.nodes) layers += std::holds_alternative<ir::Linear>(n.attr);
      CHECK(layers == (is_weight ? 1 : 0));
    }
  }
}

TEST_CASE("MatMul and the free batch") {
  const auto build = [](const Ints& a, const Ints& b) {
    OnnxBuilder builder;
    builder.input("a", a);
    builder.input("b", b);
    builder.node("MatMul", {"a", "b"}, "y");
    builder.output("y");
    return builder;
  };
  const std::vector<Tensor> three = {counting({3, 2, 2}), counting({3, 2, 1})};
  CHECK(run_through_passes(build({-1, 2, 2}, {-1, 2, 1}), three) == product(three[0], three[1]));
  const std::vector<Tensor> rows = {counting({3, 2}), counting({2, 2})};
  CHECK(run_through_passes(build({-1, 2}, {2, 2}), rows) == product(rows[0], rows[1]));
  CHECK(test::refusal(build({2, 1}, {-1, 2})) == 552);        // sums over it
  CHECK(test::refusal(build({-1, 2, 2}, {4, 2, 1})) == 552);  // stretches it
  CHECK(test::refusal(build({-1}, {1, 2})) == 514);
  CHECK(test::refusal(build({2, 3}, {2, 3})) == 550);
  CHECK(test::refusal(build({2, 2, 3}, {3, 3, 2})) == 550);
}

TEST_CASE("Gemm: every combination of constants, transposes, factors and C") {
  const Floats a = {1, 2, 3, 4, 5, 6}, b = {1, -1, 2, 0, 3, 1};  // 2 x 3, 3 x 2
  const Floats at = {1, 4, 2, 5, 3, 6}, bt = {1, 2, 3, -1, 0, 1};
  const Floats ab = {14, 2, 32, 2};
  struct C {
    Ints shape;
    Floats data, spread;  // as 2 x 2
  };
  const C cs[] = {{{}, {}, {0, 0, 0, 0}},         {{1}, {5}, {5, 5, 5, 5}},
                  {{2}, {5, 7}, {5, 7, 5, 7}},    {{2, 1}, {5, 7}, {5, 5, 7, 7}},
                  {{1, 2}, {5, 7}, {5, 7, 5, 7}}, {{2, 2}, {5, 7, 9, 11}, {5, 7, 9, 11}}};
  for (int bits = 0; bits < 64; ++bits) {
    for (const C& c : cs) {
      const bool trans_a = bits & 1, trans_b = bits & 2, factors = bits & 4;
      const bool fixed[] = {(bits & 8) != 0, (bits & 16) != 0, (bits & 32) != 0};
      if (fixed[0] && fixed[1]) continue;  // nothing left to compute from
      OnnxBuilder builder(11);
      std::vector<Tensor> inputs;
      const auto add = [&](const char* name, size_t which, const Ints& shape, const Floats& data) {
        if (fixed[which]) {
          builder.floats(name, shape, data);
        } else {
          builder.input(name, shape);
          inputs.push_back(tensor(shape, data));
        }
      };
      add("a", 0, trans_a ? Ints{3, 2} : Ints{2, 3}, trans_a ? at : a);
      add("b", 1, trans_b ? Ints{2, 3} : Ints{3, 2}, trans_b ? bt : b);
      std::vector<std::string> in = {"a", "b"};
      if (!c.data.empty()) {
        add("c", 2, c.shape, c.data);
        in.push_back("c");
      }
      auto& node = builder.node("Gemm", in, "y");
      set(node, "transA", trans_a ? 1 : 0);
      set(node, "transB", trans_b ? 1 : 0);
      if (factors) {
        set(node, "alpha", 0.5f);
        set(node, "beta", 2.0f);
      }
      builder.output("y");
      Floats want(4);
      for (size_t i = 0; i < 4; ++i) {
        want[i] = factors ? 0.5f * ab[i] + 2 * c.spread[i] : ab[i] + c.spread[i];
      }
      CAPTURE(bits);
      CAPTURE(c.shape.size());
      CHECK(run_through_passes(builder, inputs) == want);
    }
  }
}

TEST_CASE("BatchNormalization of any rank and opset, and with computed parameters") {
  for (const int64_t opset : {7, 9, 14, 15}) {
    for (const Ints& shape : {Ints{2, 2}, Ints{2, 2, 1}, Ints{2, 2, 1, 1}, Ints{2, 2, 1, 1, 1}}) {
      for (const bool fixed : {true, false}) {
        OnnxBuilder builder(opset);
        builder.input("x", shape);
        std::vector<Tensor> inputs = {tensor(shape, {1, 2, 3, 4})};
        const std::pair<const char*, Floats> parameters[] = {
            {"s", {1, 2}}, {"b", {0, 1}}, {"m", {1, 0}}, {"v", {0.75f, 3.75f}}};
        for (const auto& [name, data] : parameters) {
          if (fixed) {
            builder.floats(name, {2}, data);
          } else {
            builder.input(name, {2});
            inputs.push_back(tensor({2}, data));
          }
        }
        set(builder.node("BatchNormalization", {"x", "s", "b", "m", "v"}, "y"), "epsilon", 0.25f);
        builder.output("y");
        CAPTURE(opset);
        CHECK(run_through_passes(builder, inputs) == Floats{0, 3, 2, 5});
      }
    }
  }
  const auto refused = [](int64_t opset, const char* key, int value) {
    auto builder = one("BatchNormalization", {1, 2}, [&](auto& n) { set(n, key, value); }, opset,
                       {"s", "s", "s", "s"});
    builder.floats("s", {2}, {1, 1});
    return test::refusal(builder);
  };
  CHECK(refused(14, "training_mode", 1) == 514);
  CHECK(refused(14, "training_mode", 0) == 0);
  CHECK(refused(7, "spatial", 0) == 514);
  CHECK(refused(7, "spatial", 1) == 0);
}

}  // namespace
}  // namespace qrt

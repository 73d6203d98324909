// What a healthy network shows: root mean squares of its activations within a few
// powers of ten of the input's, and outputs that change when the input changes.
#include "converter/import/activation_trap.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "converter/base/text.h"

namespace qrt::import {
namespace {

// Measured on the three published ResNets and the demo network: 0.02 to 8.4 times the input.
constexpr double kExplodes = 1e4;
constexpr double kCollapses = 1e-6;
// Deviation of the outputs between inputs over their deviation between classes. Measured on eight
// pictures: 2.1 to 6.7 for those networks; 9e-6 for ResNet-18 with the folding undone.
constexpr double kDepends = 0.01;

constexpr const char* kAdvice =
    ". This is how a checkpoint behaves whose batch norms were neither folded nor saved with their "
    "running mean and variance: it looks complete and answers at random (0.1 % on ImageNet). Save "
    "running_mean and running_var with it, or fold them before saving: weight = gamma / sqrt(var + "
    "eps), bias = beta - mean * weight";

double root_mean_square(const std::vector<float>& v) {
  double sum = 0;
  for (const float x : v) sum += double{x} * double{x};
  return v.empty() ? 0 : std::sqrt(sum / static_cast<double>(v.size()));
}

std::vector<eval::Tensor> first_rows(const ir::Graph& graph, std::span<const eval::Tensor> inputs,
                                     int64_t most) {
  std::vector<eval::Tensor> out(inputs.begin(), inputs.end());
  for (size_t i = 0; i < out.size() && i < graph.inputs.size(); ++i) {
    const ir::Value& v = graph.values[graph.inputs[i]];
    if (!v.batched || out[i].shape.empty() || out[i].shape[0] <= most * v.shape[0]) continue;
    const int64_t keep = most * v.shape[0], had = out[i].shape[0];
    out[i].data.resize(out[i].data.size() / static_cast<size_t>(had) * static_cast<size_t>(keep));
    out[i].ints.resize(out[i].ints.size() / static_cast<size_t>(had) * static_cast<size_t>(keep));
    out[i].shape[0] = keep;
  }
  return out;
}

// Follows the size of the activations through the network.
struct Watch {
  const ir::Graph& graph;
  double input = 0;  // largest root mean square of an input
  std::string found;

  void see(ir::ValueId id, const eval::Tensor& t) {
    const ir::Value& v = graph.values[id];
    if (t.type != ir::ElementType::f32 || !found.empty() || t.data.empty()) return;
    const double rms = root_mean_square(t.data);
    if (v.producer < 0) {
      input = std::max(input, rms);
      return;
    }
    const std::string& node = graph.nodes[v.producer].name;
    if (!std::isfinite(rms))
      found = cat("activations are not finite from ", node, " on");
    else if (input > 0 && rms > kExplodes * input)
      found = cat("activations explode: at ", node, " their root mean square is ", rms, ", ",
                  rms / input, " times the input's");
    else if (input > 0 && rms < kCollapses * input)
      found = cat("activations collapse: at ", node, " their root mean square is ", rms, ", ",
                  rms / input, " times the input's");
  }
};

bool rows_differ(const eval::Tensor& x, int64_t rows) {
  const size_t width = x.data.size() / static_cast<size_t>(rows);
  for (int64_t r = 1; r < rows; ++r)
    if (!std::equal(x.data.begin(), x.data.begin() + static_cast<std::ptrdiff_t>(width),
                    x.data.begin() + static_cast<std::ptrdiff_t>(width) * r))
      return true;
  return false;
}

// Outputs [rows][width] that say nothing.
std::string judge(const std::string& name, const eval::Tensor& y, int64_t rows) {
  const size_t n = static_cast<size_t>(rows), width = y.data.size() / n;
  if (width < 2) return "";
  double largest = 0;
  for (const float v : y.data) largest = std::max(largest, std::abs(double{v}));
  const auto [low, high] = std::minmax_element(y.data.begin(), y.data.end());
  if (double{*high} - double{*low} <= 1e-6 * largest)
    return cat("output ", name, " is constant, ", y.data[0], " for every class");
  if (rows < 2) return "";
  // The mean over inputs of each class, its deviation over classes, and the deviation around it.
  double between = 0, within = 0, mean_of_means = 0;
  std::vector<double> means(width, 0.0);
  for (size_t i = 0; i < n * width; ++i)
    means[i % width] += double{y.data[i]} / static_cast<double>(n);
  for (const double m : means) mean_of_means += m / static_cast<double>(width);
  for (const double m : means) between += (m - mean_of_means) * (m - mean_of_means);
  for (size_t i = 0; i < n * width; ++i) {
    const double e = double{y.data[i]} - means[i % width];
    within += e * e;
  }
  const double ratio = std::sqrt(within / static_cast<double>(n) / std::max(between, 1e-300));
  if (ratio < 1e-5 || (rows >= 4 && ratio < kDepends))
    return cat("output ", name, " hardly depends on the input: between ", rows,
               " inputs it deviates by ", ratio, " of what it deviates between classes");
  return "";
}

}  // namespace

Result<std::optional<std::string>> activation_trap(const ir::Graph& graph,
                                                   std::span<const eval::Tensor> inputs) {
  const std::vector<eval::Tensor> few = first_rows(graph, inputs, 8);
  Watch watch{graph, 0, ""};
  const auto outputs =
      eval::evaluate(graph, few, [&](ir::ValueId id, const eval::Tensor& t) { watch.see(id, t); });
  if (!outputs.ok()) return outputs.error();
  std::string found = watch.found;
  for (size_t i = 0; i < graph.outputs.size() && found.empty(); ++i) {
    const ir::Value& v = graph.values[graph.outputs[i]];
    const eval::Tensor& y = (*outputs)[i];
    if (y.type != ir::ElementType::f32 || y.data.empty()) continue;
    const bool is_batched = v.batched && !few.empty() && !few[0].shape.empty() && v.shape[0] > 0;
    int64_t rows = is_batched ? y.shape[0] / v.shape[0] : 1;
    if (rows > 1 && !rows_differ(few[0], rows)) rows = 1;
    found = judge(v.name, y, std::max<int64_t>(rows, 1));
  }
  if (found.empty()) return std::optional<std::string>();
  return std::optional<std::string>(found + kAdvice);
}

}  // namespace qrt::import

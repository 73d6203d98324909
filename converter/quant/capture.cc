// Values live once per chunk of samples and side; as long as nothing before a value
// has changed, both sides share it, so that the common stem of a network costs once.
#include "converter/quant/capture.h"

#include <algorithm>
#include <cmath>

#include "converter/base/text.h"
#include "converter/eval/algebra.h"
#include "converter/eval/compute.h"
#include "converter/ir/edit.h"
#include "converter/passes/layer.h"
#include "converter/quant/random.h"
#include "converter/quant/rows.h"

namespace qrt::quant {
namespace {

// About `wanted` of `count` positions, one in each of as many equal stretches.
std::vector<int64_t> spread(int64_t count, int64_t wanted, Random& random) {
  const int64_t n = std::min(count, std::max<int64_t>(wanted, 1));
  std::vector<int64_t> at;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t first = i * count / n, last = (i + 1) * count / n;
    at.push_back(n == count ? i : first + random.below(last - first));
  }
  return at;
}

// One side's constants that a layer's epilogue needs.
struct Affine {
  std::vector<float> weight, scale, bias;
};

Affine affine_of(const ir::Graph& g, const ir::Node& n) {
  const passes::LayerInputs in = passes::inputs_of(n);
  const auto floats = [&](ir::ValueId id) {
    if (id < 0) return std::vector<float>();
    return eval::tensor_of(*ir::constant_of(g, id), g.values[static_cast<size_t>(id)].shape).data;
  };
  return {floats(in.weight), floats(in.scale), floats(in.bias)};
}

// One layer being summed up.
class Summing {
 public:
  Summing(const ir::Graph& reference, const ir::Node& node, int64_t per_image, uint64_t seed)
      : graph_(reference),
        node_(node),
        affine_(affine_of(reference, node)),
        per_image_(per_image),
        random_(seed) {}

  // x and residual of both sides; residuals are null where the layer has none.
  bool add(const eval::Tensor& x, const eval::Tensor& x_reference, const eval::Tensor* residual,
           const eval::Tensor* residual_reference) {
    const RowMap map = row_map(graph_, node_, x);
    begin(map);
    // The positions are the same for all groups.
    std::vector<std::pair<int64_t, int64_t>> where;
    for (int64_t image = 0; image < map.images; ++image)
      for (const int64_t at : spread(map.positions(), per_image_, random_))
        where.emplace_back(image, at);
    for (int64_t group = 0; group < map.groups; ++group) {
      rows(map, x, where, group, rows_);
      const bool shared = &x == &x_reference;
      if (!shared) rows(map, x_reference, where, group, reference_rows_);
      const int64_t n = static_cast<int64_t>(where.size()), outputs = out.outputs / map.groups;
      targets_.resize(static_cast<size_t>(n * outputs));
      eval::multiply_transposed(
          n, outputs, map.inputs, shared ? rows_.data() : reference_rows_.data(),
          &affine_.weight[static_cast<size_t>(group * outputs * map.inputs)], targets_.data());
      finish(map, where, group, residual, residual_reference);
      if (!sum_up(map, n, group)) return false;
    }
    out.rows += static_cast<int64_t>(where.size());
    return true;
  }

  LayerMoments out;

 private:
  void begin(const RowMap& map) {
    if (out.inputs > 0) return;
    out.groups = map.groups;
    out.inputs = map.inputs;
    out.outputs = graph_.values[static_cast<size_t>(node_.in[1])].shape[0];
    out.xx.assign(static_cast<size_t>(map.groups * map.inputs * map.inputs), 0.0);
    out.x.assign(static_cast<size_t>(map.groups * map.inputs), 0.0);
    out.tx.assign(static_cast<size_t>(out.outputs * map.inputs), 0.0);
    out.t.assign(static_cast<size_t>(out.outputs), 0.0);
    out.tt.assign(static_cast<size_t>(out.outputs), 0.0);
  }

  void rows(const RowMap& map, const eval::Tensor& x,
            const std::vector<std::pair<int64_t, int64_t>>& where, int64_t group,
            std::vector<float>& to) const {
    to.resize(where.size() * static_cast<size_t>(map.inputs));
    float* row = to.data();
    for (const auto& [image, at] : where) {
      gather_row(node_, map, x, image, group, at, row);
      row += map.inputs;
    }
  }

  // The products become what scale * W x + bias should be.
  void finish(const RowMap& map, const std::vector<std::pair<int64_t, int64_t>>& where,
              int64_t group, const eval::Tensor* residual, const eval::Tensor* residual_reference) {
    const int64_t outputs = out.outputs / map.groups;
    float* t = targets_.data();
    for (const auto& [image, at] : where)
      for (int64_t i = 0; i < outputs; ++i, ++t) {
        const int64_t o = group * outputs + i;
        if (!affine_.scale.empty()) *t *= affine_.scale[static_cast<size_t>(o)];
        if (!affine_.bias.empty()) *t += affine_.bias[static_cast<size_t>(o)];
        if (residual && residual != residual_reference)
          *t += output_at(node_, map, *residual_reference, image, o, at) -
                output_at(node_, map, *residual, image, o, at);
      }
  }

  bool sum_up(const RowMap& map, int64_t n, int64_t group) {
    const int64_t k = map.inputs, outputs = out.outputs / map.groups;
    // Products of one chunk in f32, sums over chunks in f64.
    const auto add = [&](int64_t m, const std::vector<float>& a, double* to) {
      product_.assign(static_cast<size_t>(m * k), 0.0f);
      eval::add_cross(m, k, n, a.data(), rows_.data(), product_.data());
      for (size_t i = 0; i < product_.size(); ++i) to[i] += double{product_[i]};
    };
    add(k, rows_, &out.xx[static_cast<size_t>(group * k * k)]);
    add(outputs, targets_, &out.tx[static_cast<size_t>(group * outputs * k)]);
    double all = 0;
    for (size_t i = 0; i < rows_.size(); ++i) {
      out.x[static_cast<size_t>(group * k) + i % static_cast<size_t>(k)] += double{rows_[i]};
      all += std::abs(double{rows_[i]});
    }
    for (size_t i = 0; i < targets_.size(); ++i) {
      const size_t o = static_cast<size_t>(group * outputs) + i % static_cast<size_t>(outputs);
      out.t[o] += double{targets_[i]};
      out.tt[o] += double{targets_[i]} * double{targets_[i]};
      all += std::abs(double{targets_[i]});
    }
    return std::isfinite(all);
  }

  const ir::Graph& graph_;
  const ir::Node& node_;
  const Affine affine_;
  const int64_t per_image_;
  Random random_;
  std::vector<float> rows_, reference_rows_, targets_, product_;
};

}  // namespace

Capture::Capture(const ir::Graph& reference, const ir::Graph& coded)
    : reference_(reference), coded_(coded), uses_(reference.values.size()) {
  for (const ir::Node& n : reference.nodes)
    for (const ir::ValueId id : n.in) ++uses_[static_cast<size_t>(id)];
}

Result<void> Capture::open(const CalibrationData& data, int64_t rows) {
  if (data.inputs.size() != reference_.inputs.size())
    return fail(560, "the graph has ", reference_.inputs.size(), " inputs, found ",
                data.inputs.size(), "; give one tensor for each");
  const int64_t given = sample_count(reference_, data.inputs);
  // One sample goes through the interpreter as a whole, which knows what may be wrong with it.
  const auto one = eval::evaluate(
      reference_, given > 1 ? slice_samples(reference_, data.inputs, 0, 1) : data.inputs);
  if (!one.ok()) return one.error();
  samples_ = std::min(rows, given);
  if (samples_ < 1)
    return fail(725, "there are no calibration samples; give --calibrate a file or folder");
  const int64_t step = samples_at_once(reference_);
  for (int64_t first = 0; first < samples_; first += step) {
    Chunk chunk;
    auto parts = slice_samples(reference_, data.inputs, first, std::min(samples_, first + step));
    for (size_t i = 0; i < parts.size(); ++i)
      chunk.reference[reference_.inputs[i]] =
          std::make_shared<const eval::Tensor>(std::move(parts[i]));
    chunk.coded = chunk.reference;
    chunks_.push_back(std::move(chunk));
  }
  return {};
}

Result<Capture::TensorPtr> Capture::compute(
    const ir::Graph& graph, const ir::Node& node, const std::map<ir::ValueId, TensorPtr>& values,
    const std::map<ir::ValueId, TensorPtr>& constants) const {
  std::vector<eval::View> in;
  int64_t batch = 1;
  for (const ir::ValueId id : node.in) {
    const auto constant = constants.find(id);
    const TensorPtr& t = constant != constants.end() ? constant->second : values.at(id);
    in.push_back(eval::view(*t));
    const ir::Value& value = graph.values[static_cast<size_t>(id)];
    if (value.batched) batch = t->shape[0] / value.shape[0];
  }
  const ir::Value& out = graph.values[static_cast<size_t>(node.out[0])];
  std::vector<int64_t> shape = out.shape;
  if (out.batched) shape[0] *= batch;
  auto result = eval::run_node(node, std::move(in), out.type, std::move(shape));
  if (!result.ok()) return result.error();
  return TensorPtr(std::make_shared<const eval::Tensor>(std::move(*result)));
}

Result<void> Capture::step(ir::NodeId id) {
  const ir::Node& mine = coded_.nodes[static_cast<size_t>(id)];
  const ir::Node& theirs = reference_.nodes[static_cast<size_t>(id)];
  std::map<ir::ValueId, TensorPtr> constants, reference_constants;
  const auto decode = [](const ir::Graph& g, const ir::Node& n, auto& to) {
    for (const ir::ValueId v : n.in)
      if (const ir::Constant* c = ir::constant_of(g, v))
        to[v] = std::make_shared<const eval::Tensor>(
            eval::tensor_of(*c, g.values[static_cast<size_t>(v)].shape));
  };
  decode(reference_, theirs, reference_constants);
  if (changed_.count(id)) decode(coded_, mine, constants);
  for (Chunk& chunk : chunks_) {
    auto want = compute(reference_, theirs, chunk.reference, reference_constants);
    if (!want.ok()) return want.error();
    bool same = changed_.count(id) == 0;
    for (const ir::ValueId v : theirs.in)
      if (const auto at = chunk.reference.find(v); at != chunk.reference.end())
        same = same && chunk.coded.at(v) == at->second;
    TensorPtr got = *want;
    if (!same) {
      auto r =
          compute(coded_, mine, chunk.coded, changed_.count(id) ? constants : reference_constants);
      if (!r.ok()) return r.error();
      got = *r;
    }
    if (uses_[static_cast<size_t>(theirs.out[0])] > 0) {
      chunk.reference[theirs.out[0]] = *want;
      chunk.coded[theirs.out[0]] = got;
    }
  }
  for (const ir::ValueId v : theirs.in)
    if (--uses_[static_cast<size_t>(v)] == 0)
      for (Chunk& chunk : chunks_) {
        chunk.reference.erase(v);
        chunk.coded.erase(v);
      }
  return {};
}

Result<void> Capture::run_before(ir::NodeId node) {
  for (; next_ < node; ++next_) QRT_CHECK_OK(step(next_));
  return {};
}

Result<LayerMoments> Capture::moments(ir::NodeId id, int64_t rows, uint64_t seed) const {
  const ir::Node& node = reference_.nodes[static_cast<size_t>(id)];
  const passes::LayerInputs in = passes::inputs_of(node);
  Summing summing(reference_, node, (rows + samples_ - 1) / samples_,
                  seed ^ (0x9e3779b97f4a7c15u * static_cast<uint64_t>(id + 1)));
  for (const Chunk& chunk : chunks_) {
    const auto find = [&](const auto& side, ir::ValueId v) {
      const auto at = side.find(v);
      return at == side.end() ? nullptr : at->second.get();
    };
    if (!summing.add(*chunk.coded.at(in.x), *chunk.reference.at(in.x),
                     find(chunk.coded, in.residual), find(chunk.reference, in.residual)))
      return fail(711, node.name,
                  ": its input is not finite on the calibration data; check the data's "
                  "preprocessing and the weights");
  }
  return std::move(summing.out);
}

int64_t live_bytes(const ir::Graph& g) {
  std::vector<int> uses(g.values.size());
  for (const ir::Node& n : g.nodes)
    for (const ir::ValueId v : n.in) ++uses[static_cast<size_t>(v)];
  const auto bytes = [&](ir::ValueId v) {
    return 4 * std::max<int64_t>(ir::element_count(g.values[static_cast<size_t>(v)].shape), 1);
  };
  int64_t live = 0, most = 0;
  for (const ir::ValueId v : g.inputs) live += bytes(v);
  for (const ir::Node& n : g.nodes) {
    live += bytes(n.out[0]);
    most = std::max(most, live);
    for (const ir::ValueId v : n.in)
      if (!ir::is_constant(g, v) && --uses[static_cast<size_t>(v)] == 0) live -= bytes(v);
    if (uses[static_cast<size_t>(n.out[0])] == 0) live -= bytes(n.out[0]);
  }
  return most;
}

}  // namespace qrt::quant

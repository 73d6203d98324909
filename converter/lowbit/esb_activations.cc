#include "converter/lowbit/esb_activations.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/lowbit/grid.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/quant/rows.h"

namespace qrt::lowbit {
namespace {

using ir::ValueId;

constexpr size_t kMostSamples = 1 << 16;  // numbers of a value that its scale is chosen on
constexpr int kCandidates = 49;  // an eighth of an octave apart, down from what cuts nothing

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Numbers of a value, thinned out evenly as they come.
struct Seen {
  std::vector<float> numbers;
  size_t step = 1, next = 0;
  float least = 0, most = 0;
  bool finite = true;

  void add(std::span<const float> data) {
    for (const float v : data) {
      finite = finite && std::isfinite(v);
      least = std::min(least, v), most = std::max(most, v);
    }
    for (; next < data.size(); next += step) numbers.push_back(data[next]);
    next -= data.size();
    while (numbers.size() > kMostSamples) {
      for (size_t i = 0; 2 * i < numbers.size(); ++i) numbers[i] = numbers[2 * i];
      numbers.resize((numbers.size() + 1) / 2);
      step *= 2;
    }
  }
};

// Which node reads a value.
struct Read {
  ValueId value;
  size_t reader;
};

// From a layer's input up through what only moves elements and has no other reader.
Read source_of(const ir::Graph& g, size_t layer, const std::vector<int>& uses) {
  Read r{g.nodes[layer].in[0], layer};
  for (;;) {
    const ir::NodeId producer = g.values[at(r.value)].producer;
    if (producer < 0 || uses[at(r.value)] != 1) return r;
    const ir::Node& n = g.nodes[at(producer)];
    if (!keeps_grid(n) || n.in.size() != 1) return r;
    r = {n.in[0], at(producer)};
  }
}

bool has_integer_weights(const ir::Graph& g, const ir::Node& n) {
  if (!passes::takes_codes(n) || ir::is_constant(g, n.in[0])) return false;
  if (g.values[at(n.in[0])].quantization.present()) return false;
  const ir::Constant* w = ir::constant_of(g, n.in[1]);
  return w != nullptr && w->encoding != nullptr && quant::is_integer(*w->encoding) &&
         quant::group_scales(*w->encoding) == nullptr;
}

// Sizes (not negative, ascending, from 0 on) of a format.
std::vector<double> sizes_of(const quant::EsbFormat& f) {
  std::vector<double> all = quant::esb_numbers(f);
  all.resize(all.size() / 2);
  return all;
}

double nearest_error(const std::vector<double>& sizes, bool has_sign, double scale,
                     const std::vector<float>& numbers) {
  double sum = 0;
  for (const float v : numbers) {
    const double x = has_sign ? std::fabs(double{v}) / scale : double{v} / scale;
    const auto above = std::lower_bound(sizes.begin(), sizes.end(), x);
    double off = above == sizes.end() ? x - sizes.back() : *above - x;
    if (above != sizes.begin()) off = std::min(off, std::fabs(x - *(above - 1)));
    sum += off * off;
  }
  return sum * scale * scale;
}

// The scale of least error on the samples. Powers of two make the error nearly periodic, so
// candidates go over six octaves.
EsbActivation choose(const std::string& name, const quant::EsbFormat& f, const Seen& seen) {
  EsbActivation a{name, f, seen.least < 0, 1, 0};
  const std::vector<double> sizes = sizes_of(f);
  const double most = std::max(double{seen.most}, -double{seen.least});
  if (!(most > 0)) return a;
  double energy = 0, least = std::numeric_limits<double>::infinity();
  for (const float v : seen.numbers) energy += double{v} * v;
  for (int i = 0; i < kCandidates; ++i) {
    const auto scale = static_cast<float>(most / sizes.back() * std::exp2(-i / 8.0));
    if (!std::isnormal(scale)) break;
    const double error = nearest_error(sizes, a.has_sign, double{scale}, seen.numbers);
    if (error < least) least = error, a.scale = scale;
  }
  a.error = energy > 0 ? least / energy : 0;
  return a;
}

// Half way between neighbours, as often as they are units apart.
std::vector<float> thresholds_of(const EsbActivation& a) {
  const std::vector<double> sizes = sizes_of(a.format);
  std::vector<float> up;
  for (size_t i = 1; i < sizes.size(); ++i)
    for (double step = sizes[i - 1]; step < sizes[i]; ++step)
      up.push_back(static_cast<float>(double{a.scale} * (sizes[i - 1] + sizes[i]) / 2));
  if (!a.has_sign) return up;
  std::vector<float> all;
  for (size_t i = up.size(); i-- > 0;) all.push_back(-up[i]);
  all.insert(all.end(), up.begin(), up.end());
  return all;
}

// A clamp of the layer in front changes no step if every threshold lies inside of it; those above
// it are never reached.
void drop_clamp(ir::Graph& g, ValueId v, const std::vector<int>& uses,
                std::vector<float>& thresholds) {
  const ir::NodeId producer = g.values[at(v)].producer;
  if (producer < 0 || uses[at(v)] != 1) return;
  ir::Node& n = g.nodes[at(producer)];
  if (!passes::is_layer(n) || passes::inputs_of(n).residual >= 0) return;
  ir::Clamp& clamp = *passes::clamp_of(n);
  if (clamp == ir::kNoClamp || !(thresholds.front() > clamp.min)) return;
  for (float& t : thresholds)
    if (t > clamp.max) t = std::numeric_limits<float>::max();
  clamp = ir::kNoClamp;
}

struct Place {
  EsbActivation chosen;
  ValueId from;
};

// v becomes Steps(v) as the first input of the nodes marked.
void insert(ir::Graph& g, const std::vector<Place>& places, const std::vector<bool>& rounds) {
  const std::vector<int> uses = passes::count_uses(g);
  std::map<ValueId, ValueId> rounded;
  std::map<ir::NodeId, std::vector<ir::Node>> made;  // behind which node
  for (const Place& p : places) {
    std::vector<float> thresholds = thresholds_of(p.chosen);
    drop_clamp(g, p.from, uses, thresholds);
    const auto count = static_cast<int64_t>(thresholds.size());
    const double zero = p.chosen.has_sign ? static_cast<double>(count / 2) : 0;
    ir::Node steps;
    steps.name = ir::unique_name(g, g.values[at(p.from)].name + ".esb");
    steps.attr = ir::Steps{p.chosen.scale, static_cast<float>(-zero * double{p.chosen.scale}), -1};
    ir::Value y = g.values[at(p.from)];
    y.name = steps.name, y.constant = -1;
    steps.in = {p.from,
                ir::add_floats(g, steps.name + ".thresholds", {1, count}, std::move(thresholds))};
    y.producer = -1;
    g.values.push_back(std::move(y));
    steps.out = {static_cast<ValueId>(g.values.size() - 1)};
    rounded[p.from] = steps.out[0];
    made[g.values[at(p.from)].producer].push_back(std::move(steps));
  }
  std::vector<ir::Node> before = std::move(g.nodes);
  g.nodes.clear();
  for (size_t i = 0; i < before.size(); ++i) {
    if (rounds[i])
      if (const auto to = rounded.find(before[i].in[0]); to != rounded.end())
        before[i].in[0] = to->second;
    g.nodes.push_back(std::move(before[i]));
    for (ir::Node& n : made[static_cast<ir::NodeId>(i)]) g.nodes.push_back(std::move(n));
  }
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (const ValueId v : g.nodes[i].out) g.values[at(v)].producer = static_cast<ir::NodeId>(i);
}

}  // namespace

Result<quant::EsbFormat> activation_format(const quant::EsbFormat& format, bool has_sign) {
  QRT_CHECK_OK(quant::check(format));
  quant::EsbFormat f = format;
  if (!has_sign) ++f.bits, ++f.fraction;
  const double most = f.bits > quant::kMaxEsbBits ? 0 : quant::esb_most(f);
  const double allowed = has_sign ? 127 : 255;
  if (f.bits > quant::kMaxEsbBits || most > allowed)
    return fail(741, "ESB activations of ", format.bits, " bits with ", format.fraction,
                " fraction bits", has_sign ? "" : " and no negative values",
                f.bits > quant::kMaxEsbBits ? " need codes of more than 8 bits"
                                            : cat(" reach ", most, " units"),
                "; bytes hold ", allowed, ": use fewer bits or more of them for the fraction");
  return f;
}

Result<std::vector<EsbActivation>> round_activations(ir::Graph& g, const quant::EsbFormat& format,
                                                     const quant::CalibrationData& data) {
  if (data.inputs.empty())
    return fail(760,
                "ESB activations need sample inputs to choose their scales by; give them with "
                "--calibrate FILE.npy or a folder");
  const std::vector<int> uses = passes::count_uses(g);
  std::map<ValueId, Seen> seen;
  std::vector<bool> rounds(g.nodes.size());  // nodes that will read rounded values
  bool any = false;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!has_integer_weights(g, g.nodes[i])) continue;
    any = true;
    const auto [from, reader] = source_of(g, i, uses);
    if (g.values[at(from)].producer < 0) continue;
    seen.try_emplace(from);
    rounds[reader] = true;
  }
  if (!any)
    return fail(761,
                "no layer can sum integers of ESB activations: none has integer weights; add "
                "--method esb, or convert it without --activations esb");
  const int64_t samples = quant::sample_count(g, data.inputs), step = quant::samples_at_once(g);
  for (int64_t first = 0; first < samples; first += step) {
    const auto part = quant::slice_samples(g, data.inputs, first, std::min(samples, first + step));
    const auto done = eval::evaluate(g, part, [&](ValueId v, const eval::Tensor& t) {
      if (const auto it = seen.find(v); it != seen.end()) it->second.add(t.data);
    });
    if (!done.ok()) return done.error();
  }
  std::vector<Place> places;
  std::vector<EsbActivation> all;
  for (const auto& [v, numbers] : seen) {
    if (!numbers.finite)
      return fail(762, g.nodes[at(g.values[at(v)].producer)].name,
                  ": values are not finite on the calibration data; check the data's preprocessing "
                  "and the weights");
    const auto f = activation_format(format, numbers.least < 0);
    if (!f.ok()) return fail(f.error().id, g.values[at(v)].name, ": ", f.error().message);
    places.push_back({choose(g.values[at(v)].name, *f, numbers), v});
    all.push_back(places.back().chosen);
  }
  insert(g, places, rounds);
  return all;
}

}  // namespace qrt::lowbit

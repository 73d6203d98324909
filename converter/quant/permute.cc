// Two steps: find the layers whose outputs are free (trace), then order each one's
// channels (Ordering) and rewrite every tensor that knows them (apply).
//
// Why log det: k entries code a Gaussian block of d values with an error of about
// det(S)^(1/d) k^(-2/d), S its second moments; half of log2 det counts in bits.
#include "converter/quant/permute.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/quant/random.h"

namespace qrt::quant {
namespace {

constexpr int32_t kMaxDim = 64;  // of d x d moments, factored at every trial

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Channels in a row that come from one layer; source -1: from something that stays in place.
struct Segment {
  ir::NodeId source;
  int64_t count;
};
using Segments = std::vector<Segment>;

// A node with one entry of its tensors per channel, or one input channel: the source's channels
// start at `first`.
struct Place {
  ir::NodeId node;
  int64_t first;
};

struct Freedom {
  std::map<ir::NodeId, std::vector<Place>> readers, carriers;  // by source
  std::set<ir::NodeId> sources, pinned;
};

class Trace {
 public:
  explicit Trace(const ir::Graph& g) : g_(g), uses_(passes::count_uses(g)) {}

  Freedom run() {
    for (ir::NodeId i = 0; i < static_cast<ir::NodeId>(g_.nodes.size()); ++i) visit(i);
    for (const ir::ValueId v : g_.outputs) pin(v);
    return std::move(out_);
  }

 private:
  void visit(ir::NodeId id) {
    const ir::Node& n = g_.nodes[at(id)];
    if (passes::is_layer(n)) return layer(id, n);
    if (std::holds_alternative<ir::Pool2d>(n.attr) || std::holds_alternative<ir::Unary>(n.attr) ||
        (std::holds_alternative<ir::Reshape>(n.attr) && keeps_channels(n))) {
      of_[n.out[0]] = segments(n.in[0]);
    } else if (std::holds_alternative<ir::Affine>(n.attr) && own(n.in[1]) && own(n.in[2])) {
      carry(id, n);
    } else if (const auto* c = std::get_if<ir::Concat>(&n.attr); c && c->axis == 1) {
      Segments all;
      for (const ir::ValueId v : n.in)
        for (const Segment& s : segments(v)) all.push_back(s);
      of_[n.out[0]] = all;
    } else {
      for (const ir::ValueId v : n.in) pin(v);
    }
  }

  void layer(ir::NodeId id, const ir::Node& n) {
    const passes::LayerInputs in = passes::inputs_of(n);
    const auto* conv = std::get_if<ir::Conv2d>(&n.attr);
    const std::vector<int64_t>& x = passes::value_of(g_, in.x).shape;
    const bool is_plain = conv ? conv->groups == 1 && conv->layout == ir::Layout::nchw
                               : x.size() == 2;  // Linear on the channel axis
    const bool mine =
        own(in.weight) && (in.scale < 0 || own(in.scale)) && (in.bias < 0 || own(in.bias));
    if (in.residual >= 0) pin(in.residual);
    if (conv && conv->groups > 1 && conv->groups == x.at(1) &&
        conv->groups == passes::outputs_of(g_, n) && mine && in.residual < 0)
      return carry(id, n);
    if (!is_plain || !own(in.weight)) {
      pin(in.x);
      return;
    }
    int64_t first = 0;
    for (const Segment& s : segments(in.x)) {
      if (s.source >= 0) out_.readers[s.source].push_back({id, first});
      first += s.count;
    }
    if (!mine || in.residual >= 0) return;
    out_.sources.insert(id);
    of_[n.out[0]] = {{id, passes::outputs_of(g_, n)}};
  }

  void carry(ir::NodeId id, const ir::Node& n) {
    const Segments in = segments(n.in[0]);
    int64_t first = 0;
    for (const Segment& s : in) {
      if (s.source >= 0) out_.carriers[s.source].push_back({id, first});
      first += s.count;
    }
    of_[n.out[0]] = in;
  }

  // [C,1,1] to [C] and the like.
  bool keeps_channels(const ir::Node& n) const {
    const auto &from = passes::value_of(g_, n.in[0]).shape,
               &to = passes::value_of(g_, n.out[0]).shape;
    if (from.size() < 2 || to.size() < 2 || from[0] != to[0] || from[1] != to[1]) return false;
    const auto ones = [](const std::vector<int64_t>& s) {
      return std::all_of(s.begin() + 2, s.end(), [](int64_t d) { return d == 1; });
    };
    return ones(from) && ones(to);
  }

  Segments segments(ir::ValueId v) const {
    const auto found = of_.find(v);
    if (found != of_.end()) return found->second;
    const std::vector<int64_t>& shape = passes::value_of(g_, v).shape;
    return {{-1, shape.size() > 1 ? shape[1] : 0}};
  }

  void pin(ir::ValueId v) {
    for (const Segment& s : segments(v))
      if (s.source >= 0) out_.pinned.insert(s.source);
  }

  // Floats that this node alone reads.
  bool own(ir::ValueId v) const {
    return passes::floats_of(g_, v) && !passes::floats_of(g_, v)->empty() && uses_[at(v)] == 1;
  }

  const ir::Graph& g_;
  const std::vector<int> uses_;
  std::map<ir::ValueId, Segments> of_;
  Freedom out_;
};

// Groups of `span` values moved so that place c of `count`, from `first` on, holds what was in
// place order[c]; in each of `rows` rows.
void reorder(std::vector<float>& data, int64_t rows, int64_t span, int64_t first,
             const std::vector<int64_t>& order) {
  const int64_t row = static_cast<int64_t>(data.size()) / rows;
  const std::vector<float> before = data;
  for (int64_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < order.size(); ++c)
      std::copy_n(before.begin() + r * row + (first + order[c]) * span, span,
                  data.begin() + r * row + (first + static_cast<int64_t>(c)) * span);
}

// One reader's weights, whose columns move, and the second moments of its blocks.
class Blocks {
 public:
  Blocks(const std::vector<float>& weights, int64_t outputs, int64_t area, int64_t first,
         int64_t dim)
      : w_(weights), outputs_(outputs), area_(area), first_(first), dim_(dim) {
    inputs_ = static_cast<int64_t>(w_.size()) / outputs;
    blocks_ = (inputs_ + dim - 1) / dim;
    reset();
  }

  double weight() const { return static_cast<double>(outputs_ * blocks_); }

  // Bits per block of the Gaussian bound, up to a constant.
  double bits() const {
    std::vector<double> l(sums_);
    double trace = 0, log = 0;
    for (int64_t i = 0; i < dim_; ++i) trace += sums_[at(i * dim_ + i)];
    if (!(trace > 0)) return 0;
    for (int64_t i = 0; i < dim_; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double sum = l[at(i * dim_ + j)] + (i == j ? 1e-6 * trace / static_cast<double>(dim_) : 0);
        for (int64_t t = 0; t < j; ++t) sum -= l[at(i * dim_ + t)] * l[at(j * dim_ + t)];
        l[at(i * dim_ + j)] = i == j ? std::sqrt(std::max(sum, 1e-30)) : sum / l[at(j * dim_ + j)];
      }
      log += std::log2(l[at(i * dim_ + i)]);
    }
    return log;
  }

  void swap(int64_t a, int64_t b) {
    touched_.clear();
    for (const int64_t c : {first_ + a, first_ + b})
      for (int64_t block = c * area_ / dim_; block <= ((c + 1) * area_ - 1) / dim_; ++block)
        touched_.insert(block);
    for (const int64_t block : touched_) add(block, -1);
    for (int64_t o = 0; o < outputs_; ++o) {
      float* row = &w_[at(o * inputs_)];
      std::swap_ranges(row + (first_ + a) * area_, row + (first_ + a + 1) * area_,
                       row + (first_ + b) * area_);
    }
    for (const int64_t block : touched_) add(block, 1);
  }

  void set(const std::vector<int64_t>& order) {
    reorder(w_, outputs_, area_, first_, order);
    reset();
  }

  // Sum of squares of a channel's weights.
  double energy(int64_t channel) const {
    double sum = 0;
    for (int64_t o = 0; o < outputs_; ++o)
      for (int64_t i = 0; i < area_; ++i) {
        const double v = double{w_[at(o * inputs_ + (first_ + channel) * area_ + i)]};
        sum += v * v;
      }
    return sum;
  }

 private:
  void reset() {
    sums_.assign(at(dim_ * dim_), 0.0);
    for (int64_t b = 0; b < blocks_; ++b) add(b, 1);
  }

  void add(int64_t block, double sign) {
    const int64_t len = std::min(dim_, inputs_ - block * dim_);
    for (int64_t o = 0; o < outputs_; ++o) {
      const float* v = &w_[at(o * inputs_ + block * dim_)];
      for (int64_t i = 0; i < len; ++i)
        for (int64_t j = 0; j < len; ++j)
          sums_[at(i * dim_ + j)] += sign * double{v[i]} * double{v[j]};
    }
  }

  std::vector<float> w_;
  int64_t outputs_, area_, first_, dim_, inputs_ = 0, blocks_ = 0;
  std::vector<double> sums_;
  std::set<int64_t> touched_;
};

// The order of one source's channels.
class Ordering {
 public:
  Ordering(std::vector<Blocks> readers, int64_t channels)
      : readers_(std::move(readers)), order_(at(channels)) {
    std::iota(order_.begin(), order_.end(), 0);
  }

  double bits() const {
    double sum = 0, weight = 0;
    for (const Blocks& b : readers_) {
      sum += b.weight() * b.bits();
      weight += b.weight();
    }
    return sum / weight;
  }

  // Channels of like energy at the same place of their blocks: the product of the d energies, an
  // upper bound of det, is least where they differ most.
  void sort(int64_t dim) {
    const double before = bits();
    const std::vector<Blocks> kept = readers_;
    std::vector<double> energy(order_.size());
    for (size_t c = 0; c < energy.size(); ++c)
      for (const Blocks& b : readers_) energy[c] += b.energy(static_cast<int64_t>(c));
    std::vector<int64_t> rank(order_.size()), sorted(order_.size());
    std::iota(rank.begin(), rank.end(), 0);
    std::stable_sort(rank.begin(), rank.end(),
                     [&](int64_t a, int64_t b) { return energy[at(a)] > energy[at(b)]; });
    size_t next = 0;
    for (int64_t place = 0; place < dim; ++place)
      for (size_t c = at(place); c < sorted.size(); c += at(dim)) sorted[c] = rank[next++];
    for (Blocks& b : readers_) b.set(sorted);
    if (bits() < before) {
      order_ = sorted;
    } else {
      readers_ = kept;
    }
  }

  void climb(int64_t trials, Random& random) {
    const int64_t n = static_cast<int64_t>(order_.size());
    double best = bits();
    for (int64_t i = 0; i < trials; ++i) {
      const int64_t a = random.below(n), b = random.below(n);
      if (a == b) continue;
      for (Blocks& r : readers_) r.swap(a, b);
      const double now = bits();
      if (now < best) {
        best = now;
        std::swap(order_[at(a)], order_[at(b)]);
      } else {
        for (Blocks& r : readers_) r.swap(a, b);
      }
    }
  }

  const std::vector<int64_t>& order() const { return order_; }

 private:
  std::vector<Blocks> readers_;
  std::vector<int64_t> order_;
};

int64_t area_of(const ir::Node& n) {
  const auto* conv = std::get_if<ir::Conv2d>(&n.attr);
  return conv ? int64_t{conv->window.kernel[0]} * conv->window.kernel[1] : 1;
}

void reorder_constant(ir::Graph& g, ir::ValueId v, int64_t rows, int64_t span, int64_t first,
                      const std::vector<int64_t>& order) {
  if (v < 0) return;
  std::vector<float> data = *passes::floats_of(g, v);
  reorder(data, rows, span, first, order);
  passes::set_floats(g, v, std::move(data));
}

// Every tensor that has these channels, in the new order.
void apply(ir::Graph& g, const Freedom& f, ir::NodeId source, const std::vector<int64_t>& order) {
  const auto outputs = [&](ir::NodeId id, int64_t first) {
    const ir::Node& n = g.nodes[at(id)];
    if (std::holds_alternative<ir::Affine>(n.attr)) {
      reorder_constant(g, n.in[1], 1, 1, first, order);
      reorder_constant(g, n.in[2], 1, 1, first, order);
      return;
    }
    const passes::LayerInputs in = passes::inputs_of(n);
    const auto& shape = passes::value_of(g, in.weight).shape;
    reorder_constant(g, in.weight, 1, ir::element_count(shape) / shape[0], first, order);
    reorder_constant(g, in.scale, 1, 1, first, order);
    reorder_constant(g, in.bias, 1, 1, first, order);
  };
  outputs(source, 0);
  if (f.carriers.count(source))
    for (const Place& p : f.carriers.at(source)) outputs(p.node, p.first);
  for (const Place& p : f.readers.at(source)) {
    const ir::Node& n = g.nodes[at(p.node)];
    reorder_constant(g, n.in[1], passes::outputs_of(g, n), area_of(n), p.first, order);
  }
}

}  // namespace

std::vector<Permuted> permute_channels(ir::Graph& g, std::span<const BlockedLayer> coded,
                                       int32_t trials, uint64_t seed) {
  std::map<ir::NodeId, int32_t> dims;
  for (const BlockedLayer& layer : coded) dims[layer.node] = layer.dim;
  const Freedom freedom = Trace(g).run();
  std::vector<Permuted> report;
  for (const ir::NodeId source : freedom.sources) {
    if (freedom.pinned.count(source) || !freedom.readers.count(source)) continue;
    std::vector<Blocks> readers;
    int64_t dim = 0;
    for (const Place& p : freedom.readers.at(source)) {
      const ir::Node& n = g.nodes[at(p.node)];
      const auto found = dims.find(p.node);
      // Blocks within one channel are the same in any order.
      if (found == dims.end() || area_of(n) % found->second == 0 || found->second > kMaxDim)
        continue;
      dim = std::max<int64_t>(dim, (found->second + area_of(n) - 1) / area_of(n));
      readers.emplace_back(*passes::floats_of(g, n.in[1]), passes::outputs_of(g, n), area_of(n),
                           p.first, found->second);
    }
    const int64_t channels = passes::outputs_of(g, g.nodes[at(source)]);
    if (readers.empty() || channels < 2) continue;
    Ordering ordering(std::move(readers), channels);
    const double before = ordering.bits();
    ordering.sort(std::max<int64_t>(dim, 2));
    Random random(seed + static_cast<uint64_t>(source));
    ordering.climb(trials * channels, random);
    apply(g, freedom, source, ordering.order());
    report.push_back({g.nodes[at(source)].name, before - ordering.bits()});
  }
  ir::remove_dead(g);
  return report;
}

}  // namespace qrt::quant

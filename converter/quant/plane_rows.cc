// Whole rows of planes: counts by the losses of groups alone, then signs by the metric
// of the whole row (quadratic.h) in turns with coordinates by least squares, as
// grid.cc does it for whole numbers.
#include <algorithm>
#include <cmath>

#include "converter/base/half.h"
#include "converter/base/parallel.h"
#include "converter/quant/sketch.h"

namespace qrt::quant {
namespace {

constexpr int32_t kRefinements = 10;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

double stored(double alpha) {
  const float half = round_to_half(static_cast<float>(alpha));
  const bool fits = std::isfinite(half) && half >= 0x1p-14f;
  return double{fits ? half : static_cast<float>(alpha)};
}

struct Shape {
  int64_t inputs, group, groups;
  int64_t length(int64_t g) const { return std::min(group, inputs - g * group); }
};

Shape shape_of(std::span<const Quadratic> metrics, const PlaneFit& fit) {
  const int64_t inputs = metrics[0].inputs(), group = fit.group > 0 ? fit.group : inputs;
  return {inputs, group, (inputs + group - 1) / group};
}

// The weights of group g of a row, and those of their errors.
struct Piece {
  std::vector<double> w, weights;
};

Piece piece_of(std::span<const double> row, const Quadratic& metric, const Shape& s, int64_t g) {
  Piece p;
  for (int64_t i = g * s.group; i < g * s.group + s.length(g); ++i) {
    p.w.push_back(row[at(i)]);
    p.weights.push_back(metric.weight(i));
  }
  // Inputs that never vary weigh nothing; signs still want to be those of the weights.
  if (std::all_of(p.weights.begin(), p.weights.end(), [](double v) { return !(v > 0); }))
    std::fill(p.weights.begin(), p.weights.end(), 1e-30);
  return p;
}

class PlaneRow {
 public:
  PlaneRow(std::span<const float> target, const Quadratic& metric, const Shape& shape)
      : metric_(metric), shape_(shape), t_(target.begin(), target.end()) {}

  void start(std::span<const uint8_t> counts) {
    for (int64_t g = 0; g < shape_.groups; ++g) {
      const Piece p = piece_of(t_, metric_, shape_, g);
      Sketch s = sketch(p.w, p.weights, counts[at(g)]);
      refine(p.w, p.weights, kRefinements, s);
      groups_.push_back(std::move(s));
    }
  }

  // Signs by the whole row's metric for the coordinates there are.
  void choose(int32_t sweeps) {
    std::vector<SumTable> tables;
    for (Sketch& s : groups_) {
      for (double& a : s.alphas) a = stored(a);
      tables.emplace_back(s.alphas);
    }
    const Nearest nearest = [&](int64_t i, double wanted) {
      const SumTable& table = tables[at(i / shape_.group)];
      return table.value(table.nearest(wanted));
    };
    if (q_.empty() || metric_.is_separable()) q_ = metric_.rounded(t_, nearest);
    for (int64_t i = 0; i < shape_.inputs; ++i) q_[at(i)] = nearest(i, q_[at(i)]);
    metric_.descend(t_, nearest, sweeps, q_);
    for (int64_t i = 0; i < shape_.inputs; ++i) {
      Sketch& s = groups_[at(i / shape_.group)];
      const SumTable& table = tables[at(i / shape_.group)];
      const uint8_t pattern = table.pattern(table.nearest(q_[at(i)]));
      for (size_t p = 0; p < s.signs.size(); ++p)
        s.signs[p][at(i % shape_.group)] = pattern >> p & 1;
    }
  }

  void rescale() {
    std::vector<Term> terms;
    for (int64_t g = 0; g < shape_.groups; ++g)
      for (size_t p = 0; p < groups_[at(g)].alphas.size(); ++p) {
        Term& term = terms.emplace_back();
        term.first = g * shape_.group, term.scale = groups_[at(g)].alphas[p];
        for (const uint8_t sign : groups_[at(g)].signs[p]) term.values.push_back(sign ? 1 : -1);
      }
    metric_.rescale(t_, terms, 3, q_);
    size_t next = 0;
    for (Sketch& s : groups_) {
      for (double& a : s.alphas) a = terms[next++].scale;
      canonicalise(s);
    }
  }

  double error() const { return metric_.error(q_, t_); }
  const std::vector<Sketch>& groups() const { return groups_; }

 private:
  const Quadratic& metric_;
  const Shape& shape_;
  std::vector<double> t_, q_;
  std::vector<Sketch> groups_;
};

std::vector<Sketch> fit_row(PlaneRow& row, std::span<const uint8_t> counts, const PlaneFit& fit) {
  std::vector<Sketch> best;
  double least = 0;
  row.start(counts);
  for (int32_t round = 0; round <= fit.rounds; ++round) {
    row.choose(fit.sweeps);
    if (const double e = row.error(); round == 0 || e < least) least = e, best = row.groups();
    if (round < fit.rounds) row.rescale();
  }
  return best;
}

}  // namespace

std::vector<GroupLoss> group_losses(std::span<const float> target,
                                    std::span<const Quadratic> metrics,
                                    std::span<const double> gains, const PlaneFit& fit) {
  const Shape shape = shape_of(metrics, fit);
  std::vector<GroupLoss> out(gains.size() * at(shape.groups));
  split(gains.size(), fit.threads, [&](size_t begin, size_t end) {
    for (size_t o = begin; o < end; ++o) {
      const auto row = target.subspan(o * at(shape.inputs), at(shape.inputs));
      const std::vector<double> w(row.begin(), row.end());
      for (int64_t g = 0; g < shape.groups; ++g) {
        const Piece p = piece_of(w, metrics[o / (gains.size() / metrics.size())], shape, g);
        GroupLoss& loss = out[o * at(shape.groups) + at(g)];
        loss.inputs = shape.length(g);
        for (int32_t planes = 0; planes <= fit.most; ++planes) {
          Sketch s = sketch(p.w, p.weights, planes);
          // As many planes as asked for, or more of them bring nothing.
          if (static_cast<int32_t>(s.alphas.size()) < planes) break;
          refine(p.w, p.weights, kRefinements, s);
          loss.errors.push_back(s.error * gains[o] * gains[o]);
        }
      }
    }
  });
  return out;
}

BitPlanes fit_planes(std::span<const float> target, std::span<const Quadratic> metrics,
                     std::span<const double> gains, const PlaneFit& fit) {
  const Shape shape = shape_of(metrics, fit);
  const auto weights = static_cast<double>(target.size());
  const std::vector<uint8_t> counts =
      prune(group_losses(target, metrics, gains, fit), fit.bits * weights);
  std::vector<std::vector<Sketch>> rows(gains.size());
  split(gains.size(), fit.threads, [&](size_t begin, size_t end) {
    for (size_t o = begin; o < end; ++o) {
      PlaneRow row(target.subspan(o * at(shape.inputs), at(shape.inputs)),
                   metrics[o / (gains.size() / metrics.size())], shape);
      rows[o] =
          fit_row(row, std::span(counts).subspan(o * at(shape.groups), at(shape.groups)), fit);
    }
  });
  BitPlanes out;
  out.group = static_cast<int32_t>(fit.group);
  for (const std::vector<Sketch>& row : rows)
    for (const Sketch& s : row) {
      out.counts.push_back(static_cast<uint8_t>(s.alphas.size()));
      for (size_t p = 0; p < s.alphas.size(); ++p) {
        out.alphas.push_back(static_cast<float>(s.alphas[p]));
        out.signs.insert(out.signs.end(), s.signs[p].begin(), s.signs[p].end());
      }
    }
  return out;
}

}  // namespace qrt::quant

// Whole rows of planes: counts by the losses of groups alone, then signs by the metric
// of the whole row (quadratic.h) in turns with coordinates by least squares, as
// grid.cc does it for whole numbers.
#include <algorithm>
#include <cmath>
#include <deque>

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
      : metric_(metric), shape_(shape), fit_(target) {
    fit_.nearest = [this](int64_t i, double wanted) {
      const SumTable& table = tables_[at(i / shape_.group)];
      return table.value(table.nearest(wanted));
    };
  }
  PlaneRow(const PlaneRow&) = delete;  // `nearest` knows its row
  PlaneRow& operator=(const PlaneRow&) = delete;

  void start(std::span<const uint8_t> counts) {
    for (int64_t g = 0; g < shape_.groups; ++g) {
      const Piece p = piece_of(fit_.t, metric_, shape_, g);
      Sketch s = sketch(p.w, p.weights, counts[at(g)]);
      refine(p.w, p.weights, kRefinements, s);
      groups_.push_back(std::move(s));
    }
  }

  // Sums of the coordinates there are, as files hold them.
  void tabulate() {
    tables_.clear();
    for (Sketch& s : groups_) {
      for (double& a : s.alphas) a = stored(a);
      tables_.emplace_back(s.alphas);
    }
  }
  // The nearest sums to the values there are.
  void project() {
    for (int64_t i = 0; i < shape_.inputs; ++i) fit_.q[at(i)] = fit_.nearest(i, fit_.q[at(i)]);
  }
  // The signs of those sums.
  void take_signs() {
    for (int64_t i = 0; i < shape_.inputs; ++i) {
      Sketch& s = groups_[at(i / shape_.group)];
      const SumTable& table = tables_[at(i / shape_.group)];
      const uint8_t pattern = table.pattern(table.nearest(fit_.q[at(i)]));
      for (size_t p = 0; p < s.signs.size(); ++p)
        s.signs[p][at(i % shape_.group)] = pattern >> p & 1;
    }
  }

  std::vector<Term> terms() const {
    std::vector<Term> out;
    for (int64_t g = 0; g < shape_.groups; ++g)
      for (size_t p = 0; p < groups_[at(g)].alphas.size(); ++p) {
        Term& term = out.emplace_back();
        term.first = g * shape_.group, term.scale = groups_[at(g)].alphas[p];
        for (const uint8_t sign : groups_[at(g)].signs[p]) term.values.push_back(sign ? 1 : -1);
      }
    return out;
  }
  void take_scales(std::span<const Term> terms) {
    size_t next = 0;
    for (Sketch& s : groups_) {
      for (double& a : s.alphas) a = terms[next++].scale;
      canonicalise(s);
    }
  }

  RowFit& fit() { return fit_; }
  const std::vector<Sketch>& groups() const { return groups_; }

 private:
  const Quadratic& metric_;
  const Shape& shape_;
  RowFit fit_;
  std::vector<Sketch> groups_;
  std::vector<SumTable> tables_;
};

// Rows of one metric: signs by the whole row's metric for the coordinates there are, and
// coordinates for the signs, in turns; the best of them.
std::vector<std::vector<Sketch>> fit_batch(std::deque<PlaneRow>& rows, const Quadratic& metric,
                                           const PlaneFit& fit) {
  std::vector<std::vector<Sketch>> best(rows.size());
  std::vector<double> least(rows.size());
  std::vector<RowFit*> fits;
  for (PlaneRow& row : rows) fits.push_back(&row.fit());
  for (int32_t round = 0; round <= fit.rounds; ++round) {
    for (PlaneRow& row : rows) row.tabulate();
    if (round == 0 || metric.is_separable()) metric.round(fits);
    for (PlaneRow& row : rows) row.project();
    metric.descend(fits, fit.sweeps);
    for (PlaneRow& row : rows) row.take_signs();
    const std::vector<double> errors = metric.errors(fits);
    for (size_t r = 0; r < rows.size(); ++r)
      if (round == 0 || errors[r] < least[r]) least[r] = errors[r], best[r] = rows[r].groups();
    if (round == fit.rounds) break;
    std::vector<std::vector<Term>> terms;
    for (const PlaneRow& row : rows) terms.push_back(row.terms());
    metric.rescale(fits, terms, 3);
    for (size_t r = 0; r < rows.size(); ++r) rows[r].take_scales(terms[r]);
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
  const size_t per_metric = gains.size() / metrics.size();
  split(gains.size(), fit.threads, [&](size_t begin, size_t end) {
    for_batches(begin, end, per_metric, [&](size_t first, size_t last) {
      const Quadratic& metric = metrics[first / per_metric];
      std::deque<PlaneRow> batch;
      for (size_t o = first; o < last; ++o)
        batch.emplace_back(target.subspan(o * at(shape.inputs), at(shape.inputs)), metric, shape)
            .start(std::span(counts).subspan(o * at(shape.groups), at(shape.groups)));
      auto found = fit_batch(batch, metric, fit);
      std::move(found.begin(), found.end(), rows.begin() + std::ptrdiff_t(first));
    });
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

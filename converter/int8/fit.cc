// With t what the float network gives before residual and clamp, plus what its
// residual is off by, and y the sums of integers, each output takes
//   scale = cov(t, y) / var(y),   bias = mean(t) - scale * mean(y)
// over all positions of all samples: the mean of what rounding costs vanishes, and
// what it shrinks is made good.
#include "converter/int8/fit.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

#include "converter/base/half.h"
#include "converter/base/text.h"
#include "converter/eval/algebra.h"
#include "converter/eval/compute.h"
#include "converter/eval/integer_layers.h"
#include "converter/int8/weights.h"
#include "converter/ir/edit.h"
#include "converter/passes/edit.h"
#include "converter/passes/layer.h"
#include "converter/quant/rows.h"

namespace qrt::int8 {
namespace {

// Positions that the covariance of a layer's inputs is taken over.
constexpr int64_t kFewestRows = 2048;
constexpr int64_t kRowsPerInput = 2;

// Beyond which covariances of inputs with each other would take too long: variances must do.
constexpr int64_t kMostCovariances = 6144;

// Positions that rounded tables are judged on.
constexpr int64_t kTableRows = 256;

// Positions that count as the layer's own scale does, where the fit would rather have another.
constexpr double kPriorRows = 8;

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

using TensorPtr = std::shared_ptr<const eval::Tensor>;
using Values = std::map<ir::ValueId, TensorPtr>;

struct Chunk {
  Values reference, bytes;
};

// Per output, over all positions.
struct Sums {
  double n = 0, t = 0, y = 0, tt = 0, ty = 0, yy = 0;
};

struct Line {
  double scale, bias, noise, signal;
};

Line line_of(const Sums& s, double own_scale, const FitOptions& o) {
  const double mean_t = s.t / s.n, mean_y = s.y / s.n;
  const double vt = std::max(s.tt / s.n - mean_t * mean_t, 0.0);
  const double vy = std::max(s.yy / s.n - mean_y * mean_y, 0.0);
  const double c = s.ty / s.n - mean_t * mean_y;
  double scale = own_scale;
  if (o.scale && vy > 0) {
    const double prior = kPriorRows / s.n;
    const double fitted = (c + prior * vy * own_scale) / (vy + prior * vy);
    if (std::abs(fitted - own_scale) < 0.5 * std::abs(own_scale)) scale = fitted;
  }
  return {scale, mean_t - scale * mean_y, std::max(vt - 2 * scale * c + scale * scale * vy, 0.0),
          vt};
}

// The layer's product alone, with its scale and bias or without.
ir::Node product_of(const ir::Node& layer, bool affine) {
  ir::Node n = layer;
  passes::LayerInputs in = passes::inputs_of(n);
  in.residual = -1;
  if (!affine) in.scale = in.bias = -1;
  passes::set_inputs(n, in);
  *passes::clamp_of(n) = ir::kNoClamp;
  return n;
}

double decibel(double signal, double noise) {
  if (!(noise > 0)) return 200;
  return signal > 0 ? 10 * std::log10(signal / noise) : 0;
}

class Fitting {
 public:
  Fitting(const ir::Graph& reference, ir::Graph& bytes, const FitOptions& options)
      : reference_(reference),
        bytes_(bytes),
        options_(options),
        uses_(passes::count_uses(bytes)),
        reference_uses_(passes::count_uses(reference)) {}

  Result<Fit> run(const std::vector<eval::Tensor>& data) {
    open(data);
    for (size_t i = 0; i < bytes_.nodes.size(); ++i) {
      QRT_CHECK_OK(is_layer_of_integers(bytes_.nodes[i]) ? layer(bytes_.nodes[i])
                                                         : step(bytes_.nodes[i]));
      forget(bytes_.nodes[i]);
    }
    compare_outputs();
    return std::move(fit_);
  }

 private:
  void open(const std::vector<eval::Tensor>& data) {
    const int64_t samples = quant::sample_count(reference_, data);
    const int64_t step = quant::samples_at_once(reference_);
    for (int64_t first = 0; first < samples; first += step) {
      auto parts = quant::slice_samples(reference_, data, first, std::min(samples, first + step));
      Chunk& chunk = chunks_.emplace_back();
      for (size_t i = 0; i < parts.size(); ++i)
        chunk.reference[reference_.inputs[i]] =
            std::make_shared<const eval::Tensor>(std::move(parts[i]));
      chunk.bytes = chunk.reference;
    }
  }

  bool is_layer_of_integers(const ir::Node& n) const {
    return passes::takes_codes(n) && bytes_.values[at(n.in[0])].quantization.present();
  }

  // The float network's node that makes the same value; null for what insert() added.
  const ir::Node* counterpart(const ir::Node& n) const {
    if (at(n.out[0]) >= reference_.values.size()) return nullptr;
    return &reference_.nodes[at(reference_.values[at(n.out[0])].producer)];
  }

  // Constants of a node, decoded once for all chunks.
  static Values constants_of(const ir::Graph& g, const ir::Node& n) {
    Values r;
    for (const ir::ValueId v : n.in)
      if (const ir::Constant* c = ir::constant_of(g, v))
        r[v] = std::make_shared<const eval::Tensor>(eval::tensor_of(*c, g.values[at(v)].shape));
    return r;
  }

  // Floats throughout: bytes are the numbers they stand for, close enough to fit by. Rounded tables
  // alone must be what they are.
  static Result<eval::Tensor> compute(const ir::Graph& g, const ir::Node& n, const Values& values,
                                      const Values& constants, ir::Quantization to,
                                      bool tables = false) {
    std::vector<eval::View> in;
    int64_t batch = 1;
    for (const ir::ValueId v : n.in) {
      const auto constant = constants.find(v);
      const TensorPtr& t = constant != constants.end() ? constant->second : values.at(v);
      in.push_back(eval::view(*t));
      if (tables) {
        in.back().quantization = g.values[at(v)].quantization;
        if (const ir::Constant* c = ir::constant_of(g, v)) in.back().encoding = c->encoding.get();
      }
      const ir::Value& value = g.values[at(v)];
      if (value.batched) batch = t->shape[0] / value.shape[0];
    }
    const ir::Value& out = g.values[at(n.out[0])];
    std::vector<int64_t> shape = out.shape;
    if (out.batched) shape[0] *= batch;
    return eval::run_node(n, std::move(in), out.type, std::move(shape), false, to);
  }

  Result<void> step(const ir::Node& mine) {
    const ir::Node* theirs = counterpart(mine);
    const Values own = constants_of(bytes_, mine);
    const Values others = theirs ? constants_of(reference_, *theirs) : Values();
    for (Chunk& chunk : chunks_) {
      auto got =
          compute(bytes_, mine, chunk.bytes, own, bytes_.values[at(mine.out[0])].quantization);
      if (!got.ok()) return got.error();
      chunk.bytes[mine.out[0]] = std::make_shared<const eval::Tensor>(std::move(*got));
      if (theirs == nullptr) continue;
      auto want = compute(reference_, *theirs, chunk.reference, others, {});
      if (!want.ok()) return want.error();
      chunk.reference[mine.out[0]] = std::make_shared<const eval::Tensor>(std::move(*want));
    }
    return {};
  }

  // Rows that the layer sees, spread evenly over all positions of all samples.
  InputMoments moments(const ir::Node& n) const {
    const ir::ValueId x = n.in[0];
    int64_t all = 0;
    for (const Chunk& c : chunks_) {
      const quant::RowMap map = quant::row_map(bytes_, n, *c.bytes.at(x));
      all += map.images * map.positions();
    }
    const quant::RowMap first = quant::row_map(bytes_, n, *chunks_[0].bytes.at(x));
    const int64_t k = first.inputs;
    const int64_t stride = std::max<int64_t>(all / std::max(kFewestRows, kRowsPerInput * k), 1);
    InputMoments m;
    m.groups = first.groups, m.inputs = k;
    const bool full = k <= kMostCovariances;
    m.covariance.assign(at(m.groups * k * (full ? k : 1)), 0.0f);
    std::vector<double> mean(at(m.groups * k));
    int64_t rows = 0, next = 0;
    for (const Chunk& c : chunks_) {
      const quant::RowMap map = quant::row_map(bytes_, n, *c.bytes.at(x));
      const int64_t here = map.images * map.positions();
      std::vector<int64_t> where;
      for (; next < here; next += stride) where.push_back(next);
      next -= here;
      std::vector<float> block(where.size() * at(k));
      for (int64_t g = 0; g < m.groups && !where.empty(); ++g) {
        for (size_t r = 0; r < where.size(); ++r)
          quant::gather_row(n, map, *c.bytes.at(x), where[r] / map.positions(), g,
                            where[r] % map.positions(), &block[r * at(k)]);
        if (full)
          eval::add_cross(k, k, static_cast<int64_t>(where.size()), block.data(), block.data(),
                          &m.covariance[at(g * k * k)]);
        for (size_t i = 0; i < block.size() && !full; ++i)
          m.covariance[at(g * k) + i % at(k)] += block[i] * block[i];
        for (size_t i = 0; i < block.size(); ++i) mean[at(g * k) + i % at(k)] += double{block[i]};
      }
      rows += static_cast<int64_t>(where.size());
    }
    centre(m, mean, static_cast<double>(rows));
    return m;
  }

  // Sums of products to covariances, with a hundredth of their mean diagonal on top: fewer rows
  // than inputs leave directions in which anything would seem to be free.
  static void centre(InputMoments& m, const std::vector<double>& sums, double rows) {
    const size_t k = at(m.inputs), width = m.covariance.size() / at(m.groups) / k;
    for (size_t g = 0; g < at(m.groups); ++g) {
      float* c = &m.covariance[g * k * width];
      double diagonal = 0;
      for (size_t i = 0; i < k; ++i)
        for (size_t j = 0; j < width; ++j) {
          const size_t other = width == 1 ? i : j;
          const double mean = sums[g * k + i] / rows * (sums[g * k + other] / rows);
          float& v = c[i * width + j];
          v = static_cast<float>(double{v} / rows - mean);
          if (i == other) diagonal += double{v};
        }
      for (size_t i = 0; i < k; ++i)
        c[i * width + (width == 1 ? 0 : i)] +=
            static_cast<float>(0.01 * diagonal / static_cast<double>(k));
    }
  }

  std::vector<float> floats(ir::ValueId v) const {
    return v < 0 ? std::vector<float>() : ir::constant_of(bytes_, v)->data;
  }

  Result<void> layer(ir::Node& n) {
    FittedLayer& report = fit_.layers.emplace_back();
    report.layer = n.name;
    QRT_CHECK_OK(round_weights(n, report));
    std::vector<TensorPtr> wants, gots;
    std::vector<Sums> sums(at(passes::outputs_of(bytes_, n)));
    QRT_CHECK_OK(products(n, wants, gots, sums));
    const std::vector<Line> lines = set_affine(n, sums, report);
    finish(n, wants, gots, lines);
    return {};
  }

  // Inputs of group 0 at about `wanted` positions, bytes less their zero.
  std::vector<float> steps_at(const ir::Node& n, int64_t wanted) const {
    const ir::ValueId x = n.in[0];
    const float scale = bytes_.values[at(x)].quantization.scale;
    const int64_t each = std::max<int64_t>(wanted / static_cast<int64_t>(chunks_.size()), 1);
    std::vector<float> rows;
    for (const Chunk& c : chunks_) {
      const quant::RowMap map = quant::row_map(bytes_, n, *c.bytes.at(x));
      const int64_t here = map.images * map.positions(), count = std::min(each, here);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t p = i * here / count;
        rows.resize(rows.size() + at(map.inputs));
        quant::gather_row(n, map, *c.bytes.at(x), p / map.positions(), 0, p % map.positions(),
                          &rows[rows.size() - at(map.inputs)]);
      }
    }
    for (float& v : rows) v = std::nearbyint(v / scale);
    return rows;
  }

  // The codebook with rounded tables, where they are fast and cost little; the report says why.
  std::optional<Rounded> tables(const ir::Node& n, const quant::Codebook& source,
                                const InputMoments& m, FittedLayer& report) const {
    report.why = "exact: no table would be much faster";
    if (!options_.tables) report.why = "exact";
    if (options_.keep_exact.count(n.name)) report.why = "exact: the network would lose too much";
    if (!options_.tables || options_.keep_exact.count(n.name)) return std::nullopt;
    const quant::RowMap map = quant::row_map(bytes_, n, *chunks_[0].bytes.at(n.in[0]));
    const LayerShape shape{map.positions(), passes::outputs_of(bytes_, n), map.inputs, map.groups};
    for (const int32_t bits : {8, 12}) {
      const double gain = table_gain(options_.target, shape, source, bits);
      if (gain < least_gain(options_.target)) continue;
      Rounded r = round_codebook(source, shape.outputs, shape.inputs, 1, m);
      quant::Codebook& book = std::get<quant::Codebook>(r.encoding);
      double loss = 0;
      const int32_t shift =
          best_shift(book, shape.outputs, shape.inputs, bits, steps_at(n, kTableRows), &loss);
      report.table_gain = gain, report.table_loss = loss;
      report.why = cat("exact: tables of ", bits, " bits would lose too much");
      if (!(loss <= options_.max_loss)) continue;
      report.why = "rounded: tables are faster";
      report.table_bits = book.table_bits = bits;
      report.table_shift = book.table_shift = shift;
      return r;
    }
    return std::nullopt;
  }

  static Error too_wide(const ir::Node& n, int64_t inputs, int64_t found) {
    return fail(763, n.name, ": sums of its ", inputs, " inputs may reach ", found,
                ", more than 32 bits hold (", INT32_MAX,
                "); keep it in f32 with a rule of --layers: {\"match\": \"", n.name,
                "\", \"f32_activations\": true}");
  }

  Result<void> round_weights(ir::Node& n, FittedLayer& report) {
    const ir::ValueId id = n.in[1];
    const ir::Constant& c = *ir::constant_of(bytes_, id);
    const std::vector<int64_t> shape = bytes_.values[at(id)].shape;
    const int64_t outputs = shape[0], inputs = ir::element_count(shape) / outputs;
    int64_t found = 0;
    if (c.encoding != nullptr && quant::is_integer(*c.encoding)) {  // of few bits: as they are
      report.encoding = quant::describe(*c.encoding);
      report.levels = 1, report.rounding_db = decibel(1, 0), report.why = "exact: as coded";
      return sums_fit(*c.encoding, outputs, inputs, &found) ? Result<void>()
                                                            : too_wide(n, inputs, found);
    }
    if (inputs * 255 * 127 > INT32_MAX) return too_wide(n, inputs, inputs * 255 * 127);
    InputMoments m = moments(n);
    m.factor = floats(passes::inputs_of(n).scale);
    Rounded r;
    if (c.encoding != nullptr) {
      const auto& book = std::get<quant::Codebook>(*c.encoding);
      auto rounded = tables(n, book, m, report);
      r = rounded ? std::move(*rounded) : round_codebook(book, outputs, inputs, options_.levels, m);
      report.levels = std::get<quant::Codebook>(r.encoding).levels.size();
      report.encoding = "codebook";
    } else {
      r = round_dense(c.data, outputs, inputs, m);
      report.encoding = "dense";
    }
    report.rounding_db = decibel(1, r.error);
    if (!sums_fit(r.encoding, outputs, inputs, &found)) return too_wide(n, inputs, found);
    ir::Constant rounded;
    rounded.encoding = std::make_shared<const quant::Encoding>(std::move(r.encoding));
    rounded.source = c.source;
    if (uses_[at(id)] > 1) {
      const std::string name = bytes_.values[at(id)].name;
      n.in[1] = ir::add_constant(bytes_, name, shape, std::move(rounded));
    } else {
      bytes_.values[at(id)].type = ir::ElementType::f32;
      bytes_.values[at(id)].constant = static_cast<int32_t>(bytes_.constants.size());
      bytes_.constants.push_back(std::move(rounded));
    }
    return {};
  }

  // What the float network's layer gives without residual and clamp, and the sums of integers.
  Result<void> products(const ir::Node& n, std::vector<TensorPtr>& wants,
                        std::vector<TensorPtr>& gots, std::vector<Sums>& sums) {
    const ir::Node& theirs = *counterpart(n);
    const ir::Node want_node = product_of(theirs, true), got_node = product_of(n, false);
    const Values want_constants = constants_of(reference_, want_node);
    const Values got_constants = constants_of(bytes_, got_node);
    const ir::ValueId residual = passes::inputs_of(n).residual,
                      reference_residual = passes::inputs_of(theirs).residual;
    for (const Chunk& chunk : chunks_) {
      auto want = compute(reference_, want_node, chunk.reference, want_constants, {});
      auto got = compute(bytes_, got_node, chunk.bytes, got_constants, {},
                         fit_.layers.back().table_bits > 0);
      if (!want.ok()) return want.error();
      if (!got.ok()) return got.error();
      const float* mine = residual < 0 ? nullptr : chunk.bytes.at(residual)->data.data();
      const float* other =
          residual < 0 ? nullptr : chunk.reference.at(reference_residual)->data.data();
      for (size_t i = 0; i < want->data.size(); ++i) {
        Sums& s = sums[i % sums.size()];
        const double t = double{want->data[i]} + (mine ? double{other[i]} - double{mine[i]} : 0);
        const double y = got->data[i];
        s.n += 1, s.t += t, s.y += y, s.tt += t * t, s.ty += t * y, s.yy += y * y;
      }
      wants.push_back(std::make_shared<const eval::Tensor>(std::move(*want)));
      gots.push_back(std::make_shared<const eval::Tensor>(std::move(*got)));
    }
    for (const Sums& s : sums)
      if (!std::isfinite(s.tt + s.yy))
        return fail(762, n.name,
                    ": its output is not finite on the calibration data; check the "
                    "data's preprocessing and the weights");
    return {};
  }

  // Dense integers have a scale per output already, which takes the layer's.
  std::vector<Line> set_affine(ir::Node& n, const std::vector<Sums>& sums, FittedLayer& report) {
    passes::LayerInputs in = passes::inputs_of(n);
    const std::vector<float> own_scale = floats(in.scale), own_bias = floats(in.bias);
    std::vector<Line> lines;
    std::vector<float> scale, bias;
    double signal = 0, noise = 0;
    for (size_t o = 0; o < sums.size(); ++o) {
      Line l = line_of(sums[o], own_scale.empty() ? 1 : double{own_scale[o]}, options_);
      if (!options_.bias) l.bias = own_bias.empty() ? 0 : double{own_bias[o]};
      scale.push_back(static_cast<float>(l.scale));
      bias.push_back(static_cast<float>(l.bias));
      signal += l.signal, noise += l.noise;
      lines.push_back(l);
    }
    report.snr_db = decibel(signal, noise);
    const ir::Constant& weights = *ir::constant_of(bytes_, in.weight);
    if (const auto* dense = std::get_if<quant::Integers>(weights.encoding.get())) {
      quant::Integers scaled = *dense;
      for (size_t o = 0; o < scale.size(); ++o) scaled.scales[o] *= scale[o];
      bytes_.constants[at(bytes_.values[at(in.weight)].constant)].encoding =
          std::make_shared<const quant::Encoding>(std::move(scaled));
      in.scale = -1;
    } else {
      in.scale = vector(n.name + ".scale", short_form(scale));
    }
    in.bias = vector(n.name + ".bias", short_form(bias));
    passes::set_inputs(n, in);
    return lines;
  }

  ir::ValueId vector(const std::string& name, std::vector<float> values) {
    const auto count = static_cast<int64_t>(values.size());
    const ir::ValueId id = ir::add_floats(bytes_, name, {count}, std::move(values));
    uses_.resize(bytes_.values.size(), 1);
    return id;
  }

  // As f16, half the bytes, where the largest error that makes is far below a rounding of the
  // layer's output.
  static std::vector<float> short_form(const std::vector<float>& v) {
    float largest = 0;
    for (const float x : v) largest = std::max(largest, std::abs(x));
    if (!(largest < 6e4f) || largest < 1e-2f) return v;
    std::vector<float> r;
    for (const float x : v) r.push_back(half_to_float(float_to_half(x)));
    return r;
  }

  // Both networks' values of the layer.
  void finish(const ir::Node& n, const std::vector<TensorPtr>& wants,
              const std::vector<TensorPtr>& gots, const std::vector<Line>& lines) {
    ir::Node mine = n;
    const ir::Clamp clamp = *passes::clamp_of(mine);
    const ir::Quantization to = bytes_.values[at(n.out[0])].quantization;
    const ir::ValueId residual = passes::inputs_of(n).residual,
                      reference_residual = passes::inputs_of(*counterpart(n)).residual;
    for (size_t c = 0; c < chunks_.size(); ++c) {
      eval::Tensor got = *gots[c], want = *wants[c];
      const float* added = residual < 0 ? nullptr : chunks_[c].bytes.at(residual)->data.data();
      const float* other =
          residual < 0 ? nullptr : chunks_[c].reference.at(reference_residual)->data.data();
      for (size_t i = 0; i < got.data.size(); ++i) {
        const Line& l = lines[i % lines.size()];
        float y = static_cast<float>(l.scale) * got.data[i] + static_cast<float>(l.bias);
        if (added != nullptr) y += added[i];
        if (other != nullptr) want.data[i] += other[i];
        y = eval::clamped(y, clamp);
        got.data[i] = to.present() ? eval::on_grid(y, to) : y;
        want.data[i] = eval::clamped(want.data[i], clamp);
      }
      chunks_[c].bytes[n.out[0]] = std::make_shared<const eval::Tensor>(std::move(got));
      chunks_[c].reference[n.out[0]] = std::make_shared<const eval::Tensor>(std::move(want));
    }
  }

  // Values whose last reader has run.
  void forget(const ir::Node& n) {
    for (const ir::ValueId v : n.in)
      if (at(v) < uses_.size() && --uses_[at(v)] == 0)
        for (Chunk& c : chunks_) c.bytes.erase(v);
    if (const ir::Node* theirs = counterpart(n); theirs != nullptr)
      for (const ir::ValueId v : theirs->in)
        if (--reference_uses_[at(v)] == 0)
          for (Chunk& c : chunks_) c.reference.erase(v);
  }

  void compare_outputs() {
    for (const ir::ValueId v : bytes_.outputs) {
      double signal = 0, noise = 0;
      for (const Chunk& c : chunks_) {
        const auto &got = *c.bytes.at(v), &want = *c.reference.at(v);
        for (size_t i = 0; i < want.data.size(); ++i) {
          signal += double{want.data[i]} * double{want.data[i]};
          noise += std::pow(double{got.data[i]} - double{want.data[i]}, 2);
        }
      }
      fit_.output_snr_db.push_back(decibel(signal, noise));
    }
  }

  const ir::Graph& reference_;
  ir::Graph& bytes_;
  const FitOptions& options_;
  std::vector<int> uses_, reference_uses_;
  std::vector<Chunk> chunks_;
  Fit fit_;
};

}  // namespace

Result<Fit> fit(const ir::Graph& reference, ir::Graph& bytes, const std::vector<eval::Tensor>& data,
                const FitOptions& options) {
  return Fitting(reference, bytes, options).run(data);
}

}  // namespace qrt::int8

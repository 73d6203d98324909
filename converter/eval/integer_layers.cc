// Compiled without fused multiply-adds: every operation is rounded on its own.
#include "converter/eval/integer_layers.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>

namespace qrt::eval {
namespace {

// The byte that stands for a value on the grid, less the zero. The value is off the exact product
// of scale and byte by a rounding or two, far less than half a step.
float steps(float value, const ir::Quantization& q) {
  return std::nearbyint(value / q.scale);
}

// t in steps of the output's scale, or as it is where that is floats: what a layer stores.
float stored(float t, const ir::Clamp& clamp, const ir::Quantization& to) {
  if (!to.present()) return clamped(t, clamp);
  const float inverse = 1 / to.scale, zero = static_cast<float>(to.zero);
  const float min = std::clamp(std::nearbyint(clamp.min * inverse), -zero, 255 - zero);
  const float max = std::clamp(std::nearbyint(clamp.max * inverse), -zero, 255 - zero);
  return to.scale * std::clamp(std::nearbyint(t), min, max);
}

}  // namespace

bool has_bytes(const View& x) {
  return x.quantization.present() && !x.quantization.bits;
}

std::vector<float> steps_of(const View& x) {
  std::vector<float> r(x.data.size());
  for (size_t i = 0; i < r.size(); ++i) r[i] = steps(x.data[i], x.quantization);
  return r;
}

void add_bytes(Call& call, const ir::Clamp& clamp) {
  const View &p = call.in[0], &q = call.in[1];
  const ir::Quantization to = call.quantization;
  const float inverse = to.present() ? 1 / to.scale : 1.0f;
  const float a = p.quantization.scale * inverse, b = q.quantization.scale * inverse;
  for (size_t i = 0; i < call.out.data.size(); ++i)
    call.out.data[i] = stored(
        steps(p.data[i], p.quantization) * a + steps(q.data[i], q.quantization) * b, clamp, to);
}

float average_of_bytes(const Call& call, double sum, int64_t taps) {
  if (taps == 0) return 0;
  const ir::Quantization to = call.quantization;
  float factor = call.in[0].quantization.scale / static_cast<float>(taps);
  if (to.present()) factor *= 1 / to.scale;
  return stored(static_cast<float>(sum) * factor, ir::kNoClamp, to);
}

bool sums_integers(const Call& call) {
  return call.in[0].quantization.present() && call.in[1].encoding != nullptr &&
         quant::is_integer(*call.in[1].encoding);
}

float on_grid(float value, const ir::Quantization& q) {
  if (q.bits) return value >= 0 ? q.scale : -q.scale;
  const auto zero = static_cast<float>(q.zero);
  const float rounded = std::isnan(value) ? -zero : std::nearbyint(value * (1 / q.scale));
  return q.scale * std::clamp(rounded, -zero, 255 - zero);
}

IntegerLayer::IntegerLayer(Call& call, int64_t outputs) : call_(call), all_outputs_(outputs) {
  const quant::Encoding& encoding = *call.in[1].encoding;
  inputs_ = ir::element_count({call.in[1].shape.begin(), call.in[1].shape.end()}) / outputs;
  const auto* book = std::get_if<quant::Codebook>(&encoding);
  if (book != nullptr && book->table_bits > 0) {
    entries_ = quant::integer_entries(*book, 0);
    return;
  }
  const std::vector<int16_t> integers = quant::integers_of(encoding, outputs, inputs_);
  weights_.assign(integers.begin(), integers.end());
  if (const auto* conv = std::get_if<ir::Conv2d>(&call.node.attr)) take_thresholds(*conv);
  if (const auto* linear = std::get_if<ir::Linear>(&call.node.attr)) take_thresholds(*linear);
}

template <class Layer>
void IntegerLayer::take_thresholds(const Layer& layer) {
  if (!layer.thresholds) return;
  each_ = call_.in[2].ints.size() / static_cast<size_t>(all_outputs_);
  first_ = layer.first, step_ = layer.step;
}

// The sum, or what the thresholds of the output say of it.
float IntegerLayer::result_of(double sum, int64_t output) const {
  if (each_ == 0) return static_cast<float>(sum);
  const auto row = call_.in[2].ints.subspan(static_cast<size_t>(output) * each_, each_);
  const auto reached = static_cast<int32_t>(std::count_if(
      row.begin(), row.end(), [&](int64_t t) { return sum >= static_cast<double>(t); }));
  const ir::Quantization to = call_.quantization;
  if (to.bits) return reached == 1 ? to.scale : -to.scale;
  return to.scale * static_cast<float>(first_ + step_ * reached - to.zero);
}

std::vector<float> IntegerLayer::inputs() const {
  return steps_of(call_.in[0]);
}

void IntegerLayer::sum(const std::vector<float>& columns, int64_t positions, int64_t first,
                       int64_t outputs, const SumPlace& place) const {
  const auto* book = std::get_if<quant::Codebook>(call_.in[1].encoding);
  if (book != nullptr && book->table_bits > 0)
    sum_tables(*book, columns, positions, first, outputs, place);
  else if (const quant::Scales* scales = quant::group_scales(*call_.in[1].encoding))
    sum_groups(*scales, columns, positions, first, outputs, place);
  else
    sum_exactly(columns, positions, first, outputs, place);
}

// From 0 on, + float(sum of a group) * its scale, groups being runs of stored columns.
void IntegerLayer::sum_groups(const quant::Scales& scales, const std::vector<float>& columns,
                              int64_t positions, int64_t first, int64_t outputs,
                              const SumPlace& place) const {
  const int64_t taps = quant::taps_of(*call_.in[1].encoding), channels = inputs_ / taps;
  std::vector<double> x, w;
  for (int64_t stored = 0; stored < inputs_; ++stored) {
    const int64_t k = stored % channels * taps + stored / channels;
    x.insert(x.end(), columns.begin() + k * positions, columns.begin() + (k + 1) * positions);
    for (int64_t o = first; o < first + outputs; ++o)
      w.push_back(weights_[static_cast<size_t>(o * inputs_ + k)]);
  }
  std::vector<double> sums(static_cast<size_t>(outputs * positions));
  std::vector<float> totals(sums.size(), 0.0f);
  const int64_t groups = (inputs_ + scales.group - 1) / scales.group;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t from = g * scales.group, count = std::min<int64_t>(scales.group, inputs_ - from);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, static_cast<int>(outputs),
                static_cast<int>(positions), static_cast<int>(count), 1.0,
                &w[static_cast<size_t>(from * outputs)], static_cast<int>(outputs),
                &x[static_cast<size_t>(from * positions)], static_cast<int>(positions), 0.0,
                sums.data(), static_cast<int>(positions));
    for (int64_t i = 0; i < outputs * positions; ++i)
      totals[static_cast<size_t>(i)] +=
          static_cast<float>(sums[static_cast<size_t>(i)]) *
          scales.values[static_cast<size_t>((first + i / positions) * groups + g)];
  }
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t p = 0; p < positions; ++p)
      place.y[o * place.output + p * place.position] =
          totals[static_cast<size_t>(o * positions + p)];
}

void IntegerLayer::sum_exactly(const std::vector<float>& columns, int64_t positions, int64_t first,
                               int64_t outputs, const SumPlace& place) const {
  const std::vector<double> x(columns.begin(), columns.begin() + inputs_ * positions);
  std::vector<double> sums(static_cast<size_t>(outputs * positions));
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(outputs),
              static_cast<int>(positions), static_cast<int>(inputs_), 1.0,
              &weights_[static_cast<size_t>(first * inputs_)], static_cast<int>(inputs_), x.data(),
              static_cast<int>(positions), 0.0, sums.data(), static_cast<int>(positions));
  const double* from = sums.data();
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t p = 0; p < positions; ++p)
      place.y[o * place.output + p * place.position] = result_of(*from++, first + o);
}

// T = clamp(floor((dot + 2^(s-1)) / 2^s), -2^(B-1), 2^(B-1) - 1) per book and block, added up: the
// products of a block's entries with all positions at once, then a row of them per output. All
// numbers are whole and below 2^24, so floats hold them exactly.
void IntegerLayer::sum_tables(const quant::Codebook& c, const std::vector<float>& columns,
                              int64_t positions, int64_t first, int64_t outputs,
                              const SumPlace& place) const {
  const int64_t blocks = (inputs_ + c.dim - 1) / c.dim;
  const auto most = static_cast<float>(1 << (c.table_bits - 1));
  const auto half = static_cast<float>(1 << (c.table_shift - 1));
  const float inverse = 1 / (2 * half);
  std::vector<float> table(static_cast<size_t>(c.count * positions));
  std::vector<float> sums(static_cast<size_t>(outputs * positions), 0.0f);
  for (int64_t row = 0; row < c.books * blocks; ++row) {
    const int64_t book = row / blocks, from = row % blocks * c.dim;
    const int64_t length = std::min<int64_t>(c.dim, inputs_ - from);
    int64_t scope = -1;
    for (int64_t i = 0; i < outputs; ++i) {
      const int64_t o = first + i, mine = c.scope_rows == 0 ? 0 : o / c.scope_rows;
      if (mine != scope) {
        const float* entries =
            &entries_[static_cast<size_t>((mine * c.books + book) * c.count * c.dim)];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, c.count, static_cast<int>(positions),
                    static_cast<int>(length), 1.0f, entries, c.dim,
                    &columns[static_cast<size_t>(from * positions)], static_cast<int>(positions),
                    0.0f, table.data(), static_cast<int>(positions));
        for (float& t : table) t = std::clamp(std::floor((t + half) * inverse), -most, most - 1);
        scope = mine;
      }
      const float* line = &table[c.codes[static_cast<size_t>(row * all_outputs_ + o)] *
                                 static_cast<size_t>(positions)];
      float* sum = &sums[static_cast<size_t>(i * positions)];
      for (int64_t p = 0; p < positions; ++p) sum[p] += line[p];
    }
  }
  for (int64_t i = 0; i < outputs; ++i)
    for (int64_t p = 0; p < positions; ++p)
      place.y[i * place.output + p * place.position] = sums[static_cast<size_t>(i * positions + p)];
}

void IntegerLayer::finish(const Epilogue& e, int64_t outputs, int64_t inner) const {
  const quant::Encoding& encoding = *call_.in[1].encoding;
  const auto* book = std::get_if<quant::Codebook>(&encoding);
  const ir::Quantization to = call_.quantization;
  const float inverse = to.present() ? 1 / to.scale : 1.0f;
  const auto zero = static_cast<float>(to.zero);
  float min = e.clamp.min, max = e.clamp.max;
  if (to.present()) {
    min = std::clamp(std::nearbyint(min * inverse), -zero, 255 - zero);
    max = std::clamp(std::nearbyint(max * inverse), -zero, 255 - zero);
  }
  std::vector<float> a(static_cast<size_t>(outputs)), c(a.size(), 0.0f);
  for (int64_t o = 0; o < outputs; ++o) {
    const auto i = static_cast<size_t>(o);
    const float x_scale = call_.in[0].quantization.scale;
    a[i] = x_scale * quant::weight_scale(encoding, o);
    if (e.scale) a[i] *= e.scale[i];
    if (book && book->table_bits > 0) a[i] *= static_cast<float>(1 << book->table_shift);
    if (e.bias) c[i] = e.bias[i];
    a[i] *= inverse, c[i] *= inverse;
    if (e.bias_first) {
      a[i] = e.scale ? e.scale[i] : x_scale * quant::weight_scale(encoding, o) / to.scale;
      c[i] = e.bias[i];
    }
  }
  const float r_scale = e.residual ? e.residual->quantization.scale * inverse : 0.0f;
  float* y = call_.out.data.data();
  const auto count = static_cast<int64_t>(call_.out.data.size());
  for (int64_t at = 0; at < count;)
    for (size_t o = 0; o < a.size(); ++o)
      for (const int64_t end = at + inner; at < end; ++at) {
        float t = e.bias_first ? (y[at] + c[o]) * a[o] : y[at] * a[o] + c[o];
        if (e.residual)
          t += steps(e.residual->data[static_cast<size_t>(at)], e.residual->quantization) * r_scale;
        if (!to.present())
          y[at] = clamped(t, e.clamp);
        else
          y[at] = to.scale * std::nearbyint(std::clamp(t, min, max));
      }
}

}  // namespace qrt::eval

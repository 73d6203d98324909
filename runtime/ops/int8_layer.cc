#include "runtime/ops/int8_layer.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "kernels/tables/tables.h"
#include "runtime/base/checked.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/int8_inside.h"
#include "runtime/ops/quantized.h"
#include "runtime/session/tune.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;

Status check_tensors(const PrepareContext& context, bool residual, Int8Layer* layer) {
  const auto no = [](const char* what) {
    return Status(Code::unsupported, 337, what).next("convert the model again");
  };
  for (const ConstTensorView& t : context.in)
    if (!is_quantized(t.dtype, t.quantization))
      return no("an integer layer needs quantized inputs");
  const TensorView& out = context.out[0];
  if (out.dtype != DType::f32 && !is_quantized(out.dtype, out.quantization))
    return no("an integer layer's output is neither f32 nor quantized");
  layer->x = context.in[0].quantization;
  if (out.dtype == DType::u8) layer->y = out.quantization;
  layer->residual = residual;
  if (residual) layer->r = context.in[1].quantization;
  return {};
}

// Sizes of codes and entries; the validator has seen them, an operator alone has not.
Status derive_codes(Int8Layer* layer) {
  const CodebookWeights& c = layer->weights->codebook;
  QRT_REQUIRE(c.books >= 1 && c.books <= layout::kMaxBooks && c.dim >= 1 && c.count >= 1 &&
                  c.code_bits == layout::code_bits(c.count) && c.code_bits <= 16 &&
                  c.levels.count >= 1 && c.levels.count <= kMaxLevels &&
                  (c.levels.count == 1 || c.level_of.size() == layer->outputs),
              Code::invalid_model, 336, "the codebook's fields contradict each other");
  layer->blocks = static_cast<size_t>(layout::codebook_blocks(layer->inputs, c.dim));
  layer->scopes = c.scope_rows == 0 ? 1 : (layer->outputs + c.scope_rows - 1) / c.scope_rows;
  layer->entry_stride = (size_t{c.dim} + 3) / 4 * 4;
  if (c.entry != DType::f32 || c.dim % 4 != 0) layer->floats = c.count * layer->entry_stride;
  layer->levels_used = c.levels.count == 1 ? 1 : 0;
  if (c.levels.count > 1)
    for (const uint8_t level : c.level_of) {
      QRT_REQUIRE(level < c.levels.count, Code::invalid_model, 336,
                  "the codebook's fields contradict each other");
      layer->levels_used |= 1u << level;
    }
  const CheckedSize books = CheckedSize(layer->scopes) * c.books;
  const auto table = (books * c.levels.count * (uint64_t{1} << c.code_bits) * layer->entry_stride +
                      i8::kEntrySlack)
                         .get(INT32_MAX);  // kernels address entries by 31 bits
  if (!table) return layer_too_large();
  layer->table_bytes = *table;
  const auto codes = (CheckedSize(c.books) * layer->blocks *
                      layout::codebook_row_bytes(layer->outputs, c.code_bits))
                         .get();
  const auto entries = (books * c.count * c.dim * size_of(c.entry)).get();
  QRT_REQUIRE(codes && entries && c.codes.size() >= *codes && c.entries.size() >= *entries &&
                  (c.entry != DType::i8 || c.entry_scales.count == (books * c.count).get()),
              Code::invalid_model, 336, "the codebook's buffers are smaller than its fields say");
  return {};
}

Status check_dense(const Int8Layer& layer) {
  const DenseWeights& d = layer.weights->dense;
  const auto bytes = (CheckedSize(layer.outputs) * layer.inputs).get();
  QRT_REQUIRE(d.dtype == DType::i8 && bytes && d.data.size() >= *bytes, Code::invalid_model, 338,
              "an integer layer's weights are not the i8 that its fields call for");
  const size_t scales = d.scales.axis == ScaleAxis::layer ? 1 : layer.outputs;
  if (d.scales.axis == ScaleAxis::group || d.scales.values.count != scales)
    return Status(Code::unsupported, 338, "an integer layer has one scale, or one per output")
        .values(d.scales.values.count, static_cast<int64_t>(scales))
        .next("convert the model again");
  return {};
}

float weight_scale(const Int8Layer& layer, uint32_t n) {
  const Weights& w = *layer.weights;
  if (w.encoding == Encoding::bit_planes) return read_constant(w.bit_planes.alphas, n);
  if (layer.scale_group != 0) return 1;  // the ways have scaled the sums
  if (layer.beyond_bytes())
    return read_constant(w.table.scales.values, w.table.scales.axis == ScaleAxis::layer ? 0 : n);
  if (layer.packed()) return layer.lowbit.scale(n);
  if (w.encoding == Encoding::dense)
    return read_constant(w.dense.scales.values, w.dense.scales.axis == ScaleAxis::layer ? 0 : n);
  return read_constant(w.codebook.levels, w.codebook.levels.count > 1 ? w.codebook.level_of[n] : 0);
}

Status scales_too_large() {
  return Status(Code::invalid_model, 340, "the scales of an integer layer exceed f32 together")
      .next("convert the model again");
}

}  // namespace

// a[n], c[n] and the bounds, with every product in the order of schema/README.md.
Status finish_constants(const Epilogue& e, PrepareContext& context, Int8Layer* layer) {
  const Weights& w = *layer->weights;
  QRT_TRY(check_clamp(e.clamp));
  QRT_TRY(widen_constant(e.scale, layer->outputs, context.keep, &layer->scale));
  QRT_TRY(widen_constant(e.bias, layer->outputs, context.keep, &layer->bias));
  const bool given = layer->scale != nullptr;
  if (!given) layer->scale = context.keep.array<float>(layer->outputs).data();
  QRT_REQUIRE(layer->scale != nullptr, Code::out_of_memory, 334, "out of memory");
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (e.threshold_count != 0) {  // the sums as they are
    for (size_t n = 0; n < layer->outputs; ++n) layer->scale[n] = 1;
    layer->min = -kInfinity, layer->max = kInfinity;
    return {};
  }
  const bool bytes = layer->y.present();
  const float inverse = bytes ? 1 / layer->y.scale : 1.0f;
  const float x_scale =
      layer->x.scale *
      static_cast<float>(w.numerics == Numerics::rounded ? uint32_t{1} << w.table_shift : 1u);
  layer->bias_first = e.bias_first;
  for (size_t n = 0; n < layer->outputs; ++n) {
    float a = x_scale * weight_scale(*layer, static_cast<uint32_t>(n));
    if (e.bias_first) {
      if (!given) layer->scale[n] = a / layer->y.scale;
    } else {
      if (given) a *= layer->scale[n];
      layer->scale[n] = a * inverse;
      if (layer->bias) layer->bias[n] *= inverse;
    }
    // With these finite a result may be infinite, but no NaN.
    if (!std::isfinite(layer->scale[n]) || (layer->bias && !std::isfinite(layer->bias[n])))
      return scales_too_large();
  }
  layer->residual_scale = layer->r.scale * inverse;
  if (!std::isfinite(255 * layer->residual_scale)) return scales_too_large();
  const bool clamps = e.clamp.activation == Activation::clamp;
  layer->min = clamps ? e.clamp.min : -kInfinity;
  layer->max = clamps ? e.clamp.max : kInfinity;
  if (!bytes) return {};
  const ByteBounds bounds = byte_bounds(e.clamp, layer->y);
  layer->min = bounds.lo, layer->max = bounds.hi;
  // Sums are of 32 bits, so |t| is at most 2^31 / 4 + 2^28.
  layer->tame = bounds.hi == static_cast<float>(255 - layer->y.zero);
  for (size_t n = 0; n < layer->outputs; ++n)
    layer->tame = layer->tame && std::fabs(layer->scale[n]) <= 0.25f &&
                  (layer->bias == nullptr || std::fabs(layer->bias[n]) <= 0x1p28f);
  return {};
}

namespace {

// Strategies for exact sums; the last place is for tables.
constexpr size_t kExact = 14;
void make_exact(Arena& keep, bool resident, Int8Strategy** to) {
  *to++ = make_dense8_strategy(keep, resident);
  *to++ = make_decode8_strategy(keep, resident);
  *to++ = make_unpack8_strategy(keep, resident);
  *to++ = make_depthwise8_strategy(keep, resident);
  *to++ = make_masked_dot_strategy(keep, resident);
  *to++ = make_unpack_dot_strategy(keep);
  for (const kernels::shift::Kind kind :
       {kernels::shift::Kind::decode, kernels::shift::Kind::dot, kernels::shift::Kind::grouped,
        kernels::shift::Kind::shift})
    *to++ = make_shift_strategy(keep, kind);
  *to++ = make_dot8_strategy(keep);
  *to++ = make_coded_dot_strategy(keep);
  *to++ = make_winograd8_strategy(keep, 2);
  *to++ = make_winograd8_strategy(keep, 4);
}

}  // namespace

i8::Finish Int8Layer::finish_at(const RunContext& context, size_t row, size_t output) const {
  i8::Finish f{};
  f.scale = scale + output;
  f.bias = bias ? bias + output : nullptr;
  f.residual = residual ? context.in[1].as<uint8_t>() + row * outputs + output : nullptr;
  f.residual_stride = outputs;
  f.residual_scale = residual_scale;
  f.residual_zero = r.zero;
  f.min = min, f.max = max;
  f.zero = y.zero;
  f.bias_first = bias_first;
  f.tame = tame;
  return f;
}

i8::CostShape Int8Layer::cost_shape() const {
  i8::CostShape s{};
  s.rows = rows, s.outputs = group_outputs, s.inputs = inputs, s.groups = groups;
  s.gathers = !rows_in_place();
  s.inside = inside_part(*this);
  if (!coded()) return s;
  const CodebookWeights& c = weights->codebook;
  s.blocks = blocks;
  s.entries = scopes * c.books * (size_t{1} << c.code_bits) *
              static_cast<size_t>(__builtin_popcount(levels_used));
  s.books = c.books, s.dim = c.dim;
  return s;
}

void Int8Strategy::write_kernel_name(const Int8Layer& layer, char* out, size_t room) const {
  const char* isa = std::strchr(layer.kit->name, '_');  // of "int8_avx2"
  std::snprintf(out, room, "int8_%s%s", name(), isa == nullptr ? "" : isa);
}

Status Int8Op::prepare(const Node& node, PrepareContext& context) {
  layer_ = {};
  const Epilogue& epilogue = *epilogue_of(node);
  QRT_TRY(check_arity(context, epilogue.residual ? 2 : 1));
  QRT_TRY(describe_layer(node, context, &layer_));
  QRT_TRY(check_tensors(context, epilogue.residual, &layer_));
  layer_.isa = context.isa;
  layer_.unpack = &kernels::select(kernels::lowbit::kKits, context.isa);
  QRT_TRY(describe_table(&layer_, context.keep));
  if (layer_.packed())
    QRT_TRY(layer_.lowbit.prepare(*layer_.weights, *layer_.unpack->run, context.keep));
  else if (!layer_.beyond_bytes())
    QRT_TRY(layer_.coded() ? derive_codes(&layer_) : check_dense(layer_));
  QRT_TRY(finish_constants(epilogue, context, &layer_));
  layer_.kit = &kernels::select(i8::kKits, context.isa);
  layer_.widen = kernels::select(kernels::codebook::kKits, context.isa).run;
  layer_.threads = context.threads.count();
  QRT_TRY(bound_sums(&layer_, context));
  return choose(context);
}

// What was measured of this layer, now or earlier: of the strategies and of every way of tables.
const char* Int8Op::tuned(PrepareContext& context, bool resident) const {
  if (context.tuner == nullptr || context.strategy != nullptr) return nullptr;
  const TuneKey key{context.model.checksum,  layer_.rows, context.op, layer_.isa,
                    context.threads.count(), resident};
  if (const char* known = context.tuner->find(key)) return known;
  constexpr size_t kWays = sizeof kernels::tables::kWays / sizeof kernels::tables::kWays[0];
  Arena work(context.keep.allocator());
  Int8Strategy* all[kExact + kWays];
  make_exact(work, resident, all);
  for (size_t i = 0; i < kWays; ++i)
    all[kExact + i] = make_tables_strategy(work, kernels::tables::kWays[i].name);
  for (const Int8Strategy* s : all)
    if (s == nullptr) return nullptr;
  const char* name = fastest_strategy({all, kExact + kWays}, layer_, context);
  if (name != nullptr) context.tuner->put(key, name);
  return context.tuner->find(key);
}

Status Int8Op::choose(PrepareContext& context) {
  const bool resident = context.mode == Mode::dense || context.prefer_speed;
  const char* measured = tuned(context, resident);
  const char* wanted = measured != nullptr ? measured : context.strategy;
  Int8Strategy* all[kExact + 1];
  make_exact(context.keep, resident, all);
  all[kExact] = make_tables_strategy(context.keep, wanted);
  // A way that cannot compute the layer is no reason to refuse it.
  if (all[kExact] != nullptr && all[kExact]->cost_ns(layer_) < 0)
    all[kExact] = make_tables_strategy(context.keep, nullptr);
  for (const Int8Strategy* s : all)
    QRT_REQUIRE(s != nullptr, Code::out_of_memory, 334, "out of memory");
  Int8Layer alone = layer_;
  alone.threads = 1;
  strategy_ = choose_strategy(all, alone, wanted, &choice_, measured != nullptr);
  if (strategy_ == nullptr)
    return Status(Code::unsupported, 339, "this build has no kernel for the layer's numerics")
        .next("use a newer libqrt, or convert the layer with exact numerics");
  QRT_TRY(strategy_->prepare(layer_, context));
  QRT_TRY(wide_.prepare(layer_, context));
  strategy_->write_kernel_name(layer_, kernel_name_, sizeof kernel_name_);
  const size_t length = std::strlen(kernel_name_);
  if (wide_.count() == 0) return {};
  std::snprintf(kernel_name_ + length, sizeof kernel_name_ - length, " +%zu wide", wide_.count());
  choice_.cost("and wide outputs", wide_.cost_ns(alone));
  return {};
}

Op* make_int8_layer(Arena& keep) {
  return keep.make<Int8Op>();
}

}  // namespace qrt

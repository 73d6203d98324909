// How a run goes:
//
//   item = a chunk of rows x a range of outputs of a group         (split over threads)
//     gather the rows, if they do not lie in memory as they are    (in L2)
//     the way counts them against the range and packs bits of its thresholds, or stores bytes or
//     floats; thresholds that make bytes compare floats of a chunk of whole rows
#include "runtime/ops/bits_layer.h"

#include <cstdio>
#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/ops/checks.h"
#include "runtime/ops/quantized.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace kb = kernels::bits;

constexpr size_t kChunkRows = 512;         // the widest lanes of any way
constexpr size_t kSumBytes = 1024 * 1024;  // of floats of a chunk
constexpr size_t kKeptSlack = 4096;        // of small layers, whose lanes are not full

constexpr size_t ceil_div(size_t x, size_t by) {
  return (x + by - 1) / by;
}
constexpr size_t round_up(size_t x, size_t to) {
  return ceil_div(x, to) * to;
}

// "xnor_outputs" of "bits_avx512_outputs", "xnor_reference" of "bits_reference".
void strategy_name(const kb::Row& row, char* to, size_t room) {
  std::snprintf(to, room, "xnor%s", std::strrchr(row.name, '_'));
}

// Kinds of windows along an axis. Both ends of a range only ever fall with the position, so equal
// ones are neighbours.
struct Axis {
  size_t out, in;
  uint32_t kernel, stride, dilation, pad;
};
size_t kinds_of(const Axis& a, uint32_t* kind, TapRange* ranges) {
  size_t kinds = 0;
  for (size_t i = 0; i < a.out; ++i) {
    const int64_t start = static_cast<int64_t>(i * a.stride) - int64_t{a.pad};
    TapRange r = taps_inside(start, a.kernel, a.dilation, a.in);
    if (r.last == r.first) r = {0, 0};
    const bool known =
        kinds > 0 && ranges[kinds - 1].first == r.first && ranges[kinds - 1].last == r.last;
    if (!known) ranges[kinds++] = r;
    kind[i] = static_cast<uint32_t>(kinds - 1);
  }
  return kinds;
}

}  // namespace

bool is_sign_plane(const Weights& w) {
  return w.encoding == Encoding::bit_planes && w.numerics == Numerics::exact &&
         w.bit_planes.packing == PlanePacking::planes;
}

BitsOp::Shape BitsOp::shape_of(size_t rows) const {
  return {rows,
          layer_.group_outputs,
          layer_.inputs,
          1,
          1,
          few_classes_ ? classes_ : 1,
          direct_ ? kb::Form::bits : kb::Form::finish};
}

Status BitsOp::check_tensors(const Epilogue& e, PrepareContext& context) {
  const auto no = [](const char* what) {
    return Status(Code::unsupported, 269, what).next("convert the model again");
  };
  const Weights& w = *layer_.weights;
  const auto bytes = (CheckedSize(layer_.outputs) * layout::plane_row_bytes(layer_.inputs)).get();
  QRT_REQUIRE(is_sign_plane(w) && bytes && w.bit_planes.planes.size() >= *bytes &&
                  w.bit_planes.alphas.count == layer_.outputs,
              Code::invalid_model, 269, "the planes of a binary layer do not fit its fields");
  if (layer_.interleaved) return no("a binary convolution's inputs are not stored channels last");
  QRT_REQUIRE(e.counts_outputs(layer_.outputs), Code::invalid_model, 267,
              "a layer's thresholds do not count its outputs");
  const TensorView& out = context.out[0];
  to_bits_ = out.dtype == DType::bits;
  const bool to_bytes = is_quantized(out.dtype, out.quantization);
  if (context.in[0].dtype != DType::bits ||
      (e.residual && !is_quantized(context.in[1].dtype, context.in[1].quantization)) ||
      (!to_bits_ && !to_bytes && out.dtype != DType::f32) || (to_bits_ && e.threshold_count != 1) ||
      (e.threshold_count != 0 && !to_bits_ && !to_bytes))
    return no("a binary layer's tensors are not bits, bytes and f32 where they must be");
  layer_.x = context.in[0].quantization;
  if (to_bytes && e.threshold_count == 0) layer_.y = out.quantization;
  layer_.residual = e.residual;
  if (e.residual) layer_.r = context.in[1].quantization;
  return {};
}

Status BitsOp::find_classes(PrepareContext& context) {
  const Window& w = layer_.window;
  const Axis y{layer_.out_h, layer_.in_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top};
  const Axis x{layer_.out_w, layer_.in_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left};
  Arena work(context.keep.allocator());
  const Span<TapRange> ys = work.array<TapRange>(y.out), xs = work.array<TapRange>(x.out);
  const Span<uint32_t> kinds = context.keep.array<uint32_t>(y.out + x.out);
  if (ys.size() != y.out || xs.size() != x.out || kinds.size() != y.out + x.out)
    return out_of_memory();
  const size_t kinds_y = kinds_of(y, kinds.data(), ys.data());
  kinds_x_ = kinds_of(x, kinds.data() + y.out, xs.data());
  kind_y_ = kinds.data(), kind_x_ = kinds.data() + y.out;
  const auto classes = (CheckedSize(kinds_y) * kinds_x_).get(layout::kMaxElements);
  if (!classes) return layer_too_large();
  classes_ = *classes;
  few_classes_ = classes_ <= kb::kMaxClasses;
  const Span<kb::Inside> inside = context.keep.array<kb::Inside>(classes_);
  if (inside.size() != classes_) return out_of_memory();
  const auto u32 = [](size_t v) { return static_cast<uint32_t>(v); };
  for (size_t i = 0; i < classes_; ++i) {
    const TapRange &r = ys[i / kinds_x_], &c = xs[i % kinds_x_];
    inside[i] = {u32(r.first), u32(r.last), u32(c.first), u32(c.last)};
  }
  inside_ = inside.data();
  return {};
}

size_t BitsOp::class_of(size_t row) const {
  const size_t pixel = row % (layer_.out_h * layer_.out_w);
  return kind_y_[pixel / layer_.out_w] * kinds_x_ + kind_x_[pixel % layer_.out_w];
}

// The cheapest way that keeps no more than a layer may: with what the file has of it 1.25 of that.
Status BitsOp::choose(const Epilogue& e, PrepareContext& context) {
  const bool resident = context.mode == Mode::dense || context.prefer_speed;
  const BitPlaneWeights& planes = layer_.weights->bit_planes;
  const size_t file = planes.planes.size() + planes.alphas.count * size_of(planes.alphas.dtype) +
                      e.thresholds.size() * sizeof(int32_t) +
                      e.even_thresholds.size() * sizeof(int64_t);
  const Shape shape = shape_of(layer_.rows);
  const kb::Row* forced = nullptr;
  float best = 0, least = 0;
  // Where bounds of the classes of rows alone take more than that, the least that any way keeps.
  size_t room = resident ? SIZE_MAX : file / 4 + kKeptSlack;
  size_t smallest = SIZE_MAX;
  for (const kb::Row& row : kb::kWays) {
    if (!kernels::includes(context.isa, row.isa) || row.way->cost_ns(shape) < 0) continue;
    const size_t kept = round_up(row.way->kept(shape), kb::kAlign) * layer_.groups;
    smallest = kept < smallest ? kept : smallest;
  }
  room = room < smallest ? smallest : room;
  for (const kb::Row& row : kb::kWays) {
    if (!kernels::includes(context.isa, row.isa)) continue;
    const float each = row.way->cost_ns(shape);
    const auto kept =
        (CheckedSize(round_up(row.way->kept(shape), kb::kAlign)) * layer_.groups).get();
    if (each < 0 || !kept || *kept > room) continue;
    const float ns = each * static_cast<float>(layer_.groups);
    char name[32];
    strategy_name(row, name, sizeof name);
    const bool wanted = context.strategy != nullptr && std::strcmp(context.strategy, name) == 0;
    choice_.cost(name, ns);
    if (wanted && (forced == nullptr || ns < least)) forced = &row, least = ns;
    if (row_ == nullptr || ns < best) row_ = &row, best = ns;
  }
  if (context.strategy != nullptr && forced == nullptr) choice_.cannot(context.strategy);
  if (forced != nullptr) choice_.forced(context.strategy), row_ = forced;
  if (row_ == nullptr)
    return Status(Code::unsupported, 270, "no kernel counts a binary layer of this many inputs")
        .at_most(static_cast<int64_t>(layer_.inputs), kb::kMaxDiffer)
        .next("convert the layer with another encoding");
  char name[32];
  strategy_name(*row_, name, sizeof name);
  const char* isa = std::strchr(row_->name, '_') + 1;
  const size_t length = std::strcspn(isa, "_");
  const bool plain = row_->isa == 0;
  std::snprintf(kernel_name_, sizeof kernel_name_, "%s%s%.*s", name, plain ? "" : "_",
                plain ? 0 : static_cast<int>(length), isa);
  return {};
}

Status BitsOp::make_bases(int32_t* base, const PrepareContext& context) const {
  const Window& w = layer_.window;
  Arena work(context.keep.allocator());
  const auto table = (CheckedSize(uint64_t{w.kernel_h} + 1) * (uint64_t{w.kernel_w} + 1)).get();
  if (!table) return layer_too_large();
  const Span<int32_t> sums = work.array<int32_t>(*table);
  if (sums.size() != *table) return out_of_memory();
  const auto* planes = reinterpret_cast<const uint64_t*>(layer_.weights->bit_planes.planes.data());
  kb::bases({w.kernel_h, w.kernel_w, layer_.channels, layer_.outputs, classes_, planes, words_,
             inside_, base, layer_.outputs, sums.data()});
  return {};
}

// Weights and bounds as the way wants them, and base where it is added in every run.
Status BitsOp::pack(const Epilogue& e, PrepareContext& context) {
  const auto count = (CheckedSize(classes_) * layer_.outputs).get(SIZE_MAX / 8);
  if (!count) return layer_too_large();
  Arena work(context.keep.allocator());
  const Span<int32_t> base = (direct_ ? work : context.keep).array<int32_t>(*count);
  if (base.size() != *count) return out_of_memory();
  QRT_TRY(make_bases(base.data(), context));
  if (!direct_) base_ = base.data(), context.weight_bytes += *count * sizeof(int32_t);
  const Shape shape = shape_of(layer_.rows);
  kept_bytes_ = round_up(row_->way->kept(shape), kb::kAlign);
  const size_t all = kept_bytes_ * layer_.groups;
  kept_ = static_cast<std::byte*>(context.keep.allocate(all, kb::kAlign));
  const Span<int32_t> bounds = work.array<int32_t>(direct_ ? classes_ * shape.outputs : 0);
  if (kept_ == nullptr || (direct_ && bounds.data() == nullptr)) return out_of_memory();
  context.weight_bytes += all;
  const auto* planes = reinterpret_cast<const uint64_t*>(layer_.weights->bit_planes.planes.data());
  for (size_t g = 0; g < layer_.groups; ++g) {
    const size_t first = g * shape.outputs;
    for (size_t i = 0; direct_ && i < classes_; ++i)
      for (size_t n = 0; n < shape.outputs; ++n)
        bounds[i * shape.outputs + n] =
            kb::bound_of(base[i * layer_.outputs + first + n], e.threshold(first + n, 0), false);
    row_->way->pack({shape, planes + first * words_, words_, words_,
                     direct_ ? bounds.data() : nullptr, nullptr, kept_ + g * kept_bytes_});
  }
  return {};
}

Status BitsOp::reserve(PrepareContext& context) {
  const size_t threads = context.threads.count(), unit = row_->way->unit;
  const bool whole_rows = thresholds_.present() && !direct_;
  chunk_ = kChunkRows;
  if (whole_rows) {
    const size_t fit = kSumBytes / (layer_.outputs * sizeof(float));
    chunk_ = fit < 1 ? 1 : fit < chunk_ ? fit : chunk_;
  } else if (!gathers_ && threads == 1) {
    chunk_ = layer_.rows < 1 ? 1 : layer_.rows;
  }
  range_ = round_up(layer_.group_outputs, unit);
  const size_t wanted = 2 * threads;
  const size_t found = ceil_div(layer_.rows, chunk_);
  if (threads > 1 && found < wanted) {
    if (!whole_rows)
      range_ = round_up(ceil_div(layer_.group_outputs, ceil_div(wanted, found + 1)), unit);
    const size_t ranges = ceil_div(layer_.group_outputs, range_);
    const size_t even = round_up(ceil_div(layer_.rows, ceil_div(wanted, ranges)), 64);
    chunk_ = even < chunk_ ? even : chunk_;
  }
  ranges_ = whole_rows ? 1 : ceil_div(layer_.group_outputs, range_);
  groups_apart_ = whole_rows ? 1 : layer_.groups;
  chunks_ = ceil_div(layer_.rows, chunk_);
  const Shape shape = shape_of(chunk_ < layer_.rows ? chunk_ : layer_.rows);
  rows_at_ = round_up(row_->way->scratch(shape), kb::kAlign);
  const auto rows = (CheckedSize(gathers_ ? chunk_ : 0) * words_ * 8).get(SIZE_MAX / 8);
  const auto sums =
      (CheckedSize(whole_rows ? chunk_ : 0) * layer_.outputs * sizeof(float)).get(SIZE_MAX / 8);
  if (!rows || !sums) return layer_too_large();
  class_at_ = rows_at_ + round_up(*rows, kb::kAlign);
  sums_at_ = class_at_ + round_up(classes_ > 1 ? chunk_ : 0, kb::kAlign);
  own_bytes_ = sums_at_ + round_up(*sums, kb::kAlign);
  const auto all = (CheckedSize(own_bytes_) * threads).get();
  if (!all) return layer_too_large();
  own_ = context.reserve_scratch(*all);
  return {};
}

Status BitsOp::prepare(const Node& node, PrepareContext& context) {
  const Epilogue& e = *epilogue_of(node);
  QRT_TRY(check_arity(context, e.residual ? 2 : 1));
  QRT_TRY(describe_layer(node, context, &layer_));
  QRT_TRY(check_tensors(e, context));
  QRT_TRY(finish_constants(e, context, &layer_));
  QRT_TRY(find_classes(context));
  words_ = kb::words_of(layer_.inputs);
  const size_t depth = layer_.channels * layer_.groups;
  stride_ = kb::words_of(depth);
  gathers_ = !layer_.rows_in_place() || (layer_.groups > 1 && layer_.channels % kb::kWord != 0);
  direct_ =
      to_bits_ && few_classes_ && (layer_.groups == 1 || layer_.group_outputs % kb::kWord == 0);
  if (!direct_) QRT_TRY(thresholds_.prepare(e, layer_.outputs, layer_.inputs, context));
  QRT_TRY(choose(e, context));
  QRT_TRY(pack(e, context));
  return reserve(context);
}

Status BitsOp::run(const RunContext& context) const {
  if (layer_.rows == 0) return {};
  context.threads.split(groups_apart_ * ranges_ * chunks_, 1,
                        [&](size_t begin, size_t end, uint32_t thread) {
                          for (size_t i = begin; i < end; ++i) item(context, i, thread);
                        });
  return {};
}

void BitsOp::item(const RunContext& context, size_t i, uint32_t thread) const {
  std::byte* own = context.scratch[own_] + thread * own_bytes_;
  const size_t row0 = i % chunks_ * chunk_, left = layer_.rows - row0;
  const size_t rows = left < chunk_ ? left : chunk_;
  if (classes_ > 1 && few_classes_) {
    auto* to = reinterpret_cast<uint8_t*>(own + class_at_);
    for (size_t r = 0; r < rows; ++r) to[r] = static_cast<uint8_t>(class_of(row0 + r));
  }
  if (!thresholds_.present()) {
    const size_t output = i / chunks_ % ranges_ * range_, rest = layer_.group_outputs - output;
    compute(context, i / chunks_ / ranges_, row0, rows, output, rest < range_ ? rest : range_, own);
    return;
  }
  for (size_t g = 0; g < layer_.groups; ++g)
    compute(context, g, row0, rows, 0, layer_.group_outputs, own);
  store(context, row0, rows, reinterpret_cast<const float*>(own + sums_at_));
}

void BitsOp::store(const RunContext& context, size_t row0, size_t rows, const float* sums) const {
  if (to_bits_)
    thresholds_.store(sums, rows,
                      context.out[0].as<uint64_t>() + row0 * kb::words_of(layer_.outputs));
  else
    thresholds_.store(sums, rows, context.out[0].as<uint8_t>() + row0 * layer_.outputs);
}

// Rows against outputs [output, output + outputs) of a group.
void BitsOp::compute(const RunContext& context, size_t group, size_t row0, size_t rows,
                     size_t output, size_t outputs, std::byte* own) const {
  const auto* x = context.in[0].as<uint64_t>();
  kb::Args a{};
  a.shape = shape_of(rows);
  a.first_output = output, a.outputs = outputs;
  const auto* planes = reinterpret_cast<const uint64_t*>(layer_.weights->bit_planes.planes.data());
  a.weights = planes + group * layer_.group_outputs * words_;
  a.w_stride = a.w_plane = words_;
  a.kept = kept_ + group * kept_bytes_, a.scratch = own;
  a.x = x + row0 * stride_ + group * layer_.channels / kb::kWord;
  a.x_stride = stride_, a.x_plane = words_;
  if (gathers_) {
    const Window& w = layer_.window;
    auto* to = reinterpret_cast<uint64_t*>(own + rows_at_);
    kb::gather({layer_.in_h,
                layer_.in_w,
                layer_.out_h,
                layer_.out_w,
                w.kernel_h,
                w.kernel_w,
                w.stride_h,
                w.stride_w,
                w.dilation_h,
                w.dilation_w,
                w.pad_top,
                w.pad_left,
                layer_.channels,
                group * layer_.channels,
                stride_,
                x,
                row0,
                rows,
                to,
                words_});
    a.x = to, a.x_stride = words_;
  }
  const size_t first = group * layer_.group_outputs + output;
  if (few_classes_) {
    if (classes_ > 1) a.class_of = reinterpret_cast<const uint8_t*>(own + class_at_);
    if (base_ != nullptr) a.base = base_ + first, a.base_stride = layer_.outputs;
    give(context, a, row0, first, own);
    return;
  }
  // More kinds of windows than a call may have: runs of rows of one kind.
  for (size_t r = 0, n; r < rows; r += n, a.x += n * a.x_stride) {
    const size_t kind = class_of(row0 + r);
    for (n = 1; r + n < rows && class_of(row0 + r + n) == kind;) ++n;
    a.shape.rows = n;
    a.base = base_ + kind * layer_.outputs + first, a.base_stride = layer_.outputs;
    give(context, a, row0 + r, first, own);
  }
}

// Says where results go, of which the first is of this row and output, and computes them.
void BitsOp::give(const RunContext& context, kb::Args& a, size_t row0, size_t output,
                  std::byte* own) const {
  const TensorView& out = context.out[0];
  a.y_stride = layer_.outputs;
  if (direct_) {
    a.y_stride = kb::words_of(layer_.outputs);
    a.bits = out.as<uint64_t>() + row0 * a.y_stride + output / kb::kWord;
  } else {
    a.finish = layer_.finish_at(context, row0, output);
    const size_t at = row0 * layer_.outputs + output;
    if (thresholds_.present())
      a.y32 = reinterpret_cast<float*>(own + sums_at_) + at % (chunk_ * layer_.outputs);
    else if (layer_.y.present())
      a.y8 = out.as<uint8_t>() + at;
    else
      a.y32 = out.as<float>() + at;
  }
  row_->way->run(a);
}

}  // namespace qrt

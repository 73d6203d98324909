#include "runtime/ops/codebook_layer.h"

#include <cstring>
#include <limits>

#include "runtime/base/checked.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace cb = kernels::codebook;

// Moves entries of `dim` floats that end the table apart to `stride`, zeros between.
// In ascending order no entry is overwritten before it is moved: entry i ends at
// (i + 1) * stride <= count * (stride - dim) + (i + 1) * dim, where entry i + 1 starts.
void spread(float* to, const float* from, size_t count, size_t dim, size_t stride) {
  for (size_t i = 0; i < count; ++i, to += stride, from += dim) {
    std::memmove(to, from, dim * sizeof(float));
    for (size_t t = dim; t < stride; ++t) to[t] = 0;
  }
}

// One (scope, book): `count` entries of the file to 2^bits of the table.
void widen_book(const CodebookLayer& layer, size_t first_entry, float* to) {
  const CodebookWeights& w = layer.weights->codebook;
  const size_t count = w.count, dim = w.dim, stride = layer.entry_stride, n = count * dim;
  float* from = to + count * (stride - dim);
  const uint8_t* bytes = w.entries.data() + first_entry * dim * size_of(w.entry);
  if (w.entry == DType::f16) {
    layer.kit->run->widen({reinterpret_cast<const uint16_t*>(bytes), n, from});
  } else if (w.entry == DType::f32) {
    std::memcpy(from, bytes, n * sizeof(float));
  } else {
    for (size_t i = 0; i < count; ++i) {
      const float scale = read_constant(w.entry_scales, static_cast<uint32_t>(first_entry + i));
      for (size_t t = 0; t < dim; ++t)
        from[i * dim + t] = scale * static_cast<float>(static_cast<int8_t>(bytes[i * dim + t]));
    }
  }
  if (stride != dim) spread(to, from, count, dim, stride);
  std::memset(to + count * stride, 0,
              ((size_t{1} << w.code_bits) - count) * stride * sizeof(float));
}

}  // namespace

Status CodebookLayer::derive() {
  const Weights& w = *weights;
  const CodebookWeights& c = w.codebook;
  if (w.encoding != Encoding::codebook || w.numerics != Numerics::f32)
    return Status(Code::unsupported, 330, "codebook layers are computed with f32 numerics only")
        .next("convert the model again with --numerics f32");
  QRT_REQUIRE(c.books >= 1 && c.books <= cb::kMaxBooks && c.dim >= 1 && c.count >= 1 &&
                  c.code_bits == layout::code_bits(c.count) && c.code_bits <= 16,
              Code::invalid_model, 336, "the codebook's fields contradict each other");
  blocks = static_cast<size_t>(layout::codebook_blocks(inputs, c.dim));
  scopes = c.scope_rows == 0 ? 1 : (outputs + c.scope_rows - 1) / c.scope_rows;
  entry_stride = (size_t{c.dim} + 3) / 4 * 4;
  const auto table =
      (CheckedSize(scopes) * c.books * (uint64_t{1} << c.code_bits) * entry_stride)
          .get(UINT32_MAX < SIZE_MAX / sizeof(float) ? UINT32_MAX : SIZE_MAX / sizeof(float));
  if (!table) return layer_too_large();
  table_floats = *table;
  const auto codes =
      (CheckedSize(c.books) * blocks * layout::codebook_row_bytes(outputs, c.code_bits)).get();
  const auto entries = (CheckedSize(scopes) * c.books * c.count * c.dim * size_of(c.entry)).get();
  QRT_REQUIRE(codes && entries && c.codes.size() >= *codes && c.entries.size() >= *entries &&
                  (c.entry != DType::i8 || c.entry_scales.count == scopes * c.books * c.count),
              Code::invalid_model, 336, "the codebook's buffers are smaller than its fields say");
  return {};
}

cb::Finish CodebookLayer::finish_at(const RunContext& context, size_t row, size_t output) const {
  cb::Finish f{};
  f.scale = scale ? scale + output : nullptr;
  f.bias = bias ? bias + output : nullptr;
  f.residual = residual ? context.in[1].as<float>() + row * outputs + output : nullptr;
  f.residual_stride = outputs;
  f.min = min, f.max = max;
  return f;
}

cb::Source widen_entries(const CodebookLayer& layer, float* table) {
  const CodebookWeights& w = layer.weights->codebook;
  cb::Source s{};
  s.codes = w.codes.data(), s.codes_end = w.codes.end();
  s.row_bytes = static_cast<size_t>(layout::codebook_row_bytes(layer.outputs, w.code_bits));
  s.book_bytes = s.row_bytes * layer.blocks;
  s.entries = table;
  s.entry_stride = layer.entry_stride;
  s.book_stride = layer.entry_stride << w.code_bits;
  s.scope_stride = s.book_stride * w.books;
  s.scope_rows = w.scope_rows;
  s.bits = w.code_bits, s.books = w.books, s.dim = w.dim;
  for (size_t i = 0; i < layer.scopes * w.books; ++i)
    widen_book(layer, i * w.count, table + i * s.book_stride);
  return s;
}

cb::CostShape codebook_cost_shape(const CodebookLayer& layer) {
  const CodebookWeights& w = layer.weights->codebook;
  cb::CostShape s{};
  s.rows = layer.rows, s.outputs = layer.group_outputs, s.inputs = layer.inputs;
  s.groups = layer.groups, s.blocks = layer.blocks;
  s.entries = layer.table_floats / layer.entry_stride;
  s.bits = w.code_bits, s.books = w.books, s.dim = w.dim;
  s.gathers = !layer.rows_in_place();
  s.threads = layer.threads;
  return s;
}

Status CodebookOp::prepare(const Node& node, PrepareContext& context) {
  layer_ = {};
  QRT_TRY(describe_layer(node, context, &layer_));
  const bool codebook = layer_.weights->encoding == Encoding::codebook;
  if (codebook) QRT_TRY(layer_.derive());
  const Epilogue& epilogue = *epilogue_of(node);
  for (const ConstTensorView& t : context.in)
    QRT_REQUIRE(t.dtype == DType::f32, Code::unsupported, 335, "a codebook layer needs f32 inputs");
  QRT_REQUIRE(context.out[0].dtype == DType::f32, Code::unsupported, 335,
              "a codebook layer needs an f32 output");
  layer_.residual = epilogue.residual;
  QRT_TRY(widen_constant(epilogue.scale, layer_.outputs, context.keep, &layer_.scale));
  QRT_TRY(widen_constant(epilogue.bias, layer_.outputs, context.keep, &layer_.bias));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const bool clamps = epilogue.clamp.activation == Activation::clamp;
  layer_.min = clamps ? epilogue.clamp.min : -kInfinity;
  layer_.max = clamps ? epilogue.clamp.max : kInfinity;
  layer_.isa = context.isa;
  layer_.kit = &kernels::select(cb::kKits, context.isa);
  layer_.threads = context.threads.count();
  return codebook ? choose(context) : unpack(context);
}

Status CodebookOp::unpack(PrepareContext& context) {
  CodebookStrategy* const all[] = {make_unpack_strategy(context.keep)};
  QRT_REQUIRE(all[0] != nullptr, Code::out_of_memory, 334, "out of memory");
  CodebookLayer alone = layer_;
  alone.threads = 1;
  strategy_ = choose_strategy(all, alone, context.strategy, &choice_);
  return strategy_->prepare(layer_, context);
}

Status CodebookOp::choose(PrepareContext& context) {
  CodebookStrategy* const all[] = {
      make_decode_strategy(context.keep), make_winograd_strategy(context.keep),
      make_lookup_strategy(context.keep), make_dot_strategy(context.keep)};
  for (const CodebookStrategy* s : all)
    QRT_REQUIRE(s != nullptr, Code::out_of_memory, 334, "out of memory");
  CodebookLayer alone = layer_;
  alone.threads = 1;
  strategy_ = choose_strategy(all, alone, context.strategy, &choice_);
  return strategy_->prepare(layer_, context);
}

Op* make_codebook_conv2d(Arena& keep) {
  return keep.make<CodebookOp>();
}
Op* make_codebook_linear(Arena& keep) {
  return keep.make<CodebookOp>();
}

}  // namespace qrt

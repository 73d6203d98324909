#include "tests/support/full_model.h"

#include "schema/layout.h"

namespace qrt::testing {
namespace {

using std::make_unique;

size_t append(FullModel& f, std::unique_ptr<fb::WeightsT> w) {
  f.b.model.weights.push_back(std::move(w));
  return f.b.model.weights.size() - 1;
}

std::unique_ptr<fb::WeightsT> layer(const char* name, fb::Encoding encoding, uint32_t outputs,
                                    uint32_t inputs) {
  auto w = make_unique<fb::WeightsT>();
  w->name = name;
  w->outputs = outputs;
  w->inputs = inputs;
  w->encoding = encoding;
  return w;
}

std::unique_ptr<fb::ScalesT> scales(FullModel& f, fb::ScaleAxis axis, uint32_t group, size_t n) {
  auto s = make_unique<fb::ScalesT>();
  s->axis = axis;
  s->group = group;
  s->values = f.b.constant(random_floats(n, 11, 0.1f, 1));
  return s;
}

// A linear layer 10 -> 10 on `in` of every encoding but dense and codebook, one after the other.
constexpr uint32_t kWidth = 10;

void add_i8(FullModel& f) {
  auto w = layer("i8.w", fb::Encoding::dense, kWidth, 6);
  w->dense = make_unique<fb::DenseT>();
  w->dense->dtype = fb::DType::i8;
  w->dense->buffer = f.b.buffer(std::vector<int8_t>(kWidth * 6, 3));
  w->dense->scales = scales(f, fb::ScaleAxis::output, 0, kWidth);
  w->numerics = fb::Numerics::exact;
  f.w_i8 = append(f, std::move(w));
}

void add_table(FullModel& f) {
  auto w = layer("table.w", fb::Encoding::table, kWidth, kWidth);
  w->table = make_unique<fb::CodeTableT>();
  w->table->bits = 3;
  w->table->values = f.b.constant(random_floats(8, 12));
  // Ten codes of three bits: 30 of 32 bits, the last two zero.
  std::vector<uint8_t> codes(kWidth * layout::kbit_row_bytes(kWidth, 3));
  for (uint32_t row = 0; row < kWidth; ++row)
    for (uint32_t i = 0; i < kWidth; ++i) layout::write_code(codes.data() + row * 4, i, 3, i % 8);
  w->table->codes = f.b.buffer(codes);
  w->table->scales = scales(f, fb::ScaleAxis::group, 4, kWidth * 3);
  w->table->offset = f.b.constant(random_floats(kWidth, 13));
  f.w_table = append(f, std::move(w));
}

void add_affine(FullModel& f) {
  auto w = layer("affine.w", fb::Encoding::affine, kWidth, kWidth);
  w->affine = make_unique<fb::AffineT>();
  w->affine->bits = 4;
  w->affine->is_signed = true;
  w->affine->zero_halves.assign(kWidth, 15);
  w->affine->codes = f.b.buffer(std::vector<uint8_t>(kWidth * 5, 0x21));
  w->affine->scales = scales(f, fb::ScaleAxis::layer, 0, 1);
  f.w_affine = append(f, std::move(w));
}

void add_planes(FullModel& f) {
  auto w = layer("planes.w", fb::Encoding::bit_planes, kWidth, kWidth);
  w->bit_planes = make_unique<fb::BitPlanesT>();
  w->bit_planes->group = 6;  // a row is a group of 6 inputs and one of 4
  std::vector<uint8_t> counts(kWidth * 2, 1);
  counts[0] = 2, counts[1] = 0;          // 20 planes in all, of 12 + 9 * 10 signs
  std::vector<uint8_t> planes(13, 0x5);  // the last byte has two to spare
  w->bit_planes->counts = f.b.buffer(counts);
  w->bit_planes->planes = f.b.buffer(planes);
  w->bit_planes->alphas = f.b.constant(random_floats(kWidth * 2, 14));
  f.w_planes = append(f, std::move(w));

  auto t = layer("trits.w", fb::Encoding::bit_planes, kWidth, kWidth);
  t->bit_planes = make_unique<fb::BitPlanesT>();
  t->bit_planes->packing = fb::PlanePacking::ternary5;
  t->bit_planes->counts = f.b.buffer(std::vector<uint8_t>(kWidth, 1));
  t->bit_planes->planes = f.b.buffer(std::vector<uint8_t>(kWidth * 2, 242));
  t->bit_planes->alphas = f.b.constant(random_floats(kWidth, 15));
  f.w_trits = append(f, std::move(t));
}

size_t last_op(FullModel& f) {
  return f.b.model.operators.size() - 1;
}

// image [1, 3, 8, 8] to block [1, 3, 3, 6]: transpose, conv, codebook conv, pool.
uint32_t add_convolutions(FullModel& f) {
  ModelBuilder& b = f.b;
  f.image = b.tensor("image", {1, 3, 8, 8});
  b.input(f.image);
  const uint32_t nhwc = b.tensor("nhwc", {1, 8, 8, 3});
  b.op("transpose", fb::OpKind::transpose, {f.image}, nhwc).transpose =
      make_unique<fb::TransposeT>();
  f.transpose = last_op(f);
  f.op(f.transpose).transpose->perm = {0, 2, 3, 1};

  const uint32_t stem = b.tensor("stem", {1, 6, 6, 6});
  f.w_dense = b.dense("conv.w", 6, 27, random_floats(6 * 27, 1));
  fb::Conv2dT& conv = b.conv2d("conv", nhwc, stem, static_cast<uint32_t>(f.w_dense), 3, 3);
  conv.epilogue->bias = b.constant(random_floats(6, 2));
  conv.epilogue->activation = fb::Activation::clamp;
  conv.epilogue->min = 0;
  f.conv = last_op(f);

  const uint32_t block = b.tensor("block", {1, 6, 6, 6});
  CodebookSpec spec{6, 27, 12, 9};
  spec.entry = fb::DType::i8;
  spec.scope_rows = 3;
  spec.books = 2;
  f.w_codebook = b.codebook("codebook.w", spec);
  fb::Conv2dT& coded =
      b.conv2d("codebook_conv", stem, block, static_cast<uint32_t>(f.w_codebook), 3, 3);
  coded.groups = 2;
  coded.pad_top = coded.pad_left = coded.pad_bottom = coded.pad_right = 1;
  coded.epilogue->scale = b.constant(random_floats(6, 3));
  coded.epilogue->residual = true;
  f.codebook_conv = last_op(f);
  f.op(f.codebook_conv).inputs.push_back(stem);

  const uint32_t pooled = b.tensor("pooled", {1, 3, 3, 6});
  fb::Pool2dT& pool = b.pool2d("pool", fb::PoolMode::max, block, pooled, 2, 2);
  pool.stride_h = pool.stride_w = 2;
  f.pool = last_op(f);
  return pooled;
}

// [1, 4, 5, 6] to [1, 4, 5, 6]: slice, resize, gather, tile.
uint32_t add_moves(FullModel& f, uint32_t in) {
  ModelBuilder& b = f.b;
  const uint32_t part = b.tensor("part", {1, 2, 5, 3}), taller = b.tensor("taller", {1, 4, 5, 3});
  const uint32_t picked = b.tensor("picked", {1, 4, 5, 3}), moved = b.tensor("moved", {1, 4, 5, 6});
  auto slice = make_unique<fb::SliceT>();
  slice->start = {0, 3, 0, 0};
  slice->step = {1, -2, 1, 2};
  slice->size = {0, 2, 0, 3};
  b.op("slice", fb::OpKind::slice, {in}, part).slice = std::move(slice);
  f.slice = last_op(f);
  auto resize = make_unique<fb::ResizeT>();
  resize->mode = fb::ResizeMode::linear;
  resize->coordinates = fb::Coordinates::tf_crop_and_resize;
  resize->nearest = fb::NearestMode::ceil;
  resize->size = {0, 4, 0, 0};
  resize->scale = {0, 2, 0, 0};
  resize->roi = {0, 0.25f, 0, 0, 1, 0.75f, 1, 1};
  resize->cubic_a = -0.5f;
  resize->exclude_outside = true;
  resize->outside = 2;
  b.op("resize", fb::OpKind::resize, {part}, taller).resize = std::move(resize);
  f.resize = last_op(f);
  f.indices = b.tensor("indices", {3}, false, fb::DType::i64);
  f.tensor(f.indices).is_constant = true;
  f.tensor(f.indices).buffer = b.buffer(std::vector<int64_t>{2, -3, 1});
  auto gather = make_unique<fb::GatherT>();
  gather->axis = -1;
  b.op("gather", fb::OpKind::gather, {taller, f.indices}, picked).gather = std::move(gather);
  f.gather = last_op(f);
  auto tile = make_unique<fb::TileT>();
  tile->repeats = {1, 1, 1, 2};
  b.op("tile", fb::OpKind::tile, {picked}, moved).tile = std::move(tile);
  f.tile = last_op(f);
  return moved;
}

// pooled [1, 3, 3, 6] to flat [1, 6]: elementwise operators, padding, global pool, concat.
uint32_t add_elementwise(FullModel& f, uint32_t pooled) {
  ModelBuilder& b = f.b;
  f.constant = b.constant_tensor("constant", {6}, random_floats(6, 4));
  const uint32_t shift = b.constant_tensor("shift", {1, 1, 1, 6}, random_floats(6, 9));
  const uint32_t shifts = b.tensor("shifts", {1, 1, 1, 6}),
                 shifted = b.tensor("shifted", {1, 3, 3, 6});
  b.op("expand", fb::OpKind::expand, {shift, pooled}, shifts);
  f.expand = last_op(f);
  b.op("shift", fb::OpKind::binary, {pooled, shifts}, shifted).binary = make_unique<fb::BinaryT>();
  const uint32_t sum = b.tensor("sum", {1, 3, 3, 6}), bent = b.tensor("bent", {1, 3, 3, 6});
  const uint32_t normed = b.tensor("normed", {1, 3, 3, 6}), wide = b.tensor("wide", {1, 4, 5, 6});
  const uint32_t mean = b.tensor("mean", {1, 1, 1, 6}), flat = b.tensor("flat", {1, 6});
  const uint32_t both = b.tensor("both", {1, 1, 1, 6});
  f.binary = (b.op("binary", fb::OpKind::binary, {shifted, f.constant}, sum).binary =
                  make_unique<fb::BinaryT>(),
              last_op(f));
  f.unary =
      (b.op("unary", fb::OpKind::unary, {sum}, bent).unary = make_unique<fb::UnaryT>(), last_op(f));
  f.op(f.unary).unary->op = fb::UnaryOp::leaky_relu;
  f.op(f.unary).unary->alpha = 0.1f;
  f.affine =
      (b.op("affine", fb::OpKind::affine, {bent}, normed).affine = make_unique<fb::Affine1T>(),
       last_op(f));
  f.op(f.affine).affine->scale = b.constant(random_floats(6, 5));
  f.op(f.affine).affine->bias = b.constant(random_floats(6, 6));
  f.pad = (b.op("pad", fb::OpKind::pad, {normed}, wide).pad = make_unique<fb::PadT>(), last_op(f));
  f.op(f.pad).pad->before = {0, 0, 1, 0};
  f.op(f.pad).pad->after = {0, 1, 1, 0};
  b.global_pool("global", fb::PoolMode::average, add_moves(f, wide), mean);
  f.global = last_op(f);
  f.concat = (b.op("concat", fb::OpKind::concat, {mean}, both).concat = make_unique<fb::ConcatT>(),
              last_op(f));
  f.op(f.concat).concat->axis = 3;
  b.op("reshape", fb::OpKind::reshape, {both}, flat);
  f.reshape = last_op(f);
  return flat;
}

// Results nobody reads, from pooled [1, 3, 3, 6]: a pool by norm, a product of two tensors, a
// transposed convolution.
void add_products(FullModel& f, uint32_t pooled) {
  ModelBuilder& b = f.b;
  const uint32_t normed = b.tensor("p-norm", {1, 2, 2, 6});
  fb::Pool2dT& pool = b.pool2d("p-norm", fb::PoolMode::lp, pooled, normed, 2, 2);
  pool.power = 3;
  f.norm = last_op(f);

  const uint32_t matrix = b.constant_tensor("matrix", {1, 3, 6, 2}, random_floats(36, 16));
  b.op("matmul", fb::OpKind::matmul, {pooled, matrix}, b.tensor("product", {1, 3, 3, 2}));
  f.product = last_op(f);

  const uint32_t large = b.tensor("large", {1, 8, 6, 4});
  fb::OperatorT& o = b.op("transposed", fb::OpKind::conv_transpose, {pooled}, large);
  o.conv_transpose = make_unique<fb::ConvTransposeT>();
  fb::ConvTransposeT& t = *o.conv_transpose;
  f.w_transposed = b.dense("transposed.w", 4, 18, random_floats(4 * 18, 17));
  t.weights = static_cast<uint32_t>(f.w_transposed);
  t.kernel_h = 3, t.kernel_w = 2;
  t.stride_h = t.stride_w = 2;
  t.dilation_h = 2;  // (3 - 1) * 2 + 5 + 1 - 2 rows, (3 - 1) * 2 + 2 columns
  t.pad_top = t.pad_bottom = 1;
  t.adjust_h = 1;
  t.groups = 2;
  t.epilogue = make_unique<fb::EpilogueT>();
  t.epilogue->scale = b.constant(random_floats(4, 18));
  t.epilogue->bias = b.constant(random_floats(4, 19));
  f.transposed = last_op(f);
}

// flat [1, 6] to logits [1, 10] through one linear layer per encoding.
void add_linears(FullModel& f, uint32_t flat) {
  ModelBuilder& b = f.b;
  add_i8(f), add_table(f), add_affine(f), add_planes(f);
  const struct {
    const char* name;
    size_t weights;
    size_t* op;
  } rows[] = {{"linear", f.w_i8, &f.linear},
              {"table_linear", f.w_table, &f.table_linear},
              {"affine_linear", f.w_affine, &f.affine_linear},
              {"planes_linear", f.w_planes, &f.planes_linear},
              {"trits_linear", f.w_trits, &f.trits_linear}};
  const auto quantized = [&](const char* name, int32_t width, float scale, uint8_t zero) {
    const uint32_t t = b.tensor(name, {1, width}, true, fb::DType::u8);
    b.model.tensors[t]->scale = scale, b.model.tensors[t]->zero = zero;
    return t;
  };
  // The i8 layer alone is one of integers.
  uint32_t in = quantized("quantized", 6, 0.0625f, 100);
  b.op("quantize", fb::OpKind::quantize, {flat}, in);
  f.quantize = last_op(f), f.quantized = in;
  for (const auto& row : rows) {
    const bool exact = row.weights == f.w_i8;
    const std::string name = row.name;
    const uint32_t sum = exact ? quantized("sum", kWidth, 0.5f, 128) : b.tensor(name, {1, kWidth});
    b.linear(name, in, sum, static_cast<uint32_t>(row.weights));
    *row.op = last_op(f);
    in = sum;
    if (!exact) continue;
    in = b.tensor(name + ".f32", {1, kWidth});
    b.op("dequantize", fb::OpKind::quantize, {sum}, in);
  }
  f.logits = b.tensor("logits", {1, kWidth});
  f.softmax =
      (b.op("softmax", fb::OpKind::softmax, {in}, f.logits).softmax = make_unique<fb::SoftmaxT>(),
       last_op(f));
  f.op(f.softmax).softmax->axis = -1;
  b.output(f.logits);
}

// pooled [1, 3, 3, 6] and its sum: comparison, choice, and what works along axes.
void add_choices(FullModel& f, uint32_t pooled) {
  ModelBuilder& b = f.b;
  const uint32_t above = b.tensor("above", {1, 3, 3, 6}, true, fb::DType::boolean);
  const uint32_t chosen = b.tensor("chosen", {1, 3, 3, 6}), longest = b.tensor("longest", {1, 6});
  const uint32_t where = b.tensor("where", {1, 3, 1, 6}, true, fb::DType::i64);
  const uint32_t best = b.tensor("best", {1, 3, 3, 2}),
                 as_float = b.tensor("as_float", {1, 3, 1, 6});
  b.op("compare", fb::OpKind::binary, {pooled, f.constant}, above).binary =
      make_unique<fb::BinaryT>();
  f.compare = last_op(f);
  f.op(f.compare).binary->op = fb::BinaryOp::greater;
  b.op("select", fb::OpKind::select, {above, pooled, f.constant}, chosen);
  f.select = last_op(f);
  b.op("reduce", fb::OpKind::reduce, {chosen}, longest).reduce = make_unique<fb::ReduceT>();
  f.reduce = last_op(f);
  f.op(f.reduce).reduce->mode = fb::ReduceMode::l2;
  f.op(f.reduce).reduce->axes = {1, 2};
  b.op("arg_reduce", fb::OpKind::arg_reduce, {chosen}, where).arg_reduce =
      make_unique<fb::ArgReduceT>();
  f.arg_reduce = last_op(f);
  f.op(f.arg_reduce).arg_reduce->axis = 2;
  f.op(f.arg_reduce).arg_reduce->keep_dims = true;
  b.op("top_k", fb::OpKind::top_k, {chosen}, best).top_k = make_unique<fb::TopKT>();
  f.top_k = last_op(f);
  f.op(f.top_k).top_k->axis = 3;
  f.op(f.top_k).top_k->k = 2;
  b.op("cast", fb::OpKind::cast, {where}, as_float);
  f.cast = last_op(f);
  const uint32_t levels = b.tensor("levels", {1, 3, 3, 6});
  b.op("fake_quantize", fb::OpKind::fake_quantize, {chosen}, levels).fake_quantize =
      make_unique<fb::FakeQuantizeT>();
  f.fake_quantize = last_op(f);
  fb::FakeQuantizeT& grid = *f.op(f.fake_quantize).fake_quantize;
  grid.scale = b.constant({0.5f, 1, 2, 3, 4, 5});
  grid.zero = b.constant({1});
  grid.low = -4, grid.high = 3, grid.axis = 3, grid.zero_after = true;
  grid.rounding = fb::Rounding::floor;
  b.op("steps", fb::OpKind::steps, {chosen}, b.tensor("stepped", {1, 3, 3, 6})).steps =
      make_unique<fb::StepsT>();
  f.steps = last_op(f);
  fb::StepsT& steps = *f.op(f.steps).steps;
  steps.thresholds = b.constant({-1, 0, 1, -1, 0, 2, -1, 0, 3, -1, 0, 4, -1, 0, 5, -1, 0, 6});
  steps.count = 3, steps.axis = -1, steps.scale = 2, steps.bias = -1;
}

void add_face(FullModel& f) {
  fb::ModelT& m = f.b.model;
  auto p = make_unique<fb::PreprocessT>();
  p->resize_shorter = 10;
  p->crop_h = p->crop_w = 8;
  p->mean = {0.5f, 0.4f, 0.3f};
  p->std = {0.2f, 0.3f, 0.4f};
  m.inputs[0]->preprocess = std::move(p);
  m.labels = {"one", "two", "two"};
  m.golden = make_unique<fb::GoldenT>();
  m.golden->inputs = {f.b.buffer(random_floats(3 * 64, 7))};
  m.golden->outputs = {f.b.buffer(random_floats(kWidth, 8))};
  m.golden->tolerance = 1e-4f;
  m.provenance = make_unique<fb::ProvenanceT>();
  m.provenance->tool = "model_builder";
  m.provenance->source_sha256 = std::string(64, '0');
  m.provenance->weights_sha256 = std::string(64, '1');
  m.provenance->method = "none";
  m.provenance->options = "--all";
  auto features = make_unique<fb::FeatureBucketsT>();
  features->bounds = {0, 1};
  features->bits = {4};
  features->lo = {-1};
  features->step = {0.5f};
  f.tensor(f.logits).features = std::move(features);
}

}  // namespace

FullModel full_model() {
  FullModel f;
  const uint32_t pooled = add_convolutions(f);
  add_linears(f, add_elementwise(f, pooled));
  add_products(f, pooled);
  add_choices(f, pooled);
  add_face(f);
  return f;
}

}  // namespace qrt::testing

// The validator, one field at a time: operators and the graph.
#include <limits>

#include "tests/support/mutation.h"

namespace qrt {
namespace {

using testing::check_mutations;
using testing::FullModel;

constexpr float kInf = std::numeric_limits<float>::infinity();

// One more input; golden values would no longer count the inputs.
uint32_t add_input(FullModel& f, const std::vector<int32_t>& dims, fb::DType dtype) {
  const uint32_t t = f.b.tensor("more", dims, true, dtype);
  f.b.input(t);
  f.model().golden.reset();
  return t;
}

TEST_CASE("operators: kind, options, arity, indices") {
  check_mutations({
      {"name", [](FullModel& f) { f.op(0).name = "a\tb"; }, 109},
      {"kind 26", [](FullModel& f) { f.op(0).kind = static_cast<fb::OpKind>(26); }, 110},
      {"kind beyond", [](FullModel& f) { f.op(0).kind = static_cast<fb::OpKind>(200); }, 110},
      {"other kind", [](FullModel& f) { f.op(f.reshape).kind = fb::OpKind::unary; }, 161},
      {"foreign options",
       [](FullModel& f) { f.op(f.reshape).unary = std::make_unique<fb::UnaryT>(); }, 161},
      {"no options", [](FullModel& f) { f.op(f.conv).conv2d.reset(); }, 161},
      {"no inputs", [](FullModel& f) { f.op(f.unary).inputs = {}; }, 160},
      {"two inputs", [](FullModel& f) { f.op(f.unary).inputs.push_back(0); }, 160},
      {"no outputs", [](FullModel& f) { f.op(f.unary).outputs = {}; }, 160},
      {"two outputs", [](FullModel& f) { f.op(f.unary).outputs.push_back(0); }, 160},
      {"binary of one", [](FullModel& f) { f.op(f.binary).inputs.pop_back(); }, 160},
      {"concat of 4097", [](FullModel& f) { f.op(f.concat).inputs.resize(4097); }, 160},
      {"concat of none", [](FullModel& f) { f.op(f.concat).inputs = {}; }, 160},
      {"residual lacking", [](FullModel& f) { f.op(f.codebook_conv).inputs.pop_back(); }, 160},
      {"residual unasked", [](FullModel& f) { f.op(f.conv).inputs.push_back(0); }, 160},
      {"input index", [](FullModel& f) { f.op(f.unary).inputs[0] = 999; }, 111},
      {"input index -1", [](FullModel& f) { f.op(f.unary).inputs[0] = ~0u; }, 111},
      {"input index n",
       [](FullModel& f) {
         f.op(f.unary).inputs[0] = static_cast<uint32_t>(f.model().tensors.size());
       },
       111},
      {"output index", [](FullModel& f) { f.op(f.unary).outputs[0] = INT32_MAX; }, 111},
  });
}

TEST_CASE("convolutions") {
  check_mutations({
      {"weights", [](FullModel& f) { f.op(f.conv).conv2d->weights = 8; }, 111},
      {"weights of another layer", [](FullModel& f) { f.op(f.conv).conv2d->weights = 2; }, 162},
      {"kernel_h 0", [](FullModel& f) { f.op(f.conv).conv2d->kernel_h = 0; }, 162},
      {"kernel_w 0", [](FullModel& f) { f.op(f.conv).conv2d->kernel_w = 0; }, 162},
      {"kernel_h big", [](FullModel& f) { f.op(f.conv).conv2d->kernel_h = ~0u; }, 162},
      {"kernel_h 4", [](FullModel& f) { f.op(f.conv).conv2d->kernel_h = 4; }, 183},
      {"kernel_w 9", [](FullModel& f) { f.op(f.conv).conv2d->kernel_w = 9; }, 182},
      {"stride_h 0", [](FullModel& f) { f.op(f.conv).conv2d->stride_h = 0; }, 162},
      {"stride_w 0", [](FullModel& f) { f.op(f.conv).conv2d->stride_w = 0; }, 162},
      {"stride_w 2", [](FullModel& f) { f.op(f.conv).conv2d->stride_w = 2; }, 180},
      {"dilation_h 0", [](FullModel& f) { f.op(f.conv).conv2d->dilation_h = 0; }, 162},
      {"dilation_w 0", [](FullModel& f) { f.op(f.conv).conv2d->dilation_w = 0; }, 162},
      {"dilation_w 4", [](FullModel& f) { f.op(f.conv).conv2d->dilation_w = 4; }, 182},
      {"dilation_w big", [](FullModel& f) { f.op(f.conv).conv2d->dilation_w = 65536; }, 182},
      {"pad_top 1", [](FullModel& f) { f.op(f.conv).conv2d->pad_top = 1; }, 180},
      {"pad_left", [](FullModel& f) { f.op(f.conv).conv2d->pad_left = ~0u; }, 162},
      {"pad_bottom", [](FullModel& f) { f.op(f.conv).conv2d->pad_bottom = 65537; }, 162},
      {"pad_right", [](FullModel& f) { f.op(f.conv).conv2d->pad_right = 1u << 31; }, 162},
      {"groups 0", [](FullModel& f) { f.op(f.conv).conv2d->groups = 0; }, 163},
      {"groups 4", [](FullModel& f) { f.op(f.conv).conv2d->groups = 4; }, 163},
      {"groups 7", [](FullModel& f) { f.op(f.conv).conv2d->groups = 7; }, 163},
      {"groups 2 of 3 channels", [](FullModel& f) { f.op(f.conv).conv2d->groups = 2; }, 163},
      {"groups 3 of 3 channels", [](FullModel& f) { f.op(f.conv).conv2d->groups = 3; }, 183},
      {"groups 2 of 5 outputs",
       [](FullModel& f) {
         f.op(f.codebook_conv).conv2d->weights =
             f.b.dense("w", 5, 27, testing::random_floats(5 * 27, 1));
       },
       163},
      {"input rank", [](FullModel& f) { f.op(f.conv).inputs[0] = f.constant; }, 182},
      {"input type", [](FullModel& f) { f.tensor(f.image).dtype = fb::DType::i32; }, 181},
  });
}

TEST_CASE("epilogues") {
  check_mutations({
      {"scale count",
       [](FullModel& f) {
         f.op(f.conv).conv2d->epilogue->scale = f.b.constant({1, 2});
       },
       164},
      {"bias count", [](FullModel& f) { f.op(f.conv).conv2d->epilogue->bias = f.b.constant({1}); },
       164},
      {"scale type",
       [](FullModel& f) { f.op(f.codebook_conv).conv2d->epilogue->scale->dtype = fb::DType::i64; },
       130},
      {"bias type",
       [](FullModel& f) { f.op(f.conv).conv2d->epilogue->bias->dtype = fb::DType::u8; }, 130},
      {"affine scale type",
       [](FullModel& f) { f.op(f.affine).affine->scale->dtype = fb::DType::u8; }, 130},
      {"linear bias count",
       [](FullModel& f) { f.op(f.linear).linear->epilogue->bias = f.b.constant({1}); }, 164},
      {"activation",
       [](FullModel& f) {
         f.op(f.conv).conv2d->epilogue->activation = static_cast<fb::Activation>(2);
       },
       110},
      {"min", [](FullModel& f) { f.op(f.conv).conv2d->epilogue->min = kInf - kInf; }, 165},
      {"max", [](FullModel& f) { f.op(f.conv).conv2d->epilogue->max = kInf; }, 165},
      {"order", [](FullModel& f) { f.op(f.conv).conv2d->epilogue->max = -1; }, 165},
      {"residual shape",
       [](FullModel& f) { f.op(f.codebook_conv).inputs[1] = f.op(f.transpose).outputs[0]; }, 180},
      {"residual type",
       [](FullModel& f) {
         f.model().golden.reset();
         const uint32_t t = f.b.tensor("i", {1, 6, 6, 6}, true, fb::DType::i8);
         f.b.input(t);
         f.op(f.codebook_conv).inputs[1] = t;
       },
       181},
      {"no epilogue", [](FullModel& f) { f.op(f.conv).conv2d->epilogue.reset(); }, 0},
  });
}

TEST_CASE("pools") {
  check_mutations({
      {"mode", [](FullModel& f) { f.op(f.pool).pool2d->mode = static_cast<fb::PoolMode>(3); }, 110},
      {"power of a maximum", [](FullModel& f) { f.op(f.pool).pool2d->power = 2; }, 162},
      {"no power", [](FullModel& f) { f.op(f.norm).pool2d->power = 0; }, 162},
      {"large power", [](FullModel& f) { f.op(f.norm).pool2d->power = 65; }, 162},
      {"kernel_h 0", [](FullModel& f) { f.op(f.pool).pool2d->kernel_h = 0; }, 162},
      {"stride 0", [](FullModel& f) { f.op(f.pool).pool2d->stride_h = 0; }, 162},
      {"dilation 0", [](FullModel& f) { f.op(f.pool).pool2d->dilation_w = 0; }, 162},
      {"pad as wide", [](FullModel& f) { f.op(f.pool).pool2d->pad_top = 2; }, 162},
      {"pad_bottom", [](FullModel& f) { f.op(f.pool).pool2d->pad_bottom = 2; }, 162},
      {"pad_left", [](FullModel& f) { f.op(f.pool).pool2d->pad_left = 2; }, 162},
      {"pad_right", [](FullModel& f) { f.op(f.pool).pool2d->pad_right = 2; }, 162},
      {"larger than the input", [](FullModel& f) { f.op(f.pool).pool2d->kernel_h = 7; }, 182},
      {"output", [](FullModel& f) { f.op(f.pool).pool2d->kernel_h = 4; }, 180},
      {"global kernel", [](FullModel& f) { f.op(f.global).pool2d->kernel_h = 2; }, 162},
      {"global pad", [](FullModel& f) { f.op(f.global).pool2d->pad_left = 1; }, 162},
      {"global output", [](FullModel& f) { f.op(f.global).pool2d->is_global = false; }, 162},
      {"global rank", [](FullModel& f) { f.op(f.global).inputs[0] = f.constant; }, 182},
  });
}

TEST_CASE("elementwise operators and moves") {
  check_mutations({
      {"binary op", [](FullModel& f) { f.op(f.binary).binary->op = static_cast<fb::BinaryOp>(17); },
       110},
      {"binary clamp", [](FullModel& f) { f.op(f.binary).binary->min = kInf; }, 165},
      {"binary shapes", [](FullModel& f) { f.op(f.binary).inputs[1] = f.image; }, 182},
      {"unary op", [](FullModel& f) { f.op(f.unary).unary->op = static_cast<fb::UnaryOp>(39); },
       110},
      {"alpha", [](FullModel& f) { f.op(f.unary).unary->alpha = kInf; }, 165},
      {"beta", [](FullModel& f) { f.op(f.unary).unary->beta = -kInf; }, 165},
      {"clamp order",
       [](FullModel& f) {
         f.op(f.unary).unary->op = fb::UnaryOp::clamp;
         f.op(f.unary).unary->beta = -1;
       },
       165},
      {"affine lengths",
       [](FullModel& f) {
         f.op(f.affine).affine->scale = f.b.constant({1, 2});
       },
       164},
      {"affine bias length",
       [](FullModel& f) {
         f.op(f.affine).affine->bias = f.b.constant({1, 2});
       },
       164},
      {"affine channels",
       [](FullModel& f) {
         f.op(f.affine).affine->scale = f.b.constant({1, 2});
         f.op(f.affine).affine->bias = f.b.constant({1, 2});
       },
       164},
      {"affine clamp", [](FullModel& f) { f.op(f.affine).affine->max = -kInf; }, 165},
      {"softmax axis 2", [](FullModel& f) { f.op(f.softmax).softmax->axis = 2; }, 166},
      {"softmax axis -3", [](FullModel& f) { f.op(f.softmax).softmax->axis = -3; }, 166},
      {"softmax axis INT_MIN", [](FullModel& f) { f.op(f.softmax).softmax->axis = INT32_MIN; },
       166},
      {"concat axis", [](FullModel& f) { f.op(f.concat).concat->axis = 4; }, 166},
      {"concat shapes",
       [](FullModel& f) { f.op(f.concat).inputs.push_back(f.op(f.pad).outputs[0]); }, 182},
      {"concat rank", [](FullModel& f) { f.op(f.concat).inputs.push_back(f.constant); }, 182},
      {"concat sum",
       [](FullModel& f) { f.op(f.concat).inputs.push_back(f.op(f.concat).inputs[0]); }, 180},
      {"perm length",
       [](FullModel& f) {
         f.op(f.transpose).transpose->perm = {0, 2, 1};
       },
       166},
      {"perm repeats",
       [](FullModel& f) {
         f.op(f.transpose).transpose->perm = {0, 2, 2, 1};
       },
       166},
      {"perm range",
       [](FullModel& f) {
         f.op(f.transpose).transpose->perm = {0, 2, 3, 4};
       },
       166},
      {"perm -1",
       [](FullModel& f) {
         f.op(f.transpose).transpose->perm = {0, 2, 3, -1};
       },
       166},
      {"perm output",
       [](FullModel& f) {
         f.op(f.transpose).transpose->perm = {0, 1, 2, 3};
       },
       180},
      {"perm of the batch",
       [](FullModel& f) {
         f.op(f.transpose).transpose->perm = {2, 0, 3, 1};
       },
       180},
      {"pad mode", [](FullModel& f) { f.op(f.pad).pad->mode = static_cast<fb::PadMode>(3); }, 110},
      {"pad value", [](FullModel& f) { f.op(f.pad).pad->value = kInf; }, 165},
      {"pad before length", [](FullModel& f) { f.op(f.pad).pad->before = {0}; }, 166},
      {"pad after length",
       [](FullModel& f) {
         f.op(f.pad).pad->after = {0, 0, 0, 0, 0};
       },
       166},
      {"pad -1", [](FullModel& f) { f.op(f.pad).pad->before[1] = -1; }, 166},
      {"pad INT_MAX", [](FullModel& f) { f.op(f.pad).pad->after[1] = INT32_MAX; }, 166},
      {"pad output", [](FullModel& f) { f.op(f.pad).pad->after[1] = 2; }, 180},
      {"pad batch", [](FullModel& f) { f.op(f.pad).pad->after[0] = 1; }, 180},
      {"reflect as wide",
       [](FullModel& f) {
         f.op(f.pad).pad->mode = fb::PadMode::reflect;
         f.op(f.pad).pad->after[1] = 3;
       },
       166},
      {"reshape elements",
       [](FullModel& f) {
         f.tensor(f.op(f.reshape).outputs[0]).dims = {1, 7};
       },
       180},
      {"linear weights", [](FullModel& f) { f.op(f.linear).linear->weights = 99; }, 111},
      {"linear inputs",
       [](FullModel& f) {
         f.op(f.table_linear).linear->weights = static_cast<uint32_t>(f.w_dense);
       },
       183},
      {"linear output",
       [](FullModel& f) {
         f.tensor(f.op(f.linear).outputs[0]).dims = {1, 9};
       },
       180},
      {"output type",
       [](FullModel& f) { f.tensor(f.op(f.unary).outputs[0]).dtype = fb::DType::f16; }, 181},
      {"output rank",
       [](FullModel& f) {
         f.tensor(f.op(f.unary).outputs[0]).dims = {1, 3, 3, 6, 1};
       },
       180},
      {"batch lost", [](FullModel& f) { f.tensor(f.op(f.unary).outputs[0]).batched = false; }, 180},
      {"output rank below",
       [](FullModel& f) {
         f.tensor(f.op(f.unary).outputs[0]).dims = {1, 3, 3};
       },
       180},
      {"no batch at all, wrong shape",
       [](FullModel& f) {
         for (auto& t : f.model().tensors) t->batched = false;
         f.tensor(f.op(f.pool).outputs[0]).dims = {1, 3, 2, 6};
       },
       180},
      {"no batch at all",
       [](FullModel& f) {
         for (auto& t : f.model().tensors) t->batched = false;
       },
       0},
      {"convolution of rank 5",
       [](FullModel& f) {
         f.op(f.conv).inputs[0] = add_input(f, {1, 8, 8, 3, 1}, fb::DType::f32);
       },
       182},
      {"concat with rank 5",
       [](FullModel& f) {
         f.op(f.concat).inputs.push_back(add_input(f, {1, 1, 1, 6, 1}, fb::DType::f32));
       },
       182},
      {"arithmetic on integers",
       [](FullModel& f) {
         const uint32_t x = add_input(f, {1, 2}, fb::DType::i32);
         const uint32_t y = f.b.tensor("sum", {1, 2}, true, fb::DType::i32);
         f.b.op("add", fb::OpKind::binary, {x, x}, y).binary = std::make_unique<fb::BinaryT>();
       },
       0},
      {"integers that only move",
       [](FullModel& f) {
         const uint32_t x = add_input(f, {1, 2}, fb::DType::i32);
         f.b.op("move", fb::OpKind::reshape, {x}, f.b.tensor("y", {2}, true, fb::DType::i32));
       },
       0},
      {"batch of the image alone", [](FullModel& f) { f.tensor(f.image).batched = false; }, 180},
  });
}

TEST_CASE("slices") {
  check_mutations({
      {"start length", [](FullModel& f) { f.op(f.slice).slice->start.pop_back(); }, 184},
      {"step length", [](FullModel& f) { f.op(f.slice).slice->step.push_back(1); }, 184},
      {"size length", [](FullModel& f) { f.op(f.slice).slice->size = {}; }, 184},
      {"start of a whole axis", [](FullModel& f) { f.op(f.slice).slice->start[2] = 1; }, 184},
      {"step of a whole axis", [](FullModel& f) { f.op(f.slice).slice->step[2] = -1; }, 184},
      {"size -1", [](FullModel& f) { f.op(f.slice).slice->size[1] = -1; }, 184},
      {"size INT_MAX", [](FullModel& f) { f.op(f.slice).slice->size[1] = INT32_MAX; }, 184},
      {"step INT_MIN", [](FullModel& f) { f.op(f.slice).slice->step[1] = INT32_MIN; }, 184},
      {"step 0 that repeats", [](FullModel& f) { f.op(f.slice).slice->step[1] = 0; }, 0},
      {"start -1", [](FullModel& f) { f.op(f.slice).slice->start[3] = -1; }, 184},
      {"start behind", [](FullModel& f) { f.op(f.slice).slice->start[1] = 4; }, 184},
      {"end before", [](FullModel& f) { f.op(f.slice).slice->start[1] = 1; }, 184},
      {"end behind", [](FullModel& f) { f.op(f.slice).slice->step[3] = 3; }, 184},
      {"output", [](FullModel& f) { f.op(f.slice).slice->size[3] = 2; }, 180},
      {"a part of the batch", [](FullModel& f) { f.op(f.slice).slice->size[0] = 1; }, 180},
      {"output type",
       [](FullModel& f) { f.tensor(f.op(f.slice).outputs[0]).dtype = fb::DType::i32; }, 181},
  });
}

TEST_CASE("resizes") {
  check_mutations({
      {"mode", [](FullModel& f) { f.op(f.resize).resize->mode = static_cast<fb::ResizeMode>(3); },
       110},
      {"coordinates",
       [](FullModel& f) { f.op(f.resize).resize->coordinates = static_cast<fb::Coordinates>(6); },
       110},
      {"nearest",
       [](FullModel& f) { f.op(f.resize).resize->nearest = static_cast<fb::NearestMode>(4); }, 110},
      {"size length", [](FullModel& f) { f.op(f.resize).resize->size.pop_back(); }, 184},
      {"scale length", [](FullModel& f) { f.op(f.resize).resize->scale.pop_back(); }, 184},
      {"roi length", [](FullModel& f) { f.op(f.resize).resize->roi.pop_back(); }, 184},
      {"roi lacking", [](FullModel& f) { f.op(f.resize).resize->roi = {}; }, 184},
      {"roi unasked",
       [](FullModel& f) { f.op(f.resize).resize->coordinates = fb::Coordinates::half_pixel; }, 184},
      {"roi start", [](FullModel& f) { f.op(f.resize).resize->roi[0] = kInf; }, 185},
      {"roi end", [](FullModel& f) { f.op(f.resize).resize->roi[7] = kInf - kInf; }, 185},
      {"size -1", [](FullModel& f) { f.op(f.resize).resize->size[0] = -1; }, 184},
      {"size big", [](FullModel& f) { f.op(f.resize).resize->size[1] = INT32_MAX; }, 184},
      {"scale -1", [](FullModel& f) { f.op(f.resize).resize->scale[1] = -1; }, 185},
      {"scale NaN", [](FullModel& f) { f.op(f.resize).resize->scale[1] = kInf - kInf; }, 185},
      {"scale infinite", [](FullModel& f) { f.op(f.resize).resize->scale[1] = kInf; }, 185},
      {"cubic_a", [](FullModel& f) { f.op(f.resize).resize->cubic_a = kInf; }, 185},
      {"outside", [](FullModel& f) { f.op(f.resize).resize->outside = -kInf; }, 185},
      {"taps inside only", [](FullModel& f) { f.op(f.resize).resize->exclude_outside = false; }, 0},
      {"output", [](FullModel& f) { f.op(f.resize).resize->size[1] = 3; }, 180},
      {"the batch", [](FullModel& f) { f.op(f.resize).resize->size[0] = 1; }, 180},
  });
}

TEST_CASE("gathers and tiles") {
  check_mutations({
      {"axis 4", [](FullModel& f) { f.op(f.gather).gather->axis = 4; }, 166},
      {"axis -5", [](FullModel& f) { f.op(f.gather).gather->axis = -5; }, 166},
      {"axis of another size", [](FullModel& f) { f.op(f.gather).gather->axis = 1; }, 180},
      {"no indices", [](FullModel& f) { f.op(f.gather).inputs.pop_back(); }, 160},
      {"indices of floats",
       [](FullModel& f) { f.op(f.gather).inputs[1] = f.op(f.gather).inputs[0]; }, 181},
      {"data of integers", [](FullModel& f) { f.op(f.gather).inputs[0] = f.indices; }, 181},
      {"rank 7",
       [](FullModel& f) {
         f.op(f.gather).inputs[1] = add_input(f, {1, 1, 1, 3}, fb::DType::i32);
       },
       182},
      {"indices of the batch",
       [](FullModel& f) { f.op(f.gather).inputs[1] = add_input(f, {3}, fb::DType::i32); }, 180},
      {"repeats length", [](FullModel& f) { f.op(f.tile).tile->repeats.pop_back(); }, 184},
      {"repeats 0", [](FullModel& f) { f.op(f.tile).tile->repeats[1] = 0; }, 184},
      {"repeats INT_MIN", [](FullModel& f) { f.op(f.tile).tile->repeats[1] = INT32_MIN; }, 184},
      {"repeats INT_MAX", [](FullModel& f) { f.op(f.tile).tile->repeats[1] = INT32_MAX; }, 184},
      {"repeats 2^24", [](FullModel& f) { f.op(f.tile).tile->repeats[1] = 1 << 24; }, 180},
      {"repeats of the batch", [](FullModel& f) { f.op(f.tile).tile->repeats[0] = 2; }, 180},
  });
}

TEST_CASE("comparisons, choices, reductions and rankings") {
  check_mutations({
      {"compare gives f32",
       [](FullModel& f) { f.tensor(f.op(f.compare).outputs[0]).dtype = fb::DType::f32; }, 181},
      {"compare with a clamp",
       [](FullModel& f) { f.op(f.compare).binary->activation = fb::Activation::clamp; }, 181},
      {"logic on f32", [](FullModel& f) { f.op(f.compare).binary->op = fb::BinaryOp::logical_and; },
       181},
      {"mod of f32", [](FullModel& f) { f.op(f.binary).binary->op = fb::BinaryOp::mod; }, 181},
      {"fmod of f32", [](FullModel& f) { f.op(f.binary).binary->op = fb::BinaryOp::fmod; }, 0},
      {"not of f32", [](FullModel& f) { f.op(f.unary).unary->op = fb::UnaryOp::logical_not; }, 181},
      {"select of two", [](FullModel& f) { f.op(f.select).inputs.pop_back(); }, 160},
      {"select with options",
       [](FullModel& f) { f.op(f.select).unary = std::make_unique<fb::UnaryT>(); }, 161},
      {"condition in f32",
       [](FullModel& f) { f.op(f.select).inputs[0] = f.op(f.select).inputs[1]; }, 181},
      {"choice of two types",
       [](FullModel& f) { f.op(f.select).inputs[2] = f.op(f.compare).outputs[0]; }, 181},
      {"choice of another type",
       [](FullModel& f) {
         f.op(f.select).inputs[1] = f.op(f.select).inputs[2] = f.op(f.compare).outputs[0];
       },
       181},
      {"choice of shapes that do not meet",
       [](FullModel& f) { f.op(f.select).inputs[1] = f.image; }, 182},
      {"select output",
       [](FullModel& f) {
         f.tensor(f.op(f.select).outputs[0]).dims = {1, 3, 1, 6};
       },
       180},
      {"reduce without options", [](FullModel& f) { f.op(f.reduce).reduce.reset(); }, 161},
      {"reduction",
       [](FullModel& f) { f.op(f.reduce).reduce->mode = static_cast<fb::ReduceMode>(10); }, 110},
      {"reduced axis 4",
       [](FullModel& f) {
         f.op(f.reduce).reduce->axes = {1, 4};
       },
       166},
      {"reduced axis -1",
       [](FullModel& f) {
         f.op(f.reduce).reduce->axes = {1, -1};
       },
       166},
      {"reduced axis INT_MIN",
       [](FullModel& f) {
         f.op(f.reduce).reduce->axes = {INT32_MIN, 2};
       },
       166},
      {"reduced axis twice",
       [](FullModel& f) {
         f.op(f.reduce).reduce->axes = {2, 2};
       },
       166},
      {"five axes",
       [](FullModel& f) {
         f.op(f.reduce).reduce->axes = {0, 1, 2, 3, 3};
       },
       166},
      {"no axes", [](FullModel& f) { f.op(f.reduce).reduce->axes = {}; }, 180},
      {"reduce keeps", [](FullModel& f) { f.op(f.reduce).reduce->keep_dims = true; }, 180},
      {"reduce the batch",
       [](FullModel& f) {
         f.op(f.reduce).reduce->axes = {0, 1};
       },
       180},
      {"mean of integers",
       [](FullModel& f) {
         const uint32_t x = add_input(f, {1, 2}, fb::DType::i32);
         const uint32_t y = f.b.tensor("mean", {1}, true, fb::DType::i32);
         f.b.op("mean", fb::OpKind::reduce, {x}, y).reduce = std::make_unique<fb::ReduceT>();
         f.model().operators.back()->reduce->mode = fb::ReduceMode::mean;
         f.model().operators.back()->reduce->axes = {1};
       },
       181},
      {"sum of integers",
       [](FullModel& f) {
         const uint32_t x = add_input(f, {1, 2}, fb::DType::i32);
         const uint32_t y = f.b.tensor("sum", {1}, true, fb::DType::i32);
         f.b.op("sum", fb::OpKind::reduce, {x}, y).reduce = std::make_unique<fb::ReduceT>();
         f.model().operators.back()->reduce->axes = {1};
       },
       0},
      {"arg axis 4", [](FullModel& f) { f.op(f.arg_reduce).arg_reduce->axis = 4; }, 166},
      {"arg axis", [](FullModel& f) { f.op(f.arg_reduce).arg_reduce->axis = 1; }, 180},
      {"arg drops", [](FullModel& f) { f.op(f.arg_reduce).arg_reduce->keep_dims = false; }, 180},
      {"arg smallest", [](FullModel& f) { f.op(f.arg_reduce).arg_reduce->smallest = true; }, 0},
      {"arg last", [](FullModel& f) { f.op(f.arg_reduce).arg_reduce->last = true; }, 0},
      {"arg gives i32",
       [](FullModel& f) { f.tensor(f.op(f.arg_reduce).outputs[0]).dtype = fb::DType::i32; }, 181},
      {"arg of bool",
       [](FullModel& f) { f.op(f.arg_reduce).inputs[0] = f.op(f.compare).outputs[0]; }, 181},
      {"top axis -5", [](FullModel& f) { f.op(f.top_k).top_k->axis = -5; }, 166},
      {"top 0", [](FullModel& f) { f.op(f.top_k).top_k->k = 0; }, 166},
      {"top 7 of 6", [](FullModel& f) { f.op(f.top_k).top_k->k = 7; }, 166},
      {"top 2^32 - 1", [](FullModel& f) { f.op(f.top_k).top_k->k = ~0u; }, 166},
      {"top 3", [](FullModel& f) { f.op(f.top_k).top_k->k = 3; }, 180},
      {"top smallest", [](FullModel& f) { f.op(f.top_k).top_k->smallest = true; }, 0},
      {"top indices in f32", [](FullModel& f) { f.op(f.top_k).top_k->indices = true; }, 181},
      {"cast to f16",
       [](FullModel& f) { f.tensor(f.op(f.cast).outputs[0]).dtype = fb::DType::f16; }, 181},
      {"cast to bool",
       [](FullModel& f) { f.tensor(f.op(f.cast).outputs[0]).dtype = fb::DType::boolean; }, 0},
      {"cast to another shape",
       [](FullModel& f) {
         f.tensor(f.op(f.cast).outputs[0]).dims = {1, 3, 6};
       },
       180},
  });
}

TEST_CASE("what follows the batch") {
  check_mutations({
      {"one input", [](FullModel& f) { f.op(f.expand).inputs.pop_back(); }, 160},
      {"options", [](FullModel& f) { f.op(f.expand).tile = std::make_unique<fb::TileT>(); }, 161},
      {"takes the batch itself",
       [](FullModel& f) {
         f.op(f.expand).inputs[0] = add_input(f, {1, 1, 1, 6}, fb::DType::f32);
       },
       182},
      {"a dimension 0 of its own", [](FullModel& f) { f.op(f.expand).inputs[0] = f.constant; },
       182},
      {"follows what has no dimension",
       [](FullModel& f) { f.op(f.expand).inputs[1] = f.b.constant_tensor("single", {}, {1}); },
       182},
      {"follows what does not take the batch",
       [](FullModel& f) { f.op(f.expand).inputs[1] = f.op(f.expand).inputs[0]; }, 180},
      {"follows integers",
       [](FullModel& f) { f.op(f.expand).inputs[1] = add_input(f, {1}, fb::DType::i64); }, 0},
      {"output", [](FullModel& f) { f.tensor(f.op(f.expand).outputs[0]).batched = false; }, 180},
      {"type", [](FullModel& f) { f.tensor(f.op(f.expand).inputs[0]).dtype = fb::DType::i32; },
       181},
  });
}

TEST_CASE("single assignment") {
  check_mutations({
      {"input is a constant",
       [](FullModel& f) {
         f.model().golden.reset();
         f.model().inputs[0]->preprocess.reset();
         f.model().inputs[0]->tensor = f.constant;
       },
       170},
      {"input twice",
       [](FullModel& f) {
         f.model().golden.reset();
         f.b.input(f.image), f.model().inputs[1]->name = "other";
       },
       170},
      {"written twice", [](FullModel& f) { f.op(f.unary).outputs = f.op(f.binary).outputs; }, 170},
      {"writes an input", [](FullModel& f) { f.op(f.unary).outputs = {f.image}; }, 170},
      {"writes a constant", [](FullModel& f) { f.op(f.unary).outputs = {f.constant}; }, 172},
      {"reads its own output", [](FullModel& f) { f.op(f.unary).inputs = f.op(f.unary).outputs; },
       171},
      {"reads the future", [](FullModel& f) { f.op(f.conv).inputs = {f.logits}; }, 171},
      {"order", [](FullModel& f) { std::swap(f.model().operators[5], f.model().operators[6]); },
       171},
      {"never produced", [](FullModel& f) { f.b.tensor("orphan", {1}); }, 173},
      {"output is an input", [](FullModel& f) { f.model().outputs[0]->tensor = f.image; }, 194},
      {"output is a constant",
       [](FullModel& f) {
         f.model().golden.reset();
         f.model().outputs[0]->tensor = f.constant;
       },
       174},
  });
}

}  // namespace
}  // namespace qrt

// The dense competitor computes the same network as libqrt does.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bench/onednn_graph.h"
#include "qrt.h"
#include "runtime/tools/bench_baseline.h"
#include "tests/support/integer_model.h"
#include "tests/support/model_builder.h"

namespace qrt {
namespace {

using testing::ModelBuilder;
using testing::random_floats;

// libqrt's first output for `input`.
std::vector<float> run_libqrt(const std::vector<uint8_t>& file, const std::vector<float>& input,
                              uint32_t batch) {
  qrt_model* model = nullptr;
  qrt_error error = {};
  error.struct_size = sizeof error;
  REQUIRE(qrt_model_open_memory(file.data(), file.size(), nullptr, &model, &error) == QRT_OK);
  qrt_options options;
  qrt_options_init(&options);
  options.batch = batch;
  qrt_session* session = nullptr;
  const qrt_status opened = qrt_session_open(model, &options, &session, &error);
  INFO(error.message);
  REQUIRE(opened == QRT_OK);
  qrt_tensor in, out;
  REQUIRE(qrt_session_input(session, 0, &in, &error) == QRT_OK);
  REQUIRE(qrt_session_output(session, 0, &out, &error) == QRT_OK);
  REQUIRE(in.bytes == input.size() * sizeof(float));
  std::memcpy(in.data, input.data(), in.bytes);
  REQUIRE(qrt_session_run(session, &error) == QRT_OK);
  const auto* values = static_cast<const float*>(out.data);
  const std::vector<float> result(values, values + out.bytes / sizeof(float));
  qrt_session_close(session);
  qrt_model_close(model);
  return result;
}

void check_agreement(const ModelBuilder& b, size_t inputs, uint32_t batch = 1,
                     double tolerance = 1e-5) {
  const std::vector<uint8_t> file = b.finish();
  const std::vector<float> input = random_floats(inputs * batch, 11);
  const std::vector<float> want = run_libqrt(file, input, batch);
  const testing::AlignedBytes aligned(file);
  Arena keep(default_allocator());
  Model model;
  REQUIRE(open_model(aligned.bytes(), keep, model).ok());
  const auto other = tools::make_onednn_baseline(model, 1, batch);
  other->set_input(0, input.data(), input.size() * sizeof(float));
  for (int run = 0; run < 2; ++run) {  // the second finds its buffers used
    other->run();
    const float* got = other->output(0);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      REQUIRE(std::isfinite(got[i]));
      worst = std::fmax(worst, std::fabs(double{got[i]} - double{want[i]}));
      largest = std::fmax(largest, std::fabs(double{want[i]}));
    }
    CHECK(largest > 0);
    CHECK(worst <= tolerance * largest);
  }
}

TEST_CASE("onednn: the sample model, one image and three") {
  check_agreement(testing::sample_model(), 3 * 8 * 8);
  check_agreement(testing::sample_model(), 3 * 8 * 8, 3);
}

// Sums are equal; floats around them are rounded in another order, so that one byte of some
// hundreds may be a step off, and a step of the last ones is a hundredth of a logit.
TEST_CASE("onednn: a network of integers") {
  for (const uint32_t batch : {1u, 3u}) {
    testing::IntegerModel m = testing::integer_model();
    fb::WeightsT& tables = m.weights(m.w_tables);  // oneDNN cannot round them
    tables.numerics = fb::Numerics::exact, tables.table_bits = tables.table_shift = 0;
    check_agreement(m.b, 9 * 9 * 3, batch, 0.01);
  }
}

TEST_CASE("onednn: residuals that are used again, or are the input itself") {
  ModelBuilder b;
  const uint32_t x = b.tensor("x", {1, 9, 9, 16}), y = b.tensor("y", {1, 9, 9, 16});
  const uint32_t z = b.tensor("z", {1, 9, 9, 16}), sum = b.tensor("sum", {1, 9, 9, 16});
  const auto add = [&](const char* name, uint32_t in, uint32_t out, uint32_t residual) {
    const uint32_t w = b.codebook(name, {16, 144, 20, 9});
    fb::Conv2dT& c = b.conv2d(name, in, out, w, 3, 3);
    c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = 1;
    c.epilogue->scale = b.constant(random_floats(16, 3, 0.05f, 0.1f));
    c.epilogue->residual = true;
    b.model.operators.back()->inputs.push_back(residual);
  };
  b.input(x);
  add("a", x, y, x);
  add("b", y, z, x);
  b.op("sum", fb::OpKind::binary, {z, y}, sum).binary = std::make_unique<fb::BinaryT>();
  b.output(sum);
  check_agreement(b, 9 * 9 * 16);
}

TEST_CASE("onednn: groups, strides, pools, concat, affine, softmax") {
  ModelBuilder b;
  const uint32_t x = b.tensor("x", {1, 11, 10, 8}), g = b.tensor("g", {1, 6, 5, 12});
  const uint32_t d = b.tensor("d", {1, 11, 10, 8}), p = b.tensor("p", {1, 6, 5, 8});
  const uint32_t q = b.tensor("q", {1, 6, 5, 8}), cat = b.tensor("cat", {1, 6, 5, 28});
  const uint32_t act = b.tensor("act", {1, 6, 5, 28}), aff = b.tensor("aff", {1, 6, 5, 28});
  const uint32_t t = b.tensor("t", {1, 28, 6, 5}), r = b.tensor("r", {1, 840});
  const uint32_t s = b.tensor("s", {1, 840});
  b.input(x);
  fb::Conv2dT& grouped =
      b.conv2d("grouped", x, g, b.dense("gw", 12, 36, random_floats(12 * 36, 1)), 3, 3);
  grouped.stride_h = grouped.stride_w = 2, grouped.groups = 2;
  grouped.pad_top = grouped.pad_left = grouped.pad_bottom = grouped.pad_right = 1;
  fb::Conv2dT& deep = b.conv2d("depthwise", x, d, b.dense("dw", 8, 9, random_floats(72, 2)), 3, 3);
  deep.groups = 8, deep.dilation_h = deep.dilation_w = 2;
  deep.pad_top = deep.pad_left = deep.pad_bottom = deep.pad_right = 2;
  deep.epilogue->activation = fb::Activation::clamp, deep.epilogue->min = 0;
  deep.epilogue->max = 6;
  for (const auto& [name, mode, to] :
       {std::tuple{"average", fb::PoolMode::average, p}, std::tuple{"max", fb::PoolMode::max, q}}) {
    fb::Pool2dT& pool = b.pool2d(name, mode, d, to, 3, 3);
    pool.stride_h = pool.stride_w = 2;
    pool.pad_top = pool.pad_left = pool.pad_bottom = pool.pad_right = 1;
  }
  b.op("cat", fb::OpKind::concat, {g, p, q}, cat).concat = std::make_unique<fb::ConcatT>();
  b.model.operators.back()->concat->axis = 3;
  b.op("act", fb::OpKind::unary, {cat}, act).unary = std::make_unique<fb::UnaryT>();
  b.model.operators.back()->unary->op = fb::UnaryOp::hard_sigmoid;
  b.model.operators.back()->unary->alpha = 0.2f;
  b.model.operators.back()->unary->beta = 0.5f;
  b.op("aff", fb::OpKind::affine, {act}, aff).affine = std::make_unique<fb::Affine1T>();
  b.model.operators.back()->affine->scale = b.constant(random_floats(28, 5));
  b.model.operators.back()->affine->bias = b.constant(random_floats(28, 6));
  b.op("t", fb::OpKind::transpose, {aff}, t).transpose = std::make_unique<fb::TransposeT>();
  b.model.operators.back()->transpose->perm = {0, 3, 1, 2};
  b.op("r", fb::OpKind::reshape, {t}, r);
  b.op("s", fb::OpKind::softmax, {r}, s).softmax = std::make_unique<fb::SoftmaxT>();
  b.model.operators.back()->softmax->axis = 1;
  b.output(s);
  check_agreement(b, 11 * 10 * 8, 2);
}

TEST_CASE("onednn: what it has no primitive for is refused in words") {
  ModelBuilder b;
  const uint32_t x = b.tensor("x", {1, 4}), y = b.tensor("y", {1, 4});
  b.input(x);
  b.op("round_down", fb::OpKind::unary, {x}, y).unary = std::make_unique<fb::UnaryT>();
  b.model.operators.back()->unary->op = fb::UnaryOp::floor;
  b.output(y);
  const testing::AlignedBytes aligned(b.finish());
  Arena keep(default_allocator());
  Model model;
  REQUIRE(open_model(aligned.bytes(), keep, model).ok());
  try {
    tools::make_onednn_baseline(model, 1, 1);
    FAIL("not refused");
  } catch (const std::runtime_error& e) {
    CHECK(std::string(e.what()).find("round_down") != std::string::npos);
  }
}

}  // namespace
}  // namespace qrt

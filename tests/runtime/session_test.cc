// Sessions: batches, threads, ISA caps, profiles, statistics, self-checks, and
// buffers that stay where they are.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "runtime/session/session.h"
#include "tests/support/handles.h"
#include "tests/support/model_builder.h"

namespace qrt {
namespace {

using testing::Error;
using testing::Options;

const std::vector<uint8_t>& sample() {
  static const std::vector<uint8_t> file = testing::sample_model().finish();
  return file;
}

// Logits of a session on the given images; empty when something failed.
std::vector<float> run(const testing::ModelHandle& m, const Options& options,
                       const std::vector<float>& images) {
  Error error;
  const testing::SessionHandle s = testing::open_session(m, error, &options);
  INFO(std::string(error.message));
  REQUIRE(s != nullptr);
  qrt_tensor in, out;
  REQUIRE(qrt_session_input(s.get(), 0, &in, &error) == QRT_OK);
  REQUIRE(qrt_session_output(s.get(), 0, &out, &error) == QRT_OK);
  REQUIRE(in.bytes == images.size() * 4);
  std::memcpy(in.data, images.data(), in.bytes);
  REQUIRE(qrt_session_run(s.get(), &error) == QRT_OK);
  const auto* logits = static_cast<const float*>(out.data);
  return {logits, logits + out.bytes / 4};
}

bool close(float a, float b) {
  return std::fabs(a - b) <= 1e-5f * (1 + std::fabs(b));
}

TEST_CASE("a batch is its images one by one") {
  Error error;
  const testing::ModelHandle m = testing::open_model(sample(), error);
  CHECK(qrt_model_batch_is_free(m.get()) == 1);
  const std::vector<float> images = testing::random_floats(3 * 192, 9);
  Options options;
  options.batch = 3;
  const std::vector<float> together = run(m, options, images);
  options.batch = 1;
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<float> one(images.begin() + static_cast<long>(i) * 192,
                                 images.begin() + static_cast<long>(i + 1) * 192);
    const std::vector<float> alone = run(m, options, one);
    for (size_t k = 0; k < 5; ++k) CHECK(close(together[i * 5 + k], alone[k]));
  }
}

TEST_CASE("a fixed batch refuses another") {
  testing::ModelBuilder b = testing::sample_model();
  for (auto& t : b.model.tensors) t->batched = false;
  const std::vector<uint8_t> file = b.finish();
  Error error;
  const testing::ModelHandle m = testing::open_model(file, error);
  REQUIRE(m != nullptr);
  CHECK(qrt_model_batch_is_free(m.get()) == 0);
  Options options;
  options.batch = 2;
  CHECK(testing::open_session(m, error, &options) == nullptr);
  CHECK(std::string(error.id) == "QRT-E0012");
  options.batch = 1;
  CHECK(testing::open_session(m, error, &options) != nullptr);
}

TEST_CASE("any number of threads gives the same bits") {
  Error error;
  const testing::ModelHandle m = testing::open_model(sample(), error);
  const std::vector<float> images = testing::random_floats(192, 10);
  Options options;
  const std::vector<float> alone = run(m, options, images);
  for (const uint32_t threads : {1u, 2u, 3u, 8u}) {
    options.threads = threads;
    INFO(threads << " threads");
    CHECK(run(m, options, images) == alone);
  }
}

TEST_CASE("one model serves sessions on several threads at once") {
  Error error;
  const testing::ModelHandle m = testing::open_model(sample(), error);
  const std::vector<float> image = testing::random_floats(192, 14);
  const std::vector<float> alone = run(m, {}, image);
  std::atomic<int> different{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 25; ++round) {
        Error mine;
        const testing::SessionHandle s = testing::open_session(m, mine);
        qrt_tensor in, out;
        qrt_session_input(s.get(), 0, &in, &mine);
        qrt_session_output(s.get(), 0, &out, &mine);
        std::memcpy(in.data, image.data(), in.bytes);
        qrt_session_run(s.get(), &mine);
        if (mine.status != QRT_OK || std::memcmp(out.data, alone.data(), out.bytes) != 0)
          ++different;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(different == 0);
}

TEST_CASE("every ISA level runs and agrees; QRT_ISA is the default") {
  Error error;
  const testing::ModelHandle m = testing::open_model(sample(), error);
  const std::vector<float> images = testing::random_floats(192, 11);
  Options options;
  const std::vector<float> best = run(m, options, images);
  for (const char* isa :
       {"scalar", "avx2", "avx512", "avx512vnni", "avx512vbmi", "neon", "neondot", "i8mm"}) {
    options.isa = isa;
    INFO(std::string(isa));
    const std::vector<float> capped = run(m, options, images);
    for (size_t i = 0; i < best.size(); ++i) CHECK(close(capped[i], best[i]));
  }
  const char* before = std::getenv("QRT_ISA");
  const std::string kept = before == nullptr ? "" : before;
  setenv("QRT_ISA", "pentium", 1);
  CHECK(testing::open_session(m, error) == nullptr);
  CHECK(std::string(error.id) == "QRT-E0010");
  options.isa = "scalar";  // the option comes first
  CHECK(testing::open_session(m, error, &options) != nullptr);
  before == nullptr ? unsetenv("QRT_ISA") : setenv("QRT_ISA", kept.c_str(), 1);
}

TEST_CASE("buffers stay; inputs survive a run; runs repeat") {
  Error error;
  const testing::ModelHandle m = testing::open_model(sample(), error);
  const testing::SessionHandle s = testing::open_session(m, error);
  qrt_tensor in, out, again;
  qrt_session_input(s.get(), 0, &in, &error);
  qrt_session_output(s.get(), 0, &out, &error);
  CHECK(reinterpret_cast<uintptr_t>(in.data) % 64 == 0);
  CHECK(std::string(in.name) == "image");
  CHECK(in.rank == 4);
  CHECK(in.dims[1] == 3);
  const std::vector<float> image = testing::random_floats(192, 12);
  std::memcpy(in.data, image.data(), in.bytes);
  REQUIRE(qrt_session_run(s.get(), &error) == QRT_OK);
  const std::vector<float> first(static_cast<float*>(out.data), static_cast<float*>(out.data) + 5);
  CHECK(std::memcmp(in.data, image.data(), in.bytes) == 0);
  REQUIRE(qrt_session_run_profiled(s.get(), &error) == QRT_OK);
  CHECK(std::memcmp(out.data, first.data(), out.bytes) == 0);
  qrt_session_input(s.get(), 0, &again, &error);
  CHECK(again.data == in.data);
}

TEST_CASE("the profile says what ran") {
  Error error;
  const testing::ModelHandle m = testing::open_model(sample(), error);
  const testing::SessionHandle s = testing::open_session(m, error);
  REQUIRE(qrt_session_op_count(s.get()) == 6);
  REQUIRE(qrt_session_run_profiled(s.get(), &error) == QRT_OK);
  qrt_op_info op = {};
  op.struct_size = sizeof op;
  REQUIRE(qrt_session_op(s.get(), 2, &op, &error) == QRT_OK);
  CHECK(std::string(op.name) == "conv2");
  CHECK(std::string(op.kind) == "conv2d");
  CHECK(std::string(op.encoding) == "codebook");
  CHECK(op.kernel[0] != 0);
  CHECK(op.weight_bytes == 12 * 9 * 4 + 8 * 4);  // entries, and 8 blocks of 8 codes of 4 bits
  CHECK(op.macs == 4 * 4 * 8 * 72);
  CHECK(op.last_ns > 0);
  REQUIRE(qrt_session_op(s.get(), 0, &op, &error) == QRT_OK);
  CHECK(std::string(op.encoding).empty());
  CHECK(op.weight_bytes == 0);
}

TEST_CASE("self-check runs the golden values") {
  Error error;
  double worst = -1, tolerance = -1;
  const testing::ModelHandle plain = testing::open_model(sample(), error);
  const testing::SessionHandle s = testing::open_session(plain, error);
  CHECK(qrt_session_self_check(s.get(), &worst, &tolerance, &error) == QRT_UNSUPPORTED);
  CHECK(std::string(error.id) == "QRT-E0016");

  testing::ModelBuilder b = testing::sample_model();
  const std::vector<float> image = testing::random_floats(192, 13);
  std::vector<float> logits = run(plain, {}, image);
  float largest = 0;
  for (const float v : logits) largest = std::fmax(largest, std::fabs(v));
  logits[3] += 0.25f * largest;
  b.model.golden = std::make_unique<fb::GoldenT>();
  b.model.golden->inputs = {b.buffer(image)};
  b.model.golden->outputs = {b.buffer(logits)};
  b.model.golden->tolerance = 1e-3f;
  const std::vector<uint8_t> file = b.finish();
  const testing::ModelHandle m = testing::open_model(file, error);
  REQUIRE(m != nullptr);
  const testing::SessionHandle checked = testing::open_session(m, error);
  REQUIRE(qrt_session_self_check(checked.get(), &worst, &tolerance, &error) == QRT_OK);
  CHECK(worst > 0.15);
  CHECK(worst < 0.3);
  CHECK(tolerance == doctest::Approx(1e-3));
  Options options;
  options.batch = 2;
  const testing::SessionHandle two = testing::open_session(m, error, &options);
  CHECK(qrt_session_self_check(two.get(), &worst, &tolerance, &error) == QRT_INVALID_ARGUMENT);
  CHECK(std::string(error.id) == "QRT-E0017");
}

TEST_CASE("a codebook of one centroid has no codes, and runs") {
  testing::ModelBuilder b;
  const uint32_t x = b.tensor("x", {1, 8}), y = b.tensor("y", {1, 5});
  b.linear("fc", x, y, b.codebook("w", {5, 8, 1, 4}));
  b.input(x);
  b.output(y);
  const std::vector<uint8_t> file = b.finish();
  Error error;
  const testing::ModelHandle m = testing::open_model(file, error);
  INFO(std::string(error.message));
  REQUIRE(m != nullptr);
  const std::vector<float> image = testing::random_floats(8, 15);
  const std::vector<float> entry = testing::random_floats(4, 1);
  float sum = 0;
  for (size_t i = 0; i < 8; ++i) sum += image[i] * entry[i % 4];
  for (const char* strategy : {"lookup", "decode", "dot", "winograd"}) {
    Options options;
    options.strategy = strategy;
    for (const float v : run(m, options, image)) CHECK(close(v, sum));
  }
}

TEST_CASE("what is reshaped from a constant lies in the arena, where kernels may read past it") {
  testing::ModelBuilder b;
  const uint32_t x = b.tensor("x", {1, 4});
  const uint32_t k = b.constant_tensor("k", {2, 8}, testing::random_floats(16, 2));
  const uint32_t flat = b.tensor("flat", {1, 16}, false), y = b.tensor("y", {1, 3}, false);
  b.op("reshape", fb::OpKind::reshape, {k}, flat);
  b.linear("fc", flat, y, b.dense("w", 3, 16, testing::random_floats(48, 3)));
  b.input(x);
  b.output(y);
  const testing::AlignedBytes file(b.finish());
  Arena keep(default_allocator());
  Model model;
  REQUIRE(open_model(file.bytes(), keep, model).ok());
  Session session(model, default_allocator());
  REQUIRE(session.open({}).ok());
  const auto* data = reinterpret_cast<const uint8_t*>(session.steps()[1].in[0].data);
  CHECK((data < file.bytes().data() || data >= file.bytes().end()));
  REQUIRE(session.run().ok());
  const std::vector<float> constant = testing::random_floats(16, 2);
  const std::vector<float> weights = testing::random_floats(48, 3);
  for (size_t n = 0; n < 3; ++n) {
    float sum = 0;
    for (size_t i = 0; i < 16; ++i) sum += constant[i] * weights[n * 16 + i];
    CHECK(close(session.output(0).as<float>()[n], sum));
  }
}

TEST_CASE("layers without kernels are refused when a session opens, with the layer's name") {
  testing::ModelBuilder b;
  const uint32_t x = b.tensor("x", {1, 1, 1, 8}), y = b.tensor("y", {1, 1, 1, 4});
  auto w = std::make_unique<fb::WeightsT>();
  w->name = "w";
  w->outputs = 4;
  w->inputs = 8;
  w->encoding = fb::Encoding::affine;
  w->affine = std::make_unique<fb::AffineT>();
  w->affine->bits = 8;
  w->affine->codes = b.buffer(std::vector<uint8_t>(32, 1));
  w->affine->scales = std::make_unique<fb::ScalesT>();
  w->affine->scales->values = b.constant({1});
  b.model.weights.push_back(std::move(w));
  fb::OperatorT& up = b.op("up", fb::OpKind::conv_transpose, {x}, y);
  up.conv_transpose = std::make_unique<fb::ConvTransposeT>();
  up.conv_transpose->kernel_h = up.conv_transpose->kernel_w = 1;
  b.input(x);
  b.output(y);
  const std::vector<uint8_t> file = b.finish();
  Error error;
  const testing::ModelHandle m = testing::open_model(file, error);
  REQUIRE(m != nullptr);
  CHECK(testing::open_session(m, error) == nullptr);
  CHECK(error.status == QRT_UNSUPPORTED);
  CHECK(std::string(error.where) == "up");
}

}  // namespace
}  // namespace qrt

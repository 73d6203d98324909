// The whole way through the public API: open, run, read.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "qrt.h"
#include "tests/support/model_builder.h"

namespace qrt {
namespace {

TEST_CASE("the sample runs, and dense mode agrees with compressed mode") {
  const std::vector<uint8_t> file = testing::sample_model().finish();
  qrt_error error = {};
  error.struct_size = sizeof error;
  qrt_model* model = nullptr;
  REQUIRE(qrt_model_open_memory(file.data(), file.size(), nullptr, &model, &error) == QRT_OK);
  std::vector<float> results[2];
  for (uint32_t mode : {QRT_MODE_COMPRESSED, QRT_MODE_DENSE}) {
    qrt_options options;
    qrt_options_init(&options);
    options.mode = mode;
    qrt_session* session = nullptr;
    const qrt_status status = qrt_session_open(model, &options, &session, &error);
    INFO(error.message);
    REQUIRE(status == QRT_OK);
    qrt_tensor in, out;
    REQUIRE(qrt_session_input(session, 0, &in, &error) == QRT_OK);
    REQUIRE(qrt_session_output(session, 0, &out, &error) == QRT_OK);
    CHECK(in.bytes == 4 * 3 * 8 * 8);
    const std::vector<float> values = testing::random_floats(3 * 8 * 8, 7);
    std::memcpy(in.data, values.data(), in.bytes);
    REQUIRE(qrt_session_run(session, &error) == QRT_OK);
    const auto* logits = static_cast<const float*>(out.data);
    results[mode].assign(logits, logits + 5);
    qrt_session_close(session);
  }
  for (size_t i = 0; i < 5; ++i)
    CHECK(results[0][i] == doctest::Approx(results[1][i]).epsilon(1e-5));
  qrt_model_close(model);
}

}  // namespace
}  // namespace qrt

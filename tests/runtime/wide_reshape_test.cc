// A batched reshape of many features: the validator tries a batch so large that their
// number passes 2^32, which a 32-bit CPU must compute as well as any other.
#include <doctest/doctest.h>

#include "qrt.h"
#include "tests/support/model_builder.h"

using qrt::testing::ModelBuilder;

TEST_CASE("a batched reshape of 65536 features opens on every CPU") {
  ModelBuilder b;
  const uint32_t x = b.tensor("x", {1, 16, 16, 256}), y = b.tensor("y", {1, 65536});
  b.op("flatten", qrt::fb::OpKind::reshape, {x}, y);
  b.input(x), b.output(y);
  const std::vector<uint8_t> file = b.finish();
  qrt_error error{};
  error.struct_size = sizeof error;
  qrt_model* model = nullptr;
  CHECK_MESSAGE(qrt_model_open_memory(file.data(), file.size(), nullptr, &model, &error) == QRT_OK,
                error.message);
  CHECK(model != nullptr);
  qrt_model_close(model);
}

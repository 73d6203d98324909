// Every byte of a small file set to five values, its checksums put right again:
// whatever the validator lets pass must run without harm.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/support/handles.h"
#include "tests/support/integer_model.h"
#include "tests/support/model_builder.h"

namespace qrt {
namespace {

using testing::Error;

// A transpose, a codebook convolution, a linear layer: small enough to try everything.
std::vector<uint8_t> small_file() {
  testing::ModelBuilder b;
  const uint32_t image = b.tensor("image", {1, 2, 4, 4});
  const uint32_t nhwc = b.tensor("nhwc", {1, 4, 4, 2});
  const uint32_t conv = b.tensor("conv", {1, 2, 2, 3});
  const uint32_t flat = b.tensor("flat", {1, 12});
  const uint32_t logits = b.tensor("logits", {1, 2});
  b.input(image);
  b.output(logits);
  b.op("t", fb::OpKind::transpose, {image}, nhwc).transpose = std::make_unique<fb::TransposeT>();
  b.model.operators[0]->transpose->perm = {0, 2, 3, 1};
  testing::CodebookSpec spec{3, 18, 5, 9};
  fb::Conv2dT& c = b.conv2d("c", nhwc, conv, b.codebook("c.w", spec), 3, 3);
  c.epilogue->bias = b.constant({1, 2, 3});
  b.op("r", fb::OpKind::reshape, {conv}, flat);
  b.linear("l", flat, logits, b.dense("l.w", 2, 12, testing::random_floats(24, 1)));
  return b.finish();
}

// Opens, prepares and runs; how far it came.
enum Outcome { refused, not_prepared, ran };
Outcome try_file(const std::vector<uint8_t>& file) {
  Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  if (model == nullptr) {
    REQUIRE(std::strstr(error.message, "(QRT-E") != nullptr);
    return refused;
  }
  testing::Options options;
  options.max_bytes = 64 << 20;
  const testing::SessionHandle session = testing::open_session(model, error, &options);
  if (session == nullptr) {
    REQUIRE(std::strstr(error.message, "(QRT-E") != nullptr);
    return not_prepared;
  }
  REQUIRE(qrt_session_run(session.get(), &error) == QRT_OK);
  return ran;
}

// Every `step`th byte of a good file.
void set_bytes(const std::vector<uint8_t>& good, size_t step) {
  const testing::Seals seals = testing::find_seals(good);
  REQUIRE(try_file(good) == ran);
  size_t count[3] = {};
  for (size_t at = 0; at < good.size(); at += step) {
    for (const uint8_t value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      if (good[at] == value) continue;
      std::vector<uint8_t> file = good;
      file[at] = value;
      testing::reseal(file, seals);
      ++count[try_file(file)];
    }
  }
  MESSAGE("refused " << count[refused] << ", not prepared " << count[not_prepared] << ", ran "
                     << count[ran]);
  CHECK(count[refused] > 0);
  CHECK(count[ran] > 0);
}

TEST_CASE("every byte set to 0, 1, 0x7f, 0x80, 0xff") {
  set_bytes(small_file(), 1);
}

TEST_CASE("every seventh byte of a network of integers set to 0, 1, 0x7f, 0x80, 0xff") {
  set_bytes(testing::integer_model().b.finish(), 7);
}

TEST_CASE("without the checksums put right, every changed byte is noticed") {
  const std::vector<uint8_t> good = small_file();
  for (size_t at = 0; at < good.size(); ++at) {
    std::vector<uint8_t> file = good;
    file[at] ^= 0x10;
    INFO("byte " << at);
    CHECK(try_file(file) == refused);
  }
}

TEST_CASE("bytes that belong to nothing, and parts that overlap") {
  const std::vector<uint8_t> good = small_file();
  testing::Seals seals = testing::find_seals(good);
  Error error;
  // Sixteen bytes after the last object: zeros would pass for padding, others do not.
  std::vector<uint8_t> file = good;
  file.resize(file.size() + 16, 0xaa);
  const uint64_t size = file.size();
  const fb::Model& root = *fb::GetModel(file.data());
  const auto& table = reinterpret_cast<const flatbuffers::Table&>(root);
  const auto at = static_cast<size_t>(table.GetAddressOf(fb::Model::VT_FILE_BYTES) - file.data());
  std::memcpy(file.data() + at, &size, sizeof size);
  testing::reseal(file, seals);
  CHECK(testing::open_model(file, error) == nullptr);
  CHECK(std::string(error.id) == "QRT-E0108");

  // The second buffer's reference led to the first: one table twice.
  file = good;
  const auto* buffers = fb::GetModel(file.data())->buffers();
  const auto first =
      static_cast<size_t>(reinterpret_cast<const uint8_t*>(buffers->data()) - file.data());
  uint32_t offset;
  std::memcpy(&offset, file.data() + first, sizeof offset);
  offset -= 4;  // seen from the next element
  std::memcpy(file.data() + first + 4, &offset, sizeof offset);
  testing::reseal(file, seals);
  CHECK(testing::open_model(file, error) == nullptr);
  CHECK(std::string(error.id) == "QRT-E0108");
}

}  // namespace
}  // namespace qrt

// open_model(): what it accepts, what it fills, what it refuses.
#include "runtime/model/model.h"

#include <doctest/doctest.h>

#include "tests/support/model_builder.h"

namespace qrt {
namespace {

using testing::AlignedBytes;

Status open(const std::vector<uint8_t>& file, Model& model, Arena& keep) {
  const AlignedBytes bytes(file);
  return open_model(bytes.bytes(), keep, model);
}

TEST_CASE("the sample opens and its structs say what the file says") {
  const AlignedBytes bytes(testing::sample_model().finish());
  Arena keep(default_allocator());
  Model m;
  const Status status = open_model(bytes.bytes(), keep, m);
  INFO("QRT-E" << status.id() << " " << status.what() << " at " << status.index());
  REQUIRE(status.ok());
  CHECK(m.nodes.size() == 6);
  CHECK(m.tensors.size() == 7);
  CHECK(std::string(m.nodes[1].name) == "conv1");
  CHECK(m.nodes[2].conv2d->epilogue.residual);
  CHECK(m.nodes[2].conv2d->weights->codebook.count == 12);
  CHECK(m.nodes[2].conv2d->weights->codebook.code_bits == 4);
  CHECK(m.nodes[3].pool2d->window.kernel_h == 4);
  CHECK(m.labels.size() == 5);
  CHECK(m.inputs[0].preprocess->mean[1] == 0.4f);
  CHECK(keep.bytes() <= 4 * bytes.bytes().size());
}

TEST_CASE("every truncation of the sample is refused") {
  const std::vector<uint8_t> file = testing::sample_model().finish();
  Arena keep(default_allocator());
  for (size_t n = 0; n < file.size(); ++n) {
    Model m;
    INFO("length " << n);
    CHECK_FALSE(open({file.begin(), file.begin() + static_cast<long>(n)}, m, keep).ok());
  }
}

TEST_CASE("bounds come before anything is read") {
  std::vector<uint8_t> file = testing::sample_model().finish();
  const AlignedBytes bytes(file), odd(file, 1);
  Arena keep(default_allocator());
  Model m;
  for (size_t n = 0; n < 16; ++n) CHECK(open_model({bytes.bytes().data(), n}, keep, m).id() == 100);
  // A length that no allocation stands behind: refused by the number alone.
  if (sizeof(size_t) > 4)
    CHECK(open_model({bytes.bytes().data(), static_cast<size_t>(3ull << 30)}, keep, m).id() == 100);
  CHECK(open_model(odd.bytes(), keep, m).id() == 2);
}

TEST_CASE("a buffer's own checksum is checked besides the file's") {
  std::vector<uint8_t> file = testing::sample_model().finish();
  testing::Seals seals = testing::find_seals(file);
  file[seals.buffers[0].data_at] ^= 1;
  seals.buffers.clear();  // the file's checksum alone is put right
  testing::reseal(file, seals);
  Arena keep(default_allocator());
  Model m;
  CHECK(open(file, m, keep).id() == 107);
}

// As pack(), but bulk vectors lie where they fall: a writer that forgot force_align.
std::vector<uint8_t> pack_unaligned(const fb::ModelT& model) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceDefaults(true);
  const auto pack_all = [&builder](const auto& list, auto pack_one) {
    std::vector<decltype(pack_one(*list[0]))> out;
    for (const auto& item : list) out.push_back(pack_one(*item));
    return builder.CreateVector(out);
  };
  const auto port = [&](const fb::PortT& p) { return fb::Port::Pack(builder, &p); };
  const auto buffers = pack_all(model.buffers, [&](const fb::BufferT& b) {
    return fb::CreateBuffer(builder, builder.CreateVector(b.data), 0);
  });
  const auto tensors =
      pack_all(model.tensors, [&](const fb::TensorT& t) { return fb::Tensor::Pack(builder, &t); });
  const auto operators = pack_all(
      model.operators, [&](const fb::OperatorT& o) { return fb::Operator::Pack(builder, &o); });
  const auto weights = pack_all(
      model.weights, [&](const fb::WeightsT& w) { return fb::Weights::Pack(builder, &w); });
  const auto inputs = pack_all(model.inputs, port), outputs = pack_all(model.outputs, port);
  builder.Finish(
      fb::CreateModel(builder, 1, 0, 0, 0, tensors, operators, weights, buffers, inputs, outputs),
      fb::ModelIdentifier());
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

TEST_CASE("bulk vectors that are not aligned within the file") {
  std::vector<uint8_t> file = pack_unaligned(testing::sample_model().model);
  const fb::Model& root = *fb::GetModel(file.data());
  const auto& table = reinterpret_cast<const flatbuffers::Table&>(root);
  const uint64_t size = file.size();
  std::memcpy(file.data() + (table.GetAddressOf(fb::Model::VT_FILE_BYTES) - file.data()), &size, 8);
  testing::reseal(file, testing::find_seals(file));
  Arena keep(default_allocator());
  Model m;
  CHECK(open(file, m, keep).id() == 106);
}

}  // namespace
}  // namespace qrt

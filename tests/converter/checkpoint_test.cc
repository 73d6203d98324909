// Checkpoints as files: the two codebook formats in small, the ways in which they
// contradict themselves, and the published files against known values.
#include "converter/import/checkpoint.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "converter/base/file.h"
#include "converter/base/half.h"
#include "tests/support/torch_builder.h"

using namespace qrt;
using namespace qrt::test;
using import::Checkpoint;
using import::Parameter;

namespace {

Result<Checkpoint> read(const std::string& bytes) {
  return import::read_checkpoint(test::bytes_of(bytes));
}
const quant::Codebook& codebook(const Parameter& p) {
  return std::get<quant::Codebook>(*p.encoding);
}
std::string message(const std::string& bytes, int id) {
  const auto r = read(bytes);
  REQUIRE(!r.ok());
  CHECK(r.error().id == id);
  return r.error().message;
}

// kill-the-bits: 2 outputs, 2 blocks of 9, 3 centroids, a 3 x 3 kernel.
struct Layer {
  std::vector<float> centroids = std::vector<float>(27, 0.5f);
  std::vector<uint8_t> codes = {0, 1, 2, 1};
  int64_t blocks = 2, kernel = 3;
  std::string file() const {
    TorchBuilder b;
    return b.stream(object(b));
  }
  std::string object(TorchBuilder& b) const {
    return py_dict({{"l.conv1", py_dict({{"centroids", b.floats({3, 9}, centroids)},
                                         {"assignments", b.bytes({4}, codes)},
                                         {"n_blocks", py_int(blocks)},
                                         {"is_conv", "\x88"},
                                         {"k", py_int(kernel)}})},
                    {"fc_bias", py_dict({{"bias", b.floats({2}, {1, 2})}})}});
  }
};

}  // namespace

TEST_CASE("checkpoint: plain state dicts, flat or wrapped, with and without module.") {
  TorchBuilder b;
  const std::string flat = py_dict({{"module.a.weight", b.floats({2, 1}, {1, 2})},
                                    {"a.bias", b.floats({2}, {3, 4})},
                                    {"n.num_batches_tracked", b.bytes({}, {9})}});
  for (const std::string& object : {flat, py_dict({{"epoch", py_int(7)}, {"state_dict", flat}})}) {
    auto c = read(b.archive(object));
    REQUIRE_MESSAGE(c.ok(), c.error().message);
    CHECK(c->format == "state dict");
    CHECK(c->sha256.size() == 64);
    REQUIRE(c->parameters.size() == 2);
    CHECK(c->parameters["a.weight"].shape == std::vector<int64_t>{2, 1});
    CHECK(c->parameters["a.bias"].values == std::vector<float>{3, 4});
  }
  CHECK(read(b.stream(py_dict({{"a", py_int(1)}}))).error().id == 661);
  CHECK(read(b.stream("]")).error().id == 661);
  CHECK(import::read_checkpoint("/nowhere/x.pth").error().id == 650);
}

TEST_CASE("checkpoint: kill-the-bits is block-major, PQF output-major") {
  const Layer layer;
  auto ktb = read(layer.file());
  REQUIRE_MESSAGE(ktb.ok(), ktb.error().message);
  CHECK(ktb->format == "kill-the-bits");
  const Parameter& p = ktb->parameters["l.conv1.weight"];
  CHECK(p.outputs == 2);
  CHECK(p.inputs == 18);
  CHECK(codebook(p).codes == std::vector<uint16_t>{0, 1, 2, 1});
  CHECK(ktb->parameters["fc.bias"].values == std::vector<float>{1, 2});

  TorchBuilder b;
  auto pqf = read(b.stream(py_dict({{"fc.codes_matrix", b.bytes({2, 3}, {0, 1, 2, 2, 1, 0})},
                                    {"fc.codebook", b.floats({3, 1}, {1, 2, 0.1f})}})));
  REQUIRE_MESSAGE(pqf.ok(), pqf.error().message);
  CHECK(pqf->format == "PQF");
  const Parameter& q = pqf->parameters["fc.weight"];
  CHECK(codebook(q).codes == std::vector<uint16_t>{0, 2, 1, 1, 2, 0});
  CHECK(codebook(q).entry == quant::EntryType::f32);  // 0.1f is no f16
  CHECK(quant::decode(*q.encoding, 2, 3) == std::vector<float>{1, 2, 0.1f, 0.1f, 2, 1});
}

TEST_CASE("checkpoint: contradicting codebook layers are refused by name") {
  const auto names_layer = [](const std::string& text) {
    return text.find("l.conv1") != std::string::npos;
  };
  Layer layer;
  layer.codes[2] = 3;
  const std::string text = message(layer.file(), 660);
  CHECK(names_layer(text));
  CHECK(text.find("is 3") != std::string::npos);
  layer = Layer(), layer.blocks = 3;
  CHECK(names_layer(message(layer.file(), 660)));
  for (const int64_t blocks : {0, -2, 0x7fffffff}) {
    layer = Layer(), layer.blocks = blocks;
    CHECK(names_layer(message(layer.file(), 660)));
  }
  for (const int64_t kernel : {0, -3, 5, 1 << 30}) {
    layer = Layer(), layer.kernel = kernel;
    CHECK(names_layer(message(layer.file(), 660)));
  }
  layer = Layer(), layer.centroids[3] = std::nanf("");
  CHECK(names_layer(message(layer.file(), 660)));

  TorchBuilder b;
  const std::string book = b.floats({2, 1}, {1, 2}), codes = b.bytes({1, 2}, {0, 1});
  message(b.stream(py_dict({{"a.codebook", book}})), 660);
  message(b.stream(py_dict({{"a.codes_matrix", codes}})), 660);
  message(b.stream(py_dict({{"a.codes_matrix", b.bytes({2}, {0, 1})}, {"a.codebook", book}})), 660);
  message(b.stream(py_dict({{"a.codes_matrix", codes}, {"a.codebook", b.floats({2}, {1, 2})}})),
          660);
  message(b.stream(py_dict({{"a.codes_matrix", book}, {"a.codebook", book}})), 657);
  message(b.stream(py_dict({{"a.codes_matrix", codes}, {"a.codebook", book}, {"a.weight", book}})),
          660);
  message(b.stream(py_dict({{"a", py_dict({{"centroids", book}})}})), 660);
  message(b.stream(py_dict({{"a", py_dict({{"assignments", book}, {"centroids", py_int(1)}})}})),
          660);
}

TEST_CASE("checkpoint: every truncation of a coded file is refused") {
  const std::string bytes = Layer().file();
  for (size_t n = 0; n < bytes.size(); ++n) REQUIRE(!read(bytes.substr(0, n)).ok());
}

namespace {

struct Golden {
  const char* layer;
  int count, dim;
  int64_t blocks, outputs;
  double sum, norm;
  float first[4];
  const char* sha256;
};

std::string data_file(const char* name) {
  const char* root = std::getenv("QRT_DATA");
  if (!root) MESSAGE("SKIPPED: QRT_DATA is not set");
  return root ? std::string(root) + "/killthebits/" + name : "";
}

void check_golden(const Checkpoint& c, const Golden& g) {
  CAPTURE(g.layer);
  const Parameter& p = c.parameters.at(std::string(g.layer) + ".weight");
  const quant::Codebook& book = codebook(p);
  CHECK(book.count == g.count);
  CHECK(book.dim == g.dim);
  CHECK(p.outputs == g.outputs);
  CHECK(p.inputs == g.blocks * g.dim);
  CHECK(book.entry == quant::EntryType::f16);
  const auto w = quant::decode(*p.encoding, p.outputs, p.inputs);
  double sum = 0, squares = 0;
  std::vector<uint16_t> halves;
  for (const float v : w) {
    sum += v;
    squares += double{v} * v;
    halves.push_back(float_to_half(v));
  }
  CHECK(sum == doctest::Approx(g.sum).epsilon(1e-9).scale(1e5));  // 4 decimals
  CHECK(std::sqrt(squares) == doctest::Approx(g.norm).epsilon(1e-6));
  for (int i = 0; i < 4; ++i) CHECK(std::abs(w[i] - g.first[i]) < 1e-6f);
  CHECK(sha256_hex(halves.data(), 2 * halves.size()).substr(0, 16) == g.sha256);
}

void check_bytes(const Checkpoint& c, uint64_t codes, uint64_t entries) {
  quant::StoredBytes total;
  for (const auto& [name, p] : c.parameters) {
    if (!p.encoding) continue;
    const auto b = quant::stored_bytes(*p.encoding, p.outputs, p.inputs);
    total.codes += b.codes;
    total.entries += b.entries;
  }
  CHECK(total.codes == codes);
  CHECK(total.entries == entries);
}

}  // namespace

TEST_CASE("published checkpoint: kill-the-bits ResNet-18, small blocks") {
  const std::string path = data_file("resnet18_small_blocks.pth");
  if (path.empty()) return;
  const auto c = import::read_checkpoint(path);
  REQUIRE_MESSAGE(c.ok(), c.error().message);
  CHECK((*c).format == "kill-the-bits");
  CHECK((*c).sha256 == "54e98666166baa8f5e6fd783b75fef3780e8c9069351ae146781b23f6a0f4729");
  for (const Golden& g : {Golden{"layer1.0.conv1",
                                 256,
                                 9,
                                 64,
                                 64,
                                 -89.2010,
                                 9.44685,
                                 {0.024948f, -0.081482f, -0.005966f, -0.121216f},
                                 "356a6331a0ff5bbe"},
                          Golden{"layer2.0.downsample.0",
                                 256,
                                 4,
                                 16,
                                 128,
                                 -19.4919,
                                 5.45336,
                                 {0.034180f, -0.252686f, -0.004932f, 0.017746f},
                                 "81cdc15218164c58"},
                          Golden{"layer4.1.conv2",
                                 256,
                                 9,
                                 512,
                                 512,
                                 -60.6401,
                                 5.47232,
                                 {-0.000158f, -0.000263f, -0.000238f, 0.000309f},
                                 "00e746f34849e19e"},
                          Golden{"fc",
                                 2048,
                                 4,
                                 128,
                                 1000,
                                 0.1562,
                                 45.86633,
                                 {-0.021118f, -0.068970f, -0.038757f, -0.006123f},
                                 "60b68e956382db8d"}})
    check_golden(*c, g);
  check_bytes(*c, 1439616, 96256);
  CHECK((*c).parameters.at("fc.bias").values.size() == 1000);
  CHECK((*c).parameters.at("conv1.weight").shape == std::vector<int64_t>{64, 3, 7, 7});
}

TEST_CASE("published checkpoint: kill-the-bits ResNet-50, large blocks") {
  const std::string path = data_file("resnet50_large_blocks.pth");
  if (path.empty()) return;
  const auto c = import::read_checkpoint(path);
  REQUIRE_MESSAGE(c.ok(), c.error().message);
  for (const Golden& g : {Golden{"layer1.0.conv1",
                                 64,
                                 8,
                                 8,
                                 64,
                                 -20.6683,
                                 5.64191,
                                 {-0.052277f, 0.054657f, -0.017044f, -0.133667f},
                                 "2a06d47470d1eae6"},
                          Golden{"layer3.0.conv2",
                                 256,
                                 18,
                                 128,
                                 256,
                                 -149.0821,
                                 8.67765,
                                 {-0.016144f, -0.032593f, -0.021057f, -0.029114f},
                                 "fef2481d05129eff"},
                          Golden{"layer4.2.conv3",
                                 256,
                                 8,
                                 64,
                                 2048,
                                 45.2947,
                                 10.53744,
                                 {0.001726f, 0.000193f, -0.012383f, -0.000223f},
                                 "ae2e73e4ae6fbe9b"},
                          Golden{"fc",
                                 1024,
                                 4,
                                 512,
                                 1000,
                                 0.1729,
                                 52.72575,
                                 {-0.006557f, 0.010628f, -0.031860f, -0.002613f},
                                 "64a5546e3fd0c59a"}})
    check_golden(*c, g);
  check_bytes(*c, 2784640, 300032);
}

TEST_CASE("published checkpoint: PQF ResNet-18") {
  const std::string path = data_file("pqf_resnet18.pth");
  if (path.empty()) return;
  const auto c = import::read_checkpoint(path);
  REQUIRE_MESSAGE(c.ok(), c.error().message);
  CHECK((*c).format == "PQF");
  check_bytes(*c, 1439616, 96256);  // the sizes of kill-the-bits, small blocks
  CHECK((*c).parameters.at("layer4.1.bn2.bias").values.size() == 512);
}

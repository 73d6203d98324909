// ONNX files that are wrong: every one is refused with one clear message of its
// code, none crashes.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <limits>
#include <random>

#include "converter/import/onnx.h"
#include "tests/support/onnx_builder.h"

namespace qrt {
namespace {

using test::OnnxBuilder;
using test::set;

// A sound little model: x [N,2] through Gemm, reshape and softmax.
OnnxBuilder sound() {
  OnnxBuilder builder;
  builder.input("x", {-1, 2});
  builder.floats("w", {2, 2}, {1, 2, 3, 4});
  builder.floats("b", {2}, {0, 1});
  builder.ints("shape", {2}, {0, 2});
  builder.node("Gemm", {"x", "w", "b"}, "g");
  builder.node("Reshape", {"g", "shape"}, "r");
  builder.node("Softmax", {"r"}, "y");
  builder.output("y");
  return builder;
}

Error refusal(const OnnxBuilder& builder) {
  auto result = import::import_onnx(builder.save("hostile.onnx"), {});
  REQUIRE(!result.ok());
  return result.error();
}

using Break = std::function<void(OnnxBuilder&)>;

TEST_CASE("files that lie are refused with their code") {
  CHECK(import::import_onnx(sound().save("sound.onnx"), {}).ok());
  struct Case {
    int id;
    const char* says;
    Break breaks;
  };
  const Case cases[] = {
      {503, "opset 0", [](auto& b) { b.model.mutable_opset_import(0)->set_version(0); }},
      {503, "opset 18", [](auto& b) { b.model.mutable_opset_import(0)->set_version(18); }},
      {503, "no opset", [](auto& b) { b.model.clear_opset_import(); }},
      {501, "with a graph", [](auto& b) { b.graph().clear_node(); }},
      {507, "defined twice", [](auto& b) { b.floats("w", {1}, {1}); }},
      {507, "defined twice", [](auto& b) { b.node("Relu", {"x"}, "g"); }},
      {507, "has no name", [](auto& b) { b.floats("", {1}, {1}); }},
      {507, "which nothing makes", [](auto& b) { b.node("Relu", {"ghost"}, "z"); }},
      {507, "cycle",
       [](auto& b) {
         b.node("Add", {"p", "x"}, "q");
         b.node("Relu", {"q"}, "p");
       }},
      {507, "made by nothing", [](auto& b) { b.output("ghost"); }},
      {507, "is an input", [](auto& b) { b.output("x"); }},
      {507, "no output", [](auto& b) { b.graph().clear_output(); }},
      {508, "expected 4", [](auto& b) { b.graph().mutable_initializer(0)->add_float_data(1); }},
      {508, "dims [2,-2]", [](auto& b) { b.graph().mutable_initializer(0)->set_dims(1, -2); }},
      {508, "dims [2,9223372036854775807]",
       [](auto& b) { b.graph().mutable_initializer(0)->set_dims(1, INT64_MAX); }},
      {508, "data type 8", [](auto& b) { b.graph().mutable_initializer(0)->set_data_type(8); }},
      {508, "data type 0", [](auto& b) { b.graph().mutable_initializer(0)->set_data_type(0); }},
      {508, "data type 77", [](auto& b) { b.graph().mutable_initializer(0)->set_data_type(77); }},
      {508,
       "holds 9223372036854775808 at element 1; integers are allowed up to 9223372036854775807",
       [](auto& b) { b.raw("z", {2}, onnx::TensorProto::UINT64, std::string(15, '\0') + "\x80"); }},
      {508, "15 bytes", [](auto& b) { b.raw("z", {4}, 1, std::string(15, 'a')); }},
      {508, "sparse", [](auto& b) { b.graph().add_sparse_initializer(); }},
      {509, "tensor w holds nan at element 2",
       [](auto& b) {
         b.graph().mutable_initializer(0)->set_float_data(2,
                                                          std::numeric_limits<float>::quiet_NaN());
       }},
      {509, "inf", [](auto& b) { b.raw("z", {2}, 10, std::string("\0\x7c\0\x3c", 4)); }},
      {512, "data type 8", [](auto& b) { b.input("z", {1}, 8); }},
      {512, "data type 13", [](auto& b) { b.input("z", {1}, 13); }},
      {512, "not given",
       [](auto& b) { b.input("z", {}).mutable_type()->mutable_tensor_type()->clear_shape(); }},
      {512, "7 dimensions",
       [](auto& b) {
         b.input("z", {1, 1, 1, 1, 1, 1, 1});
       }},
      {512, "100000000", [](auto& b) { b.input("z", {100000000}); }},
      {505, "expected FLOAT", [](auto& b) { set(*b.graph().mutable_node(0), "alpha", 1); }},
      {505, "stands twice",
       [](auto& b) {
         set(*b.graph().mutable_node(2), "axis", 1);
         set(*b.graph().mutable_node(2), "axis", 1);
       }},
      {505, "axis is 5",
       [](auto& b) {
         b.model.mutable_opset_import(0)->set_version(12);
         set(*b.graph().mutable_node(2), "axis", 5);
       }},
      {505, "axis is 5; allowed are -2 to 1",
       [](auto& b) { set(*b.graph().mutable_node(2), "axis", 5); }},
      {506, "expected 2 to 3 inputs", [](auto& b) { b.graph().mutable_node(0)->clear_input(); }},
      {506, "and 0 outputs", [](auto& b) { b.graph().add_node()->set_op_type("Constant"); }},
      {506, "input 1 is missing", [](auto& b) { b.graph().mutable_node(0)->set_input(1, ""); }},
      {513, "is computed from the data",
       [](auto& b) {
         b.node("Reshape", {"x", "x"}, "z");
       }},
      {505, "the elements do not divide",
       [](auto& b) {
         b.graph().mutable_initializer(2)->set_int64_data(0, -1);
         b.graph().mutable_initializer(2)->set_int64_data(1, 3);
       }},
      {505, "does not follow the free batch",
       [](auto& b) { b.graph().mutable_initializer(2)->set_int64_data(0, 1); }},
      {505, "negative", [](auto& b) { b.graph().mutable_initializer(2)->set_int64_data(1, -7); }},
      {550, "numbers of elements differ",
       [](auto& b) { b.graph().mutable_initializer(2)->set_int64_data(1, 7); }},
      {514, "training mode",
       [](auto& b) {
         for (auto* name : {"s", "t", "m", "v"}) b.floats(name, {2}, {1, 1});
         set(b.node("BatchNormalization", {"x", "s", "t", "m", "v"}, "z"), "training_mode", 1);
       }},
      {514, "its output 1 (where) is used",
       [](auto& b) {
         b.input("image", {1, 1, 4, 4});
         auto& pool = b.node("MaxPool", {"image"}, "z");
         set(pool, "kernel_shape", std::vector<int64_t>{2, 2});
         pool.add_output("where");
         b.output("where");
       }},
      {514, "its mask has the free batch",
       [](auto& b) {
         b.node("Dropout", {"x"}, "z").add_output("mask");
         b.output("mask");
       }},
      {516, "of the 4 GiB",
       [](auto& b) {
         b.ints("big", {2}, {32768, 65535});
         b.node("ConstantOfShape", {"big"}, "z");
       }},
      {508, "it makes a constant of shape",
       [](auto& b) {
         b.ints("big", {2}, {INT64_MAX, INT64_MAX});
         b.node("ConstantOfShape", {"big"}, "z");
       }},
      {562, "index 9",
       [](auto& b) {
         b.ints("i", {1}, {9});
         b.node("Gather", {"b", "i"}, "z");
       }},
      {505, "pads crop axis 1 of 2 elements",
       [](auto& b) {
         b.ints("p", {4}, {0, -1, 0, -1});
         b.node("Pad", {"x", "p"}, "z");
       }},
      {505, "perm is",
       [](auto& b) {
         set(b.node("Transpose", {"x"}, "z"), "perm", std::vector<int64_t>{INT64_MIN, 0});
       }},
      {505, "auto_pad is 'MAYBE'",
       [](auto& b) {
         b.input("image", {1, 1, 4, 4});
         auto& pool = b.node("MaxPool", {"image"}, "z");
         set(pool, "kernel_shape", std::vector<int64_t>{2, 2});
         set(pool, "auto_pad", "MAYBE");
       }},
      {505, "kernel_shape is 0",
       [](auto& b) {
         b.input("image", {1, 1, 4, 4});
         set(b.node("MaxPool", {"image"}, "z"), "kernel_shape", std::vector<int64_t>{0, 2});
       }},
  };
  for (const Case& c : cases) {
    OnnxBuilder builder = sound();
    c.breaks(builder);
    const Error error = refusal(builder);
    CHECK_MESSAGE(error.id == c.id, error.message);
    CHECK_MESSAGE(error.message.find(c.says) != std::string::npos, error.message);
    CHECK_MESSAGE(error.message.find("hostile.onnx") != std::string::npos, error.message);
  }
}

TEST_CASE("all nodes that cannot be converted stand in one message") {
  OnnxBuilder builder = sound();
  builder.node("GRU", {"x"}, "l1", "first_gru");
  builder.node("Relu", {"l1"}, "behind");  // told about through its cause
  builder.node("GRU", {"behind"}, "l2", "second_gru");
  builder.node("MatMul", {"x", "x"}, "mm", "product");
  builder.node("Fancy", {"x"}, "f", "fancy").set_domain("com.example");
  for (int i = 0; i < 12; ++i) builder.node("Einsum", {"x"}, "t" + std::to_string(i));
  const Error error = refusal(builder);
  CHECK(error.id == 504);
  for (const char* part : {"16 of 20 nodes", "GRU (2 nodes: first_gru [N,2], second_gru ?)",
                           "com.example.Fancy (1 node", "Einsum (12 nodes: t0 [N,2]", "and 4 more",
                           "MatMul (1 node: product [N,2]): matmul product: shapes", "Next: "}) {
    CHECK_MESSAGE(error.message.find(part) != std::string::npos, error.message);
  }
  CHECK(error.message.find("behind") == std::string::npos);
  CHECK(error.message.find('\n') == std::string::npos);  // tools print errors as one line
}

TEST_CASE("a model of very many nodes is refused, one at the limit is read in time") {
  OnnxBuilder builder;
  builder.input("x", {-1, 2});
  builder.output("n19999");
  std::string last = "x";
  for (int i = 0; i < 20000; ++i) {
    const std::string name = "n" + std::to_string(i);
    builder.node(i % 2 ? "Unsqueeze" : "Squeeze", {last, "axes"}, name);
    last = name;
  }
  builder.ints("axes", {1}, {1});
  builder.graph().mutable_node(0)->set_op_type("Relu");
  builder.graph().mutable_node(0)->mutable_input()->RemoveLast();
  auto result = import::import_onnx(builder.save("many.onnx"), {});
  CHECK_MESSAGE(result.ok(), result.error().message);
  builder.node("Relu", {last}, "one_more");
  CHECK(refusal(builder).id == 502);
}

TEST_CASE("small files that would become huge graphs are refused in time") {
  OnnxBuilder builder;
  builder.input("x", {-1, 2});
  const std::vector<std::string> thousand(1000, "x");
  for (int i = 0; i < 100; ++i) builder.node("Sum", thousand, "s" + std::to_string(i), "same");
  builder.output("s0");
  CHECK(refusal(builder).id == 502);
}

TEST_CASE("no prefix and no changed byte of a file crashes the import") {
  const std::string bytes = sound().model.SerializeAsString();
  int refused = 0;
  for (size_t length = 0; length < bytes.size(); ++length) {
    auto result = import::import_onnx_bytes(bytes.substr(0, length), "cut.onnx", {});
    refused += !result.ok();
    if (!result.ok()) CHECK(result.error().id >= 500);
  }
  CHECK(refused > static_cast<int>(bytes.size()) / 2);
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string changed = bytes;
    for (int k = 0; k <= i % 3; ++k)
      changed[random() % changed.size()] = static_cast<char>(random());
    auto result = import::import_onnx_bytes(changed, "changed.onnx", {});
    if (!result.ok()) CHECK(!result.error().message.empty());
  }
}

TEST_CASE("paths that are no files") {
  const std::string folder = QRT_BINARY_DIR;
  CHECK(import::import_onnx(folder + "/no_such.onnx", {}).error().id == 500);
  CHECK(import::import_onnx(folder, {}).error().id == 500);
  CHECK(import::import_onnx("/dev/zero", {}).error().id == 500);
  CHECK(import::import_onnx(OnnxBuilder::write("empty.onnx", ""), {}).error().id == 501);
  const std::string text = OnnxBuilder::write("text.onnx", "this is no model, only words\n");
  CHECK(import::import_onnx(text, {}).error().id == 501);
}

// The weight of the sound model moved to another file.
Result<import::Imported> with_external(const std::string& location, const std::string& offset = "0",
                                       const std::string& length = "16") {
  OnnxBuilder builder = sound();
  auto* weight = builder.graph().mutable_initializer(0);
  weight->clear_float_data();
  weight->set_data_location(onnx::TensorProto::EXTERNAL);
  const std::pair<const char*, std::string> entries[] = {
      {"location", location}, {"offset", offset}, {"length", length}};
  for (const auto& [key, value] : entries) {
    auto* entry = weight->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  return import::import_onnx(builder.save("external/model.onnx"), {});
}

TEST_CASE("external data: only plain files beside the model") {
  const std::string folder = std::string(QRT_BINARY_DIR) + "/external";
  mkdir(folder.c_str(), 0755);
  mkdir((folder + "/sub").c_str(), 0755);
  const float values[] = {1, 2, 3, 4, 5};
  const std::string data(reinterpret_cast<const char*>(values), sizeof values);
  OnnxBuilder::write("external/w.bin", data);
  OnnxBuilder::write("external/sub/w.bin", data);
  OnnxBuilder::write("outside.bin", data);
  auto link = [&](const char* target, const char* name, bool symbolic) {
    const std::string at = folder + "/" + name;
    unlink(at.c_str());
    REQUIRE((symbolic ? symlink(target, at.c_str())
                      : ::link((folder + "/" + target).c_str(), at.c_str())) == 0);
  };
  link("w.bin", "symbolic.bin", true);
  link("sub", "folder_link", true);
  unlink((folder + "/pipe").c_str());
  REQUIRE(mkfifo((folder + "/pipe").c_str(), 0600) == 0);

  auto good = with_external("w.bin", "4");
  REQUIRE_MESSAGE(good.ok(), good.error().message);
  CHECK(good->graph.constants[0].data == std::vector<float>{2, 3, 4, 5});
  CHECK(with_external("sub/w.bin").ok());

  const std::string hostile[] = {"",
                                 ".",
                                 "..",
                                 "/etc/passwd",
                                 "../outside.bin",
                                 "sub/../w.bin",
                                 "sub/../../outside.bin",
                                 "./w.bin",
                                 "sub//w.bin",
                                 "sub/",
                                 "w.bin/",
                                 std::string("w.bin\0x", 7),
                                 "symbolic.bin",
                                 "folder_link/w.bin",
                                 "pipe",
                                 "sub",
                                 "no_such.bin",
                                 "..\\outside.bin",
                                 "/dev/zero",
                                 folder + "/w.bin"};
  for (const std::string& location : hostile) {
    auto refused = with_external(location);
    REQUIRE_MESSAGE(!refused.ok(), location);
    CHECK_MESSAGE(refused.error().id == 510, refused.error().message);
  }
  for (const auto& [offset, length] : {std::pair<const char*, const char*>{"5", "16"},
                                       {"99999999999999999999", "16"},
                                       {"18446744073709551615", "16"},
                                       {"-1", "16"},
                                       {"0", "15"},
                                       {"0", "17"},
                                       {"0", "x"}}) {
    CHECK(with_external("w.bin", offset, length).error().id == 510);
  }
  link("w.bin", "hard.bin", false);
  CHECK(with_external("hard.bin").error().id == 510);
  unlink((folder + "/hard.bin").c_str());
}

}  // namespace
}  // namespace qrt

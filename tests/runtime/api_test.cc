// The C border: what callers get wrong, and how errors read.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "tests/support/handles.h"
#include "tests/support/model_builder.h"

namespace qrt {
namespace {

using testing::Error;
using testing::Options;

// Lives as long as the program: models may borrow its bytes.
const std::vector<uint8_t>& sample() {
  static const std::vector<uint8_t> file = testing::sample_model().finish();
  return file;
}

TEST_CASE("every function bears NULL") {
  Error error;
  qrt_model* model = nullptr;
  qrt_session* session = nullptr;
  qrt_tensor tensor;
  qrt_op_info op = {};
  qrt_memory_info memory = {};
  double d = 0;
  const uint8_t byte = 0;
  CHECK(qrt_model_open_file(nullptr, nullptr, &model, &error) == QRT_INVALID_ARGUMENT);
  CHECK(std::string(error.id) == "QRT-E0020");
  CHECK(qrt_model_open_file("x", nullptr, nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_model_open_memory(nullptr, 5, nullptr, &model, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_model_open_memory(&byte, 1, nullptr, nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_model_input(nullptr, 0, &tensor, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_model_output(nullptr, 0, &tensor, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_open(nullptr, nullptr, &session, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_input(nullptr, 0, &tensor, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_output(nullptr, 0, &tensor, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_run(nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_run_profiled(nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_op(nullptr, 0, &op, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_memory(nullptr, &memory, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_self_check(nullptr, &d, &d, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_model_input_count(nullptr) == 0);
  CHECK(qrt_model_output_count(nullptr) == 0);
  CHECK(qrt_model_label_count(nullptr) == 0);
  CHECK(qrt_model_label(nullptr, 0) == nullptr);
  CHECK(qrt_model_batch_is_free(nullptr) == 0);
  CHECK(qrt_session_op_count(nullptr) == 0);
  qrt_options_init(nullptr);
  qrt_model_close(nullptr);
  qrt_session_close(nullptr);

  const testing::ModelHandle m = testing::open_model(sample(), error);
  const testing::SessionHandle s = testing::open_session(m, error);
  CHECK(qrt_model_input(m.get(), 0, nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_open(m.get(), nullptr, nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_input(s.get(), 0, nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_op(s.get(), 0, nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_memory(s.get(), nullptr, nullptr) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_session_self_check(s.get(), nullptr, nullptr, nullptr) == QRT_INVALID_ARGUMENT);
}

TEST_CASE("indices out of range") {
  Error error;
  const std::vector<uint8_t>& file = sample();
  const testing::ModelHandle m = testing::open_model(file, error);
  const testing::SessionHandle s = testing::open_session(m, error);
  qrt_tensor tensor;
  qrt_op_info op = {};
  op.struct_size = sizeof op;
  for (const uint32_t index : {1u, 7u, ~0u}) {
    CHECK(qrt_model_input(m.get(), index, &tensor, &error) == QRT_INVALID_ARGUMENT);
    CHECK(std::string(error.id) == "QRT-E0024");
    CHECK(qrt_model_output(m.get(), index, &tensor, &error) == QRT_INVALID_ARGUMENT);
    CHECK(qrt_session_input(s.get(), index, &tensor, &error) == QRT_INVALID_ARGUMENT);
    CHECK(qrt_session_output(s.get(), index, &tensor, &error) == QRT_INVALID_ARGUMENT);
  }
  CHECK(qrt_session_op(s.get(), 6, &op, &error) == QRT_INVALID_ARGUMENT);
  CHECK(qrt_model_label(m.get(), 5) == nullptr);
  CHECK(std::string(qrt_model_label(m.get(), 4)) == "elk");
}

TEST_CASE("struct sizes") {
  Error error;
  const std::vector<uint8_t>& file = sample();
  const testing::ModelHandle m = testing::open_model(file, error);
  Options options;
  options.struct_size = 0;
  CHECK(testing::open_session(m, error, &options) == nullptr);
  CHECK(std::string(error.id) == "QRT-E0021");
  CHECK(testing::open_model(file, error, &options) == nullptr);

  // Programs of the first header know nothing behind `user`; what stands there is not looked at.
  Options first;
  (qrt_options_init)(&first);
  CHECK(first.struct_size == offsetof(qrt_options, user) + sizeof(void*));
  first.prefer = 99;
  CHECK(testing::open_session(m, error, &first) != nullptr);
  first.struct_size -= 1;
  CHECK(testing::open_session(m, error, &first) == nullptr);

  options = Options();
  struct Newer {
    qrt_options known;
    uint64_t unknown;
  } newer = {options, 0};
  newer.known.struct_size = sizeof newer;
  CHECK(testing::open_session(m, error, &newer.known) != nullptr);
  newer.unknown = 1;
  CHECK(testing::open_session(m, error, &newer.known) == nullptr);
  CHECK(error.status == QRT_UNSUPPORTED);
  CHECK(std::string(error.id) == "QRT-E0022");

  const testing::SessionHandle s = testing::open_session(m, error);
  qrt_op_info op = {};
  CHECK(qrt_session_op(s.get(), 0, &op, &error) == QRT_INVALID_ARGUMENT);
  qrt_memory_info memory = {};
  CHECK(qrt_session_memory(s.get(), &memory, &error) == QRT_INVALID_ARGUMENT);
  // Older headers get what they know, newer ones keep what this library does not.
  memory.struct_size = sizeof memory - sizeof(uint64_t);
  CHECK(qrt_session_memory(s.get(), &memory, &error) == QRT_INVALID_ARGUMENT);
  struct {
    qrt_memory_info known;
    uint64_t unknown;
  } more = {{}, 7};
  more.known.struct_size = sizeof more;
  CHECK(qrt_session_memory(s.get(), &more.known, &error) == QRT_OK);
  CHECK(more.known.file_bytes == file.size());
  CHECK(more.known.struct_size == sizeof more);
  CHECK(more.unknown == 7);
  // An error whose size is unknown is left alone.
  qrt_error small = {};
  small.struct_size = 8;
  CHECK(qrt_session_run(nullptr, &small) == QRT_INVALID_ARGUMENT);
  CHECK(small.message[0] == 0);
}

TEST_CASE("options that name nothing") {
  Error error;
  const testing::ModelHandle m = testing::open_model(sample(), error);
  const auto refuse = [&](const Options& options, const char* id) {
    CHECK(testing::open_session(m, error, &options) == nullptr);
    INFO(std::string(error.message));
    CHECK(std::string(error.id) == id);
    CHECK(error.status == QRT_INVALID_ARGUMENT);
  };
  Options options;
  options.prefer = 2;
  refuse(options, "QRT-E0018");
  options = Options();
  options.isa = "sse9";
  refuse(options, "QRT-E0010");
  CHECK(std::strstr(error.message, "avx512vnni") != nullptr);
  options = {};
  options.strategy = "magic";
  refuse(options, "QRT-E0011");
  options = {};
  options.mode = 2;
  refuse(options, "QRT-E0014");
  options = {};
  options.release = [](void*, void*) {};
  refuse(options, "QRT-E0023");
  options = {};
  options.batch = 1u << 30;
  refuse(options, "QRT-E0013");
}

TEST_CASE("an error says what, where, found and allowed, what to do, and its code") {
  testing::ModelBuilder b = testing::sample_model();
  b.model.operators[1]->conv2d->kernel_h = 0;
  Error error;
  CHECK(testing::open_model(b.finish(), error) == nullptr);
  CHECK(std::string(error.where) == "conv1");
  CHECK(std::string(error.message) ==
        "conv1: kernel_h is out of range; found 0, allowed at least 1; re-create the file with "
        "qrt-convert (QRT-E0162)");

  b = testing::sample_model();
  b.model.tensors[2]->name = std::string(300, 'n');
  b.model.tensors[2]->dims[3] = -5;
  CHECK(testing::open_model(b.finish(), error) == nullptr);
  CHECK(std::strlen(error.message) < sizeof error.message);
  CHECK(std::strstr(error.message, "tensor nnn") == error.message);
  CHECK(std::strstr(error.message, "(QRT-E0121)") != nullptr);
}

TEST_CASE("names") {
  CHECK(qrt_version() == 0x000100);
  CHECK(std::string(qrt_status_name(QRT_IO)) == "input/output");
  CHECK(std::string(qrt_status_name(static_cast<qrt_status>(7))) == "unknown");
  CHECK(std::string(qrt_dtype_name(QRT_BOOL)) == "bool");
  CHECK(std::string(qrt_dtype_name(static_cast<qrt_dtype>(8))) == "unknown");
  CHECK(qrt_isa_name()[0] != 0);
}

}  // namespace
}  // namespace qrt

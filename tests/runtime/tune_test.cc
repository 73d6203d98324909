// Measuring while a session opens: remembered, never trusted, and without a trace in the results.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "runtime/model/checksum.h"
#include "runtime/session/tune.h"
#include "tests/support/handles.h"
#include "tests/support/integer_model.h"

namespace qrt {
namespace {

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// A path in the build folder, without a file.
std::string fresh(const char* name) {
  const std::string path = std::string(QRT_BINARY_DIR) + "/" + name;
  std::remove(path.c_str());
  return path;
}

struct Outcome {
  std::vector<float> logits;
  std::string kernels, note;
};

Outcome run_with(const testing::ModelHandle& model, const qrt_options& options) {
  testing::Error error;
  const testing::SessionHandle s = testing::open_session(model, error, &options);
  REQUIRE_MESSAGE(s != nullptr, std::string(error.message));
  Outcome result;
  result.note = qrt_session_note(s.get());
  for (uint32_t i = 0; i < qrt_session_op_count(s.get()); ++i) {
    qrt_op_info info{};
    info.struct_size = sizeof info;
    qrt_session_op(s.get(), i, &info, &error);
    result.kernels += std::string(info.kernel) + ";";
  }
  qrt_tensor in{}, out{};
  qrt_session_input(s.get(), 0, &in, &error);
  const std::vector<float> image = testing::random_floats(in.bytes / sizeof(float), 5);
  std::memcpy(in.data, image.data(), in.bytes);
  REQUIRE(qrt_session_run(s.get(), &error) == QRT_OK);
  qrt_session_output(s.get(), 0, &out, &error);
  const auto* values = static_cast<const float*>(out.data);
  result.logits.assign(values, values + out.bytes / sizeof(float));
  return result;
}

TEST_CASE("tune: what was measured is remembered and changes no result") {
  const std::vector<uint8_t> file = testing::integer_model().b.finish();
  testing::Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  const std::string path = fresh("tune_test.txt");
  testing::Options options;
  const Outcome plain = run_with(model, options);
  options.tune = path.c_str();
  const Outcome first = run_with(model, options);
  const std::string written = content(path);
  CHECK(written.substr(0, 11) == "qrt-tune 1 ");
  CHECK(first.logits == plain.logits);
  CHECK(first.note.empty());
  const Outcome second = run_with(model, options);
  CHECK(second.kernels == first.kernels);
  CHECK(second.logits == plain.logits);
  CHECK(content(path) == written);  // nothing new to remember
  options.threads = 2;              // another question
  CHECK(run_with(model, options).logits == plain.logits);
  CHECK(content(path).size() > written.size());
  CHECK(content(path + ".part").empty());
  std::remove(path.c_str());
}

TEST_CASE("tune: files that are damaged, foreign or out of reach are put aside with a note") {
  const std::vector<uint8_t> file = testing::integer_model().b.finish();
  testing::Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  const std::string path = fresh("tune_bad.txt");
  testing::Options options;
  const Outcome plain = run_with(model, options);
  options.tune = path.c_str();
  run_with(model, options);
  const std::string good = content(path);
  const auto check = [&](const std::string& text, const char* word) {
    write(path, text);
    const Outcome got = run_with(model, options);
    CHECK(got.logits == plain.logits);
    CAPTURE(got.note);
    CHECK(got.note.find(word) != std::string::npos);
    CHECK(content(path).substr(0, 11) == "qrt-tune 1 ");  // written anew
  };
  std::string flipped = good;
  flipped[good.size() / 2] ^= 1;
  check(flipped, "damaged");
  check(good.substr(0, good.size() - 30), "damaged");
  check(good + "more\n", "damaged");
  check("qrt-tune 1 9.9.9 Another CPU\n" + good, "another machine");
  options.tune = "/nowhere/at/all";
  const Outcome got = run_with(model, options);
  CHECK(got.logits == plain.logits);
  CHECK(got.note.find("cannot be written") != std::string::npos);
  std::remove(path.c_str());
}

TEST_CASE("tune: what is no tune file is never written to") {
  const std::vector<uint8_t> file = testing::integer_model().b.finish();
  testing::Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  const std::string path = fresh("tune_foreign.txt");
  testing::Options options;
  const Outcome plain = run_with(model, options);
  options.tune = path.c_str();
  const std::string bytes(file.begin(), file.end());
  for (const std::string& text :
       {bytes, std::string("not a tune file"), std::string("qrt"), std::string(4096, '\0')}) {
    write(path, text);
    const Outcome got = run_with(model, options);
    CHECK(got.logits == plain.logits);
    CHECK(got.note.find("no tune file") != std::string::npos);
    CHECK(content(path) == text);
  }
  std::remove(path.c_str());
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);  // nobody writes to it
  const Outcome got = run_with(model, options);
  CHECK(got.logits == plain.logits);
  CHECK(got.note.find("no regular file") != std::string::npos);
  struct stat info;
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK(S_ISFIFO(info.st_mode));
  std::remove(path.c_str());
}

TEST_CASE("tune: remembered names that fit no layer do no harm") {
  const std::vector<uint8_t> file = testing::integer_model().b.finish();
  testing::Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  const std::string path = fresh("tune_names.txt");
  testing::Options options;
  const Outcome plain = run_with(model, options);
  options.tune = path.c_str();
  run_with(model, options);
  std::string text = content(path);
  text.resize(text.size() - 17);  // without the sum
  for (size_t end = text.find('\n') + 1; (end = text.find('\n', end)) != std::string::npos;) {
    const size_t name = text.rfind(' ', end) + 1;
    text.replace(name, end - name, "nonsense");
    end = name + 9;
  }
  char sum[18];
  std::snprintf(sum, sizeof sum, "%016llx\n",
                static_cast<unsigned long long>(checksum_of(text.data(), text.size())));
  write(path, text + sum);
  const Outcome got = run_with(model, options);
  CHECK(got.note.empty());
  CHECK(got.kernels == plain.kernels);
  CHECK(got.logits == plain.logits);
  std::remove(path.c_str());
}

TEST_CASE("tune: keys are told apart") {
  const std::string path = fresh("tune_keys.txt");
  const TuneKey key{0x123456789abcdef0ull, 49, 3, 7, 2, true};
  {
    Tuner t(default_allocator());
    t.open(path.c_str());
    CHECK(t.find(key) == nullptr);
    t.put(key, "decode8");
    t.save();
    CHECK(std::string(t.note()).empty());
  }
  Tuner t(default_allocator());
  t.open(path.c_str());
  REQUIRE(t.find(key) != nullptr);
  CHECK(std::string(t.find(key)) == "decode8");
  for (int field = 0; field < 6; ++field) {
    TuneKey other = key;
    if (field == 0) other.model ^= 1;
    if (field == 1) ++other.rows;
    if (field == 2) ++other.op;
    if (field == 3) ++other.isa;
    if (field == 4) ++other.threads;
    if (field == 5) other.prefers_speed = false;
    CHECK(t.find(other) == nullptr);
  }
  std::remove(path.c_str());
}

TEST_CASE("tune: the environment names a file as well") {
  const std::vector<uint8_t> file = testing::integer_model().b.finish();
  testing::Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  const std::string path = fresh("tune_env.txt");
  setenv("QRT_TUNE", path.c_str(), 1);
  run_with(model, testing::Options());
  unsetenv("QRT_TUNE");
  CHECK(!content(path).empty());
  std::remove(path.c_str());
}

}  // namespace
}  // namespace qrt

// Opening from a path: what the file system can hold instead of a model.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/support/handles.h"
#include "tests/support/model_builder.h"

namespace qrt {
namespace {

using testing::Error;

// A folder of its own, gone afterwards.
class Folder {
 public:
  Folder() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/qrt_file_test_XXXXXX";
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~Folder() {
    for (const char* name : {"model.qrt", "empty.qrt", "pipe.qrt", "big.qrt", "secret.qrt"})
      unlink((path_ + "/" + name).c_str());
    rmdir(path_.c_str());
  }
  std::string operator/(const char* name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void write(const std::string& path, const std::vector<uint8_t>& bytes) {
  FILE* f = std::fopen(path.c_str(), "wb");
  REQUIRE(f != nullptr);
  if (!bytes.empty()) std::fwrite(bytes.data(), 1, bytes.size(), f);
  std::fclose(f);
}

std::string id_of(const std::string& path, Error& error) {
  qrt_model* model = nullptr;
  if (qrt_model_open_file(path.c_str(), nullptr, &model, &error) == QRT_OK) {
    qrt_model_close(model);
    return "";
  }
  CHECK(model == nullptr);
  CHECK(std::strstr(error.message, path.substr(0, 100).c_str()) == error.message);
  return error.id;
}

TEST_CASE("a model from a file runs, even when the file is removed meanwhile") {
  const Folder folder;
  const std::string path = folder / "model.qrt";
  write(path, testing::sample_model().finish());
  Error error;
  qrt_model* model = nullptr;
  REQUIRE(qrt_model_open_file(path.c_str(), nullptr, &model, &error) == QRT_OK);
  const testing::ModelHandle owner(model);
  unlink(path.c_str());
  const testing::SessionHandle session = testing::open_session(owner, error);
  REQUIRE(session != nullptr);
  CHECK(qrt_session_run(session.get(), &error) == QRT_OK);
  qrt_memory_info info = {};
  info.struct_size = sizeof info;
  CHECK(qrt_session_memory(session.get(), &info, &error) == QRT_OK);
  CHECK(info.copied_bytes == 0);
}

TEST_CASE("what is no model file") {
  const Folder folder;
  Error error;
  CHECK(id_of(folder / "missing.qrt", error) == "QRT-E0030");
  CHECK(std::strstr(error.message, "no such file") != nullptr);
  CHECK(error.status == QRT_IO);
  CHECK(id_of(folder.path(), error) == "QRT-E0031");
  write(folder / "empty.qrt", {});
  CHECK(id_of(folder / "empty.qrt", error) == "QRT-E0032");
  REQUIRE(mkfifo((folder / "pipe.qrt").c_str(), 0600) == 0);
  CHECK(id_of(folder / "pipe.qrt", error) == "QRT-E0031");  // and does not wait for a writer
  CHECK(id_of("/dev/null", error) == "QRT-E0031");
  CHECK(id_of((folder / "empty.qrt") + "/x", error) == "QRT-E0030");
  CHECK(id_of(std::string(5000, 'a'), error) == "QRT-E0030");
  CHECK(id_of("", error) == "QRT-E0030");

  write(folder / "big.qrt", {'Q'});
  // Sparse: 3 GiB that take no room.
  if (truncate((folder / "big.qrt").c_str(), off_t{1} << 30) == 0) {
    CHECK(id_of(folder / "big.qrt", error) == "QRT-E0101");
    if (sizeof(off_t) > 4 &&
        truncate((folder / "big.qrt").c_str(), static_cast<off_t>(3ll << 30)) == 0)
      CHECK(id_of(folder / "big.qrt", error) == "QRT-E0033");
  }
  write(folder / "secret.qrt", {'Q'});
  chmod((folder / "secret.qrt").c_str(), 0);
  if (geteuid() != 0) CHECK(id_of(folder / "secret.qrt", error) == "QRT-E0030");
}

TEST_CASE("foreign and cut files") {
  const Folder folder;
  const std::string path = folder / "model.qrt";
  Error error;
  write(path, std::vector<uint8_t>(4096, 0));
  CHECK(id_of(path, error) == "QRT-E0101");
  const char zip[] = "PK\x03\x04 not a model but an archive";
  write(path, std::vector<uint8_t>(zip, zip + sizeof zip));
  CHECK(id_of(path, error) == "QRT-E0101");
  std::vector<uint8_t> file = testing::sample_model().finish();
  file.resize(file.size() / 2);
  write(path, file);
  CHECK(id_of(path, error) == "QRT-E0102");
  write(path, {1, 2, 3});
  CHECK(id_of(path, error) == "QRT-E0100");
}

}  // namespace
}  // namespace qrt

// .npy files as NumPy writes them, and as nobody should: each damage has its code.
#include "runtime/tools/io/npy.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

#include "runtime/tools/io/error.h"

namespace {

using namespace qrt::io;  // NOLINT: a test of this namespace

std::string scratch_file(const std::string& name) {
  const char* dir = std::getenv("TMPDIR");
  return std::string(dir != nullptr ? dir : "/tmp") + "/qrt_" + std::to_string(::getpid()) + "_" +
         name;
}

struct TemporaryFile {
  explicit TemporaryFile(const std::string& bytes, const std::string& name = "test.npy")
      : path(scratch_file(name)) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { ::unlink(path.c_str()); }
  std::string path;
};

std::string npy(const std::string& dictionary, const std::string& data, int major = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(major);
  out += '\0';
  const int bytes = major == 1 ? 2 : 4;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(dictionary.size() >> (8 * i) & 255);
  return out + dictionary + data;
}

int error_of(const std::string& bytes) {
  const TemporaryFile file(bytes);
  try {
    NpyReader reader(file.path);
  } catch (const ToolError& e) {
    CHECK(std::string(e.what()).find(file.path) == 0);
    return e.id();
  }
  return 0;
}

const char* kHead = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";

TEST_CASE("npy: what is written is read back") {
  const std::string path = scratch_file("round.npy");
  const float values[6] = {1, -2, 0.5f, 3e8f, -0.0f, 7};
  {
    NpyWriter w(path, NpyType::f32, {2, 3});
    w.write(values, 4);
    w.write(values + 4, 2);
    CHECK(::access(path.c_str(), F_OK) != 0);  // not there before it is complete
    w.commit();
  }
  NpyReader r(path);
  CHECK(r.shape() == std::vector<int64_t>{2, 3});
  CHECK(r.header().data_offset % 64 == 0);
  float back[3];
  r.read(3, 3, back);
  CHECK(back[0] == 3e8f);
  CHECK(back[2] == 7);
  ::unlink(path.c_str());
}

TEST_CASE("npy: an output that is not committed leaves nothing") {
  const std::string path = scratch_file("gone.npy");
  { NpyWriter w(path, NpyType::u8, {1}); }
  CHECK(::access(path.c_str(), F_OK) != 0);
  CHECK(::access((path + ".partial-" + std::to_string(::getpid())).c_str(), F_OK) != 0);
}

TEST_CASE("npy: versions, spellings, scalars and types") {
  const std::string data(24, '\0');
  CHECK(error_of(npy(kHead, data)) == 0);
  CHECK(error_of(npy(kHead, data, 2)) == 0);
  CHECK(error_of(npy(kHead, data, 3)) == 0);
  CHECK(error_of(npy("{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}", data)) == 0);
  CHECK(error_of(npy("{'descr': '|b1', 'fortran_order': False, 'shape': ()}", "\1")) == 0);
  CHECK(error_of(npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,)}", data)) == 0);
  CHECK(error_of(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3)}", "")) == 0);
}

TEST_CASE("npy: halves and doubles become floats") {
  const TemporaryFile half(npy("{'descr': '<f2', 'fortran_order': False, 'shape': (4,)}",
                               std::string("\x00\x3c\x00\xc0\x01\x00\x00\x7c", 8)));
  NpyReader h(half.path);
  float v[4];
  h.read_f32(0, 4, v);
  CHECK(v[0] == 1);
  CHECK(v[1] == -2);
  CHECK(v[2] == std::ldexp(1.0f, -24));
  CHECK(std::isinf(v[3]));
  const double d = 0.1;
  const TemporaryFile wide(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
                               std::string(reinterpret_cast<const char*>(&d), 8)),
                           "wide.npy");
  NpyReader w(wide.path);
  w.read_f32(0, 1, v);
  CHECK(v[0] == 0.1f);
}

TEST_CASE("npy: every damage has its code") {
  const std::string data(24, '\0');
  struct Row {
    const char* what;
    std::string bytes;
    int id;
  } rows[] = {
      {"empty", "", 401},
      {"not npy", std::string(200, 'x'), 410},
      {"magic alone", "\x93NUMPY", 410},
      {"version 4", npy(kHead, data, 4), 411},
      {"version 0", npy(kHead, data, 0), 411},
      {"header cut", npy(kHead, data).substr(0, 40), 416},
      {"data cut", npy(kHead, data).substr(0, npy(kHead, data).size() - 1), 416},
      {"data long", npy(kHead, data) + "x", 416},
      {"huge header", npy(std::string(70000, ' '), data, 2), 412},
      {"no dictionary", npy("[]", data), 412},
      {"key missing", npy("{'descr': '<f4', 'shape': (2, 3)}", data), 412},
      {"key twice",
       npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", data), 412},
      {"key unknown",
       npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}", data), 412},
      {"something after", npy(std::string(kHead) + "1", data), 412},
      {"negative dimension",
       npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}", data), 412},
      {"long number",
       npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999,)}", data), 412},
      {"33 dimensions",
       npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
           "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
           data),
       412},
      {"unclosed", npy("{'descr': '<f4", data), 412},
      {"big-endian", npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3)}", data), 413},
      {"object", npy("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}", data), 413},
      {"complex", npy("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3)}", data), 413},
      {"fortran", npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", data), 414},
      {"overflow",
       npy("{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999, 999999999)}",
           data),
       415},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK(error_of(row.bytes) == row.id);
  }
}

TEST_CASE("npy: every truncation is refused") {
  const std::string whole = npy(kHead, std::string(24, '\0'));
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK(error_of(whole.substr(0, n)) != 0);
  }
}

TEST_CASE("files: unwritable paths and wrong kinds are refused") {
  const auto id = [](auto&& f) {
    try {
      f();
    } catch (const ToolError& e) {
      return e.id();
    }
    return 0;
  };
  CHECK(id([] { OutputFile("/nonexistent_directory/x"); }) == 402);
  CHECK(id([] { OutputFile("/tmp"); }) == 402);
  CHECK(id([] { OutputFile("/dev/null").write("x"); }) == 0);
  CHECK(id([] { read_file("/nonexistent_file", 10); }) == 401);
  CHECK(id([] { read_file("/tmp", 10); }) == 401);
  CHECK(id([] { read_file("/dev/zero", 10); }) == 401);
  const TemporaryFile big(std::string(11, 'x'), "big");
  CHECK(id([&] { read_file(big.path, 10); }) == 401);
}

}  // namespace

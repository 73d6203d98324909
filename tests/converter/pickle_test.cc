// The restricted unpickler and the two containers around it: what they read, and
// that every truncated, forbidden, oversized or contradictory input is refused
// with the right number and without a crash.
#include "converter/import/pickle.h"

#include <doctest/doctest.h>

#include "converter/import/torch_file.h"
#include "tests/support/torch_builder.h"

using namespace qrt;
using namespace qrt::test;
using import::Pickle;
using import::TorchFile;

namespace {

Result<Pickle> unpickle(const std::string& bytes) {
  return import::read_pickle(test::bytes_of(bytes), 0);
}
int refused(const std::string& body) {
  const std::string bytes = pickled(body);
  const auto r = unpickle(bytes);
  return r.ok() ? 0 : r.error().id;
}
int file_refused(const std::string& bytes) {
  const auto r = import::open_torch_file(test::bytes_of(bytes));
  return r.ok() ? 0 : r.error().id;
}

struct Sample {
  TorchBuilder b;
  std::string object;
  Sample() {
    object = py_dict({{"a.weight", b.floats({2, 3}, {1, 2, 3, 4, 5, 6})},
                      {"a.codes", b.bytes({4}, {7, 8, 9, 255})},
                      {"epoch", py_int(3)}});
  }
};

std::vector<float> floats_of(TorchFile& f, const char* key) {
  import::PickleId id = 0;
  REQUIRE(f.pickle.find(f.pickle.root, key, &id));
  auto v = import::read_floats(f, id);
  REQUIRE(v.ok());
  return *v;
}

}  // namespace

TEST_CASE("torch file: the stream and the archive hold the same tensors") {
  const Sample s;
  for (const std::string& bytes : {s.b.stream(s.object), s.b.archive(s.object)}) {
    auto file = import::open_torch_file(test::bytes_of(bytes));
    REQUIRE_MESSAGE(file.ok(), file.error().message);
    CHECK(floats_of(*file, "a.weight") == std::vector<float>{1, 2, 3, 4, 5, 6});
    import::PickleId codes = 0;
    REQUIRE(file->pickle.find(file->pickle.root, "a.codes", &codes));
    auto integers = import::read_integers(*file, codes);
    REQUIRE(integers.ok());
    CHECK(*integers == std::vector<int64_t>{7, 8, 9, 255});
  }
}

TEST_CASE("torch file: offsets and strides are followed, every element type converts") {
  TorchBuilder b;
  const std::vector<float> data = {0, 1, 2, 3, 4, 5, 6, 7};
  const std::string object =
      py_dict({{"transposed", b.tensor("FloatStorage", {3, 2}, 8, raw(data), {1, 3}, 2)},
               {"f64", b.tensor("DoubleStorage", {2}, 2, raw<double>({-1.5, 2}))},
               {"f16", b.tensor("HalfStorage", {2}, 2, raw<uint16_t>({0x3c00, 0x0001}))},
               {"bf16", b.tensor("BFloat16Storage", {1}, 1, raw<uint16_t>({0x4040}))},
               {"i8", b.tensor("CharStorage", {1}, 1, raw<int8_t>({-7}))},
               {"i16", b.tensor("ShortStorage", {1}, 1, raw<int16_t>({-700}))},
               {"i32", b.tensor("IntStorage", {1}, 1, raw<int32_t>({-70000}))},
               {"i64", b.tensor("LongStorage", {}, 1, raw<int64_t>({1 << 20}))},
               {"bool", b.tensor("BoolStorage", {2}, 2, raw<uint8_t>({0, 1}))},
               {"empty", b.tensor("FloatStorage", {0, 4}, 0, "")}});
  const std::string bytes = b.stream(object);
  auto file = import::open_torch_file(test::bytes_of(bytes));
  REQUIRE_MESSAGE(file.ok(), file.error().message);
  CHECK(floats_of(*file, "transposed") == std::vector<float>{2, 5, 3, 6, 4, 7});
  CHECK(floats_of(*file, "f64") == std::vector<float>{-1.5f, 2});
  CHECK(floats_of(*file, "f16") == std::vector<float>{1, 0x1p-24f});
  CHECK(floats_of(*file, "bf16") == std::vector<float>{3});
  CHECK(floats_of(*file, "i8") == std::vector<float>{-7});
  CHECK(floats_of(*file, "i16") == std::vector<float>{-700});
  CHECK(floats_of(*file, "i32") == std::vector<float>{-70000});
  CHECK(floats_of(*file, "i64") == std::vector<float>{1 << 20});
  CHECK(floats_of(*file, "bool") == std::vector<float>{0, 1});
  CHECK(floats_of(*file, "empty").empty());
  import::PickleId id = 0;
  REQUIRE(file->pickle.find(file->pickle.root, "f64", &id));
  const auto wrong = import::read_integers(*file, id);
  REQUIRE(!wrong.ok());
  CHECK(wrong.error().id == 657);
}

TEST_CASE("torch file: every truncation is refused") {
  const Sample s;
  for (const std::string& bytes : {s.b.stream(s.object), s.b.archive(s.object)})
    for (size_t n = 0; n < bytes.size(); ++n) {
      const std::string cut = bytes.substr(0, n);
      const int id = file_refused(cut);
      REQUIRE_MESSAGE((id >= 651 && id <= 656), "prefix of " << n << " bytes: " << id);
    }
}

TEST_CASE("torch file: every single byte may be anything") {
  // Most changes are noticed, some make another valid file; none may crash or read outside.
  const Sample s;
  int noticed = 0;
  for (const std::string& bytes : {s.b.stream(s.object), s.b.archive(s.object)})
    for (size_t i = 0; i < bytes.size(); ++i)
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ flip);
        auto file = import::open_torch_file(test::bytes_of(changed));
        noticed += !file.ok();
        if (!file.ok()) continue;
        for (import::PickleId id = 0; id < file->pickle.nodes.size(); ++id)
          if (file->pickle.node(id).kind == Pickle::Kind::tensor)
            CHECK(import::read_floats(*file, id).ok());
      }
  CHECK(noticed > 1000);
}

TEST_CASE("pickle: names outside the list are refused by name, nothing is called") {
  for (const auto& [module, name] : {std::pair{"os", "system"},
                                     {"posix", "system"},
                                     {"builtins", "eval"},
                                     {"__builtin__", "exec"},
                                     {"subprocess", "Popen"},
                                     {"torch", "load"},
                                     {"torch._utils", "_rebuild_tensor"},
                                     {"collections", "OrderedDict.__init__"},
                                     {"numpy.core.multiarray", "_reconstruct"},
                                     {"torch", "ComplexFloatStorage"},
                                     {"torch.hub", "load"},
                                     {"argparse", "Namespace"}}) {
    const std::string bytes = pickled(py_global(module, name) + py_tuple({py_str("x")}) + "R");
    const auto r = unpickle(bytes);
    REQUIRE(!r.ok());
    CHECK(r.error().id == 653);
    CHECK(r.error().message.find(std::string(module) + "." + name) != std::string::npos);
    CHECK(r.error().message.find("byte 2") != std::string::npos);
  }
  CHECK(refused(py_str("os") + py_str("system") + "\x93)R") == 653);  // STACK_GLOBAL
  CHECK(refused(py_global("torch", "FloatStorage") + ")R") == 653);   // no constructor
  CHECK(refused(py_int(1) + ")R") == 653);                            // calls an integer
  CHECK(refused(py_str("os.system") + py_tuple({py_str("id")}) + "R") == 653);
  for (const char* op :
       {"i",    "o",    "\x81", "\x92", "P", "\x82", "\x83", "\x84", "2",    "V",
        "L",    "S",    "I",    "F",    "B", "C",    "\x8e", "\x8f", "\x90", "\x91",
        "\x96", "\x97", "p0\n", "g0\n", "d", "l",    "1",    "\xff"})
    CHECK(refused(std::string("N(") + op) == 653);
}

TEST_CASE("pickle: stack, marks and memo are guarded") {
  for (const char* op :
       {"0", "a", "e", "s", "u", "t", "\x85", "\x86", "\x87", "R", "b", "Q", "q\x01",
        "r\x01\x01\x01\x01", "\x94", "\x93", "h\x05", "j\x01\x01\x01\x01"})
    CHECK(refused(op) == 652);
  CHECK(refused("N(0") == 652);  // may not pop through a mark
  CHECK(refused("N(\x85") == 652);
  CHECK(refused("NN") == 652);                      // two values left
  CHECK(refused("N(") == 652);                      // a mark left
  CHECK(refused("") == 652);                        // nothing left
  CHECK(refused("}(N" + py_int(1) + "Nu") == 652);  // three items for a dictionary
  CHECK(refused(")Na") == 652);                     // append to a tuple
  CHECK(refused("]Nq\x01"
                "h\x01"
                "ah\x02"
                "a") == 652);  // memo 2 was never set
  CHECK(refused("Nr\xff\xff\xff\xff") == 654);
  CHECK(refused("X\xff\xff\xff\x7fshort") == 652);
  CHECK(refused("\x8a\xffshort") == 652);
  CHECK(refused("U\x05shor") == 652);
  CHECK(refused("cos") == 652);        // a line without end
  CHECK(refused("\x80\x09N") == 652);  // protocol 9
  CHECK(refused("N}b") == 653);        // attributes of None
  CHECK(refused("]q\x01h\x01"
                "a") == 0);  // a list inside itself is harmless
}

TEST_CASE("pickle: limits hold and nesting costs no stack") {
  CHECK(refused(std::string(65, '(')) == 654);
  CHECK(refused(std::string(200'000, ')')) == 654);
  std::string popped;
  for (int i = 0; i < 600'000; ++i) popped += "N0";
  CHECK(refused(popped + "N") == 654);
  CHECK(refused("X" + little(5000, 4) + std::string(5000, 'a')) == 654);
  std::string deep = "]";
  for (int i = 0; i < 300'000; ++i) deep += "\x85";  // a tuple of a tuple of a tuple ...
  CHECK(refused(deep) == 0);
  // The same list of pairs copied into dictionary after dictionary.
  std::string pairs = "](";
  for (int i = 0; i < 20'000; ++i) pairs += "NN\x86";
  std::string bomb = pairs +
                     "e\x85q\x01"
                     "0";
  for (int i = 0; i < 1000; ++i) bomb += "ccollections\nOrderedDict\nh\x01R0";
  CHECK(refused(bomb + "N") == 654);
}

TEST_CASE("pickle: tensors stay inside their storage") {
  const auto tensor = [](std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset,
                         int64_t count = 6) {
    TorchBuilder b;
    return refused(b.tensor("FloatStorage", shape, count, "", strides, offset));
  };
  const int64_t big = 0x7fffffff;
  CHECK(tensor({2, 3}, {3, 1}, 0) == 0);
  CHECK(tensor({2, 3}, {3, 1}, 1) == 652);
  CHECK(tensor({2, 4}, {3, 1}, 0) == 652);
  CHECK(tensor({7}, {1}, 0) == 652);
  CHECK(tensor({7}, {0}, 0) == 652);  // more elements than the storage has
  CHECK(tensor({6}, {0}, 0) == 0);
  CHECK(tensor({2}, {-1}, 3) == 652);
  CHECK(tensor({-1}, {1}, 0) == 652);
  CHECK(tensor({1}, {1}, -1) == 652);
  CHECK(tensor({1}, {1}, 6) == 652);
  CHECK(tensor({1}, {big}, 5) == 0);
  CHECK(tensor({big, big, big, big}, {big, big, big, big}, big) == 652);
  CHECK(tensor({big, big, big, big}, {0, 0, 0, 0}, 0, big) == 652);
  CHECK(tensor({1, 1}, {1}, 0) == 652);
  CHECK(tensor({1, 1, 1, 1, 1, 1, 1, 1, 1}, {}, 0) == 652);
  CHECK(tensor({}, {}, 0, 0) == 652);  // a scalar of an empty storage
  CHECK(tensor({1}, {1}, 0, -6) == 652);
}

TEST_CASE("torch file: storages and archive directories must agree") {
  Sample s;
  CHECK(file_refused("") == 651);
  CHECK(file_refused("PNG no checkpoint") == 651);
  CHECK(file_refused(pickled(py_int(5))) == 651);
  CHECK(file_refused(s.b.stream(s.object) + "x") == 655);
  CHECK(file_refused(s.b.archive(s.object, 8)) == 656);
  std::string twice = s.b.archive(s.object);
  CHECK(file_refused(twice + twice) == 655);
  s.b.storages[0].count = 1000;  // against the 6 of the pickle
  CHECK(file_refused(s.b.stream(s.object)) == 655);
  s.b.storages[0].count = 6;
  s.b.storages[0].data.pop_back();
  CHECK(file_refused(s.b.archive(s.object)) == 655);
  s.b.storages[0].key = "9";  // no longer the name the object uses
  CHECK(file_refused(s.b.stream(s.object)) == 655);
  CHECK(file_refused(s.b.archive(s.object)) == 655);
}

TEST_CASE("torch file: tensors that share a storage cannot outgrow the file") {
  TorchBuilder b;
  const std::string body = py_dict({{"a", b.bytes({4000}, std::vector<uint8_t>(4000, 1))}});
  const std::string bytes = b.stream(body);
  auto file = import::open_torch_file(test::bytes_of(bytes));
  REQUIRE(file.ok());
  import::PickleId id = 0;
  REQUIRE(file->pickle.find(file->pickle.root, "a", &id));
  int reads = 0;
  while (reads < 100 && import::read_integers(*file, id).ok()) ++reads;
  CHECK(reads == 1);
}

// Memory: the arena, any alignment of the caller's bytes, a budget, and an
// allocator that fails at every possible moment.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "runtime/memory/arena.h"
#include "tests/support/failing_allocator.h"
#include "tests/support/handles.h"
#include "tests/support/model_builder.h"

namespace qrt {
namespace {

using testing::AlignedBytes;
using testing::Error;
using testing::FailingAllocator;
using testing::Options;

TEST_CASE("arena: aligned, zeroed, disjoint; refuses what overflows") {
  Arena arena(default_allocator());
  uint8_t* before = nullptr;
  for (size_t i = 0; i < 300; ++i) {
    const size_t bytes = i * 37 % 9000, align = size_t{1} << (i % 7);
    auto* p = static_cast<uint8_t*>(arena.allocate(bytes, align));
    REQUIRE(p != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(p) % align == 0);
    CHECK(p != before);
    CHECK(std::count(p, p + bytes, 0) == static_cast<long>(bytes));
    std::memset(p, 0xff, bytes);
    before = p;
  }
  CHECK(arena.allocate(SIZE_MAX - 10) == nullptr);
  CHECK(arena.array<uint64_t>(SIZE_MAX / 4).data() == nullptr);
  CHECK(arena.allocate(8, 128) == nullptr);
}

TEST_CASE("models open at every alignment; only aligned bytes are borrowed") {
  const std::vector<uint8_t> file = testing::sample_model().finish();
  for (size_t offset = 0; offset < 64; ++offset) {
    const AlignedBytes bytes(file, offset);
    Error error;
    qrt_model* model = nullptr;
    INFO("offset " << offset);
    REQUIRE(qrt_model_open_memory(bytes.bytes().data(), file.size(), nullptr, &model, &error) ==
            QRT_OK);
    const testing::ModelHandle owner(model);
    const testing::SessionHandle session = testing::open_session(owner, error);
    REQUIRE(session != nullptr);
    CHECK(qrt_session_run(session.get(), &error) == QRT_OK);
    qrt_memory_info info = {};
    info.struct_size = sizeof info;
    REQUIRE(qrt_session_memory(session.get(), &info, &error) == QRT_OK);
    CHECK(info.copied_bytes == (offset == 0 ? 0 : file.size()));
    CHECK(info.file_bytes == file.size());
    CHECK(info.arena_bytes > 0);
  }
}

TEST_CASE("every allocation that fails is reported, and nothing leaks") {
  const std::vector<uint8_t> file = testing::sample_model().finish();
  const AlignedBytes misaligned(file, 3);
  for (const bool aligned : {true, false}) {
    for (long n = 0;; ++n) {
      REQUIRE(n < 1000);
      FailingAllocator allocator(n);
      Options options;
      allocator.use(&options);
      Error error;
      qrt_model* model = nullptr;
      const void* data = aligned ? file.data() : misaligned.bytes().data();
      const qrt_status status = qrt_model_open_memory(data, file.size(), &options, &model, &error);
      qrt_model_close(model);
      CHECK(allocator.live() == 0);
      if (status == QRT_OK) break;
      INFO("request " << n << ": " << std::string(error.message));
      CHECK(status == QRT_OUT_OF_MEMORY);
      CHECK(model == nullptr);
    }
  }
  Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  for (const uint32_t mode : {QRT_MODE_COMPRESSED, QRT_MODE_DENSE}) {
    for (long n = 0;; ++n) {
      REQUIRE(n < 1000);
      FailingAllocator allocator(n);
      Options options;
      allocator.use(&options);
      options.mode = mode;
      qrt_session* session = nullptr;
      const qrt_status status = qrt_session_open(model.get(), &options, &session, &error);
      const long requests = allocator.requests();
      if (status == QRT_OK) CHECK(qrt_session_run(session, &error) == QRT_OK);
      CHECK(allocator.requests() == requests);  // run() asks for nothing
      qrt_session_close(session);
      CHECK(allocator.live() == 0);
      if (status == QRT_OK) break;
      INFO("request " << n << ": " << std::string(error.message));
      CHECK(status == QRT_OUT_OF_MEMORY);
    }
  }
}

TEST_CASE("max_bytes refuses before allocating, and says so") {
  const std::vector<uint8_t> file = testing::sample_model().finish();
  Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  FailingAllocator counting;
  Options options;
  counting.use(&options);
  REQUIRE(testing::open_session(model, error, &options) != nullptr);
  const size_t needed = counting.bytes();

  for (const size_t limit : {size_t{1}, needed / 2, needed - sizeof(void*) * 200}) {
    FailingAllocator allocator;
    allocator.use(&options);
    options.max_bytes = limit;
    qrt_session* session = nullptr;
    REQUIRE(qrt_session_open(model.get(), &options, &session, &error) == QRT_OUT_OF_MEMORY);
    INFO(limit << " of " << needed << ": " << std::string(error.message));
    CHECK(std::string(error.id) == "QRT-E0003");
    CHECK(allocator.live() == 0);
  }
  counting.use(&options);
  options.max_bytes = needed;
  CHECK(testing::open_session(model, error, &options) != nullptr);
  options.max_bytes = 100;
  CHECK(testing::open_model(file, error, &options) == nullptr);
  CHECK(std::string(error.id) == "QRT-E0003");
}

TEST_CASE("a small file that asks for more than the machine has is refused, not tried") {
  testing::ModelBuilder b;
  const int32_t side = 1 << 15;
  uint32_t x = b.tensor("x", {1, side, side, 1});  // 4 GiB each, all alive at the end
  b.input(x);
  std::vector<uint32_t> all;
  for (int i = 0; i < 200; ++i) {
    const uint32_t y = b.tensor("y" + std::to_string(i), {1, side, side, 1});
    b.op("op" + std::to_string(i), fb::OpKind::unary, {x}, y).unary =
        std::make_unique<fb::UnaryT>();
    b.output(x = y);
  }
  const std::vector<uint8_t> file = b.finish();
  Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  INFO(std::string(error.message));
  if (sizeof(size_t) == 4) {  // one such tensor alone passes the address space
    CHECK(model == nullptr);
    CHECK(std::string(error.id) == "QRT-E0122");
    return;
  }
  REQUIRE(model != nullptr);
  CHECK(testing::open_session(model, error) == nullptr);
  CHECK(error.status == QRT_OUT_OF_MEMORY);
}

TEST_CASE("opening takes a small multiple of the file") {
  const std::vector<uint8_t> file = testing::sample_model().finish();
  FailingAllocator counting;
  Options options;
  counting.use(&options);
  Error error;
  REQUIRE(testing::open_model(file, error, &options) != nullptr);
  CHECK(counting.bytes() <= 6 * file.size() + 16384);
}

}  // namespace
}  // namespace qrt

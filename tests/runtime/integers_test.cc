// A network of integers from file to logits: the same bits whatever computes them, what the
// validator refuses, and that opening survives every lack of memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "kernels/isa.h"
#include "runtime/model/model.h"
#include "tests/support/handles.h"
#include "tests/support/integer_model.h"

namespace qrt {
namespace {

using testing::IntegerModel;

std::vector<float> logits_of(const testing::ModelHandle& model, const qrt_options& options) {
  testing::Error error;
  const testing::SessionHandle session = testing::open_session(model, error, &options);
  REQUIRE_MESSAGE(session != nullptr, std::string(error.message));
  qrt_tensor in{}, out{};
  qrt_session_input(session.get(), 0, &in, &error);
  const std::vector<float> image = testing::random_floats(in.bytes / sizeof(float), 77);
  std::memcpy(in.data, image.data(), in.bytes);
  REQUIRE(qrt_session_run(session.get(), &error) == QRT_OK);
  qrt_session_output(session.get(), 0, &out, &error);
  const auto* values = static_cast<const float*>(out.data);
  return {values, values + out.bytes / sizeof(float)};
}

TEST_CASE("integers: every level, mode, strategy and number of threads gives the same logits") {
  const std::vector<uint8_t> file = testing::integer_model().b.finish();
  testing::Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  REQUIRE_MESSAGE(model != nullptr, std::string(error.message));
  testing::Options options;
  options.isa = "scalar";
  const std::vector<float> want = logits_of(model, options);
  CHECK(std::any_of(want.begin(), want.end(), [](float v) { return std::fabs(v) > 0.1f; }));
  CHECK(std::all_of(want.begin(), want.end(), [](float v) { return std::fabs(v) < 1e6f; }));
  for (const char* isa :
       {"scalar", "avx2", "avx512", "avx512vnni", "avx512vbmi", "neon", "neondot"})
    for (const char* strategy : {"", "decode8", "dense8", "dot8"})
      for (const uint32_t threads : {1u, 2u, 3u, 8u}) {
        options.isa = isa, options.strategy = *strategy ? strategy : nullptr;
        options.threads = threads;
        options.mode = threads == 2 ? QRT_MODE_DENSE : QRT_MODE_COMPRESSED;
        options.prefer = threads == 3 ? QRT_PREFER_SPEED : QRT_PREFER_MEMORY;
        CHECK(logits_of(model, options) == want);
      }
  options = testing::Options();
  options.batch = 3;  // the images of a batch do not meet
  const std::vector<float> three = logits_of(model, options);
  REQUIRE(three.size() == 3 * want.size());
  CHECK(std::vector<float>(three.begin(), three.begin() + 7) == want);
}

TEST_CASE("integers: weights are kept decoded only where speed is preferred") {
  const std::vector<uint8_t> file = testing::integer_model().b.finish();
  testing::Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  const auto kept = [&](uint32_t prefer) {
    testing::Options options;
    options.prefer = prefer;
    options.strategy = "decode8";  // Winograd keeps nothing, and is the faster on some CPUs
    const testing::SessionHandle session = testing::open_session(model, error, &options);
    qrt_memory_info info{};
    info.struct_size = sizeof info;
    qrt_session_memory(session.get(), &info, &error);
    return info.weight_bytes;
  };
  CHECK(kept(QRT_PREFER_MEMORY) == 0);
  CHECK(kept(QRT_PREFER_SPEED) >= 40 * 360);
}

TEST_CASE("integers: memory that fails at any request is reported and given back") {
  struct Counter {
    int left, live = 0;
    static void* take(void* user, size_t bytes, size_t align) {
      auto* c = static_cast<Counter*>(user);
      if (c->left-- <= 0) return nullptr;
      ++c->live;
      return std::aligned_alloc(align, (bytes + align - 1) / align * align);
    }
    static void give(void* user, void* p) {
      if (p != nullptr) --static_cast<Counter*>(user)->live, std::free(p);
    }
  };
  const std::vector<uint8_t> file = testing::integer_model().b.finish();
  testing::Error error;
  const testing::ModelHandle model = testing::open_model(file, error);
  REQUIRE(model != nullptr);
  for (const uint32_t mode : {QRT_MODE_COMPRESSED, QRT_MODE_DENSE}) {
    bool opened = false;
    for (int n = 0; !opened; ++n) {
      REQUIRE(n < 100);
      Counter counter{n};
      testing::Options options;
      options.mode = mode;
      options.alloc = Counter::take, options.release = Counter::give, options.user = &counter;
      {
        const testing::SessionHandle s = testing::open_session(model, error, &options);
        opened = s != nullptr;
        if (!opened) CHECK(error.status == QRT_OUT_OF_MEMORY);
      }
      CHECK(counter.live == 0);
    }
  }
}

struct Change {
  const char* what;
  void (*change)(IntegerModel&);
  int id;
};

template <size_t N>
void check_changes(const Change (&changes)[N]) {
  for (const Change& c : changes) {
    IntegerModel m = testing::integer_model();
    c.change(m);
    const testing::AlignedBytes bytes(m.b.finish());
    Arena keep(default_allocator());
    Model model;
    const Status s = open_model(bytes.bytes(), keep, model);
    INFO(c.what << ": QRT-E" << s.id() << " " << std::string(s.what()));
    CHECK(static_cast<int>(s.id()) == c.id);
  }
}

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST_CASE("integers: scales and zeros of tensors") {
  check_changes({
      {"as it is", [](IntegerModel&) {}, 0},
      {"negative", [](IntegerModel& m) { m.tensor(m.stem).scale = -0.5f; }, 126},
      {"infinite", [](IntegerModel& m) { m.tensor(m.stem).scale = kInf; }, 126},
      {"NaN", [](IntegerModel& m) { m.tensor(m.stem).scale = kInf - kInf; }, 126},
      {"subnormal", [](IntegerModel& m) { m.tensor(m.stem).scale = 1e-40f; }, 126},
      {"its inverse", [](IntegerModel& m) { m.tensor(m.stem).scale = 3e38f; }, 126},
      {"zero alone", [](IntegerModel& m) { m.tensor(m.image).zero = 3; }, 126},
      {"of f32", [](IntegerModel& m) { m.tensor(m.image).scale = 0.5f; }, 126},
  });
}

// A bias for all outputs of a convolution, before the scale.
fb::EpilogueT& bias_first(IntegerModel& m, size_t op) {
  const fb::Conv2dT& conv = *m.op(op).conv2d;
  fb::EpilogueT& e = *conv.epilogue;
  e.bias = m.b.constant(std::vector<float>(m.weights(conv.weights).outputs, 3.0f));
  e.bias_first = true, e.residual = false;
  return e;
}

TEST_CASE("integers: a bias before the scale") {
  check_changes({
      {"with a scale", [](IntegerModel& m) { bias_first(m, m.conv_stem); }, 0},
      {"without", [](IntegerModel& m) { bias_first(m, m.conv_stem).scale.reset(); }, 0},
      {"no bias", [](IntegerModel& m) { bias_first(m, m.conv_stem).bias.reset(); }, 149},
      {"residual", [](IntegerModel& m) { bias_first(m, m.conv_stem).residual = true; }, 149},
      {"codebook", [](IntegerModel& m) { bias_first(m, m.conv_block); }, 149},
  });
}

TEST_CASE("integers: even thresholds") {
  static const auto even = [](IntegerModel& m, std::vector<int64_t> line, size_t outputs) {
    fb::EpilogueT& e = *m.op(m.conv_stem).conv2d->epilogue;
    e = {};
    std::vector<uint8_t> bytes(outputs * 16);
    for (size_t n = 0; n < outputs; ++n) std::memcpy(bytes.data() + 16 * n, line.data(), 16);
    e.even_thresholds = true, e.thresholds = m.b.buffer(bytes);
    e.threshold_count = 255, e.threshold_step = 1;
  };
  constexpr int64_t kMost = int64_t{1} << 61;
  check_changes({
      {"as it is",
       [](IntegerModel& m) {
         even(m, {-kMost, kMost >> 9}, 40);
       },
       0},
      {"too few",
       [](IntegerModel& m) {
         even(m, {0, 1}, 39);
       },
       156},
      {"falling",
       [](IntegerModel& m) {
         even(m, {0, -1}, 40);
       },
       156},
      {"far",
       [](IntegerModel& m) {
         even(m, {kMost + 1, 1}, 40);
       },
       156},
      {"wide",
       [](IntegerModel& m) {
         even(m, {0, (kMost >> 9) + 1}, 40);
       },
       156},
      {"none", [](IntegerModel& m) { m.op(m.conv_stem).conv2d->epilogue->even_thresholds = true; },
       155},
  });
}

// 40 outputs of three thresholds; those of output 7 and 9 are listed behind the lines.
TEST_CASE("integers: even thresholds, and some that are listed") {
  static const auto mixed = [](IntegerModel& m, std::vector<int64_t> places,
                               std::vector<int32_t> listed) {
    fb::EpilogueT& e = *m.op(m.conv_stem).conv2d->epilogue;
    e = {};
    std::vector<int64_t> lines;
    for (size_t n = 0; n < 40; ++n) {
      const bool is_listed = n == 7 || n == 9;
      lines.push_back(is_listed ? places[n == 9] : 5), lines.push_back(is_listed ? -1 : 0);
    }
    std::vector<uint8_t> bytes(lines.size() * 8 + listed.size() * 4);
    std::memcpy(bytes.data(), lines.data(), lines.size() * 8);
    if (!listed.empty())
      std::memcpy(bytes.data() + lines.size() * 8, listed.data(), listed.size() * 4);
    e.even_thresholds = true, e.thresholds = m.b.buffer(bytes);
    e.threshold_count = 3, e.threshold_step = 1;
  };
  constexpr int32_t kLeast = INT32_MIN, kMost = INT32_MAX;
  check_changes({
      {"as it is",
       [](IntegerModel& m) {
         mixed(m, {0, 1}, {-4, 0, 90, 1, 1, 2});
       },
       0},
      {"any 32 bits",
       [](IntegerModel& m) {
         mixed(m, {0, 1}, {kLeast, 0, kMost, kLeast, kLeast, kMost});
       },
       0},
      {"another order",
       [](IntegerModel& m) {
         mixed(m, {1, 0}, {-4, 0, 90, 1, 1, 2});
       },
       156},
      {"twice",
       [](IntegerModel& m) {
         mixed(m, {0, 0}, {-4, 0, 90, 1, 1, 2});
       },
       156},
      {"before the first",
       [](IntegerModel& m) {
         mixed(m, {-1, 0}, {-4, 0, 90, 1, 1, 2});
       },
       156},
      {"beyond the last",
       [](IntegerModel& m) {
         mixed(m, {0, 2}, {-4, 0, 90, 1, 1, 2});
       },
       156},
      {"too few",
       [](IntegerModel& m) {
         mixed(m, {0, 1}, {-4, 0, 90});
       },
       156},
      {"none",
       [](IntegerModel& m) {
         mixed(m, {0, 1}, {});
       },
       156},
      {"one more",
       [](IntegerModel& m) {
         mixed(m, {0, 1}, {-4, 0, 90, 1, 1, 2, 3, 4, 5});
       },
       156},
      {"a part of one more",
       [](IntegerModel& m) {
         mixed(m, {0, 1}, {-4, 0, 90, 1, 1, 2, 3});
       },
       156},
      {"falling",
       [](IntegerModel& m) {
         mixed(m, {0, 1}, {-4, 0, 90, 1, 2, 1});
       },
       156},
  });
}

TEST_CASE("integers: rounding of tables") {
  check_changes({
      {"bits 9", [](IntegerModel& m) { m.weights(m.w_tables).table_bits = 9; }, 152},
      {"bits 0", [](IntegerModel& m) { m.weights(m.w_tables).table_bits = 0; }, 152},
      {"shift 7", [](IntegerModel& m) { m.weights(m.w_tables).table_shift = 7; }, 152},
      {"shift 16", [](IntegerModel& m) { m.weights(m.w_tables).table_shift = 16; }, 152},
      {"12 bits, shift 16",
       [](IntegerModel& m) {
         m.weights(m.w_tables).table_bits = 12, m.weights(m.w_tables).table_shift = 16;
       },
       0},
      {"12 bits, shift 21",
       [](IntegerModel& m) {
         m.weights(m.w_tables).table_bits = 12, m.weights(m.w_tables).table_shift = 21;
       },
       152},
      {"exact with bits", [](IntegerModel& m) { m.weights(m.w_block).table_bits = 8; }, 152},
      {"dense", [](IntegerModel& m) { m.weights(m.w_stem).numerics = fb::Numerics::rounded; }, 152},
      {"wide codes",
       [](IntegerModel& m) {
         m.w_tables = m.b.codebook("wide", {40, 360, 300, 9});
         fb::WeightsT& w = m.weights(m.w_tables);
         w.codebook->levels = m.b.constant({0.01f});
         w.numerics = fb::Numerics::rounded, w.table_bits = 12, w.table_shift = 4;
         m.op(m.conv_tables).conv2d->weights = m.w_tables;
       },
       152},
  });
}

TEST_CASE("integers: sums and levels") {
  check_changes({
      {"many inputs",  // 65793 * 255 * 128 still fits
       [](IntegerModel& m) {
         m.weights(m.w_fc).inputs = 65794;
         m.weights(m.w_fc).dense->buffer = m.b.buffer(std::vector<int8_t>(7 * 65794, -128));
       },
       153},
      {"no level", [](IntegerModel& m) { m.weights(m.w_block).codebook->levels.reset(); }, 154},
      {"17 levels",
       [](IntegerModel& m) {
         m.weights(m.w_block).codebook->levels = m.b.constant(std::vector<float>(17, 0.01f));
       },
       154},
      {"a level of 0",
       [](IntegerModel& m) {
         m.weights(m.w_block).codebook->levels = m.b.constant({0.01f, 0});
       },
       154},
      {"a negative level",
       [](IntegerModel& m) {
         m.weights(m.w_block).codebook->levels = m.b.constant({0.01f, -1});
       },
       154},
      {"several and rounded",
       [](IntegerModel& m) {
         m.weights(m.w_tables).codebook->levels = m.b.constant({0.01f, 0.02f});
       },
       154},
      {"level_of without",
       [](IntegerModel& m) { m.weights(m.w_block).codebook->has_level_of = false; }, 154},
      {"level 2 of 2",
       [](IntegerModel& m) {
         auto& data = m.b.model.buffers[m.weights(m.w_block).codebook->level_of]->data;
         data[39] = 2;
       },
       154},
      {"level_of too short",
       [](IntegerModel& m) {
         m.weights(m.w_block).codebook->level_of = m.b.buffer(std::vector<uint8_t>(39));
       },
       145},
      {"levels of f32", [](IntegerModel& m) { m.weights(m.w_block).numerics = fb::Numerics::f32; },
       154},
  });
}

// The classifier of 7 x 40 as codes of 4 bits, all of them `code`, into these integers.
void make_table(IntegerModel& m, const std::vector<int16_t>& integers, uint8_t code = 0) {
  fb::WeightsT& w = m.weights(m.w_fc);
  w.encoding = fb::Encoding::table;
  w.table = std::make_unique<fb::CodeTableT>();
  w.table->bits = 4, w.table->has_integers = true;
  w.table->integers = m.b.buffer(integers);
  w.table->codes = m.b.buffer(std::vector<uint8_t>(7 * 20, static_cast<uint8_t>(code | code << 4)));
  w.table->scales = std::move(w.dense->scales);
  w.dense.reset();
}

// Integers of which the last is `last`.
std::vector<int16_t> sixteen(int16_t last) {
  std::vector<int16_t> v(16, 1);
  v.back() = last;
  return v;
}

TEST_CASE("integers: wide tables") {
  check_changes({
      {"two bytes", [](IntegerModel& m) { make_table(m, sixteen(32639)); }, 0},
      {"two bytes below zero", [](IntegerModel& m) { make_table(m, sixteen(-32639)); }, 0},
      {"wider", [](IntegerModel& m) { make_table(m, sixteen(32640)); }, 142},
      {"wider below zero", [](IntegerModel& m) { make_table(m, sixteen(-32640)); }, 142},
      {"the least of 16 bits", [](IntegerModel& m) { make_table(m, sixteen(-32768)); }, 142},
      {"wider, and no code is its", [](IntegerModel& m) { make_table(m, sixteen(32767), 3); }, 142},
      {"one integer more", [](IntegerModel& m) { make_table(m, std::vector<int16_t>(17, 1)); },
       145},
      {"one integer less", [](IntegerModel& m) { make_table(m, std::vector<int16_t>(15, 1)); },
       145},
      {"half an integer more",
       [](IntegerModel& m) {
         make_table(m, sixteen(300));
         m.b.model.buffers[m.weights(m.w_fc).table->integers]->data.push_back(0);
       },
       145},
      {"9 bits",
       [](IntegerModel& m) {
         make_table(m, sixteen(300));
         m.weights(m.w_fc).table->bits = 9;
       },
       143},
      {"values instead",
       [](IntegerModel& m) {
         make_table(m, sixteen(300));
         auto& t = *m.weights(m.w_fc).table;
         t.has_integers = false, t.values = m.b.constant(std::vector<float>(16, 300));
       },
       142},
      {"an offset",
       [](IntegerModel& m) {
         make_table(m, sixteen(300));
         m.weights(m.w_fc).table->offset = m.b.constant({0.5f});
       },
       142},
      {"as many inputs as fit",  // 171 * 383 * (32639 + 128) is below 2^31
       [](IntegerModel& m) {
         make_table(m, sixteen(32639));
         m.weights(m.w_fc).inputs = 171;
         m.weights(m.w_fc).table->codes = m.b.buffer(std::vector<uint8_t>(7 * 86));
       },
       183},  // they fit, but the flattened input has 40
      {"sums beyond int32",
       [](IntegerModel& m) {
         make_table(m, sixteen(32639));
         m.weights(m.w_fc).inputs = 172;
         m.weights(m.w_fc).table->codes = m.b.buffer(std::vector<uint8_t>(7 * 86));
       },
       153},
  });
}

TEST_CASE("integers: a wide table's message says where, what is there, what may be, what to do") {
  IntegerModel m = testing::integer_model();
  make_table(m, sixteen(-32700));
  const std::vector<uint8_t> bytes = m.b.finish();
  testing::Error error;
  CHECK(testing::open_model(bytes, error) == nullptr);
  const std::string message = error.message;
  CAPTURE(message);
  for (const char* part : {"fc", "32700", "32639", "convert it again"})
    CHECK(message.find(part) != std::string::npos);
}

TEST_CASE("integers: tensors that do not go together") {
  check_changes({
      {"maximum", [](IntegerModel& m) { m.tensor(m.pooled).zero = 41; }, 186},
      {"difference", [](IntegerModel& m) { m.op(m.sum).binary->op = fb::BinaryOp::sub; }, 186},
      {"moved", [](IntegerModel& m) { m.tensor(m.mean).zero = 1; }, 186},
      {"f32 into a layer",
       [](IntegerModel& m) {
         m.tensor(m.mean).dtype = fb::DType::f32, m.tensor(m.mean).scale = 0;
         fb::TensorT& flat = m.tensor(m.op(m.fc).inputs[0]);
         flat.dtype = fb::DType::f32, flat.scale = 0;
       },
       181},
      {"plain bytes",
       [](IntegerModel& m) { m.tensor(m.stem).scale = 0, m.tensor(m.stem).zero = 0; }, 186},
      {"softmax",
       [](IntegerModel& m) {
         fb::OperatorT& op = m.op(m.average + 1);
         op.kind = fb::OpKind::softmax, op.softmax = std::make_unique<fb::SoftmaxT>();
         m.tensor(op.outputs[0]).dims = {1, 1, 1, 40};
       },
       186},
      {"a layer of f32",
       [](IntegerModel& m) {
         m.weights(m.w_block).numerics = fb::Numerics::f32;
         m.weights(m.w_block).codebook->levels.reset();
         m.weights(m.w_block).codebook->has_level_of = false;
       },
       186},
  });
}

}  // namespace
}  // namespace qrt

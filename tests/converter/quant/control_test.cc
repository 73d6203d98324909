// Watching and resuming a method: shares of work, and codebooks as bytes.
#include "converter/quant/control.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "converter/quant/product.h"

namespace {

using namespace qrt;  // NOLINT: a test
using quant::Codebook;

Codebook sample() {
  Codebook c;
  c.books = 2, c.count = 3, c.dim = 2, c.scope_rows = 4;
  c.entry = quant::EntryType::i8;
  c.entries = {1, -2, 3, -4, 5, -6, 7, 8, 9, 10, 11, -127};
  c.entry_scales = {0.5f, -1e-30f, 3, 4, 5, 6};
  c.codes = {0, 1, 2, 65535, 4};
  return c;
}

TEST_CASE("control: a codebook survives its bytes") {
  const Codebook c = sample();
  const auto back = quant::codebook_from(quant::to_bytes(c));
  REQUIRE(back);
  CHECK(back->books == 2);
  CHECK(back->count == 3);
  CHECK(back->dim == 2);
  CHECK(back->scope_rows == 4);
  CHECK(back->entry == quant::EntryType::i8);
  CHECK(back->entries == c.entries);
  CHECK(back->entry_scales == c.entry_scales);
  CHECK(back->codes == c.codes);
}

TEST_CASE("control: bytes that are no codebook give none") {
  const std::string whole = quant::to_bytes(sample());
  for (size_t n = 0; n < whole.size(); ++n) CHECK_FALSE(quant::codebook_from(whole.substr(0, n)));
  CHECK_FALSE(quant::codebook_from(whole + "x"));
  std::string huge = whole;  // a count of entries beyond all memory
  for (size_t i = 20; i < 28; ++i) huge[i] = '\xff';
  CHECK_FALSE(quant::codebook_from(huge));
  std::string type = whole;
  type[16] = 9;
  CHECK_FALSE(quant::codebook_from(type));
}

TEST_CASE("control: a meter tells shares of the whole, and what was resumed") {
  struct Told {
    double done, resumed;
    std::string now;
  };
  std::vector<Told> told;
  quant::RunControl control;
  control.progress = [&](const quant::ProgressStep& s) {
    told.push_back({s.done, s.resumed, std::string(s.now)});
  };
  quant::Meter meter(control, 8);
  meter.begin("a");
  meter.finish(2, true);
  meter.begin("b");
  meter.finish(6);
  REQUIRE(told.size() == 4);
  CHECK(told[0].done == 0);
  CHECK(told[0].now == "a");
  CHECK(told[1].done == 0.25);
  CHECK(told[1].resumed == 0.25);
  CHECK(told[2].now == "b");
  CHECK(told[3].done == 1);
  CHECK(told[3].resumed == 0.25);
}

// A journal in memory that counts what it is asked.
class Memory : public quant::Journal {
 public:
  const std::string* find(const std::string& key) const override {
    const auto at = kept.find(key);
    return at == kept.end() ? nullptr : &at->second;
  }
  void record(const std::string& key, const std::string& value) override {
    ++recorded;
    kept[key] = value;
  }
  std::map<std::string, std::string> kept;
  int recorded = 0;
};

// Two linear layers of 16 x 24 and 24 x 16 with weights of no pattern.
ir::Graph two_layers(float scale) {
  const auto weights = [&](int64_t outputs, int64_t inputs) {
    std::string text;
    uint32_t state = 7;
    for (int64_t i = 0; i < outputs * inputs; ++i) {
      state = state * 1664525u + 1013904223u;
      text += i ? ", " : "";
      text += std::to_string(scale * static_cast<float>(state >> 20));
    }
    return text;
  };
  auto g = ir::parse("graph two\ninput %x: f32[N,16]\nconst %a: f32[24,16] = {" + weights(24, 16) +
                     "}\nconst %b: f32[16,24] = {" + weights(16, 24) +
                     "}\nnode first = linear(%x, %a) -> %h: f32[N,24]\n"
                     "node second = linear(%h, %b) -> %y: f32[N,16]\noutput %y\n");
  REQUIRE(g.ok());
  return std::move(*g);
}

std::vector<uint16_t> codes_of(const ir::Graph& g) {
  std::vector<uint16_t> all;
  for (const ir::Constant& c : g.constants)
    if (c.encoding) {
      const auto& codes = std::get<Codebook>(*c.encoding).codes;
      all.insert(all.end(), codes.begin(), codes.end());
    }
  return all;
}

TEST_CASE("control: a method takes finished layers from the journal, and only its own") {
  Memory journal;
  const auto run = [&](float scale, quant::PqOptions o) {
    ir::Graph g = two_layers(scale);
    o.block_fc = 2;
    o.centroids_fc = 8;
    const quant::CalibrationData data{{}, {{}, &journal}};
    const auto report = quant::quantize_pq(g, o, data);
    REQUIRE(report.ok());
    return codes_of(g);
  };
  const auto fresh = run(0.001f, {});
  const int layers = journal.recorded;
  REQUIRE(layers >= 2);
  CHECK(run(0.001f, {}) == fresh);
  CHECK(journal.recorded == layers);  // nothing was computed again
  // Other weights and other settings are other layers.
  run(0.002f, {});
  CHECK(journal.recorded >= 2 * layers);
  quant::PqOptions seeded;
  seeded.seed = 2;
  const int before = journal.recorded;
  run(0.001f, seeded);
  CHECK(journal.recorded > before);
  // What a damaged journal gives is computed instead.
  for (auto& [key, value] : journal.kept) value.resize(value.size() / 2);
  CHECK(run(0.001f, {}) == fresh);
}

}  // namespace

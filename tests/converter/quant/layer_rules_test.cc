// Rules of --layers: what is read, what is refused, which layer gets what.
#include "converter/quant/layer_rules.h"

#include <doctest/doctest.h>

using namespace qrt;
using quant::LayerRules;
using quant::RuleBook;

namespace {

LayerRules rules(const std::string& text) {
  auto r = quant::parse_layer_rules(text);
  REQUIRE_MESSAGE(r.ok(), r.error().message);
  return *r;
}

void refused(const std::string& text, int id, const std::string& says) {
  CAPTURE(text);
  const auto r = quant::parse_layer_rules(text);
  REQUIRE(!r.ok());
  CAPTURE(r.error().message);
  CHECK(r.error().id == id);
  CHECK(r.error().message.find(says) != std::string::npos);
}

}  // namespace

TEST_CASE("layer rules: every key is read, applied and written again") {
  const LayerRules r = rules(R"({
    "default": {"centroids": 64, "clip": "largest"},
    "layers": [
      {"match": "a\\..*", "block": 8, "centroids": 16, "books": 2, "iterations": 7,
       "entries": "i8", "clip": "paper", "gram": "per_block", "force": true},
      {"match": "b", "dense": true}
    ]})");
  REQUIRE(r.rules.size() == 2);
  quant::PqLayerSettings s;
  quant::apply(r.defaults, &s);
  CHECK(s.centroids == 64);
  CHECK(s.clip == quant::Clip::largest);
  CHECK(s.dim == quant::PqLayerSettings().dim);
  RuleBook book(r);
  auto about = book.about("a.conv");
  REQUIRE(about.ok());
  quant::apply(*about, &s);
  CHECK(s.dim == 8);
  CHECK(s.centroids == 16);
  CHECK(s.books == 2);
  CHECK(s.iterations == 7);
  CHECK(s.entry == quant::EntryType::i8);
  CHECK(s.clip == quant::Clip::paper);
  CHECK(s.gram == quant::GramKind::per_block);
  CHECK(about->force == true);
  CHECK_FALSE(about->only_forces());
  CHECK((*book.about("b")).dense == true);
  CHECK((*book.about("c")).empty());
  const std::string text = quant::to_json(r);
  CHECK(quant::to_json(rules(text)) == text);
  CHECK(text.find("per_block") != std::string::npos);
}

TEST_CASE("layer rules: several rules meet in one layer, the whole name must match") {
  const LayerRules r = rules(R"({"layers": [
    {"match": "l[12].*", "block": 4}, {"match": ".*conv", "centroids": 32},
    {"match": "l1.conv", "block": 4, "entries": "f32"}]})");
  RuleBook book(r);
  auto a = book.about("l1.conv");
  REQUIRE(a.ok());
  CHECK(a->block == 4);
  CHECK(a->centroids == 32);
  CHECK(a->entries == quant::EntryType::f32);
  CHECK((*book.about("xl1.conv2")).empty());
}

TEST_CASE("layer rules: contradictions are refused with both rules and the layer") {
  const LayerRules r =
      rules(R"({"layers": [{"match": "a.*", "block": 4}, {"match": ".*b", "block": 8},
                           {"match": "d.*", "dense": true}, {"match": ".*e", "centroids": 16}]})");
  RuleBook book(r);
  CHECK(book.about("ax").ok());
  for (const char* layer : {"ab", "de"}) {
    const auto error = book.about(layer);
    REQUIRE(!error.ok());
    CHECK(error.error().id == 736);
    CHECK(error.error().message.find(layer) != std::string::npos);
  }
  const std::string message = book.about("ab").error().message;
  CHECK(message.find("rule 1 ('a.*')") != std::string::npos);
  CHECK(message.find("rule 2 ('.*b')") != std::string::npos);
  refused(R"({"layers": [{"match": "a", "block": 4}, {"match": "a", "books": 2}]})", 736,
          "rules 1 and 2");
  refused(R"({"layers": [{"match": "a", "dense": true, "block": 2}]})", 736, "dense");
  refused(R"({"layers": [{"match": "a", "block": 4, "block": 8}]})", 736, "'block'");
}

TEST_CASE("layer rules: rules that matched nothing are reported with the nearest names") {
  const LayerRules r = rules(R"({"layers": [{"match": "layer1\\.conv", "block": 4},
                                            {"match": "layer2.conv9", "block": 4}]})");
  RuleBook book(r);
  for (const char* name : {"layer1.conv", "layer2.conv1", "fc"}) REQUIRE(book.about(name).ok());
  const auto unused = book.unused();
  REQUIRE(unused.size() == 1);
  CHECK(unused[0].find("rule 2 ('layer2.conv9') matched none of 3 layers") != std::string::npos);
  CHECK(unused[0].find("are layer2.conv1,") != std::string::npos);
}

TEST_CASE("layer rules: what is no set of rules is refused") {
  refused("", 735, "no JSON object");
  refused("[]", 735, "no JSON object");
  refused("{", 735, "no JSON object");
  refused("{}", 735, "no rules");
  refused(R"({"layer": []})", 735, "'layer'");
  refused(R"({"layers": {}})", 735, "no list");
  refused(R"({"layers": [3]})", 735, "rule 1");
  refused(R"({"layers": [{"block": 4}]})", 735, "match must be");
  refused(R"({"layers": [{"match": 4, "block": 4}]})", 735, "no string");
  refused(R"({"layers": [{"match": "a"}]})", 735, "sets nothing");
  refused(R"({"layers": [{"match": "a(", "block": 4}]})", 735, "no regular expression");
  refused(R"({"layers": [{"match": "a", "blocks": 4}]})", 735, "unknown key 'blocks'");
  refused(R"({"default": {"match": "a", "block": 2}})", 735, "unknown key 'match'");
  for (const char* value :
       {"0", "1025", "-1", "2.5", "\"4\"", "null", "1e99", "99999999999999999999"})
    refused(std::string(R"({"layers": [{"match": "a", "block": )") + value + "}]}", 735,
            "block is");
  refused(R"({"default": {"centroids": 1}})", 735, "from 2 to 65536");
  refused(R"({"default": {"books": 5}})", 735, "from 1 to 4");
  refused(R"({"default": {"dense": 1}})", 735, "true or false");
  refused(R"({"default": {"entries": "f64"}})", 735, "f32, f16, i8");
  refused(R"({"default": {"clip": 3}})", 735, "code, paper, largest");
  std::string deep(100000, '[');
  refused(deep, 735, "nested");
  refused("{\"layers\": [{\"match\": \"" + std::string(600, 'a') + "\", \"block\": 4}]}", 735,
          "512");
}

TEST_CASE("layer rules: a quoted name matches itself and nothing else") {
  for (const std::string name : {"layer1.0.conv1", "/a/b[0]/(c)", "x+y*z?", "^$|{2}\\"}) {
    const LayerRules r = [&] {
      LayerRules rules;
      quant::LayerRule rule;
      rule.match = quant::quoted_pattern(name);
      rule.block = 4;
      rules.rules.push_back(rule);
      return rules;
    }();
    const LayerRules read = rules(quant::to_json(r));
    RuleBook book(read);
    CHECK((*book.about(name)).block == 4);
    CHECK((*book.about(name + "x")).empty());
    std::string other = name;
    other[other.size() / 2] = other[other.size() / 2] == 'q' ? 'r' : 'q';
    CHECK((*book.about(other)).empty());
  }
}

// Preprocessing: its words and JSON, geometry, and the resize against values that
// follow from the filter's definition.
#include "runtime/tools/io/preprocess.h"

#include <doctest/doctest.h>

#include <string>

#include "runtime/tools/io/error.h"

namespace {

using namespace qrt::io;  // NOLINT: a test of this namespace

int error_of(const std::string& text) {
  try {
    parse_preprocessing(text);
  } catch (const ToolError& e) {
    return e.id();
  }
  return 0;
}

Image gradient(uint32_t width, uint32_t height) {
  Image image = make_image(width, height, "test");
  for (size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<uint8_t>((i / 3 % width) * 7 + (i / 3 / width) * 13 + i % 3 * 50);
  return image;
}

TEST_CASE("preprocess: the known words") {
  const auto p = parse_preprocessing("imagenet");
  REQUIRE(p);
  CHECK(p->resize_shorter == 256);
  CHECK(p->crop_h == 224);
  CHECK(p->mean.size() == 3);
  CHECK(parse_preprocessing("imagenet-crop")->resize_shorter == 0);
  CHECK_FALSE(parse_preprocessing("none"));
}

TEST_CASE("preprocess: JSON says everything and comes back") {
  const auto p = parse_preprocessing(
      R"({"resize": 36, "crop": [32, 30], "channels": "bgr", "scale": 1, "mean": [1, 2, 3], "std": [4, 5, 6]})");
  REQUIRE(p);
  CHECK(p->crop_w == 30);
  CHECK(p->channels == Preprocessing::Channels::bgr);
  CHECK(to_json(*parse_preprocessing(to_json(*p))) == to_json(*p));
  CHECK(parse_preprocessing(R"({"crop": 28, "channels": "gray", "mean": [0.5]})")->crop_h == 28);
}

TEST_CASE("preprocess: nonsense is refused") {
  for (const char* text :
       {"imagent", "", "[]", "{", "{\"resize\": -1}", "{\"resize\": 1e9}", "{\"crop\": [1]}",
        "{\"crop\": \"x\"}", "{\"channels\": \"hsv\"}", "{\"mean\": [1, 2]}",
        "{\"std\": [0, 1, 1]}", "{\"mean\": [1, 2, \"x\"]}", "{\"scale\": \"x\"}", "{\"other\": 1}",
        "{\"mean\": []}", "{\"crop\": [0, 5]}"}) {
    CAPTURE(text);
    CHECK(error_of(text) == 424);
  }
  CHECK(error_of("/nonexistent.json") == 401);
}

TEST_CASE("resize: keeping the size changes nothing, constants stay constant") {
  const Image image = gradient(13, 9);
  CHECK(resize_bilinear(image, 13, 9).rgb == image.rgb);
  Image flat = make_image(17, 5, "test");
  for (uint8_t& v : flat.rgb) v = 201;
  for (uint8_t v : resize_bilinear(flat, 7, 11).rgb) CHECK(v == 201);
}

TEST_CASE("resize: halving weighs four inputs 1:3:3:1") {
  Image image = make_image(8, 1, "test");
  for (size_t x = 0; x < 8; ++x)
    for (size_t c = 0; c < 3; ++c) image.rgb[x * 3 + c] = static_cast<uint8_t>(x * x * 4);
  // Output 1 lies at 3.0 of the input; inputs 1..4 have distances 1.5 0.5 0.5 1.5 of reach 2.
  const Image half = resize_bilinear(image, 4, 1);
  const double exact = (1.0 * 4 + 3.0 * 16 + 3.0 * 36 + 1.0 * 64) / 8;
  CHECK(half.rgb[3] == static_cast<uint8_t>(exact + 0.5));
  // At the border the missing input is left out and the rest renormalised: 3:3:1 of 0, 4, 16.
  CHECK(half.rgb[0] == static_cast<uint8_t>((3.0 * 0 + 3.0 * 4 + 1.0 * 16) / 7 + 0.5));
}

TEST_CASE("geometry: shorter side, rounding down, centre crop") {
  Preprocessing p = *parse_preprocessing("imagenet-crop");
  const Image image = gradient(227, 227);
  const Image crop = prepare_geometry(image, p, "x");
  CHECK(crop.width == 224);
  CHECK(crop.rgb[0] == image.rgb[(2 * 227 + 2) * 3]);  // 1.5 rounds to even: pixels 2..225
  CHECK(prepare_geometry(gradient(225, 226), p, "x").rgb[0] == gradient(225, 226).rgb[225 * 3]);
  p.resize_shorter = 256;
  CHECK(prepare_geometry(gradient(300, 500), p, "x").height == 224);
  p.crop_h = p.crop_w = 0;
  const Image tall = prepare_geometry(gradient(300, 500), p, "x");
  CHECK(tall.width == 256);
  CHECK(tall.height == 426);  // 426.67
  p.resize_shorter = 0;
  p.crop_h = p.crop_w = 228;
  CHECK_THROWS_AS(prepare_geometry(image, p, "x"), ToolError);
}

TEST_CASE("normalize: planes, pixels, channel orders") {
  Image image = make_image(2, 1, "test");
  image.rgb = {10, 20, 30, 40, 50, 60};
  Preprocessing p;
  p.scale = 0.5f;
  p.mean = {1, 2, 3};
  p.std = {2, 4, 8};
  float v[6];
  normalize(image, p, /*planar=*/true, v);
  CHECK(v[0] == 2);
  CHECK(v[1] == 9.5f);
  CHECK(v[2] == 2);
  p.channels = Preprocessing::Channels::bgr;
  normalize(image, p, /*planar=*/false, v);
  CHECK(v[0] == 7);  // blue first
  p = {};
  p.scale = 1;
  p.channels = Preprocessing::Channels::gray;
  normalize(image, p, true, v);
  CHECK(v[0] == 18);  // 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15
}

TEST_CASE("images: sizes are bounded") {
  CHECK_THROWS_AS(make_image(0, 5, "x"), ToolError);
  CHECK_THROWS_AS(make_image(1u << 20, 1u << 20, "x"), ToolError);
}

}  // namespace

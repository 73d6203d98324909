// The reference decoder against codes, entries and scales drawn by the test: every
// code width, up to four books, scopes, short last blocks, every type.
#include <doctest/doctest.h>

#include "runtime/ops/decode_weights.h"
#include "schema/layout.h"
#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

struct Case {
  uint32_t outputs, inputs, books, count, dim, scope_rows;
  DType entry;
};

struct Stored {
  Weights weights;
  std::vector<uint8_t> entries, codes;
  std::vector<float> scales;
  std::vector<double> want;  // [outputs][inputs]
};

// Small multiples of 1/8, exact in every entry type: i8 holds the eighths.
int eighths(std::mt19937& bits) {
  return static_cast<int>(bits() >> 16) % 255 - 127;
}

void append_entry(DType t, int eighth, std::vector<uint8_t>* to) {
  if (t == DType::i8) {
    to->push_back(static_cast<uint8_t>(eighth));
  } else if (t == DType::f32) {
    const float v = static_cast<float>(eighth) / 8;
    const auto* p = reinterpret_cast<const uint8_t*>(&v);
    to->insert(to->end(), p, p + 4);
  } else {  // f16: 1.m * 2^e by hand
    uint32_t m = static_cast<uint32_t>(std::abs(eighth)), e = 15 + 10 - 3;
    while (m != 0 && m < 1024) m *= 2, --e;
    const uint16_t h =
        static_cast<uint16_t>((eighth < 0 ? 0x8000u : 0u) | (m == 0 ? 0u : e << 10 | (m & 1023)));
    to->push_back(static_cast<uint8_t>(h & 255));
    to->push_back(static_cast<uint8_t>(h >> 8));
  }
}

void build(const Case& c, Stored* s) {
  std::mt19937 bits(c.count * 31 + c.dim);
  const uint32_t scopes = c.scope_rows == 0 ? 1 : (c.outputs + c.scope_rows - 1) / c.scope_rows;
  const uint32_t blocks = (c.inputs + c.dim - 1) / c.dim, width = layout::code_bits(c.count);
  const size_t entries = size_t{scopes} * c.books * c.count;
  std::vector<double> value(entries * c.dim);
  for (size_t e = 0; e < entries; ++e) {
    const float scale = static_cast<float>(1 + e % 5) / 4;
    if (c.entry == DType::i8) s->scales.push_back(scale);
    for (uint32_t i = 0; i < c.dim; ++i) {
      const int eighth = eighths(bits);
      append_entry(c.entry, eighth, &s->entries);
      value[e * c.dim + i] = c.entry == DType::i8 ? double{scale} * eighth : eighth / 8.0;
    }
  }
  const uint64_t row = layout::codebook_row_bytes(c.outputs, width);
  s->codes.resize(layout::codebook_code_bytes(c.books, blocks, c.outputs, width));
  s->want.resize(size_t{c.outputs} * c.inputs);
  for (uint32_t b = 0; b < c.books; ++b)
    for (uint32_t j = 0; j < blocks; ++j)
      for (uint32_t n = 0; n < c.outputs; ++n) {
        const uint32_t code = (bits() >> 4) % c.count;
        layout::write_code(s->codes.data() + (b * blocks + j) * row, n, width, code);
        const size_t scope = c.scope_rows == 0 ? 0 : n / c.scope_rows;
        for (uint32_t i = 0; i < c.dim && j * c.dim + i < c.inputs; ++i)
          s->want[size_t{n} * c.inputs + j * c.dim + i] +=
              value[((scope * c.books + b) * c.count + code) * c.dim + i];
      }
  s->weights.outputs = c.outputs;
  s->weights.inputs = c.inputs;
  s->weights.encoding = Encoding::codebook;
  s->weights.codebook = {c.books,
                         c.count,
                         c.dim,
                         width,
                         c.scope_rows,
                         c.entry,
                         {s->entries.data(), s->entries.size()},
                         constant_of(s->scales),
                         {s->codes.data(), s->codes.size()}};
}

void check(const Case& c) {
  Stored s;
  build(c, &s);
  HostTensor got = floats(shape({static_cast<int>(c.outputs), static_cast<int>(c.inputs)}),
                          std::vector<float>(s.want.size(), kNan));
  const Status status = decode_weights(s.weights, reinterpret_cast<float*>(got.bytes.data()));
  REQUIRE_MESSAGE(status.ok(), status.what());
  CHECK(difference(got, s.want) == 0);
}

uint16_t refusal(const Weights& w) {
  std::vector<float> out(size_t{w.outputs} * w.inputs);
  return decode_weights(w, out.data()).id();
}

}  // namespace

TEST_CASE("decode_weights: every code width from 0 to 16 bits") {
  for (uint32_t width = 0; width <= 16; ++width)
    for (uint32_t count : {1u << width, (1u << width) / 2 + 1}) {
      if (layout::code_bits(count) != width) continue;
      CAPTURE(count);
      check({13, 10, 1, count, 3, 0, DType::f32});
    }
}

TEST_CASE("decode_weights: books, scopes, short blocks, entry types") {
  for (DType entry : {DType::f32, DType::f16, DType::i8})
    for (uint32_t books = 1; books <= 4; ++books)
      for (uint32_t scope_rows : {0u, 1u, 4u, 5u, 11u, 100u})
        for (uint32_t dim : {1u, 4u, 9u, 37u, 100u})
          check({11, 37, books, 6, dim, scope_rows, entry});
}

TEST_CASE("decode_weights: dense f32, f16 and i8 with scales per layer, output and group") {
  std::mt19937 bits(5);
  for (DType t : {DType::f32, DType::f16, DType::i8})
    for (ScaleAxis axis : {ScaleAxis::layer, ScaleAxis::output, ScaleAxis::group}) {
      const uint32_t outputs = 5, inputs = 7, group = 3, groups = 3;
      std::vector<uint8_t> data;
      std::vector<double> want;
      std::vector<float> scales(axis == ScaleAxis::layer    ? 1
                                : axis == ScaleAxis::output ? outputs
                                                            : outputs * groups);
      for (size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(i + 1) / 2;
      for (uint32_t i = 0; i < outputs * inputs; ++i) {
        const int eighth = eighths(bits);
        append_entry(t, eighth, &data);
        const uint32_t o = i / inputs;
        const size_t at = axis == ScaleAxis::layer    ? 0
                          : axis == ScaleAxis::output ? o
                                                      : o * groups + i % inputs / group;
        want.push_back(t == DType::i8 ? double{scales[at]} * eighth : eighth / 8.0);
      }
      Weights w;
      w.outputs = outputs;
      w.inputs = inputs;
      w.dense = {t, {data.data(), data.size()}, {axis, group, constant_of(scales)}};
      HostTensor got = floats(shape({5, 7}), std::vector<float>(35, kNan));
      REQUIRE(decode_weights(w, reinterpret_cast<float*>(got.bytes.data())).ok());
      CHECK(difference(got, want) == 0);
      w.dense.scales.values.count += 1;
      CHECK(refusal(w) == (t == DType::i8 ? 256 : 0));
    }
}

TEST_CASE("decode_weights: refuses sizes that do not agree, and codes of no entry") {
  const auto with = [](auto&& spoil) {
    Stored s;
    build({11, 10, 2, 5, 3, 4, DType::i8}, &s);
    spoil(s);
    return refusal(s.weights);
  };
  CHECK(with([](Stored&) {}) == 0);
  CHECK(with([](Stored& s) { s.weights.codebook.books = 5; }) == 256);
  CHECK(with([](Stored& s) { s.weights.codebook.count = 0; }) == 256);
  CHECK(with([](Stored& s) { s.weights.codebook.dim = 0; }) == 256);
  CHECK(with([](Stored& s) { s.weights.codebook.code_bits = 4; }) == 256);
  CHECK(with([](Stored& s) { s.weights.codebook.entry = DType::i64; }) == 256);
  CHECK(with([](Stored& s) { s.weights.codebook.scope_rows = 3; }) == 256);
  CHECK(with([](Stored& s) { s.weights.codebook.entry_scales.count = 1; }) == 256);
  CHECK(with([](Stored& s) { s.weights.codebook.codes = {s.codes.data(), 1}; }) == 256);
  CHECK(with([](Stored& s) { s.weights.inputs = 0; }) == 256);
  CHECK(with([](Stored& s) {
          s.weights.dense.dtype = DType::i64, s.weights.encoding = Encoding::dense;
        }) == 256);
  CHECK(with([](Stored& s) { s.weights.encoding = Encoding::bit_planes; }) == 256);
  CHECK(with([](Stored& s) { layout::write_code(s.codes.data(), 0, 3, 7); }) == 264);
}

TEST_CASE("a codebook convolution in dense mode equals one on its decoded weights") {
  Stored s;
  build({6, 36, 2, 16, 9, 0, DType::f32}, &s);
  s.weights.order = InputOrder::cin_kh_kw;
  std::vector<float> decoded(s.want.begin(), s.want.end());
  Weights dense = s.weights;
  dense.encoding = Encoding::dense;
  dense.dense = {
      DType::f32, {reinterpret_cast<const uint8_t*>(decoded.data()), decoded.size() * 4}, {}};
  Conv2dAttr attr{&s.weights, {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, 1, {}};
  Node node;
  node.kind = OpKind::conv2d;
  node.conv2d = &attr;
  HostTensor from_codes, from_floats;
  from_codes.shape = from_floats.shape = shape({1, 8, 8, 6});
  const std::vector<HostTensor> in = {random_tensor(shape({1, 8, 8, 4}), 3)};
  OpRun run;
  run.mode = Mode::dense;
  REQUIRE(run(node, in, &from_codes).ok());
  attr.weights = &dense;
  REQUIRE(run(node, in, &from_floats).ok());
  CHECK(from_codes.bytes == from_floats.bytes);
}

}  // namespace qrt::test

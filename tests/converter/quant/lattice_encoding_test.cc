// Table, Affine and BitPlanes: what they mean, what of them is exact integers,
// how their columns move, what is refused.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "converter/quant/encoding.h"

using namespace qrt;
using quant::Affine;
using quant::BitPlanes;
using quant::Encoding;
using quant::ScaleAxis;
using quant::Table;

namespace {

using Floats = std::vector<float>;

int refused(const Encoding& e, int64_t outputs, int64_t inputs) {
  const auto r = quant::check(e, outputs, inputs);
  return r.ok() ? 0 : r.error().id;
}

// 2 outputs, 4 inputs.
Affine affine() {
  Affine a;
  a.bits = 2;
  a.codes = {0, 1, 2, 3, 3, 2, 1, 0};
  a.zero_halves = {3};
  a.scales = {ScaleAxis::output, 0, {2, 10}};
  return a;
}

Table table() {
  Table t;
  t.bits = 2;
  t.integers = {0, 1, -2, 4};
  t.codes = {0, 1, 2, 3, 3, 2, 1, 0};
  t.scales = {ScaleAxis::layer, 0, {0.5f}};
  return t;
}

// 2 outputs, 3 inputs in groups of 2 and 1; the first group has two planes, the second none.
BitPlanes planes() {
  BitPlanes p;
  p.group = 2;
  p.counts = {2, 0, 1, 1};
  p.signs = {1, 0, 1, 1, 0, 1, 0};
  p.alphas = {1, 0.25f, 3, 5};
  return p;
}

}  // namespace

TEST_CASE("affine: half zero points, scales by layer, output, group") {
  Affine a = affine();
  REQUIRE(refused(a, 2, 4) == 0);
  CHECK(quant::decode(a, 2, 4) == Floats{-3, -1, 1, 3, 15, 5, -5, -15});
  a.zero_halves = {0, 3};
  CHECK(quant::decode(a, 2, 4) == Floats{0, 2, 4, 6, 15, 5, -5, -15});
  a.zero_halves = {};
  a.scales = {ScaleAxis::group, 3, {1, 10, 100, 1000}};
  REQUIRE(refused(a, 2, 4) == 0);
  CHECK(quant::decode(a, 2, 4) == Floats{0, 1, 2, 30, 300, 200, 100, 0});
  a.scales = {ScaleAxis::layer, 0, {3}};
  a.is_signed = true;
  CHECK(refused(a, 2, 4) == 770);  // 2 and 3 are no signed codes of two bits
  a.bits = 3;
  CHECK(quant::decode(a, 2, 4) == Floats{0, 3, 6, 9, 9, 6, 3, 0});
}

TEST_CASE("affine: integers are halves of steps where the zero is odd") {
  Affine a = affine();
  REQUIRE(quant::is_integer(a));
  CHECK(!quant::needs_integers(a));
  CHECK(quant::integers_of(a, 2, 4) == std::vector<int16_t>{-3, -1, 1, 3, 3, 1, -1, -3});
  CHECK(quant::weight_scale(a, 0) == 1);
  CHECK(quant::weight_scale(a, 1) == 5);
  a.zero_halves = {3, 4};
  CHECK(quant::integers_of(a, 2, 4) == std::vector<int16_t>{-3, -1, 1, 3, 1, 0, -1, -2});
  CHECK(quant::weight_scale(a, 1) == 10);

  Affine wide;  // odd numerators beyond 9 bits
  wide.bits = 8;
  wide.zero_halves = {301};
  wide.scales = {ScaleAxis::layer, 0, {1}};
  wide.codes = {23, 191};
  CHECK(quant::is_integer(wide));  // -255 and 81 are all it uses
  CHECK(quant::integers_of(wide, 1, 2) == std::vector<int16_t>{-255, 81});
  wide.codes = {22, 191};
  CHECK(!quant::is_integer(wide));
  CHECK(quant::decode(wide, 1, 2) == Floats{-128.5f, 40.5f});
  a.scales = {ScaleAxis::group, 4, {1, 2}};
  CHECK(!quant::is_integer(a));
}

TEST_CASE("table: values or integers, offsets") {
  Table t = table();
  REQUIRE(refused(t, 2, 4) == 0);
  CHECK(quant::decode(t, 2, 4) == Floats{0, 0.5f, -1, 2, 2, -1, 0.5f, 0});
  CHECK(quant::is_integer(t));
  CHECK(quant::integers_of(t, 2, 4) == std::vector<int16_t>{0, 1, -2, 4, 4, -2, 1, 0});
  CHECK(quant::weight_scale(t, 1) == 0.5f);
  t.integers[3] = quant::kMostInteger + 1;
  CHECK(!quant::is_integer(t));
  t.integers[3] = 192;  // beyond a byte
  CHECK(quant::is_integer(t));
  CHECK(quant::integers_of(t, 2, 4) == std::vector<int16_t>{0, 1, -2, 192, 192, -2, 1, 0});
  t.offset = {1, 2};
  CHECK(!quant::is_integer(t));
  CHECK(quant::decode(t, 2, 4) == Floats{1, 1.5f, 0, 97, 98, 1, 2.5f, 2});
  t.values = {1, 2, 3, 4};
  CHECK(refused(t, 2, 4) == 770);  // both
  t.integers.clear();
  CHECK(refused(t, 2, 4) == 0);
  CHECK(!quant::is_integer(t));
}

TEST_CASE("bit planes: groups of their own counts, trits, one sign per weight") {
  BitPlanes p = planes();
  REQUIRE(refused(p, 2, 3) == 0);
  CHECK(quant::decode(p, 2, 3) == Floats{1.25f, -0.75f, 0, -3, 3, -5});
  CHECK(!quant::is_integer(p));

  BitPlanes rows;
  rows.ternary5 = true;
  rows.counts = {1, 0, 1};
  rows.signs = {0, 1, 2, 2, 2, 0};
  rows.alphas = {0.5f, 7};
  REQUIRE(refused(rows, 3, 3) == 0);
  CHECK(quant::decode(rows, 3, 3) == Floats{-0.5f, 0, 0.5f, 0, 0, 0, 7, 7, -7});
  REQUIRE(quant::is_integer(rows));
  CHECK(quant::integers_of(rows, 3, 3) == std::vector<int16_t>{-1, 0, 1, 0, 0, 0, 1, 1, -1});
  CHECK(quant::weight_scale(rows, 0) == 0.5f);
  CHECK(quant::weight_scale(rows, 1) == 0);
  CHECK(quant::weight_scale(rows, 2) == 7);
}

TEST_CASE("stored columns: taps first means the same, flattened is another matrix") {
  // One output, three channels of two elements.
  Affine a;
  a.bits = 4;
  a.codes = {0, 1, 2, 3, 4, 5};
  a.scales = {ScaleAxis::layer, 0, {1}};
  const auto turned = quant::taps_first(a, 1, 6, 2);
  REQUIRE(turned);
  CHECK(std::get<Affine>(*turned).codes == std::vector<int16_t>{0, 2, 4, 1, 3, 5});
  CHECK(quant::taps_of(*turned) == 2);
  CHECK(quant::decode(*turned, 1, 6) == quant::decode(a, 1, 6));
  CHECK(quant::integers_of(*turned, 1, 6) == quant::integers_of(a, 1, 6));
  const auto flat = quant::flattened_last(a, 1, 6, 2);
  REQUIRE(flat);
  CHECK(quant::decode(*flat, 1, 6) == Floats{0, 2, 4, 1, 3, 5});

  BitPlanes two;
  two.counts = {2};
  two.signs = {0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0};
  two.alphas = {1, 2};
  const auto moved = quant::taps_first(two, 1, 6, 2);
  REQUIRE(moved);
  CHECK(quant::decode(*moved, 1, 6) == quant::decode(two, 1, 6));
  CHECK(std::get<BitPlanes>(*moved).signs ==
        std::vector<uint8_t>{0, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0});

  a.scales = {ScaleAxis::group, 2, {1, 2, 3}};
  CHECK(!quant::taps_first(a, 1, 6, 2));
  CHECK(!quant::flattened_last(a, 1, 6, 2));
  a.taps = 2;  // groups of stored columns: {0, 4}, {2, 1}, {3, 5} of the source
  CHECK(quant::taps_first(a, 1, 6, 2));
  CHECK(quant::decode(a, 1, 6) == Floats{0, 6, 1, 12, 4, 15});
}

TEST_CASE("what does not fit is refused") {
  const auto broken = [](auto kind, const auto& change, int64_t inputs) {
    change(kind);
    return refused(kind, 2, inputs);
  };
  CHECK(broken(
            affine(), [](Affine& a) { a.bits = 0; }, 4) == 770);
  CHECK(broken(
            affine(), [](Affine& a) { a.bits = 9; }, 4) == 770);
  CHECK(broken(
            affine(), [](Affine& a) { a.codes[3] = 4; }, 4) == 770);
  CHECK(broken(
            affine(), [](Affine& a) { a.codes[3] = -1; }, 4) == 770);
  CHECK(broken(
            affine(), [](Affine& a) { a.codes.pop_back(); }, 4) == 770);
  CHECK(broken(
            affine(), [](Affine& a) { a.taps = 3; }, 4) == 770);
  CHECK(broken(
            affine(),
            [](Affine& a) {
              a.zero_halves = {1, 2, 3};
            },
            4) == 770);
  CHECK(broken(
            affine(), [](Affine& a) { a.scales.values.push_back(1); }, 4) == 770);
  CHECK(broken(
            affine(), [](Affine& a) { a.scales.values[0] = NAN; }, 4) == 770);
  CHECK(broken(
            affine(), [](Affine& a) { a.scales.axis = ScaleAxis::group; }, 4) == 770);
  CHECK(broken(
            table(), [](Table& t) { t.codes[0] = 4; }, 4) == 770);
  CHECK(broken(
            table(), [](Table& t) { t.integers.push_back(4); }, 4) == 770);
  CHECK(broken(
            table(), [](Table& t) { t.integers.clear(); }, 4) == 770);
  CHECK(broken(
            table(),
            [](Table& t) {
              t.offset = {1, 2, 3};
            },
            4) == 770);
  CHECK(broken(
            table(), [](Table& t) { t.offset = {INFINITY}; }, 4) == 770);
  CHECK(broken(
            planes(), [](BitPlanes& p) { p.counts[1] = 1; }, 3) == 771);
  CHECK(broken(
            planes(), [](BitPlanes& p) { p.counts[0] = 9; }, 3) == 771);
  CHECK(broken(
            planes(), [](BitPlanes& p) { p.counts.push_back(0); }, 3) == 771);
  CHECK(broken(
            planes(), [](BitPlanes& p) { p.signs[0] = 2; }, 3) == 771);
  CHECK(broken(
            planes(), [](BitPlanes& p) { p.alphas[0] = NAN; }, 3) == 771);
  CHECK(broken(
            planes(), [](BitPlanes& p) { p.alphas.pop_back(); }, 3) == 771);
  CHECK(broken(
            planes(), [](BitPlanes& p) { p.group = 4; }, 3) == 771);
  CHECK(broken(
            planes(), [](BitPlanes& p) { p.ternary5 = true; }, 3) == 771);
  CHECK(refused(affine(), 2, 0) == 770);
  CHECK(refused(planes(), 0, 3) == 771);
}

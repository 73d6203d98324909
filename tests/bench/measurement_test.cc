// The arithmetic of measurement: what counts as a change between two runs, rounds, least squares.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/least_squares.h"
#include "bench/perfdiff.h"
#include "bench/report.h"
#include "bench/rounds.h"

namespace qrt::bench {
namespace {

// Samples around `us`, `spread` of it apart at most.
std::vector<double> around(double us, double spread) {
  std::vector<double> samples;
  for (const double step : {-1.0, -0.6, -0.3, -0.1, 0.0, 0.1, 0.3, 0.6, 1.0})
    samples.push_back(us * (1 + step * spread));
  return samples;
}

std::string report(double ours, double spread, double peers) {
  Report r;
  const auto add = [&r](const char* candidate, const char* kind, std::vector<double> us) {
    Row row;
    row.layer = "conv", row.candidate = candidate, row.kind = kind, row.us = std::move(us);
    r.rows.push_back(row);
  };
  for (const char* name : {"decode", "lookup"}) add(name, "ours", around(ours, spread));
  for (const char* name : {"onednn a", "onednn b", "xnnpack"})
    add(name, "int8", around(peers, 0.01));
  return to_json(r);
}

Change::Verdict verdict(const std::string& before, const std::string& after) {
  const std::vector<Change> changes = compare_reports(before, after);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].candidate == "decode");
  return changes[0].verdict;
}

TEST_CASE("perfdiff: changes beyond noise, drift of the machine taken out") {
  using Verdict = Change::Verdict;
  const std::string before = report(100, 0.01, 50);
  CHECK(verdict(before, before) == Verdict::same);
  CHECK(verdict(before, report(110, 0.01, 50)) == Verdict::slower);
  CHECK(verdict(before, report(90, 0.01, 50)) == Verdict::faster);
  CHECK(verdict(before, report(102, 0.01, 50)) == Verdict::same);    // less than 3 %
  CHECK(verdict(before, report(110, 0.40, 50)) == Verdict::same);    // too noisy to say
  CHECK(verdict(before, report(130, 0.01, 65)) == Verdict::same);    // all are slower
  CHECK(verdict(before, report(100, 0.01, 40)) == Verdict::slower);  // the peers are faster
  const Change c = compare_reports(before, report(110, 0.01, 55))[1];
  CHECK(c.speed == doctest::Approx(1.0));
  CHECK(c.new_us == doctest::Approx(110));
}

TEST_CASE("perfdiff: whole networks, rows that one run lacks, what is no report") {
  const auto network = [](double ms) {
    return R"({"model": "r18.qrt", "repeats": 100, "rows": [
      {"engine": "libqrt", "threads": 1, "median_ms": )" +
           std::to_string(ms) + R"(, "std_ms": 0.05},
      {"engine": "dense int8, oneDNN", "threads": 1, "median_ms": 9.0, "std_ms": 0.05}]})";
  };
  CHECK(compare_reports(network(8), network(9)).at(0).verdict == Change::Verdict::slower);
  CHECK(compare_reports(network(8), network(8.1)).at(0).verdict == Change::Verdict::same);
  CHECK(compare_reports(R"({"rows": []})", network(9)).empty());
  CHECK_THROWS_AS(compare_reports("{", network(9)), std::runtime_error);
  try {
    compare_reports(network(9), R"({"rows": [{"layer": "a"}]})");
    FAIL("not refused");
  } catch (const std::runtime_error& e) {
    CHECK(std::string(e.what()).find("the new report") != std::string::npos);
  }
  const std::string table = changes_markdown(compare_reports(network(8), network(9)), false);
  CHECK(table.find("SLOWER") != std::string::npos);
  CHECK(table.find("1 rows: 0 faster, 1 slower") != std::string::npos);
}

TEST_CASE("rounds: medians, ratios within rounds, order that rotates") {
  CHECK(median({3, 1, 2}) == 2);
  CHECK(median({4, 1, 2, 3}) == 2.5);
  // The machine is three times slower in the second round: the ratio does not see it.
  const Contestant a{{}, 1, {10, 30, 10}}, b{{}, 1, {5, 15, 5}};
  CHECK(speed_ratio(a, b) == doctest::Approx(2));
  std::string order;
  std::vector<Contestant> both(2);
  both[0].run = [&order] { order += 'a'; };
  both[1].run = [&order] { order += 'b'; };
  both[1].calls = 2;
  run_rounds(both, 2);
  CHECK(order ==
        "aabbb"
        "bbbaa");
  CHECK(both[0].us.size() == 2);
}

TEST_CASE("least squares: constants are found, none is negative, the rest stays") {
  const std::vector<double> truth = {2, 0.5, 7}, prior = {1, 1, 7};
  std::vector<Equation> all;
  for (int i = 1; i <= 6; ++i) {  // says nothing of the third
    Equation e{"e", {double(i * i), double(20 + i), 0}, 0};
    e.ns = predicted(e, truth);
    all.push_back(e);
  }
  const std::vector<double> found = solve(all, prior);
  for (size_t j = 0; j < 3; ++j) CHECK(found[j] == doctest::Approx(truth[j]).epsilon(0.02));
  all.push_back({"outlier", {1, 1, 0}, 100});  // where the model does not hold
  CHECK(solve(all, prior)[0] == doctest::Approx(truth[0]).epsilon(0.1));
  const std::vector<Equation> falling = {{"a", {1, 10}, 10}, {"b", {1, 20}, 15}, {"c", {9, 5}, 2}};
  for (const double c : solve(falling, {1, 1})) CHECK(c >= 0);
}

}  // namespace
}  // namespace qrt::bench

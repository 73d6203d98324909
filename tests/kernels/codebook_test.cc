// Every kit of the codebook family that this CPU runs, on guarded memory, against
// weights decoded by the test and sums in double precision.
#include "kernels/codebook/cost.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <limits>

#include "tests/kernels/codebook_case.h"

namespace qrt::kernels::codebook {
namespace {

using test::close;
using test::CodebookCase;
using test::CodebookData;
using test::fill;
using test::GuardedBuffer;
using Row = Kernel<const Kit>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <class F>
void each_kit(F&& f) {
  for (const Row& row : kKits) {
    if (!includes(detect_isa(), row.isa)) continue;
    CAPTURE(std::string(row.name));
    f(row);
  }
}

size_t place(size_t k, size_t inputs, size_t taps) {
  return k % taps * (inputs / taps) + k / taps;
}

// All of a layer as panels: [ceil(outputs / tile.n)][inputs][tile.n].
void make_panels(const Row& row, const CodebookCase& c, const Source& source, size_t taps,
                 float* panels) {
  for (size_t n = 0; n < c.outputs; n += row.tile.n, panels += c.inputs * row.tile.n)
    row.run->panel(
        {source, n, std::min<size_t>(row.tile.n, c.outputs - n), 0, c.inputs, taps, panels});
}

size_t panel_count(const Row& row, const CodebookCase& c) {
  return (c.outputs + row.tile.n - 1) / row.tile.n;
}

double half_value(uint32_t half) {
  const int exponent = static_cast<int>(half >> 10 & 31u),
            fraction = static_cast<int>(half & 1023u);
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000u ? -magnitude : magnitude;
}

TEST_CASE("codebook: the guard behind every buffer here really faults") {
  GuardedBuffer<float> b(3);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    const volatile float* past = b.data() + 3;
    _exit(*past == 0.5f ? 1 : 0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  // A sanitizer may turn the signal into an exit; what must not happen is success.
  CHECK_FALSE((WIFEXITED(status) && WEXITSTATUS(status) <= 1));
}

TEST_CASE("codebook: the widest kit of an instruction set is chosen") {
  CHECK(std::string(select(kKits, isa_none).name) == "codebook_reference");
#if QRT_BUILT_x86_avx2
  CHECK(std::string(select(kKits, x86_avx2).name) == "codebook_avx2");
  CHECK(std::string(select(kKits, x86_avx2 | x86_avx512).name) == "codebook_avx512");
#endif
#if QRT_BUILT_arm_neon
  CHECK(std::string(select(kKits, arm_neon).name) == "codebook_neon");
#endif
}

TEST_CASE("codebook: widen gives every half its value") {
  GuardedBuffer<uint16_t> halves(65536);
  for (size_t i = 0; i < 65536; ++i) halves[i] = static_cast<uint16_t>(i);
  each_kit([&](const Row& row) {
    GuardedBuffer<float> floats(65536);
    row.run->widen({halves.data(), 65536, floats.data()});
    size_t wrong = 0;
    for (uint32_t i = 0; i < 65536; ++i) {
      if ((i >> 10 & 31u) == 31)
        wrong += (i & 1023u) ? !std::isnan(floats[i])
                             : floats[i] != ((i & 0x8000u) ? -kInfinity : kInfinity);
      else
        wrong += floats[i] != half_value(i);
    }
    CHECK(wrong == 0);
    for (size_t count : {0u, 1u, 7u, 8u, 9u, 15u, 17u}) {  // tails end at the guard
      GuardedBuffer<float> few(count);
      row.run->widen({halves.end() - count, count, few.data()});
      CHECK(few.size() == count);
    }
  });
}

TEST_CASE("codebook: panels hold the decoded weights, tap after tap where asked") {
  for (const CodebookCase& c : test::codebook_cases()) {
    CAPTURE(c.str());
    const CodebookData data(c);
    each_kit([&](const Row& row) {
      for (size_t taps : {1u, 3u, 9u}) {
        if (c.inputs % taps != 0) continue;
        GuardedBuffer<float> panels(panel_count(row, c) * c.inputs * row.tile.n);
        make_panels(row, c, data.source(), taps, panels.data());
        size_t wrong = 0;
        for (size_t n = 0; n < c.outputs; ++n)
          for (size_t k = 0; k < c.inputs; ++k)
            wrong += panels[(n / row.tile.n * c.inputs + place(k, c.inputs, taps)) * row.tile.n +
                            n % row.tile.n] != data.weight(n, k);
        CHECK(wrong == 0);
      }
    });
  }
}

TEST_CASE("codebook: a panel may begin at any block") {
  const CodebookCase c{21, 45, 9, 7, 2, 0};
  const CodebookData data(c);
  each_kit([&](const Row& row) {
    GuardedBuffer<float> panel(18 * row.tile.n);
    const size_t outputs = std::min<size_t>(row.tile.n, 8);
    row.run->panel({data.source(), 13, outputs, 2, 18, 1, panel.data()});
    for (size_t n = 0; n < outputs; ++n)
      for (size_t k = 0; k < 18; ++k)
        CHECK(panel[k * row.tile.n + n] == data.weight(13 + n, 18 + k));
  });
}

struct Finishing {
  bool scale, bias, residual, clamp;
};

TEST_CASE("codebook: gemm multiplies, finishes and continues a sum") {
  const Finishing finishings[] = {
      {false, false, false, false}, {true, true, true, true}, {false, true, false, true}};
  for (const CodebookCase& c : test::codebook_cases()) {
    CAPTURE(c.str());
    const CodebookData data(c);
    each_kit([&](const Row& row) {
      const size_t tile_m = row.tile.m, N = row.tile.n;
      GuardedBuffer<float> panels(panel_count(row, c) * c.inputs * N);
      make_panels(row, c, data.source(), 1, panels.data());
      GuardedBuffer<float> scale(c.outputs), bias(c.outputs);
      fill(scale, 1), fill(bias, 2);
      size_t wrong = 0;
      for (size_t rows : {size_t{0}, size_t{1}, tile_m - 1, tile_m, tile_m + 1, 2 * tile_m + 3}) {
        GuardedBuffer<float> x(rows * c.inputs), y(rows * c.outputs), residual(rows * c.outputs);
        fill(x, 3), fill(residual, 4);
        for (const Finishing& f : finishings) {
          for (size_t n = 0; n < c.outputs; n += N) {
            GemmArgs a{};
            a.rows = rows, a.outputs = std::min(N, c.outputs - n);
            a.x_stride = c.inputs, a.y_stride = c.outputs;
            a.y = y.data() + n;
            a.finish = {f.scale ? scale.data() + n : nullptr,
                        f.bias ? bias.data() + n : nullptr,
                        f.residual ? residual.data() + n : nullptr,
                        c.outputs,
                        f.clamp ? -0.5f : -kInfinity,
                        f.clamp ? 0.75f : kInfinity};
            // K in two steps, the sums resting in y.
            const size_t half = c.inputs / 2;
            a.x = x.data(), a.panel = panels.data() + n / N * c.inputs * N;
            a.inputs = half, a.first = true, a.last = false;
            row.run->gemm(a);
            a.x += half, a.panel += half * N;
            a.inputs = c.inputs - half, a.first = false, a.last = true;
            row.run->gemm(a);
          }
          for (size_t m = 0; m < rows; ++m) {
            for (size_t n = 0; n < c.outputs; ++n) {
              double sum = 0, magnitude = 2;
              for (size_t k = 0; k < c.inputs; ++k) {
                const double term = double{x[m * c.inputs + k]} * double{data.weight(n, k)};
                sum += term, magnitude += std::abs(term);
              }
              if (f.scale) sum *= double{scale[n]};
              if (f.bias) sum += double{bias[n]};
              if (f.residual) sum += double{residual[m * c.outputs + n]};
              if (f.clamp) sum = std::min(0.75, std::max(-0.5, sum));
              wrong += !close(y[m * c.outputs + n], sum, c.inputs, magnitude);
            }
          }
        }
      }
      CHECK(wrong == 0);
    });
  }
}

TEST_CASE("codebook: gemm gives the same bits however rows are split, and lets NaN through") {
  const CodebookCase c{40, 77, 7, 8, 1, 0};
  const CodebookData data(c);
  each_kit([&](const Row& row) {
    const size_t N = row.tile.n, outputs = std::min<size_t>(N, c.outputs), rows = 29;
    std::vector<float> panels(panel_count(row, c) * c.inputs * N);
    make_panels(row, c, data.source(), 1, panels.data());
    GuardedBuffer<float> x(rows * c.inputs);
    fill(x, 5);
    x[3 * c.inputs] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> whole(rows * outputs), split(rows * outputs);
    GemmArgs a{};
    a.inputs = c.inputs, a.outputs = outputs, a.x_stride = c.inputs, a.y_stride = outputs;
    a.panel = panels.data(), a.first = a.last = true, a.finish.min = -1, a.finish.max = 1;
    a.rows = rows, a.x = x.data(), a.y = whole.data();
    row.run->gemm(a);
    for (size_t m = 0, n = 1; m < rows; m += n, n = n % 5 + 1) {
      n = std::min(n, rows - m);
      a.rows = n, a.x = x.data() + m * c.inputs, a.y = split.data() + m * outputs;
      row.run->gemm(a);
    }
    CHECK(std::memcmp(whole.data(), split.data(), whole.size() * sizeof(float)) == 0);
    CHECK(std::isnan(whole[3 * outputs]));
    CHECK_FALSE(std::isnan(whole[4 * outputs]));
  });
}

TEST_CASE("codebook: dot agrees with the sums in double") {
  for (const CodebookCase& c : test::codebook_cases()) {
    CAPTURE(c.str());
    const CodebookData data(c);
    const Source source = data.source();
    GuardedBuffer<float> x(data.blocks() * source.entry_stride), scale(c.outputs), bias(c.outputs);
    GuardedBuffer<float> residual(c.outputs);
    fill(x, 6), fill(scale, 7), fill(bias, 8), fill(residual, 9);
    for (size_t k = 0; k < x.size(); ++k) {
      const size_t t = k % source.entry_stride, at = k / source.entry_stride * c.dim + t;
      if (t >= c.dim || at >= c.inputs) x[k] = 0;
    }
    each_kit([&](const Row& row) {
      GuardedBuffer<float> y(c.outputs);
      row.run->dot({source,
                    0,
                    c.outputs,
                    data.blocks(),
                    x.data(),
                    y.data(),
                    {scale.data(), bias.data(), residual.data(), 0, -kInfinity, 1.0f}});
      size_t wrong = 0;
      for (size_t n = 0; n < c.outputs; ++n) {
        double sum = 0, magnitude = 2;
        for (size_t k = 0; k < c.inputs; ++k) {
          const double term =
              double{data.weight(n, k)} * double{x[k / c.dim * source.entry_stride + k % c.dim]};
          sum += term, magnitude += c.books * std::abs(term) + 1;
        }
        sum = std::min(1.0, sum * double{scale[n]} + double{bias[n]} + double{residual[n]});
        wrong += !close(y[n], sum, c.inputs * c.books, magnitude);
      }
      CHECK(wrong == 0);
    });
  }
}

TEST_CASE("codebook: gather lays runs one behind the other, null runs as zeros") {
  each_kit([&](const Row& row) {
    for (size_t length : {0u, 1u, 3u, 4u, 8u, 15u, 16u, 17u, 64u}) {
      GuardedBuffer<float> first(length), second(length), to(3 * length);
      fill(first, 13), fill(second, 14);
      const float* const runs[] = {first.data(), nullptr, second.data()};
      row.run->gather({runs, 3, length, to.data()});
      size_t wrong = 0;
      for (size_t k = 0; k < length; ++k)
        wrong += to[k] != first[k] || to[length + k] != 0 || to[2 * length + k] != second[k];
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("codebook: pack turns rows into lanes") {
  each_kit([&](const Row& row) {
    const size_t lanes = row.run->lanes;
    for (size_t taps : {1u, 4u, 9u}) {
      for (size_t channels : {1u, 3u, 4u, 7u, 16u, 33u}) {
        for (size_t rows : {size_t{0}, size_t{1}, lanes - 1, lanes}) {
          const size_t inputs = taps * channels;
          GuardedBuffer<float> x(rows * inputs), packed(inputs * lanes);
          fill(x, 10);
          row.run->pack({rows, inputs, taps, x.data(), inputs, packed.data()});
          size_t wrong = 0;
          for (size_t k = 0; k < inputs; ++k)
            for (size_t r = 0; r < rows; ++r)
              wrong += packed[k * lanes + r] != x[r * inputs + place(k, inputs, taps)];
          CHECK(wrong == 0);
        }
      }
    }
  });
}

TEST_CASE("codebook: lookup and store agree with the sums in double") {
  for (const CodebookCase& c : test::codebook_cases()) {
    CAPTURE(c.str());
    const CodebookData data(c);
    each_kit([&](const Row& row) {
      const Kit& kit = *row.run;
      const size_t lanes = kit.lanes, rows = lanes - 1;
      GuardedBuffer<float> x(c.inputs * lanes), sums(c.outputs * lanes), y(rows * c.outputs);
      GuardedBuffer<float> tables(lookup_table_floats(kit, c.bits)), bias(c.outputs);
      fill(x, 11), fill(bias, 12);
      // K in two calls that meet between blocks; outputs scope by scope.
      const size_t split = data.blocks() / 2 * c.dim;
      const size_t scope = c.scope_rows == 0 ? c.outputs : c.scope_rows;
      for (size_t n = 0; n < c.outputs; n += scope) {
        const size_t outputs = std::min(scope, c.outputs - n);
        float* to = sums.data() + n * lanes;
        kit.lookup({data.source(), n, outputs, 0, split, x.data(), tables.data(), to, true});
        kit.lookup({data.source(), n, outputs, split / c.dim, c.inputs - split,
                    x.data() + split * lanes, tables.data(), to, split == 0});
      }
      kit.store({rows,
                 c.outputs,
                 sums.data(),
                 y.data(),
                 c.outputs,
                 {nullptr, bias.data(), nullptr, 0, -kInfinity, 2.0f}});
      size_t wrong = 0;
      for (size_t r = 0; r < rows; ++r) {
        for (size_t n = 0; n < c.outputs; ++n) {
          double sum = double{bias[n]}, magnitude = 2;
          for (size_t k = 0; k < c.inputs; ++k) {
            sum += double{x[k * lanes + r]} * double{data.weight(n, k)};
            magnitude += c.books;
          }
          wrong += !close(y[r * c.outputs + n], std::min(2.0, sum), c.inputs * c.books, magnitude);
        }
      }
      CHECK(wrong == 0);
    });
  }
}

TEST_CASE("codebook: the cost model ranks strategies as measured, and more threads cost less") {
  auto shape = [](size_t rows, size_t inputs, size_t outputs, uint32_t dim) {
    CostShape s{};
    s.rows = rows, s.outputs = outputs, s.inputs = inputs, s.groups = 1, s.blocks = inputs / dim;
    s.entries = 256, s.bits = 8, s.books = 1, s.dim = dim, s.threads = 1;
    return s;
  };
  each_kit([&](const Row& row) {
    CostShape classifier = shape(1, 2048, 1000, 4);
    CHECK(dot_cost_ns(classifier, row) < decode_cost_ns(classifier, row));
    CostShape early = shape(3136, 256, 64, 4);
    CHECK(decode_cost_ns(early, row) < dot_cost_ns(early, row));
    CHECK(decode_cost_ns(early, row) < lookup_cost_ns(early, row));
    CostShape late = shape(49, 512, 2048, 8);  // outputs far outnumber centroids
    CHECK(lookup_cost_ns(late, row) < decode_cost_ns(late, row));
    const float one = lookup_cost_ns(late, row);
    late.threads = 4;
    CHECK(lookup_cost_ns(late, row) < one);
  });
}

}  // namespace
}  // namespace qrt::kernels::codebook

// The ways of kernels/shift on single matrix products, interleaved round by round with the fastest
// oneDNN u8 x s8 -> u8 primitive of the shape. Rows of 3x3 layers are laid out for ours beforehand.
// oneDNN's instruction sets are capped by ONEDNN_MAX_CPU_ISA.
//   shift_bench [--table BITS,FRACTION] [--ways REGEX] [--filter REGEX] [--rounds N]
//   shift_bench --count WAY M,K,N TIMES       only runs, for counting instructions
#if QRT_HAVE_ONEDNN
#include <omp.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "bench/layers.h"
#include "bench/rounds.h"
#include "kernels/int8/int8.h"
#include "kernels/shift/shift.h"

namespace qrt::bench {
namespace {

namespace sh = kernels::shift;
namespace i8 = kernels::int8;

constexpr LayerShape kShapes[] = {
    {"784,128,512", 28, 128, 512, 1, 1, 1},   {"784,512,128", 28, 512, 128, 1, 1, 1},
    {"196,256,1024", 14, 256, 1024, 1, 1, 1}, {"196,1024,256", 14, 1024, 256, 1, 1, 1},
    {"49,512,2048", 7, 512, 2048, 1, 1, 1},   {"49,2048,512", 7, 2048, 512, 1, 1, 1},
    {"784,1152,128", 28, 128, 128, 3, 1, 1},  {"196,2304,256", 14, 256, 256, 3, 1, 1},
    {"49,4608,512", 7, 512, 512, 3, 1, 1},    {"1,4096,4096", 1, 4096, 4096, 1, 1, 1},
    {"1,4096,11008", 1, 4096, 11008, 1, 1, 1}};

struct Free {
  void operator()(void* p) const { std::free(p); }
};
template <class T>
std::unique_ptr<T[], Free> lines(size_t count) {
  void* p = std::aligned_alloc(64, (count * sizeof(T) + 127) / 64 * 64);
  std::memset(p, 0, count * sizeof(T));
  return std::unique_ptr<T[], Free>(static_cast<T*>(p));
}

// What every way gets: codes like a normal distribution's, u8 rows, a scale per output, u8 out.
struct Problem {
  Problem(size_t m, size_t k, size_t n, const sh::Plan& table)
      : rows(m), inputs(k), outputs(n), plan(table), row_bytes((k * table.bits + 7) / 8) {
    std::mt19937 bits(1);
    std::normal_distribution<float> normal;
    codes = lines<uint8_t>(n * row_bytes);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < k; ++j) put(i, j, nearest(normal(bits)));
    x = lines<uint8_t>(m * k + 64);
    for (size_t i = 0; i < m * k; ++i) x[i] = static_cast<uint8_t>(bits());
    scale.assign(n, 1e-3f), bias.assign(n, 1.0f);
    y = lines<uint8_t>(m * n);
  }
  // Values over three standard deviations, as far as the table reaches.
  uint32_t nearest(float value) const {
    const float reach = static_cast<float>(plan.most) / 3.0f;
    uint32_t best = 0;
    for (uint32_t c = 1; c < 1u << plan.bits; ++c)
      if (std::abs(static_cast<float>(plan.integers[c]) - value * reach) <
          std::abs(static_cast<float>(plan.integers[best]) - value * reach))
        best = c;
    return best;
  }
  void put(size_t output, size_t input, uint32_t code) {
    for (uint32_t b = 0; b < plan.bits; ++b) {
      const size_t bit = input * plan.bits + b;
      uint8_t& byte = codes[output * row_bytes + bit / 8];
      byte = static_cast<uint8_t>(byte | ((code >> b & 1u) << bit % 8));
    }
  }
  sh::Args args() const {
    sh::Args a{};
    a.plan = &plan, a.codes = codes.get(), a.codes_end = codes.get() + outputs * row_bytes;
    a.row_bytes = row_bytes, a.outputs = outputs, a.inputs = inputs, a.taps = 1, a.rows = rows;
    a.x = x.get(), a.x_stride = inputs, a.y8 = y.get(), a.y_stride = outputs;
    a.finish.scale = scale.data(), a.finish.bias = bias.data(), a.finish.max = 255;
    return a;
  }
  size_t rows, inputs, outputs;
  const sh::Plan& plan;
  size_t row_bytes;
  std::unique_ptr<uint8_t[], Free> codes, x, y;
  std::vector<float> scale, bias;
};

struct Runner {
  const sh::Way* way;
  std::unique_ptr<uint8_t[], Free> scratch;
  sh::Args args;
  void run() const { way->run(args); }
};

Runner runner_of(const sh::Way& way, const Problem& p) {
  const sh::Shape s{p.rows, p.outputs, p.inputs, 1, 0, false};
  Runner r{&way, lines<uint8_t>(way.scratch(p.plan, s)), p.args()};
  r.args.scratch = r.scratch.get();
  return r;
}

// The int8 family on weights that were decoded and laid out beforehand: what decode can reach.
struct Dense {
  Dense(const kernels::Kernel<const i8::Kit>& row, const Problem& p) : kit(row.run), a(p.args()) {
    tile = row.tile.n, step = (i8::panel_bytes(*kit, p.inputs) + 63) / 64 * 64;
    std::vector<int8_t> w(p.outputs * p.inputs);
    for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<int8_t>(i % 15 - 7);
    panels = lines<uint8_t>((p.outputs + tile - 1) / tile * step);
    for (size_t n = 0; n < p.outputs; n += tile)
      kit->panel({w.data() + n * p.inputs, p.inputs, std::min(tile, p.outputs - n), p.inputs,
                  panels.get() + n / tile * step});
  }
  void run() const {
    for (size_t n = 0; n < a.outputs; n += tile) {
      i8::GemmArgs g{a.rows,
                     a.inputs,
                     std::min(tile, a.outputs - n),
                     a.x,
                     a.x_stride,
                     0,
                     panels.get() + n / tile * step,
                     a.y8 + n,
                     nullptr,
                     a.y_stride,
                     a.finish};
      g.finish.scale += n, g.finish.bias += n;
      kit->gemm(g);
    }
  }
  const i8::Kit* kit;
  sh::Args a;
  size_t tile, step;
  std::unique_ptr<uint8_t[], Free> panels;
};

struct Options {
  uint32_t bits = 4, fraction = 1;
  std::string ways = ".*", filter = ".*";
  size_t rounds = 15;
};

double all_ops(const Problem& p) {
  return 2.0 * static_cast<double>(p.rows * p.inputs * p.outputs);
}

void race(const LayerShape& s, const sh::Plan& plan, const Options& o) {
  const Problem problem(s.rows(), s.inputs(), s.cout, plan);
  std::vector<std::string> names;
  std::vector<LayerPtr> peers;
  for (const OnednnChoice& c : onednn_choices(s)) {
    if (!c.is_integer) continue;
    LayerPtr peer = make_onednn(s, c.name);
    if (peer == nullptr) continue;
    peers.push_back(std::move(peer));
    names.push_back(c.name);
  }
  std::vector<Contestant> all;
  for (const LayerPtr& peer : peers) all.push_back({[&peer] { peer->run(); }, 1, {}});
  const auto wanted = [&](const char* name, kernels::IsaSet isa) {
    return kernels::includes(kernels::detect_isa(), isa) &&
           std::regex_search(name, std::regex(o.ways));
  };
  std::vector<Runner> runners;
  std::vector<Dense> dense;
  for (const sh::Row& row : sh::kWays) {
    const bool few = std::strncmp(row.name, "dot", 3) == 0;
    if (!wanted(row.name, row.isa) || (few && s.rows() > 8)) continue;
    if (row.way == &sh::shift_reference) continue;
    runners.push_back(runner_of(*row.way, problem));
    names.push_back(row.name);
  }
  for (const auto& row : i8::kKits) {
    if (!wanted(row.name, row.isa) || row.run == &i8::int8_reference) continue;
    dense.emplace_back(row, problem);
    names.push_back(std::string(row.name) + ", panels beforehand");
  }
  for (const Runner& r : runners) all.push_back({[&r] { r.run(); }, 1, {}});
  for (const Dense& d : dense) all.push_back({[&d] { d.run(); }, 1, {}});
  for (Contestant& c : all) calibrate_calls(c, 500);
  run_rounds(all, o.rounds);
  size_t best = 0;
  for (size_t i = 1; i < peers.size(); ++i)
    if (median(all[i].us) < median(all[best].us)) best = i;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i < peers.size() && i != best) continue;
    const double us = median(all[i].us);
    const double fastest = qrt::bench::best(all[i].us);
    std::printf("| %s | %s | %.1f | %.1f | %.0f | %.2f | %.2f |\n", s.name, names[i].c_str(), us,
                fastest, all_ops(problem) / fastest / 1000, speed_ratio(all[best], all[i]),
                qrt::bench::best(all[best].us) / fastest);
  }
  std::fflush(stdout);
}

int count(const char* way, const char* shape, const char* times, const sh::Plan& plan) {
  unsigned m = 0, k = 0, n = 0;
  if (std::sscanf(shape, "%u,%u,%u", &m, &k, &n) != 3) return 2;
  const Problem problem(m, k, n, plan);
  for (const sh::Row& row : sh::kWays) {
    if (std::strcmp(row.name, way) != 0) continue;
    const Runner r = runner_of(*row.way, problem);
    for (int i = 0; i < std::atoi(times); ++i) r.run();
    return 0;
  }
  for (const auto& row : i8::kKits) {
    if (std::strcmp(row.name, way) != 0) continue;
    const Dense d(row, problem);
    for (int i = 0; i < std::atoi(times); ++i) d.run();
    return 0;
  }
  std::fprintf(stderr, "shift_bench: no way is called '%s'\n", way);
  return 2;
}

int run(int argc, char** argv) {
  Options o;
  int at = 1;
  for (; at + 1 < argc && std::strcmp(argv[at], "--count") != 0; at += 2) {
    const std::string key = argv[at];
    if (key == "--table") std::sscanf(argv[at + 1], "%u,%u", &o.bits, &o.fraction);
    if (key == "--ways") o.ways = argv[at + 1];
    if (key == "--filter") o.filter = argv[at + 1];
    if (key == "--rounds") o.rounds = static_cast<size_t>(std::atoi(argv[at + 1]));
  }
  int16_t integers[sh::kMaxCodes];
  sh::Plan plan;
  if (!sh::esb_integers(o.bits, o.fraction, integers) || !sh::make_plan(integers, o.bits, &plan)) {
    std::fprintf(stderr, "shift_bench: no table of %u bits, %u of fraction\n", o.bits, o.fraction);
    return 2;
  }
  if (at + 3 < argc) return count(argv[at + 1], argv[at + 2], argv[at + 3], plan);
#if QRT_HAVE_ONEDNN
  omp_set_num_threads(1);
#endif
  std::printf(
      "| M,K,N | ESB (%u,%u) | us | best us | GOP/s | x int8 | of bests "
      "|\n|---|---|--:|--:|--:|--:|--:|\n",
      o.bits, o.fraction);
  for (const LayerShape& s : kShapes)
    if (std::regex_search(s.name, std::regex(o.filter))) race(s, plan, o);
  return 0;
}

}  // namespace
}  // namespace qrt::bench

int main(int argc, char** argv) {
  return qrt::bench::run(argc, argv);
}

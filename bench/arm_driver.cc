// Runs one layer some times, and nothing else: what arm_counts.sh counts the instructions of under
// emulation.
//   arm_driver --list              a line per case: number, M, K, N, name
//   arm_driver CASE REPEATS
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bench/layers.h"
#include "kernels/tables/tables.h"

namespace qrt::bench {
namespace {

// Small enough to be emulated one instruction at a time.
struct DriverShape {
  LayerShape layer;
  uint32_t dim;
};
const DriverShape kShapes[] = {
    {{"1x1", 7, 256, 64, 1, 1, 1}, 8},        {{"1x1 wide", 7, 128, 512, 1, 1, 1}, 8},
    {{"1x1 d4", 7, 128, 256, 1, 1, 1}, 4},    {{"3x3", 7, 32, 64, 3, 1, 1}, 9},
    {{"depthwise", 14, 64, 64, 3, 1, 64}, 9}, {{"one row", 1, 1024, 512, 1, 1, 1}, 8},
};

struct Case {
  const DriverShape* shape;
  std::string name;
  bool is_xnnpack, is_integer;
  Coding coding;
  Way way;
  const char* level;
};

LayerPtr make(const Case& c) {
  const LayerShape& s = c.shape->layer;
  if (c.is_xnnpack) return c.is_integer ? make_xnnpack_s8(s) : make_xnnpack(s);
  kernels::IsaSet isa = 0;
  kernels::isa_level(c.level, &isa);
  if (!kernels::includes(kernels::detect_isa(), isa)) return nullptr;
  return make_ours(s, c.coding, c.way, isa);
}

void add_ours(std::vector<Case>& all, const DriverShape& s, const char* level, const Coding& coding,
              const Way& way) {
  const bool is_for_few_rows =
      std::strstr(way.strategy, "dot") != nullptr && coding.table_bits == 0;
  if (is_for_few_rows && s.layer.rows() > 8) return;
  std::string name = std::string(level) + " " + way.strategy;
  if (way.is_resident) name += " at load";
  if (coding.count != 0)
    name += " d" + std::to_string(coding.dim) + " x" + std::to_string(coding.count);
  all.push_back({&s, name, false, coding.kind != Coding::Kind::f32, coding, way, level});
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DriverShape& s : kShapes) {
    all.push_back({&s, "XNNPACK f32", true, false, {}, {}, ""});
    all.push_back({&s, "XNNPACK s8", true, true, {}, {}, ""});
    for (const char* strategy : {"decode", "lookup", "dot", "winograd"})
      add_ours(all, s, "neon", {Coding::Kind::f32, s.dim, 256}, {strategy});
    for (const char* level : {"neon", "neondot"}) {
      for (const Way way : {Way{"dense8", s.layer.rows() > 1}, Way{"dot8"}, Way{"depthwise8"}})
        add_ours(all, s, level, {Coding::Kind::exact, 0, 0}, way);
      for (const uint32_t count : {16u, 256u}) {
        for (const char* strategy : {"decode8", "coded_dot", "winograd8_2x2", "winograd8_4x4"})
          add_ours(all, s, level, {Coding::Kind::exact, s.dim, count}, {strategy});
        for (const kernels::tables::Row& row : kernels::tables::kWays)
          if (level_of(row.isa) == level)
            add_ours(all, s, level, {Coding::Kind::rounded, s.dim, count, 8}, {row.name});
      }
    }
  }
  return all;
}

int list() {
  int i = 0;
  for (const Case& c : cases()) {
    const LayerShape& s = c.shape->layer;
    if (make(c))
      std::printf("%d|%s|%u|%u|%u|%s\n", i, s.name, s.rows(), s.inputs(), s.cout, c.name.c_str());
    std::fflush(stdout);  // the reader need not wait for all
    ++i;
  }
  return 0;
}

}  // namespace
}  // namespace qrt::bench

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) return qrt::bench::list();
  if (argc != 3) {
    std::fprintf(stderr, "usage: arm_driver --list | arm_driver CASE REPEATS\n");
    return 2;
  }
  const auto all = qrt::bench::cases();
  const size_t number = std::strtoul(argv[1], nullptr, 10);
  const auto layer = number < all.size() ? qrt::bench::make(all[number]) : nullptr;
  if (layer == nullptr) {
    std::fprintf(stderr, "arm_driver: case %s cannot run here; see --list\n", argv[1]);
    return 1;
  }
  for (long left = std::atol(argv[2]); left > 0; --left) layer->run();
  return 0;
}

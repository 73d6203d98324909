// Layers of exact numerics by tables, against their definition, bit for bit.
#include "kernels/tables/tables.h"
#include "tests/runtime/ops/int8_layer.h"

namespace qrt::test {
namespace {

constexpr IntegerFinish kAll{true, true, true, false, {Activation::clamp, -20, 45}};
constexpr IntegerFinish kFloats{true, true, true, true, {Activation::clamp, -20, 45}};

IntegerWeights codes(uint32_t dim, uint32_t count) {
  IntegerWeights w;
  w.dim = dim, w.count = count, w.order = InputOrder::cin_kh_kw;
  return w;
}

// The way that runs, having given the bits for every number of threads.
std::string exact_way(const IntegerLayer& l) {
  std::string name;
  for (const uint32_t threads : {1u, 2u, 3u}) {
    CAPTURE(threads);
    OpRun run;
    run.strategy = "tables", run.threads = threads;
    HostTensor out = l.out;
    const Status s = run(l.node, l.in, &out);
    REQUIRE_MESSAGE(s.ok(), s.what());
    CHECK(out.bytes == l.out.bytes);
    CHECK(run.guards_held);
    name = run.kernel;
  }
  return name;
}

TEST_CASE("int8 layers: exact numerics by tables, of one book and one level") {
  const bool has = kernels::includes(kernels::detect_isa(), kernels::x86_avx512vbmi);
  const auto check_name = [has](const std::string& name, bool can) {
    CHECK((name.find("planes") == 0) == (has && can));
  };
  IntegerWeights scoped = codes(8, 60), books = codes(8, 16), levels = codes(8, 16);
  scoped.scope_rows = 24, books.books = 2, levels.levels = 3;
  for (const int rows : {1, 5}) {
    for (const uint32_t dim : {4u, 8u, 9u, 64u}) {
      for (const uint32_t count : {5u, 16u, 64u, 100u, 256u}) {
        IntegerLayer l;
        make_linear(rows, 330, 300, codes(dim, count), kAll, &l);
        check_name(exact_way(l), true);
      }
    }
    IntegerLayer one, two, three, wide;
    make_linear(rows, 130, 100, scoped, kFloats, &one);
    check_name(exact_way(one), true);
    make_linear(rows, 130, 100, books, kAll, &two);
    check_name(exact_way(two), false);
    make_linear(rows, 130, 100, levels, kAll, &three);
    check_name(exact_way(three), false);
    make_linear(rows, 64, 700, codes(4, 300), kAll, &wide);
    check_name(exact_way(wide), false);
  }
  IntegerLayer l;
  make_conv({1, 5, 6, 12, 36, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, 3, codes(9, 200), kAll}, &l);
  check_name(exact_way(l), true);
}

}  // namespace
}  // namespace qrt::test

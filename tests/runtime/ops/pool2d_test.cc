// Pools against their definition.
#include <doctest/doctest.h>

#include "tests/runtime/ops/naive.h"

namespace qrt::test {
namespace {

std::vector<double> naive(const HostTensor& in, const Shape& out, const Pool2dAttr& a) {
  const bool is_max = a.mode == PoolMode::max, is_norm = a.mode == PoolMode::lp;
  std::vector<double> y(*out.elements().get(), is_max ? -kInf : 0.0);
  std::vector<double> count(y.size());
  for_taps(in.shape, out, a.window, [&](int n, int oy, int ox, int iy, int ix, int, int) {
    for (int c = 0; c < out[3]; ++c) {
      const size_t to = offset4(out, n, oy, ox, c);
      const double v = in[offset4(in.shape, n, iy, ix, c)];
      if (is_norm)
        y[to] += std::pow(std::fabs(v), a.power);
      else if (!is_max)
        y[to] += v;
      else if (std::isnan(v) || v > y[to])
        y[to] = v;
      count[to] += 1;
    }
  });
  const double taps = double{1} * a.window.kernel_h * a.window.kernel_w;
  if (is_norm)
    for (double& v : y) v = std::pow(v, 1.0 / a.power);
  else if (!is_max)
    for (size_t i = 0; i < y.size(); ++i)
      if (count[i] > 0) y[i] /= a.count_include_pad ? taps : count[i];
  return y;
}

void check(const HostTensor& in, const Window& w, bool include_pad = false) {
  const Shape& s = in.shape;
  HostTensor out;
  out.shape = shape(
      {s[0], out_extent(s[1], w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
       out_extent(s[2], w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right), s[3]});
  const Pool2dAttr attrs[] = {{PoolMode::max, w, include_pad, false, 0},
                              {PoolMode::average, w, include_pad, false, 0},
                              {PoolMode::lp, w, false, false, 1},
                              {PoolMode::lp, w, false, false, 2},
                              {PoolMode::lp, w, false, false, 3}};
  for (const Pool2dAttr& attr : attrs) {
    Node node;
    node.kind = OpKind::pool2d;
    node.pool2d = &attr;
    const std::vector<double> want = naive(in, out.shape, attr);
    for (uint32_t threads : {1u, 4u}) {
      OpRun run;
      run.threads = threads;
      REQUIRE(run(node, {in}, &out).ok());
      CHECK(difference(out, want) < (attr.mode == PoolMode::max ? 0 : 1e-6) + 1e-300);
      CHECK(run.guards_held);
    }
  }
}

Status run_global(const HostTensor& in, PoolMode mode, HostTensor* out) {
  const Pool2dAttr attr{mode, {}, false, true, mode == PoolMode::lp ? 2u : 0u};
  Node node;
  node.kind = OpKind::pool2d;
  node.pool2d = &attr;
  OpRun run;
  return run(node, {in}, out);
}

}  // namespace

TEST_CASE("pool2d: windows") {
  const HostTensor in = random_tensor(shape({2, 11, 9, 21}), 1);
  check(in, {3, 3, 2, 2, 1, 1, 1, 1, 1, 1});
  check(in, {2, 2, 2, 2, 1, 1, 0, 0, 0, 0});
  check(in, {2, 3, 1, 2, 1, 1, 0, 2, 1, 0});         // asymmetric
  check(in, {3, 2, 1, 1, 3, 4, 0, 0, 0, 0});         // dilation
  check(in, {2, 2, 5, 4, 1, 1, 0, 0, 0, 0});         // stride > kernel
  check(in, {3, 3, 1, 1, 1, 1, 2, 2, 2, 2}, true);   // full padding
  check(in, {11, 9, 1, 1, 1, 1, 0, 0, 0, 0}, true);  // all of it
  check(in, {1, 1, 1, 1, 1, 1, 2, 2, 2, 2});         // windows wholly in the padding
  check(random_tensor(shape({1, 1, 1, 1}), 2), {1, 1, 1, 1, 1, 1, 0, 0, 0, 0});
  check(random_tensor(shape({1, 60, 60, 64}), 3), {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, true);
}

TEST_CASE("pool2d: NaNs survive, infinities compare") {
  for (int channels : {1, 4, 7}) {
    HostTensor in = random_tensor(shape({1, 6, 6, channels}), 4);
    std::vector<float> v(in.count());
    for (size_t i = 0; i < v.size(); ++i) v[i] = in[i];
    v[0] = kNan;
    v[v.size() / 2] = kInf;
    v[v.size() - 1] = -kInf;
    v[v.size() / 3] = kNan;
    check(floats(in.shape, v), {3, 3, 1, 1, 1, 1, 1, 1, 1, 1});
  }
}

TEST_CASE("pool2d: global pools ignore the window") {
  const HostTensor in = random_tensor(shape({2, 7, 5, 13}), 5);
  HostTensor out;
  out.shape = shape({2, 1, 1, 13});
  std::vector<double> mean(26), most(26, -kInf);
  for (size_t i = 0; i < in.count(); ++i) {
    const size_t to = i / (35 * 13) * 13 + i % 13;
    mean[to] += in[i] / 35.0;
    most[to] = std::max<double>(most[to], in[i]);
  }
  REQUIRE(run_global(in, PoolMode::average, &out).ok());
  CHECK(difference(out, mean) < 1e-6);
  REQUIRE(run_global(in, PoolMode::max, &out).ok());
  CHECK(difference(out, most) == 0);
  out.shape = shape({2, 13});
  CHECK(run_global(in, PoolMode::max, &out).id() == 253);
  CHECK(run_global(random_tensor(shape({2, 13}), 1), PoolMode::max, &out).id() == 254);
}

}  // namespace qrt::test

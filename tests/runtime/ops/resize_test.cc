// resize against worked examples (ONNX's own, and by hand) and against the
// definition: a sum over all combinations of taps, in double precision.
#include <doctest/doctest.h>

#include <cmath>

#include "runtime/ops/resize_taps.h"
#include "tests/runtime/ops/elements.h"

namespace qrt::test {
namespace {

ResizeAttr plain(ResizeMode mode, Coordinates coordinates) {
  ResizeAttr a{};
  a.mode = mode;
  a.coordinates = coordinates;
  a.cubic_a = -0.75f;
  for (float& end : a.roi_end) end = 1;
  return a;
}

Status run_resize(const ResizeAttr& a, const HostTensor& in, HostTensor* out, OpRun& run) {
  out->shape = in.shape;
  for (int i = 0; i < in.shape.rank; ++i)
    if (a.size[i] != 0) out->shape[i] = a.size[i];
  Node node;
  node.kind = OpKind::resize;
  node.resize = &a;
  return run(node, {in}, out);
}

// One line of numbers, resized.
std::vector<float> line(ResizeAttr a, const std::vector<float>& x, int size, float scale = 0) {
  a.size[0] = size;
  a.scale[0] = scale;
  HostTensor out;
  OpRun run;
  const Status status = run_resize(a, floats(shape({static_cast<int>(x.size())}), x), &out, run);
  REQUIRE_MESSAGE(status.ok(), status.what());
  std::vector<float> y;
  for (size_t i = 0; i < out.count(); ++i) y.push_back(out[i]);
  return y;
}

void near(const std::vector<float>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(static_cast<double>(got[i]) - want[i]) <=
          1e-6 * std::max(1.0, std::abs(want[i])));
  }
}

// All axes at once, from the taps.
double by_definition(const ResizeAttr& a, const HostTensor& in, const Shape& out,
                     const std::vector<int>& at, int axis, size_t from) {
  if (axis == out.rank) return static_cast<double>(in[from]);
  const size_t row = from * static_cast<size_t>(in.shape[axis]);
  if (a.size[axis] == 0)
    return by_definition(a, in, out, at, axis + 1,
                         row + static_cast<size_t>(at[static_cast<size_t>(axis)]));
  const AxisTap tap = tap_at(a, axis, at[static_cast<size_t>(axis)], in.shape[axis], out[axis]);
  if (tap.index[0] < 0) return static_cast<double>(a.outside);
  double sum = 0;
  for (int k = 0; k < taps_of(a.mode); ++k)
    sum += static_cast<double>(tap.weight[k]) *
           by_definition(a, in, out, at, axis + 1, row + static_cast<size_t>(tap.index[k]));
  return sum;
}

}  // namespace

TEST_CASE("resize: coordinates of nearest, by hand") {
  const std::vector<float> x = {1, 2, 3, 4};
  ResizeAttr a = plain(ResizeMode::nearest, Coordinates::asymmetric);
  a.nearest = NearestMode::floor;
  CHECK(line(a, x, 8, 2) == std::vector<float>{1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(line(a, x, 2, 0.5f) == std::vector<float>{1, 3});
  // Places 0, 0.5, 1, ...: ties go up, down.
  a.nearest = NearestMode::round_prefer_ceil;
  CHECK(line(a, x, 8) == std::vector<float>{1, 2, 2, 3, 3, 4, 4, 4});
  a.nearest = NearestMode::round_prefer_floor;
  CHECK(line(a, x, 8) == std::vector<float>{1, 1, 2, 2, 3, 3, 4, 4});
  a.nearest = NearestMode::ceil;
  CHECK(line(a, x, 8) == std::vector<float>{1, 2, 2, 3, 3, 4, 4, 4});
  // Places 0.667, 2, 3.333.
  a = plain(ResizeMode::nearest, Coordinates::tf_half_pixel_for_nn);
  a.nearest = NearestMode::floor;
  CHECK(line(a, x, 3) == std::vector<float>{1, 3, 4});
  // Places 0, 1.5, 3 of align_corners.
  a = plain(ResizeMode::nearest, Coordinates::align_corners);
  CHECK(line(a, x, 3) == std::vector<float>{1, 2, 4});
  CHECK(line(a, x, 1) == std::vector<float>{1});
}

TEST_CASE("resize: linear and cubic lines, by hand") {
  const std::vector<float> x = {1, 2, 3, 4};
  near(line(plain(ResizeMode::linear, Coordinates::half_pixel), {1, 2}, 4), {1, 1.25, 1.75, 2});
  near(line(plain(ResizeMode::linear, Coordinates::align_corners), x, 7),
       {1, 1.5, 2, 2.5, 3, 3.5, 4});
  // A scale of 0.6 stands for 2.4 elements: places 0 and 3 / 1.4.
  near(line(plain(ResizeMode::linear, Coordinates::align_corners), x, 2, 0.6f), {1, 1 + 3 / 1.4});
  near(line(plain(ResizeMode::linear, Coordinates::pytorch_half_pixel), x, 1), {1});
  near(line(plain(ResizeMode::linear, Coordinates::half_pixel), x, 1), {2.5});
  // Half way between two elements Keys' weights are -0.09375, 0.59375, 0.59375, -0.09375 for
  // a = -0.75, and -0.0625, 0.5625, 0.5625, -0.0625 for -0.5.
  near(line(plain(ResizeMode::cubic, Coordinates::align_corners), {0, 1, 10, 0}, 7),
       {0, 0 - 0.9375 + 0.59375, 1, 0.59375 * 11, 10, 0.59375 * 10 - 0.09375, 0});
  ResizeAttr a = plain(ResizeMode::cubic, Coordinates::asymmetric);
  a.cubic_a = -0.5f;
  near(line(a, {0, 1, 10, 0}, 8, 2),
       {0, 0.5625 - 0.625, 1, 0.5625 * 11, 10, 0.5625 * 10 - 0.0625, 0, -0.625});
  // Outside taps weigh nothing: the first and last outputs are renormalized.
  a.exclude_outside = true;
  const double w[] = {-0.0625, 0.5625};
  const double sum = 2 * w[1] + w[0];
  near(line(a, {0, 1, 10, 0}, 8, 2), {0, (w[1] + w[0] * 10) / sum, 1, w[1] * 11, 10,
                                      (w[1] * 10 + w[0]) / sum, 0, w[0] * 10 / (w[0] + w[1])});
}

TEST_CASE("resize: crops, and what lies outside") {
  ResizeAttr a = plain(ResizeMode::linear, Coordinates::tf_crop_and_resize);
  a.outside = 9;
  a.roi_start[0] = 0.5f;
  a.roi_end[0] = 1.5f;
  // Places 1.5, 3, 4.5 of 0 to 3.
  near(line(a, {1, 2, 3, 4}, 3), {2.5, 4, 9});
  near(line(a, {1, 2, 3, 4}, 1), {4});  // the middle of the region, 1.0 of the input
  a.mode = ResizeMode::nearest;
  near(line(a, {1, 2, 3, 4}, 3), {2, 4, 9});
}

TEST_CASE("resize: every mode on images of any layout is the sum over all taps") {
  uint32_t seed = 1;
  for (int mode = 0; mode < 3; ++mode)
    for (int coordinates = 0; coordinates < 6; ++coordinates)
      for (const bool exclude : {false, true})
        for (const Shape& s : {shape({2, 3, 7, 6}), shape({1, 5, 4, 3})}) {
          ResizeAttr a =
              plain(static_cast<ResizeMode>(mode), static_cast<Coordinates>(coordinates));
          a.exclude_outside = exclude;
          a.nearest = static_cast<NearestMode>(seed % 4);
          a.outside = 3;
          const int first = s[3] == 3 ? 1 : 2;  // NHWC, NCHW
          a.size[first] = 3;                    // shrinks one way, grows the other
          a.size[first + 1] = 11;
          if (seed % 2) a.scale[first + 1] = 1.75f;
          if (a.coordinates == Coordinates::tf_crop_and_resize) {
            a.roi_start[first] = 0.1f;
            a.roi_end[first + 1] = 1.2f;
          }
          const HostTensor in = random_tensor(s, ++seed);
          HostTensor out;
          OpRun run;
          run.threads = 2;
          run.repeats = 2;
          const Status status = run_resize(a, in, &out, run);
          REQUIRE_MESSAGE(status.ok(), status.what());
          CHECK(run.guards_held);
          CHECK(run.repeatable);
          double worst = 0;
          for (size_t i = 0; i < out.count(); ++i) {
            const double want = by_definition(a, in, out.shape, indices(out.shape, i), 0, 0);
            worst = std::max(worst, std::abs(static_cast<double>(out[i]) - want));
          }
          CHECK(worst <= 1e-5);
        }
}

TEST_CASE("resize: taps stay inside whatever the numbers are") {
  for (int mode = 0; mode < 3; ++mode)
    for (int coordinates = 0; coordinates < 6; ++coordinates)
      for (const float scale : {0.0f, 1e-38f, 0.3f, 1.0f / 3, 1.0f, 16777216.0f})
        for (const float roi : {-3e38f, -1.0f, 0.5f, 3e38f})
          for (const int in : {1, 2, 5}) {
            ResizeAttr a =
                plain(static_cast<ResizeMode>(mode), static_cast<Coordinates>(coordinates));
            a.scale[0] = scale;
            a.roi_start[0] = roi;
            a.exclude_outside = in == 2;
            for (int out : {1, 3, 8})
              for (int x = 0; x < out; ++x) {
                const AxisTap tap = tap_at(a, 0, x, in, out);
                for (int k = 0; k < taps_of(a.mode); ++k) {
                  REQUIRE(tap.index[k] < in);
                  REQUIRE((tap.index[k] >= 0 || (k == 0 && coordinates == 5)));
                  REQUIRE(std::isfinite(tap.weight[k]));
                }
              }
          }
}

TEST_CASE("resize: an infinity beside the place is not touched; memory; refusals") {
  const float inf = INFINITY;
  CHECK(line(plain(ResizeMode::linear, Coordinates::align_corners), {1, inf, 3}, 2) ==
        std::vector<float>{1, 3});
  ResizeAttr a = plain(ResizeMode::linear, Coordinates::half_pixel);
  a.size[0] = 4;
  a.size[1] = 5;
  const HostTensor in = random_tensor(shape({3, 3}), 1);
  HostTensor out;
  for (int64_t n = 0; n < 8; ++n) {
    OpRun run;
    run.fail_after = n;
    const Status status = run_resize(a, in, &out, run);
    CHECK(run.leaked == 0);
    if (status.ok()) break;
    CHECK(status.code() == Code::out_of_memory);
    REQUIRE(n < 7);
  }
  OpRun run;
  a.scale[0] = -1;
  CHECK(run_resize(a, in, &out, run).id() == 278);
  a.scale[0] = 0;
  a.size[1] = -1;
  CHECK(run_resize(a, in, &out, run).id() == 278);
  a.size[1] = 5;
  const HostTensor whole = bytes_tensor(DType::i32, shape({3, 3}), 1);
  CHECK(run_resize(a, whole, &out, run).id() == 252);
  Node node;
  node.kind = OpKind::resize;
  node.resize = &a;
  out.shape = shape({4, 4});
  CHECK(run(node, {in}, &out).id() == 253);
}

}  // namespace qrt::test

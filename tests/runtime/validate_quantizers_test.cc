// The validator, one field at a time: quantizers in f32.
#include <cstring>
#include <limits>

#include "tests/support/mutation.h"

namespace qrt {
namespace {

using testing::check_mutations;
using testing::FullModel;

constexpr float kInf = std::numeric_limits<float>::infinity();

fb::FakeQuantizeT& grid(FullModel& f) {
  return *f.op(f.fake_quantize).fake_quantize;
}

fb::StepsT& steps(FullModel& f) {
  return *f.op(f.steps).steps;
}

void set_float(FullModel& f, uint32_t buffer, size_t i, float v) {
  std::memcpy(f.bytes(buffer).data() + 4 * i, &v, sizeof v);
}

TEST_CASE("quantizers: options and constants") {
  check_mutations({
      {"rounding", [](FullModel& f) { grid(f).rounding = static_cast<fb::Rounding>(7); }, 110},
      {"grid axis", [](FullModel& f) { grid(f).axis = 4; }, 166},
      {"grid axis of one row", [](FullModel& f) { grid(f).scale = f.b.constant({1.5f}); }, 166},
      {"low above high", [](FullModel& f) { grid(f).low = 4; }, 165},
      {"low is not whole", [](FullModel& f) { grid(f).low = -0.5f; }, 165},
      {"high too large", [](FullModel& f) { grid(f).high = 65537; }, 165},
      {"high is NaN", [](FullModel& f) { grid(f).high = kInf - kInf; }, 165},
      {"scale 0", [](FullModel& f) { set_float(f, grid(f).scale->buffer, 5, 0); }, 165},
      {"scale below 0", [](FullModel& f) { set_float(f, grid(f).scale->buffer, 0, -1); }, 165},
      {"scale denormal", [](FullModel& f) { set_float(f, grid(f).scale->buffer, 0, 1e-40f); }, 165},
      {"scale infinite", [](FullModel& f) { set_float(f, grid(f).scale->buffer, 0, kInf); }, 132},
      {"scales",
       [](FullModel& f) {
         grid(f).scale = f.b.constant({1, 2, 3});
       },
       164},
      {"zeros",
       [](FullModel& f) {
         grid(f).zero = f.b.constant({1, 2, 3});
       },
       164},
      {"zero is not whole", [](FullModel& f) { grid(f).zero = f.b.constant({0.5f}); }, 165},
      {"zero before rounding",
       [](FullModel& f) {
         grid(f).zero = f.b.constant({0.5f});
         grid(f).zero_after = false;
       },
       0},
      {"no thresholds", [](FullModel& f) { steps(f).count = 0; }, 164},
      {"too many thresholds", [](FullModel& f) { steps(f).count = 65536; }, 164},
      {"thresholds over", [](FullModel& f) { steps(f).count = 4; }, 164},
      {"rows of steps", [](FullModel& f) { steps(f).count = 9; }, 165},
      {"rows beside the axis", [](FullModel& f) { steps(f).count = 1; }, 164},
      {"thresholds fall", [](FullModel& f) { set_float(f, steps(f).thresholds->buffer, 17, -1); },
       165},
      {"steps axis", [](FullModel& f) { steps(f).axis = -5; }, 166},
      {"steps scale", [](FullModel& f) { steps(f).scale = kInf; }, 165},
      {"steps bias", [](FullModel& f) { steps(f).bias = kInf - kInf; }, 165},
      {"steps type", [](FullModel& f) { steps(f).thresholds->dtype = fb::DType::i8; }, 130},
  });
}

}  // namespace
}  // namespace qrt

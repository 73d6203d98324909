// The validator, one field at a time: thresholds of integer layers, packed bits, exact planes.
#include <cstring>

#include "tests/support/mutation.h"

namespace qrt {
namespace {

using testing::check_mutations;
using testing::FullModel;

constexpr uint32_t kOutputs = 10;  // of the full model's layer of integers

fb::EpilogueT& epilogue(FullModel& f) {
  auto& e = f.op(f.linear).linear->epilogue;
  if (e == nullptr) e = std::make_unique<fb::EpilogueT>();
  return *e;
}

fb::TensorT& sum(FullModel& f) {
  return f.tensor(f.op(f.linear).outputs[0]);
}

// `count` thresholds 0, 10, 20, ... of every output.
void set_thresholds(FullModel& f, uint32_t count) {
  std::vector<int32_t> values(size_t{kOutputs} * count);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i % count * 10);
  epilogue(f).thresholds = f.b.buffer(values);
  epilogue(f).threshold_count = count;
  epilogue(f).threshold_step = 1;
}

void set_threshold(FullModel& f, size_t i, int32_t value) {
  std::memcpy(f.bytes(epilogue(f).thresholds).data() + 4 * i, &value, sizeof value);
}

// The layer's sums become bits, and bytes again behind it.
void set_bits(FullModel& f) {
  set_thresholds(f, 1);
  sum(f).dtype = fb::DType::bits;
  sum(f).zero = 0;
}

// A plane of signs for each output, `first` for the first one, over all inputs.
void set_planes(FullModel& f, uint8_t first) {
  fb::WeightsT& w = f.weights(f.w_planes);
  fb::BitPlanesT& p = *w.bit_planes;
  std::vector<uint8_t> counts(w.outputs, 1);
  counts[0] = first;
  const size_t planes = w.outputs - 1 + first;
  p.group = 0;
  p.counts = f.b.buffer(counts);
  p.planes = f.b.buffer(std::vector<uint64_t>(planes, 5));
  p.alphas = f.b.constant(std::vector<float>(planes, 0.5f));
}

void set_exact(FullModel& f) {
  f.weights(f.w_planes).numerics = fb::Numerics::exact;
}

TEST_CASE("thresholds of integer layers") {
  check_mutations({
      {"three", [](FullModel& f) { set_thresholds(f, 3); }, 0},
      {"255", [](FullModel& f) { set_thresholds(f, 255); }, 0},
      {"equal neighbours", [](FullModel& f) { set_thresholds(f, 3), set_threshold(f, 1, 0); }, 0},
      {"largest integers",
       [](FullModel& f) {
         set_thresholds(f, 2), set_threshold(f, 0, INT32_MIN), set_threshold(f, 1, INT32_MAX);
       },
       0},
      {"256", [](FullModel& f) { set_thresholds(f, 256); }, 155},
      {"count without a buffer", [](FullModel& f) { epilogue(f).threshold_count = 3; }, 155},
      {"step without a count", [](FullModel& f) { epilogue(f).threshold_step = 1; }, 155},
      {"first without a count", [](FullModel& f) { epilogue(f).threshold_first = 1; }, 155},
      {"buffer without a count",
       [](FullModel& f) {
         set_thresholds(f, 3), epilogue(f).threshold_count = 0;
         epilogue(f).threshold_step = 0;
       },
       155},
      {"step 0", [](FullModel& f) { set_thresholds(f, 3), epilogue(f).threshold_step = 0; }, 155},
      {"last byte 255", [](FullModel& f) { set_thresholds(f, 3), epilogue(f).threshold_step = 85; },
       0},
      {"last byte 256",
       [](FullModel& f) {
         set_thresholds(f, 3), epilogue(f).threshold_step = 85, epilogue(f).threshold_first = 1;
       },
       155},
      {"a bias beside",
       [](FullModel& f) {
         set_thresholds(f, 3);
         epilogue(f).bias = f.b.constant(std::vector<float>(kOutputs, 1));
       },
       155},
      {"a scale beside",
       [](FullModel& f) {
         set_thresholds(f, 3);
         epilogue(f).scale = f.b.constant(std::vector<float>(kOutputs, 1));
       },
       155},
      {"a clamp beside",
       [](FullModel& f) { set_thresholds(f, 3), epilogue(f).activation = fb::Activation::clamp; },
       155},
      {"a residual beside", [](FullModel& f) { set_thresholds(f, 3), epilogue(f).residual = true; },
       155},
      {"too few", [](FullModel& f) { set_thresholds(f, 3), epilogue(f).threshold_count = 2; }, 156},
      {"too many", [](FullModel& f) { set_thresholds(f, 3), epilogue(f).threshold_count = 4; },
       156},
      {"they fall", [](FullModel& f) { set_thresholds(f, 3), set_threshold(f, 28, -1); }, 156},
      {"of a layer of floats",
       [](FullModel& f) {
         set_thresholds(f, 3);
         f.op(f.table_linear).linear->epilogue = std::make_unique<fb::EpilogueT>(epilogue(f));
         f.op(f.linear).linear->epilogue.reset();
       },
       157},
      {"of a transposed convolution",
       [](FullModel& f) {
         fb::WeightsT& w = f.weights(f.w_transposed);
         std::vector<int32_t> values(w.outputs);
         fb::EpilogueT& e = *f.op(f.transposed).conv_transpose->epilogue;
         e.scale.reset(), e.bias.reset();
         e.thresholds = f.b.buffer(values), e.threshold_count = 1, e.threshold_step = 1;
       },
       157},
      {"into floats",
       [](FullModel& f) {
         set_thresholds(f, 3);
         sum(f).dtype = fb::DType::f32, sum(f).scale = 0, sum(f).zero = 0;
       },
       186},
  });
}

TEST_CASE("packed bits") {
  check_mutations({
      {"bits between two operators", set_bits, 0},
      {"without a scale", [](FullModel& f) { set_bits(f), sum(f).scale = 0; }, 158},
      {"with a zero", [](FullModel& f) { set_bits(f), sum(f).zero = 1; }, 158},
      {"constant",
       [](FullModel& f) {
         f.tensor(f.constant).dtype = fb::DType::bits, f.tensor(f.constant).scale = 1;
       },
       158},
      {"of two thresholds", [](FullModel& f) { set_bits(f), set_thresholds(f, 2); }, 186},
      {"of none", [](FullModel& f) { sum(f).dtype = fb::DType::bits, sum(f).zero = 0; }, 186},
      {"an output of the model",
       [](FullModel& f) { set_bits(f), f.b.output(f.op(f.linear).outputs[0]); }, 158},
      {"an input of the model",
       [](FullModel& f) { f.tensor(f.image).dtype = fb::DType::bits, f.tensor(f.image).scale = 1; },
       158},
  });
}

TEST_CASE("exact planes") {
  check_mutations({
      {"groups", [](FullModel& f) { f.weights(f.w_planes).numerics = fb::Numerics::exact; }, 159},
      {"two planes in f32", [](FullModel& f) { set_planes(f, 2); }, 0},
      {"two planes", [](FullModel& f) { set_planes(f, 2), set_exact(f); }, 159},
      {"no plane", [](FullModel& f) { set_planes(f, 0), set_exact(f); }, 159},
      {"floats into one plane", [](FullModel& f) { set_planes(f, 1), set_exact(f); }, 181},
  });
}

}  // namespace
}  // namespace qrt

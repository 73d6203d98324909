// The validator, one field at a time: transposed convolutions and products of two
// tensors.
#include "tests/support/mutation.h"

namespace qrt {
namespace {

using testing::check_mutation;
using testing::check_mutations;
using testing::FullModel;

TEST_CASE("transposed convolutions: the window") {
  using T = fb::ConvTransposeT;
  const struct {
    const char* what;
    uint32_t T::*field;
    uint32_t value;
    int id;
  } rows[] = {
      {"weights", &T::weights, 99, 111},
      {"weights of another layer", &T::weights, 0, 164},
      {"kernel_h 0", &T::kernel_h, 0, 162},
      {"kernel_h 2", &T::kernel_h, 2, 183},
      {"kernel_w 0", &T::kernel_w, 0, 162},
      {"kernel_w big", &T::kernel_w, ~0u, 162},
      {"stride_h 0", &T::stride_h, 0, 162},
      {"stride_h 1", &T::stride_h, 1, 180},
      {"stride_w 0", &T::stride_w, 0, 162},
      {"stride_w big", &T::stride_w, 65537, 162},
      {"dilation_h 0", &T::dilation_h, 0, 162},
      {"dilation_w 0", &T::dilation_w, 0, 162},
      {"dilation_w 2", &T::dilation_w, 2, 180},
      {"pad_top", &T::pad_top, 0, 180},
      {"pad_top cuts all", &T::pad_top, 9, 182},
      {"pad_left", &T::pad_left, 65537, 162},
      {"pad_left cuts all", &T::pad_left, 6, 182},
      {"pad_bottom", &T::pad_bottom, 1u << 31, 162},
      {"pad_right", &T::pad_right, 1, 180},
      {"adjust_h", &T::adjust_h, 0, 180},
      {"adjust_h big", &T::adjust_h, 65537, 162},
      {"adjust_w", &T::adjust_w, 1, 180},
      {"adjust_w big", &T::adjust_w, ~0u, 162},
      {"groups 0", &T::groups, 0, 163},
      {"groups 3", &T::groups, 3, 163},
      {"groups 4 of 6 channels", &T::groups, 4, 163},
      {"groups 1", &T::groups, 1, 183},
  };
  for (const auto& row : rows) {
    const auto change = [&](FullModel& f) {
      (*f.op(f.transposed).conv_transpose).*row.field = row.value;
    };
    check_mutation(row.what, change, row.id);
  }
}

TEST_CASE("transposed convolutions: tensors and epilogue") {
  check_mutations({
      {"input rank", [](FullModel& f) { f.op(f.transposed).inputs[0] = f.constant; }, 182},
      {"no options", [](FullModel& f) { f.op(f.transposed).conv_transpose.reset(); }, 161},
      {"foreign options",
       [](FullModel& f) { f.op(f.unary).conv_transpose = std::make_unique<fb::ConvTransposeT>(); },
       161},
      {"residual unasked",
       [](FullModel& f) { f.op(f.transposed).inputs.push_back(f.op(f.pool).outputs[0]); }, 160},
      {"residual shape",
       [](FullModel& f) {
         f.op(f.transposed).conv_transpose->epilogue->residual = true;
         f.op(f.transposed).inputs.push_back(f.op(f.pool).outputs[0]);
       },
       180},
      {"scale count",
       [](FullModel& f) {
         f.op(f.transposed).conv_transpose->epilogue->scale = f.b.constant({1, 2});
       },
       164},
      {"no epilogue", [](FullModel& f) { f.op(f.transposed).conv_transpose->epilogue.reset(); }, 0},
  });
}

TEST_CASE("products of two tensors") {
  check_mutations({
      {"one input", [](FullModel& f) { f.op(f.product).inputs.pop_back(); }, 160},
      {"three inputs",
       [](FullModel& f) { f.op(f.product).inputs.push_back(f.op(f.product).inputs[0]); }, 160},
      {"a vector", [](FullModel& f) { f.op(f.product).inputs[1] = f.constant; }, 182},
      {"a vector on the left", [](FullModel& f) { f.op(f.product).inputs[0] = f.constant; }, 182},
      {"summed axis", [](FullModel& f) { f.op(f.product).inputs[1] = f.op(f.product).inputs[0]; },
       182},
      {"axes that do not broadcast",
       [](FullModel& f) {
         f.op(f.product).inputs[1] =
             f.b.constant_tensor("m", {2, 6, 2}, testing::random_floats(24, 1));
       },
       182},
      {"output", [](FullModel& f) { f.tensor(f.op(f.product).outputs[0]).dims[3] = 3; }, 180},
      {"output rank",
       [](FullModel& f) {
         f.tensor(f.op(f.product).outputs[0]).dims = {1, 18};
       },
       180},
      {"type", [](FullModel& f) { f.tensor(f.op(f.product).outputs[0]).dtype = fb::DType::i32; },
       181},
      {"options of another kind",
       [](FullModel& f) { f.op(f.product).pad = std::make_unique<fb::PadT>(); }, 161},
      {"a matrix for all",
       [](FullModel& f) {
         f.op(f.product).inputs[1] =
             f.b.constant_tensor("m", {6, 2}, testing::random_floats(12, 1));
       },
       0},
  });
}

}  // namespace
}  // namespace qrt

#include "runtime/tensor/tensor.h"

namespace qrt {

const char* name_of(DType t) {
  constexpr const char* names[kDTypes] = {"f32", "f16", "i8", "u8", "i32", "i64", "bool", "bits"};
  const auto i = static_cast<size_t>(t);
  return i < kDTypes ? names[i] : "unknown";
}

}  // namespace qrt

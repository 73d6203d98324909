// Powers of two in a byte, OCP's E8M0: 2^(byte - 127). 255 stands for no number and is in no model.
#ifndef QRT_RUNTIME_TENSOR_POWER_H_
#define QRT_RUNTIME_TENSOR_POWER_H_

#include <cstdint>

namespace qrt {

// The bits of that f32; 2^-127 is below the normal ones.
constexpr uint32_t power_bits(uint8_t byte) {
  return byte == 0 ? 0x00400000u : uint32_t{byte} << 23;
}

}  // namespace qrt

#endif  // QRT_RUNTIME_TENSOR_POWER_H_

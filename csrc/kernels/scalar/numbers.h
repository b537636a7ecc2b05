// Single numbers as the scalar kernels read and multiply them.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/half.h"

namespace belle {
namespace {

// A product of floats is exact in double, so this rounds like a fused multiply-add (but for rare double
// roundings) and needs no FMA unit.
inline float multiply_add(float a, float b, float c) noexcept {
  return static_cast<float>(static_cast<double>(a) * b + c);
}

// half_to_float's values without its branches, so that loops over it become vectors: the bits at float's place are
// the value times 2^-112 (subnormals included), and what reaches 2^16 was infinity or NaN.
inline float half_value(uint16_t half) noexcept {
  const float magnitude = bits_to_float((half & 0x7fffu) << 13) * 5.192296858534828e33f;  // 2^112
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
  return bits_to_float(float_to_bits(magnitude) | special | sign);
}

inline float load_half(const uint8_t* from, size_t index) noexcept {
  uint16_t bits;
  memcpy(&bits, from + index * sizeof bits, sizeof bits);
  return half_value(bits);
}

}  // namespace
}  // namespace belle

// Scalar conversions between float and the two 16-bit float formats (IEEE binary16 and bfloat16).
//
// Static: a file compiled with flags of its own must not leave its version for others.
#pragma once

#include <cstdint>
#include <cstring>

namespace belle {

constexpr float kHalfOverflow = 65520.0f;  // from here on a float rounds to an infinite binary16

static inline float bits_to_float(uint32_t bits) noexcept {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t float_to_bits(float value) noexcept {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// binary16 -> float, exact, subnormals and NaN included.
static inline float half_to_float(uint16_t half) noexcept {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) {  // infinity and NaN
    return bits_to_float(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  }
  if (magnitude < 0x400u) {  // zero and subnormals: magnitude counts units of 2^-24
    const float value = static_cast<float>(magnitude) * 5.9604644775390625e-8f;
    return bits_to_float(sign | float_to_bits(value));
  }
  return bits_to_float(sign | ((magnitude << 13) + 0x38000000u));
}

/// float -> binary16, round to nearest even, overflow to infinity (as NumPy and F16C do).
static inline uint16_t float_to_half(float value) noexcept {
  const uint32_t bits = float_to_bits(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x7f800000u) {  // infinity and NaN: keep the top payload bits, stay NaN
    const uint16_t payload = static_cast<uint16_t>((magnitude >> 13) & 0x3ffu);
    const bool is_nan = magnitude > 0x7f800000u;
    return static_cast<uint16_t>(sign | 0x7c00u | payload | (is_nan ? 0x200u : 0u));
  }
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {                            // below the smallest normal half: let the float unit round
    const float rounded = bits_to_float(magnitude) + 0.5f;  // 0.5 has an ulp of 2^-24
    return static_cast<uint16_t>(sign | (float_to_bits(rounded) - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

static inline float bf16_to_float(uint16_t value) noexcept { return bits_to_float(static_cast<uint32_t>(value) << 16); }

/// float -> bfloat16, round to nearest even; a NaN stays a (quiet) NaN.
static inline uint16_t float_to_bf16(float value) noexcept {
  const uint32_t bits = float_to_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace belle

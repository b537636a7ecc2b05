// Activations to int8, and rows of a checkpoint to GGUF blocks.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/half.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/table.h"
#include "quant/quantize.h"

namespace belle {
namespace {

constexpr uint32_t kInfinityBits = 0x7f800000u;
constexpr float kTinyAbsmax = 1e-30f;  // below it 127 / absmax nears overflow: such a block counts as zero

// Adding 1.5 * 2^23 leaves the nearest integer (ties to even) in the low bits, as the vector units round.
inline int32_t round_to_even(float x) noexcept {
  return static_cast<int32_t>(float_to_bits(x + 12582912.0f)) - 0x4b400000;
}

// A block with a value that is not finite gets the scale NaN, so that it shows in every product.
inline void quantize_block(const float* x, ActivationBlock& block) noexcept {
  uint32_t largest = 0;  // bits of non-negative floats order like the floats, NaN last
  for (size_t i = 0; i < kBlockSize; ++i) {
    const uint32_t magnitude = float_to_bits(x[i]) & 0x7fffffffu;
    if (magnitude > largest) largest = magnitude;
  }
  const float absmax = bits_to_float(largest);
  block.sums[0] = block.sums[1] = 0;
  if (largest >= kInfinityBits || absmax < kTinyAbsmax) {
    block.scale = largest >= kInfinityBits ? NAN : 0.0f;
    memset(block.values, 0, kBlockSize);
    return;
  }
  block.scale = absmax / 127.0f;
  const float inverse = 127.0f / absmax;
  for (size_t i = 0; i < kBlockSize; ++i) {
    const int32_t value = round_to_even(x[i] * inverse);  // at most 127: two roundings cannot reach 127.5
    block.values[i] = static_cast<int8_t>(value);
    block.sums[i / kHalfBlock] = static_cast<int16_t>(block.sums[i / kHalfBlock] + value);
  }
}

// n values with one scale, as a block.
inline float quantize_row(const float* x, size_t n, int8_t* values) noexcept {
  uint32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t magnitude = float_to_bits(x[i]) & 0x7fffffffu;
    if (magnitude > largest) largest = magnitude;
  }
  const float absmax = bits_to_float(largest);
  const bool usable = largest < kInfinityBits && absmax >= kTinyAbsmax;
  if (!usable) {
    memset(values, 0, n);
    return largest < kInfinityBits ? 0.0f : NAN;
  }
  const float inverse = 127.0f / absmax;
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<int8_t>(round_to_even(x[i] * inverse));
  return absmax / 127.0f;
}

inline void quantize_activations(const float* x, size_t n_blocks, ActivationBlock* blocks, size_t stride) noexcept {
  for (size_t b = 0; b < n_blocks; ++b) quantize_block(x + b * kBlockSize, blocks[b * stride]);
}

inline bool widen(WeightType type, const uint8_t* data, size_t n, float* out) noexcept {
  dequantize_row(type, data, n, out);
  uint32_t special = 0;  // no early exit, so that the compiler can use vectors
  for (size_t i = 0; i < n; ++i) special |= static_cast<uint32_t>((float_to_bits(out[i]) & 0x7f800000u) == 0x7f800000u);
  return special == 0;
}

template <WeightType type>
void quantize(const float* x, size_t n, uint8_t* out) noexcept {
  quantize_row(type, x, n, out);
}

}  // namespace
}  // namespace belle

// Activations to int8 with one scale for some columns: the formulas and the special cases of scalar/, the same bits.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/generic/lanes.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr int32_t kInfinityBits = 0x7f800000;
constexpr float kTinyAbsmax = 1e-30f;

/// How n (a multiple of 32) floats are quantized.
template <class Tier>
struct Quantizer {
  bool usable;    // finite and not all of them tiny
  float scale;    // largest magnitude / 127; 0 if that is tiny, NaN if it is not finite
  float inverse;  // of scale

  Quantizer(const float* x, size_t n) noexcept {
    const int32_t largest = Tier::largest_bits(x, n);
    float absmax;
    memcpy(&absmax, &largest, sizeof absmax);
    usable = largest < kInfinityBits && absmax >= kTinyAbsmax;
    scale = usable ? absmax / 127.0f : largest < kInfinityBits ? 0.0f : NAN;
    inverse = 127.0f / absmax;
  }
};

template <class Tier>
void quantize_activations(const float* x, size_t n_blocks, ActivationBlock* blocks, size_t stride) noexcept {
  for (size_t b = 0; b < n_blocks; ++b, x += kBlockSize, blocks += stride) {
    const Quantizer<Tier> quantizer(x, kBlockSize);
    blocks->scale = quantizer.scale;
    Tier::quantize_block(x, quantizer.inverse, quantizer.usable, blocks->values, blocks->sums);
  }
}

/// n (a multiple of 32) floats -> int8 with one scale, which it returns, and the sums of each 16 of them.
template <class Tier>
inline float quantize_slab(const float* x, size_t n, int8_t* values, int16_t* sums) noexcept {
  const Quantizer<Tier> quantizer(x, n);
  for (size_t i = 0; i < n; i += kBlockSize, sums += 2) {
    Tier::quantize_block(x + i, quantizer.inverse, quantizer.usable, values + i, sums);
  }
  return quantizer.scale;
}

/// The same without the sums.
template <class Tier>
float quantize_row(const float* x, size_t n, int8_t* values) noexcept {
  const Quantizer<Tier> quantizer(x, n);
  for (size_t i = 0; i < n; i += kBlockSize) {
    int16_t sums[2];
    Tier::quantize_block(x + i, quantizer.inverse, quantizer.usable, values + i, sums);
  }
  return quantizer.scale;
}

}  // namespace
}  // namespace belle

// Activations to int8 with one scale for some columns: the formulas and the special cases of scalar.cpp, the same bits.
// Included by avx256.h and avx512.h, which give largest_bits and quantize_block; everything stays inside the including
// file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr int32_t kInfinityBits = 0x7f800000;
constexpr float kTinyAbsmax = 1e-30f;

/// How n (a multiple of 32) floats are quantized.
struct Quantizer {
  bool usable;    // finite and not all of them tiny
  float scale;    // largest magnitude / 127; 0 if that is tiny, NaN if it is not finite
  float inverse;  // of scale

  Quantizer(const float* x, size_t n) noexcept {
    const int32_t largest = largest_bits(x, n);
    float absmax;
    memcpy(&absmax, &largest, sizeof absmax);
    usable = largest < kInfinityBits && absmax >= kTinyAbsmax;
    scale = usable ? absmax / 127.0f : largest < kInfinityBits ? 0.0f : NAN;
    inverse = 127.0f / absmax;
  }
};

void quantize_activations(const float* x, size_t n_blocks, ActivationBlock* blocks, size_t stride) noexcept {
  for (size_t b = 0; b < n_blocks; ++b, x += kBlockSize, blocks += stride) {
    const Quantizer quantizer(x, kBlockSize);
    blocks->scale = quantizer.scale;
    blocks->sum = quantize_block(x, broadcast(quantizer.inverse), quantizer.usable, blocks->values);
  }
}

/// n (a multiple of 32) floats -> int8 with one scale, which it returns.
inline float quantize_slab(const float* x, size_t n, int8_t* values) noexcept {
  const Quantizer quantizer(x, n);
  for (size_t i = 0; i < n; i += kBlockSize) {
    quantize_block(x + i, broadcast(quantizer.inverse), quantizer.usable, values + i);
  }
  return quantizer.scale;
}

}  // namespace
}  // namespace belle

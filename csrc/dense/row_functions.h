// Norms, activations and softmax of a row: plain loops that compilers turn into vectors, in single rounded operations.
//
// No function of the C library but fma and sqrt, which are exact everywhere: the others differ between systems and
// CPUs. Everything here is in the file's anonymous namespace: an object with flags of its own leaves one symbol.
#pragma once

#include <math.h>

#include <cstddef>

#include "core/half.h"
#include "dense/dense_kernels.h"

namespace belle {
namespace {

inline float fused(float a, float b, float c) noexcept { return fmaf(a, b, c); }

/// exp(x) with an error of about 1e-7 of it, for x between -87 and 88; what is outside counts as these.
inline float exponential(float x) noexcept {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float shifted = fused(x, 1.44269504f, kMagic);  // 1 / ln 2
  const float n = shifted - kMagic;
  float rest = fused(n, -0.693359375f, x);  // ln 2 in two parts, the first one exact for every n
  rest = fused(n, 2.12194440e-4f, rest);
  float sum = 1.0f / 5040.0f;  // Taylor: |rest| is at most ln 2 / 2
  sum = fused(sum, rest, 1.0f / 720.0f);
  sum = fused(sum, rest, 1.0f / 120.0f);
  sum = fused(sum, rest, 1.0f / 24.0f);
  sum = fused(sum, rest, 1.0f / 6.0f);
  sum = fused(sum, rest, 0.5f);
  sum = fused(sum, rest, 1.0f);
  sum = fused(sum, rest, 1.0f);
  const uint32_t exponent = float_to_bits(shifted) - float_to_bits(kMagic) + 127u;  // of 2^n
  return sum * bits_to_float(exponent << 23);
}

/// kRowSums chains, column i belongs to chain i % kRowSums; then pairs. add(sum, i) is the sum with column i.
template <class Add>
float row_sum(size_t n, const Add& add) noexcept {
  float sums[kRowSums] = {};
  size_t i = 0;
  for (; i + kRowSums <= n; i += kRowSums) {
    for (size_t lane = 0; lane < kRowSums; ++lane) sums[lane] = add(sums[lane], i + lane);
  }
  for (size_t lane = 0; i + lane < n; ++lane) sums[lane] = add(sums[lane], i + lane);
  for (size_t half = kRowSums / 2; half > 0; half /= 2) {
    for (size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* y) noexcept {
  const float squares = row_sum(n, [x](float sum, size_t i) { return fused(x[i], x[i], sum); });
  const float scale = 1.0f / sqrtf(squares / static_cast<float>(n) + eps);
  for (size_t i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, size_t n, float* y) noexcept {
  const float mean = row_sum(n, [x](float sum, size_t i) { return sum + x[i]; }) / static_cast<float>(n);
  const float squares = row_sum(n, [x, mean](float sum, size_t i) {
    const float distance = x[i] - mean;
    return fused(distance, distance, sum);
  });
  const float scale = 1.0f / sqrtf(squares / static_cast<float>(n) + eps);
  for (size_t i = 0; i < n; ++i) y[i] = fused((x[i] - mean) * scale, weight[i], bias[i]);
}

void silu_product(const float* gate, const float* up, size_t n, float* y) noexcept {
  for (size_t i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + exponential(-gate[i])) * up[i];
}

void gelu(const float* x, size_t n, float* y) noexcept {
  constexpr float kTwice = 1.595769122f;  // 2 * sqrt(2 / pi)
  for (size_t i = 0; i < n; ++i) {
    const float inner = kTwice * x[i] * fused(0.044715f * x[i], x[i], 1.0f);
    y[i] = x[i] / (1.0f + exponential(-inner));
  }
}

void softmax(const float* x, float scale, float slope, size_t n, float* y) noexcept {
  const float last = static_cast<float>(n - 1);
  float largest = fused(slope, -last, x[0] * scale);
  for (size_t i = 0; i < n; ++i) {
    y[i] = fused(slope, static_cast<float>(i) - last, x[i] * scale);  // near keys, which count, get small numbers
    largest = y[i] > largest ? y[i] : largest;
  }
  for (size_t i = 0; i < n; ++i) y[i] = exponential(y[i] - largest);
  const float inverse = 1.0f / row_sum(n, [y](float sum, size_t i) { return sum + y[i]; });
  for (size_t i = 0; i < n; ++i) y[i] *= inverse;
}

}  // namespace
}  // namespace belle

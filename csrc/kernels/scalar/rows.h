// Operations on rows of floats, with plain loops.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/half.h"
#include "kernels/scalar/numbers.h"

namespace belle {
namespace {

inline void layer_norm(const float* x, const float* weight, const float* bias, float eps, size_t n,
                       float* out) noexcept {
  double sum = 0.0, squares = 0.0;
  for (size_t i = 0; i < n; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double scale = 1.0 / sqrt(squares / static_cast<double>(n) + eps);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>((x[i] - mean) * scale * weight[i] + bias[i]);
}

inline void rms_norm(const float* x, const float* weight, float eps, size_t n, float* out) noexcept {
  double squares = 0.0;
  for (size_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const double scale = 1.0 / sqrt(squares / static_cast<double>(n) + eps);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(x[i] * scale * weight[i]);
}

// x / 2 * (1 + tanh(u)) = x / (1 + exp(-2u)), which keeps its relative accuracy where tanh nears -1
inline void gelu(float* x, size_t n) noexcept {
  for (size_t i = 0; i < n; ++i) {
    const float minus_2u = -1.5957691216f * x[i] * (1.0f + 0.044715f * x[i] * x[i]);
    x[i] = x[i] / (1.0f + expf(minus_2u));
  }
}

inline void silu_multiply(const float* gate, const float* up, size_t n, float* out) noexcept {
  for (size_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

inline void add_rows(float* x, const float* y, size_t n) noexcept {
  for (size_t i = 0; i < n; ++i) x[i] += y[i];
}

inline void rotate_pairs(float* x, const float* cosines, const float* sines, size_t n_pairs) noexcept {
  for (size_t i = 0; i < n_pairs; ++i) {
    const float first = x[2 * i], second = x[2 * i + 1];
    x[2 * i] = multiply_add(first, cosines[i], -(second * sines[i]));
    x[2 * i + 1] = multiply_add(second, cosines[i], first * sines[i]);
  }
}

inline void to_half(const float* x, size_t n, uint16_t* out) noexcept {
  for (size_t i = 0; i < n; ++i) out[i] = float_to_half(x[i]);
}

}  // namespace
}  // namespace belle

#include "dense/rows.h"

#include <cmath>
#include <vector>

namespace belle {

void rms_norm(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, size_t width,
              const float* weight, float eps, float* y) {
  pool.parallel_for(n, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) kernels.rms_norm(x + i * width, weight, eps, width, y + i * width);
  });
}

void layer_norm(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, size_t width,
                const float* weight, const float* bias, float eps, float* y) {
  pool.parallel_for(n, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) kernels.layer_norm(x + i * width, weight, bias, eps, width, y + i * width);
  });
}

void silu_product(const DenseKernels& kernels, ThreadPool& pool, const float* gate, const float* up, size_t n,
                  size_t width, float* y) {
  pool.parallel_for(n, [&](size_t begin, size_t end) {
    kernels.silu_product(gate + begin * width, up + begin * width, (end - begin) * width, y + begin * width);
  });
}

void gelu(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, size_t width, float* y) {
  pool.parallel_for(
      n, [&](size_t begin, size_t end) { kernels.gelu(x + begin * width, (end - begin) * width, y + begin * width); });
}

void rotate_heads(ThreadPool& pool, const Rotation& rotation, Span<const uint32_t> positions, float* x) {
  const size_t n_pairs = rotation.n_dims / 2, width = rotation.n_heads * rotation.head_dim;
  std::vector<double> frequencies(n_pairs);
  for (size_t i = 0; i < n_pairs; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rotation.n_dims);
    frequencies[i] = rotation.scale * std::pow(rotation.base, exponent);
  }
  pool.parallel_for(positions.size(), [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      for (size_t i = 0; i < n_pairs; ++i) {
        const double angle = static_cast<double>(positions[row]) * frequencies[i];
        const float cosine = static_cast<float>(std::cos(angle)), sine = static_cast<float>(std::sin(angle));
        for (size_t head = 0; head < rotation.n_heads; ++head) {
          float* pair = x + row * width + head * rotation.head_dim + 2 * i;
          const float first = pair[0], second = pair[1];
          pair[0] = first * cosine - second * sine;
          pair[1] = first * sine + second * cosine;
        }
      }
    }
  });
}

}  // namespace belle

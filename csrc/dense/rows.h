// Functions of each row of a matrix, on all threads: a row depends on itself alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/span.h"
#include "core/thread_pool.h"
#include "dense/dense_kernels.h"

namespace belle {

// x, gate, up and y are [n, width]; weight and bias are [width]. y may be x or gate.

void rms_norm(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, size_t width,
              const float* weight, float eps, float* y);
void layer_norm(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, size_t width,
                const float* weight, const float* bias, float eps, float* y);
void silu_product(const DenseKernels& kernels, ThreadPool& pool, const float* gate, const float* up, size_t n,
                  size_t width, float* y);
void gelu(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, size_t width, float* y);

/// Rotary positions on neighbouring pairs, the order of GGUF's LLaMA files (Su et al. 2021, eq. 34).
struct Rotation {
  size_t n_heads, head_dim;
  size_t n_dims;  // rotated leading dimensions of a head, even
  double base;
  double scale;  // positions are multiplied by it
};

/// x [positions.size(), n_heads, head_dim], in place
void rotate_heads(ThreadPool& pool, const Rotation& rotation, Span<const uint32_t> positions, float* x);

}  // namespace belle

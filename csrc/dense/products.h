// Products of float32 matrices, all row-major: one order of operations for every instruction set and thread count.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/thread_pool.h"
#include "dense/dense_kernels.h"

namespace belle {

enum class FloatType { kF32, kF16, kBf16 };

/// Rows of a matrix of weights, [n_rows, n_columns] without gaps.
struct FloatRows {
  const void* data;
  size_t n_rows, n_columns;
  FloatType type;
};

// One thread's part. Memory for packing is kept by the thread, about 2 MB.

/// c[i * ldc + j] += sum over p of a[i * lda + p] * b[p * ldb + j]; n rows, m columns, depth k.
void multiply_add(const DenseKernels& kernels, size_t n, size_t m, size_t k, const float* a, size_t lda, const float* b,
                  size_t ldb, float* c, size_t ldc) noexcept;

/// The same with b transposed: c[i * ldc + j] += sum over p of a[i * lda + p] * b[j * ldb + p].
void multiply_rows_add(const DenseKernels& kernels, size_t n, size_t m, size_t k, const float* a, size_t lda,
                       const float* b, size_t ldb, float* c, size_t ldc) noexcept;

// All threads of a pool.

/// y [n, rows.n_rows] = x [n, rows.n_columns] by the transposed rows
void project_rows(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, const FloatRows& rows,
                  float* y);

/// moments [k, k] += x^T x for x [n, k]: the lower triangle with the diagonal; what is above is left alone.
void add_moments(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, size_t k, float* moments);

}  // namespace belle

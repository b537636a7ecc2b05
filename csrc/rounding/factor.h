// The second moments of a matrix' inputs, factored for error feedback.
//
// P H P^T = (I + U) D (I + U)^T with U strictly upper; P puts columns in the order in which they are rounded. Column
// k's target is its weight plus sum over j < k of error[j] * U[j][k] (LDLQ: Chee et al. 2023, section 3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/memory.h"
#include "core/thread_pool.h"
#include "rounding/kernels.h"

namespace belle {

class Factor {
 public:
  /// moments: [n, n], symmetric, finite, diagonal from 0 on. damping: what is added to the diagonal, in units of its
  /// mean over columns that are not always 0. It grows tenfold until the factorization is sound.
  /// Throws std::invalid_argument if the moments are far from positive semidefinite.
  Factor(const RoundingKernels& kernels, ThreadPool& pool, const float* moments, size_t n, double damping);

  size_t n_columns() const noexcept { return order_.size(); }
  double damping() const noexcept { return damping_; }
  /// To the diagonal.
  float added() const noexcept { return added_; }
  /// The column that is rounded k-th: by falling energy, then by index.
  const std::vector<uint32_t>& order() const noexcept { return order_; }
  /// Row k: U[j][k] for j < k. What lies behind is of no use.
  const float* row(size_t k) const noexcept { return values_.data() + k * n_columns(); }

 private:
  void permute(ThreadPool& pool, const float* moments, float for_zero_columns) noexcept;

  std::vector<uint32_t> order_;
  double damping_;
  float added_ = 0.0f;
  FloatBuffer values_;  // [n, n]
};

}  // namespace belle

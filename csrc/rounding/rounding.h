// Rows of a matrix to GGUF blocks, so that (w - q) H (w - q)^T is small for the second moments H of the inputs.
//
// How and why: docs/design/rounding.md. Every build of the kernels writes the same bytes, for any threads and however
// the rows are cut into calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/memory.h"
#include "core/thread_pool.h"
#include "rounding/factor.h"
#include "rounding/kernels.h"
#include "rounding/row_tile.h"

namespace belle {

enum class RoundingEffort { kFast, kBest };

/// One input's second moments, shared by all matrices that read it. Its functions may run at the same time, each with a
/// pool of its own.
class Rounding {
 public:
  /// moments: [n, n], the means of x x^T; kept as a copy. damping: as in Factor.
  /// Throws std::invalid_argument that names a number which cannot be such a mean.
  Rounding(const RoundingKernels& kernels, ThreadPool& pool, const float* moments, size_t n, double damping);

  size_t n_columns() const noexcept { return energies_.size(); }
  /// What rounding needs and `errors` does not: made by the first who asks, others wait. Throws as Factor does.
  const Factor& factor(ThreadPool& pool) const;

  /// rows: [n_rows, n_columns]; out: [n_rows, row_bytes] of a quantized type whose blocks divide n_columns. Returns
  /// n_rows, or the index of a row that holds a NaN or an infinity (the output is then incomplete).
  size_t round(ThreadPool& pool, const RowsOfFloats& rows, WeightType type, RoundingEffort effort, uint8_t* out) const;

  /// (w - q) H (w - q)^T of each row, [n_rows]; data: [n_rows, row_bytes]. Returns as `round` does.
  size_t errors(ThreadPool& pool, const RowsOfFloats& rows, const uint8_t* data, WeightType type, double* out) const;

 private:
  template <class Body>
  size_t for_each_tile(ThreadPool& pool, const RowsOfFloats& rows, WeightType type, const Body& body) const;

  const RoundingKernels& kernels_;
  const double damping_;
  FloatBuffer moments_;          // [n_columns, n_columns]
  std::vector<float> energies_;  // [n_columns], the diagonal
  mutable std::once_flag factored_;
  mutable std::unique_ptr<Factor> factor_;
};

}  // namespace belle

#include "ops/finite.h"

#include <atomic>

namespace belle {

bool all_finite(ThreadPool& pool, const Matrix& weight, const uint8_t* rows) {
  const size_t bytes_per_row = row_bytes(traits_of(weight.type), weight.n_cols);
  std::atomic<bool> finite{true};
  pool.parallel_for(weight.n_rows, [&](size_t begin, size_t end) {
    if (!all_finite(weight.type, rows + begin * bytes_per_row, (end - begin) * weight.n_cols)) finite = false;
  });
  return finite;
}

}  // namespace belle

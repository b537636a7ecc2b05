#include "rounding/factor.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace belle {
namespace {

constexpr size_t kPanel = 256;  // columns that are eliminated together
constexpr size_t kChunk = kTileRows;
constexpr double kMostDamping = 1.5;

size_t chunks_of(size_t n) noexcept { return (n + kChunk - 1) / kChunk; }

// Eliminates the columns of a positive matrix from the last to the first, whole panels at a time. Only what lies on and
// below the diagonal is read. Row k becomes U[j][k] for j < k.
class Elimination {
 public:
  Elimination(const RoundingKernels& kernels, ThreadPool& pool, float* values, size_t n, float smallest_pivot)
      : kernels_(kernels), pool_(pool), values_(values), n_(n), smallest_pivot_(smallest_pivot) {
    rows_.fit(chunks_of(n) * kPanel * kChunk);
    columns_.fit(chunks_of(n) * kChunk * kPanel);
    corner_.fit(kPanel * kPanel);
  }

  // False where a pivot is too small.
  bool run() {
    for (size_t first = (n_ - 1) / kPanel * kPanel;; first -= kPanel) {
      const size_t size = std::min(kPanel, n_ - first);
      load_rows(first, size);
      if (!eliminate_corner(first, size)) return false;
      eliminate_rows(first, size);
      store_rows(first, size);
      update_rest(first, size);
      if (first == 0) return true;
    }
  }

 private:
  float* chunk(size_t c) noexcept { return rows_.data() + c * kPanel * kChunk; }

  // Rows [first, first + size), columns [0, first + size): [chunk][row][kChunk], zeros behind the diagonal.
  void load_rows(size_t first, size_t size) {
    pool_.parallel_for(chunks_of(first + size), [&](size_t begin, size_t end) {
      for (size_t c = begin; c < end; ++c) {
        for (size_t i = 0; i < size; ++i) {
          const size_t n_filled = std::min(kChunk, std::max(first + i + 1, c * kChunk) - c * kChunk);
          float* to = chunk(c) + i * kChunk;
          std::copy_n(values_ + (first + i) * n_ + c * kChunk, n_filled, to);
          std::fill(to + n_filled, to + kChunk, 0.0f);
        }
      }
    });
  }

  void store_rows(size_t first, size_t size) {
    pool_.parallel_for(chunks_of(first + size), [&](size_t begin, size_t end) {
      for (size_t c = begin; c < end; ++c) {
        for (size_t i = 0; i < size; ++i) {
          const size_t n_filled = std::min(kChunk, std::max(first + i, c * kChunk) - c * kChunk);
          std::copy_n(chunk(c) + i * kChunk, n_filled, values_ + (first + i) * n_ + c * kChunk);
        }
      }
    });
  }

  // Takes the rows behind row i off row i of a chunk. corner_[i][j] is minus what row j has in column i before its
  // division.
  void reduce_row(float* rows, size_t i, size_t size) noexcept {
    kernels_.multiply_add(1, size - 1 - i, corner_.data() + i * kPanel + i + 1, kPanel, rows + (i + 1) * kChunk,
                          rows + i * kChunk, kChunk);
  }

  // The panel's own columns; fills corner_ and pivots_.
  bool eliminate_corner(size_t first, size_t size) noexcept {
    const size_t first_chunk = first / kChunk;
    for (size_t i = size; i-- > 0;) {
      for (size_t c = 0; c * kChunk <= i; ++c) reduce_row(chunk(first_chunk + c), i, size);
      const auto at = [&](size_t j) -> float& { return chunk(first_chunk + j / kChunk)[i * kChunk + j % kChunk]; };
      pivots_[i] = at(i);
      if (!(pivots_[i] >= smallest_pivot_)) return false;
      at(i) = 0.0f;
      for (size_t j = 0; j < i; ++j) {
        corner_.data()[j * kPanel + i] = -at(j);
        at(j) = at(j) / pivots_[i];
      }
      for (size_t j = i + 1; j % kChunk != 0; ++j) at(j) = 0.0f;
    }
    return true;
  }

  // The columns before the panel; fills columns_: [column][row of the panel], minus what is before the division.
  void eliminate_rows(size_t first, size_t size) {
    pool_.parallel_for(first / kChunk, [&](size_t begin, size_t end) {
      for (size_t c = begin; c < end; ++c) {
        float* rows = chunk(c);
        float* columns = columns_.data() + c * kChunk * kPanel;
        for (size_t i = size; i-- > 0;) {
          reduce_row(rows, i, size);
          for (size_t j = 0; j < kChunk; ++j) {
            columns[j * kPanel + i] = -rows[i * kChunk + j];
            rows[i * kChunk + j] = rows[i * kChunk + j] / pivots_[i];
          }
        }
      }
    });
  }

  // Takes the panel off what lies before it, the largest pieces first.
  void update_rest(size_t first, size_t size) {
    const size_t n_chunks = first / kChunk;
    pool_.parallel_for(n_chunks, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const size_t r = n_chunks - 1 - i;
        for (size_t c = 0; c <= r; ++c) {
          kernels_.multiply_add(kChunk, size, columns_.data() + r * kChunk * kPanel, kPanel, chunk(c),
                                values_ + r * kChunk * n_ + c * kChunk, n_);
        }
      }
    });
  }

  const RoundingKernels& kernels_;
  ThreadPool& pool_;
  float* values_;  // [n, n]
  const size_t n_;
  const float smallest_pivot_;
  FloatBuffer rows_, columns_, corner_;
  float pivots_[kPanel];
};

std::vector<uint32_t> by_falling_energy(const float* moments, size_t n) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  const auto energy = [&](uint32_t i) { return moments[i * n + i]; };
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return energy(a) > energy(b); });
  return order;
}

// Over the columns that have one; 1 if none has.
float mean_energy(const float* moments, size_t n) noexcept {
  double sum = 0.0;
  size_t n_counted = 0;
  for (size_t i = 0; i < n; ++i) {
    if (moments[i * n + i] > 0.0f) {
      sum += static_cast<double>(moments[i * n + i]);
      ++n_counted;
    }
  }
  return n_counted == 0 ? 1.0f : static_cast<float>(sum / static_cast<double>(n_counted));
}

}  // namespace

Factor::Factor(const RoundingKernels& kernels, ThreadPool& pool, const float* moments, size_t n, double damping)
    : order_(by_falling_energy(moments, n)), damping_(damping) {
  values_.fit(n * n);
  const float mean = mean_energy(moments, n);
  for (;; damping_ = damping_ > 0.0 ? damping_ * 10.0 : 1e-3) {
    if (damping_ > kMostDamping && damping_ > damping) {
      throw std::invalid_argument("[rounding] the moments are no mean of products: they are not positive semidefinite");
    }
    added_ = static_cast<float>(damping_) * mean;
    permute(pool, moments, mean);
    // No exact pivot is below what was added.
    if (Elimination(kernels, pool, values_.data(), n, 0.5f * added_ + 1e-7f * mean).run()) return;
  }
}

void Factor::permute(ThreadPool& pool, const float* moments, float for_zero_columns) noexcept {
  const size_t n = n_columns();
  pool.parallel_for(n, [&](size_t begin, size_t end) {
    for (size_t k = begin; k < end; ++k) {
      const float* from = moments + order_[k] * n;
      float* to = values_.data() + k * n;
      for (size_t j = 0; j < k; ++j) to[j] = from[order_[j]];
      const float energy = from[order_[k]];
      to[k] = (energy > 0.0f ? energy : for_zero_columns) + added_;
    }
  });
}

}  // namespace belle

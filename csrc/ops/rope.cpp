#include "ops/rope.h"

#include <cmath>

namespace belle {

RopeTable::RopeTable(size_t n_dims, double theta, double scale) : n_pairs_(n_dims / 2) {
  for (size_t i = 0; i < n_pairs_; ++i) {
    frequencies_.push_back(scale * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(n_dims)));
  }
}

void RopeTable::fill(Span<const uint32_t> positions) {
  cosines_.resize(positions.size() * n_pairs_);
  sines_.resize(positions.size() * n_pairs_);
  for (size_t r = 0; r < positions.size(); ++r) {
    for (size_t i = 0; i < n_pairs_; ++i) {
      const double angle = static_cast<double>(positions[r]) * frequencies_[i];
      cosines_[r * n_pairs_ + i] = static_cast<float>(std::cos(angle));
      sines_[r * n_pairs_ + i] = static_cast<float>(std::sin(angle));
    }
  }
}

void RopeTable::rotate(const OpsContext& context, float* x, size_t n_rows, size_t n_heads, size_t head_dim) const {
  context.pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      for (size_t h = 0; h < n_heads; ++h) {
        context.kernels.rotate_pairs(x + (r * n_heads + h) * head_dim, cosines_.data() + r * n_pairs_,
                                     sines_.data() + r * n_pairs_, n_pairs_);
      }
    }
  });
}

}  // namespace belle

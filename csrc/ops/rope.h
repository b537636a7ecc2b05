// Rotary position embedding on neighbouring pairs, the order of GGUF's LLaMA files.
// Su et al. 2021, "RoFormer", eq. 34; linear position scaling as in Chen et al. 2023.
#pragma once

#include <cstdint>
#include <vector>

#include "core/span.h"
#include "ops/attention.h"
#include "ops/context.h"

namespace belle {

/// Cosines and sines of one forward pass: [n_rows, n_pairs] each.
class RopeTable {
 public:
  /// n_dims: rotated leading dimensions of each head (even); scale: positions are multiplied by it.
  RopeTable(size_t n_dims, double theta, double scale);

  void fill(Span<const uint32_t> positions);
  /// Rotates each of n_heads heads of rows x [n_rows, n_heads, head_dim] in place.
  void rotate(const OpsContext& context, float* x, size_t n_rows, size_t n_heads, size_t head_dim) const;
  /// Turns the cached keys of positions [first, last) of one sequence back by `distance` positions: rotations add up.
  void rotate_keys_back(const OpsContext& context, const KvShape& kv, uint8_t* const* pages, size_t first, size_t last,
                        size_t distance) const;

 private:
  size_t n_pairs_;
  std::vector<double> frequencies_;  // [n_pairs]
  std::vector<float> cosines_;
  std::vector<float> sines_;
};

}  // namespace belle

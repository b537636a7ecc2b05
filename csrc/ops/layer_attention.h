// What the ways to compute attention share: the arguments of a layer.
#pragma once

#include "ops/attention.h"

namespace belle {

constexpr size_t kItemsPerThread = 2;  // with fewer, some threads would wait long for the others

/// What all of one layer's attention shares.
struct LayerAttention {
  const KernelTable& kernels;
  const KvShape& kv;
  const AttentionShape& shape;
  size_t layer;
  Span<const KvRow> rows;
  HeadRows queries;

  size_t kv_head(size_t head) const noexcept { return head / (shape.n_heads / kv.n_kv_heads); }
  float slope(size_t head) const noexcept { return shape.slopes == nullptr ? 0.0f : shape.slopes[head]; }
  const float* q(size_t row, size_t head) const noexcept {
    return queries.base + row * queries.row_stride + head * kv.head_dim;
  }
};

}  // namespace belle

// What the ways to compute attention share: how the rows of a pass are cut, and the arguments of a layer.
#pragma once

#include "ops/attention.h"

namespace belle {

constexpr size_t kItemsPerThread = 2;  // with fewer, some threads would wait long for the others

/// Rows [begin, end): consecutive positions of one sequence.
struct RowBlock {
  size_t begin;
  size_t end;
};

/// The rows from `begin` on, before `end`, that follow each other in their sequence.
inline RowBlock block_at(Span<const KvRow> rows, size_t begin, size_t end) noexcept {
  RowBlock block{begin, begin + 1};
  while (block.end < end && rows[block.end].pages == rows[begin].pages &&
         rows[block.end].position == rows[begin].position + (block.end - begin)) {
    ++block.end;
  }
  return block;
}

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

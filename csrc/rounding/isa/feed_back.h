// Error feedback inside a block of columns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rounding/isa/nearest_codes.h"
#include "rounding/isa/row_lanes.h"
#include "rounding/kernels.h"

namespace belle {
namespace {

inline void feed_back(const FeedbackBlock& block) noexcept {
  constexpr size_t kVectors = kTileRows / RowLanes::kCount, kWidth = RowLanes::kCount;
  for (size_t i = 0; i < block.n_columns; ++i) {
    const float* factor = block.factor + i * block.factor_stride;
    const size_t at = i * kTileRows, scale_at = block.sub_blocks[i] * kTileRows;
    RowLanes targets[kVectors];
    for (size_t v = 0; v < kVectors; ++v) targets[v] = RowLanes::load(block.targets + at + v * kWidth);
    for (size_t j = 0; j < i; ++j) {
      const RowLanes share(factor[j]);
      for (size_t v = 0; v < kVectors; ++v) {
        targets[v] = fused(share, RowLanes::load(block.errors + j * kTileRows + v * kWidth), targets[v]);
      }
    }
    for (size_t v = 0; v < kVectors; ++v) {
      const RowLanes minimum = RowLanes::load(block.minima + scale_at + v * kWidth);
      const RowLanes x = (targets[v] - minimum) * RowLanes::load(block.inverses + scale_at + v * kWidth);
      const CodedValue found = nearest_code(x, block.values);
      const RowLanes rounded = found.value * RowLanes::load(block.scales + scale_at + v * kWidth) + minimum;
      (RowLanes::load(block.weights + at + v * kWidth) - rounded).store(block.errors + at + v * kWidth);
      found.code.store_bytes(block.codes + at + v * kWidth);
    }
  }
}

}  // namespace
}  // namespace belle

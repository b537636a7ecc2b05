// Coordinate descent over codes.
#pragma once

#include <cstddef>

#include "rounding/isa/nearest_codes.h"
#include "rounding/isa/row_lanes.h"
#include "rounding/kernels.h"

namespace belle {
namespace {

constexpr size_t kTileVectors = kTileRows / RowLanes::kCount;

// With all other columns as they are, the error is least where a column's gradient vanishes.
inline void refine_codes(const RefinedBlock& block) noexcept {
  constexpr size_t kWidth = RowLanes::kCount;
  for (size_t i = 0; i < block.n_columns; ++i) {
    const float* moments = block.moments + i * block.n_columns;
    if (!(moments[i] > 0.0f)) continue;
    const RowLanes inverse_moment(1.0f / moments[i]);
    const size_t at = i * kTileRows, scale_at = i / block.sub_block * kTileRows;
    RowLanes changes[kTileVectors];
    bool changed = false;
    for (size_t v = 0; v < kTileVectors; ++v) {
      const size_t here = at + v * kWidth, scale_here = scale_at + v * kWidth;
      const RowLanes code = RowLanes::load_bytes(block.codes + here), scale = RowLanes::load(block.scales + scale_here);
      const RowLanes old = value_of_code(code, block.values) * scale;  // before the minimum
      const RowLanes target = fused(RowLanes::load(block.gradients + here), inverse_moment, old);
      const CodedValue found = nearest_code(target * RowLanes::load(block.inverses + scale_here), block.values);
      changes[v] = RowLanes(0.0f);
      if (!differ(found.code, code)) continue;
      changed = true;
      const RowLanes rounded = found.value * scale + RowLanes::load(block.minima + scale_here);
      const RowLanes error = RowLanes::load(block.weights + here) - rounded;
      changes[v] = error - RowLanes::load(block.errors + here);
      error.store(block.errors + here);
      found.code.store_bytes(block.codes + here);
    }
    if (!changed) continue;
    for (size_t j = 0; j < block.n_columns; ++j) {
      const RowLanes moment(moments[j]);
      float* gradients = block.gradients + j * kTileRows;
      for (size_t v = 0; v < kTileVectors; ++v) {
        fused(moment, changes[v], RowLanes::load(gradients + v * kWidth)).store(gradients + v * kWidth);
      }
    }
  }
}

}  // namespace
}  // namespace belle

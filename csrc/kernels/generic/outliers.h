// Columns of the wide int8 kernels that are kept out of their slabs: packing without them, and their products in float.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/compiler.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/wide_format.h"
#include "kernels/table.h"

namespace belle {
namespace {

/// A token's n columns of a slab with zeros for the outliers among them: x itself, or a copy in `room`.
inline const float* without_outliers(const Outliers& outliers, const float* x, size_t slab, size_t n,
                                     float* room) noexcept {
  const size_t first = slab * kSlabColumns;
  const float* result = x;
  for (size_t i = 0; i < outliers.n; ++i) {
    const size_t column = outliers.columns[i] - first;  // wraps around for those of earlier slabs
    if (column >= n) continue;
    if (result == x) memcpy(room, x, n * sizeof(float));
    result = room;
    room[column] = 0.0f;
  }
  return result;
}

/// sums[t][row] = the products of the outliers of n_tokens tokens, in the order of their columns, for the rows of up to
/// kBlockPanels panels; zeros for the rows that the block lacks.
template <class Tier>
BELLE_ONCE void sum_outliers(const WideFormat& format, const Outliers& outliers, size_t first_token, size_t n_tokens,
                             const uint8_t* panels, size_t n_panels, size_t panel_bytes,
                             float (*sums)[kBlockRows]) noexcept {
  using Vector = typename Tier::Vector;
  constexpr size_t kLanes = Tier::kLanes, kVectors = 4, kPieceRows = kVectors * kLanes;
  alignas(64) float weights[kMaxOutliers][kBlockRows];
  for (size_t i = 0; i < outliers.n; ++i) {
    const size_t unit = outliers.columns[i] / format.unit_columns, column = outliers.columns[i] % format.unit_columns;
    memset(weights[i], 0, sizeof weights[i]);
    for (size_t panel = 0; panel < n_panels; ++panel) {
      format.column(panels + panel * panel_bytes + unit * format.unit_bytes, column, weights[i] + panel * kPanelRows);
    }
  }
  for (size_t t = 0; t < n_tokens; ++t) {
    const float* values = outliers.values + (first_token + t) * outliers.n;
    for (size_t row = 0; row < kBlockRows; row += kPieceRows) {
      Vector row_sums[kVectors];
      BELLE_UNROLL
      for (size_t v = 0; v < kVectors; ++v) row_sums[v] = Tier::zeros();
      for (size_t i = 0; i < outliers.n; ++i) {
        const Vector value = Tier::broadcast(values[i]);
        BELLE_UNROLL
        for (size_t v = 0; v < kVectors; ++v) {
          row_sums[v] = Tier::multiply_add(Tier::load(weights[i] + row + v * kLanes, AllLanes{}), value, row_sums[v]);
        }
      }
      BELLE_UNROLL
      for (size_t v = 0; v < kVectors; ++v) Tier::store(sums[t] + row + v * kLanes, row_sums[v], AllLanes{});
    }
  }
}

}  // namespace
}  // namespace belle

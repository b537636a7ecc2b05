// Columns of the wide int8 kernels that are kept out of their slabs: packing without them, and their products in float.
// Include after a vector header and avx512.h or avx256.h; everything stays inside the including file's anonymous
// namespace.
#pragma once

#include "kernels/wide_shape.h"

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

/// One column of a unit (quant/panels.h) as floats: kLanes rows, the panel's half `part` where it takes two vectors.
template <WeightType type>
inline Vector column_of(const uint8_t* unit, size_t column, size_t part) noexcept {
  constexpr size_t kCodeBytes = (type == WeightType::kQ8_0 ? 8 : 4) * kGroupCodes;
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(unit + kCodeBytes) + part * kLanes;  // d, then m
  const Vector d = load(halves, AllLanes{});
  const size_t byte = column % kGroupColumns;
  const auto codes = [&](size_t group) noexcept {
    return load_bytes(unit + group * kGroupCodes + part * kLanes * kGroupColumns);
  };
  if constexpr (type == WeightType::kQ8_0) {
    return multiply(byte_as_floats(codes(column / kGroupColumns), byte), d);
  } else {
    const size_t half = column / 16;  // the second one's codes are the high nibbles
    const Vector code = bits_as_floats(codes(column % 16 / kGroupColumns), 8 * byte + 4 * half, 0xf);
    if constexpr (type == WeightType::kQ4_0) return multiply(subtract(code, broadcast(8.0f)), d);
    else return multiply_add(code, d, load(halves + kPanelRows, AllLanes{}));
  }
}

/// sums[t][row] = the products of the outliers of n_tokens tokens, in the order of their columns, for the rows of up to
/// kBlockPanels panels; zeros for the rows that the block lacks.
template <class Format>
BELLE_ALONE void sum_outliers(const Outliers& outliers, size_t first_token, size_t n_tokens, const uint8_t* panels,
                              size_t n_panels, size_t panel_bytes, float (*sums)[kBlockRows]) noexcept {
  constexpr size_t kVectors = 4, kPieceRows = kVectors * kLanes;
  alignas(64) float weights[kMaxOutliers][kBlockRows];
  for (size_t i = 0; i < outliers.n; ++i) {
    const size_t unit = outliers.columns[i] / kBlockSize, column = outliers.columns[i] % kBlockSize;
    for (size_t v = 0; v < kBlockRows / kLanes; ++v) {
      const size_t panel = v / kPanelVectors;
      const uint8_t* units = panels + panel * panel_bytes + unit * Format::kUnitBytes;
      const Vector rows = panel < n_panels ? column_of<Format::kType>(units, column, v % kPanelVectors) : zeros();
      store(weights[i] + v * kLanes, rows, AllLanes{});
    }
  }
  for (size_t t = 0; t < n_tokens; ++t) {
    const float* values = outliers.values + (first_token + t) * outliers.n;
    for (size_t row = 0; row < kBlockRows; row += kPieceRows) {
      Vector row_sums[kVectors];
      BELLE_UNROLL
      for (size_t v = 0; v < kVectors; ++v) row_sums[v] = zeros();
      for (size_t i = 0; i < outliers.n; ++i) {
        const Vector value = broadcast(values[i]);
        BELLE_UNROLL
        for (size_t v = 0; v < kVectors; ++v) {
          row_sums[v] = multiply_add(load(weights[i] + row + v * kLanes, AllLanes{}), value, row_sums[v]);
        }
      }
      BELLE_UNROLL
      for (size_t v = 0; v < kVectors; ++v) store(sums[t] + row + v * kLanes, row_sums[v], AllLanes{});
    }
  }
}

}  // namespace
}  // namespace belle

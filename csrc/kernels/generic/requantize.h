// A slab of quantized weights as int8 with one scale per row, 16 rows at a time: round(weight / scale), where scale =
// (the largest weight that the slab's own scales allow) / 127. How a unit is requantized is the format's.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/unit.h"
#include "kernels/generic/wide_format.h"
#include "kernels/table.h"

namespace belle {
namespace {

/// The scales of one part of a panel's slab of n_units blocks of 32 columns; returns the factor of requantize.
template <class Tier, class Format>
inline typename Tier::Vector slab_scales(const uint8_t* units, size_t n_units, size_t part, float* scales) noexcept {
  using Vector = typename Tier::Vector;
  Vector bound = Tier::zeros();  // zero for a row of zeros, which has no scale
  for (size_t u = 0; u < n_units; ++u) {
    bound = Tier::larger(largest_weights<Tier, Format>(units + u * Format::kUnitBytes, part), bound);
  }
  Tier::store(scales, Tier::divide(bound, Tier::broadcast(127.0f)), AllLanes{});
  return Tier::quotient_or_zero(Tier::broadcast(127.0f), bound);
}

/// A form that has slabs of int8.
struct SlabFormat : WideFormat {
  /// One panel's slab of n_columns columns -> int8 [groups of 4 columns][16 rows][4], scales [16].
  void (*expand)(const uint8_t* units, size_t n_columns, uint8_t* groups, float* scales) noexcept;
};

constexpr size_t kUnitWeights = kBlockSize * kPanelRows;

/// The one of a format. read_ahead: asks for the next slab meanwhile, which may lie behind the panel's end.
template <class Tier, class Format, bool read_ahead = false>
void expand_int8(const uint8_t* units, size_t n_columns, uint8_t* groups, float* scales) noexcept {
  constexpr size_t kSlabBytes = kSlabColumns / kBlockSize * Format::kUnitBytes;
  const size_t n_units = n_columns / kBlockSize;
  for (size_t part = 0; part < kPanelVectors<Tier>; ++part, scales += Tier::kLanes) {
    const typename Tier::Vector inverse = slab_scales<Tier, Format>(units, n_units, part, scales);
    for (size_t u = 0; u < n_units; ++u) {
      if constexpr (read_ahead) {
        prefetch_lines(reinterpret_cast<uintptr_t>(units) + kSlabBytes + u * Format::kUnitBytes, Format::kUnitBytes);
      }
      uint8_t* out = groups + u * kUnitWeights + part * sizeof(typename Tier::Bytes);
      Format::template requantize<Tier>(units + u * Format::kUnitBytes, part, inverse, out);
    }
  }
}

}  // namespace
}  // namespace belle

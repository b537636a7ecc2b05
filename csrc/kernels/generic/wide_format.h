// What the wide kernels ask of a format: functions that read its panels, and nothing else that depends on it. So what
// multiplies is compiled once for a tier, however many formats there are.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/prefetch.h"
#include "kernels/generic/unit.h"
#include "quant/panels.h"

namespace belle {
namespace {

/// A form of the activations adds how it expands a panel.
struct WideFormat {
  size_t unit_columns, unit_bytes;
  /// One column of a unit as the weights of its 16 rows.
  void (*column)(const uint8_t* unit, size_t column, float* rows) noexcept;

  /// Of a panel, for a multiple of unit_columns.
  size_t bytes_of(size_t columns) const noexcept { return columns / unit_columns * unit_bytes; }
};

/// Asks for a block of 32 columns of a panel; it may lie behind the panel's end.
inline void prefetch_block(const WideFormat& format, const uint8_t* panel, size_t block) noexcept {
  const size_t bytes = format.unit_bytes * kBlockSize / format.unit_columns;
  prefetch_lines(reinterpret_cast<uintptr_t>(panel) + block * bytes, bytes);
}

/// Calls body(codes, scales of its unit, b) for n blocks of 32 columns of a panel; b counts the blocks of a unit.
template <class Tier, class Format, class Body>
inline void for_each_block(const uint8_t* panel, size_t first, size_t n, Body body) noexcept {
  for (size_t block = first; block < first + n;) {
    const uint8_t* unit = panel + block / kUnitBlocks<Format> * Format::kUnitBytes;
    const typename Format::template Scales<Tier> scales(unit);
    for (size_t b = block % kUnitBlocks<Format>; b < kUnitBlocks<Format> && block < first + n; ++b, ++block) {
      body(unit + b * Format::kBlockBytes, scales, b);
    }
  }
}

template <class Tier, class Format>
void column_weights(const uint8_t* unit, size_t column, float* rows) noexcept {
  const typename Format::template Scales<Tier> scales(unit);
  const uint8_t* block = unit + column / kBlockSize * Format::kBlockBytes;
  for (size_t part = 0; part < kPanelVectors<Tier>; ++part) {
    const auto group = Format::template codes<Tier>(block, column % kBlockSize / kGroupColumns, part);
    const auto codes = column_codes<Tier, Format>(group, column % kGroupColumns);
    const RowScales<Tier, Format> row_scales(scales, column / Format::kScaleColumns, part);
    Tier::store(rows + part * Tier::kLanes, row_scales.weights(codes), AllLanes{});
  }
}

template <class Tier, class Format>
constexpr WideFormat kWideFormat = {Format::kUnitColumns, Format::kUnitBytes, column_weights<Tier, Format>};

}  // namespace
}  // namespace belle

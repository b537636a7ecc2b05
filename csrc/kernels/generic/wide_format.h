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

template <class Tier, class Format>
void column_weights(const uint8_t* unit, size_t column, float* rows) noexcept {
  for (size_t part = 0; part < kPanelVectors<Tier>; ++part) {
    const auto group = Format::template codes<Tier>(unit, column / kGroupColumns, part);
    const auto codes = column_codes<Tier, Format>(group, column % kGroupColumns);
    Tier::store(rows + part * Tier::kLanes, RowScales<Tier, Format>(unit, part).weights(codes), AllLanes{});
  }
}

template <class Tier, class Format>
constexpr WideFormat kWideFormat = {kBlockSize, Format::kUnitBytes, column_weights<Tier, Format>};

}  // namespace
}  // namespace belle

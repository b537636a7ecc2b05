// A slab of quantized weights as bfloat16, 16 rows at a time: the weights themselves, rounded.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/amx/tiles.h"
#include "kernels/compiler.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/unit.h"

namespace belle {
namespace {

/// One panel's slab of n_units blocks of 32 columns -> bf16 tiles [n_units].
template <class Tier, class Format>
inline void expand_bf16(const uint8_t* units, size_t n_units, uint8_t* tiles) noexcept {
  for (size_t u = 0; u < n_units; ++u) {
    const uint8_t* unit = units + u * Format::kUnitBytes;
    uint8_t* tile = tiles + u * kTileBytes;
    const typename Format::template Scales<Tier> unit_scales(unit);
    const RowScales<Tier, Format> scales(unit_scales, 0, 0);
    typename Tier::Bytes codes[kGroups];
    BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) codes[g] = Format::template codes<Tier>(unit, g, 0);
    BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) {
      const auto column = [&](size_t i) noexcept { return scales.weights(column_codes<Tier, Format>(codes[g], i)); };
      Tier::store_bytes(tile + 2 * g * kGroupCodes, Tier::column_pair(column(0), column(1)));
      Tier::store_bytes(tile + (2 * g + 1) * kGroupCodes, Tier::column_pair(column(2), column(3)));
    }
  }
}

}  // namespace
}  // namespace belle

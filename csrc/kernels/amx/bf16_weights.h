// A slab of quantized weights as bfloat16, 16 rows at a time: the weights themselves, rounded.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/amx/tiles.h"
#include "kernels/compiler.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/unit.h"
#include "kernels/generic/wide_format.h"

namespace belle {
namespace {

/// The form of bfloat16.
struct Bf16Format : WideFormat {
  /// n_blocks blocks of 32 columns of a panel, from first_block on -> bf16 tiles [n_blocks].
  void (*expand)(const uint8_t* panel, size_t first_block, size_t n_blocks, uint8_t* tiles) noexcept;
};

template <class Tier, class Format>
void expand_bf16(const uint8_t* panel, size_t first_block, size_t n_blocks, uint8_t* tiles) noexcept {
  constexpr size_t kScales = kBlockScales<Format>;
  for_each_block<Tier, Format>(
      panel, first_block, n_blocks, [&](const uint8_t* block, const auto& unit_scales, size_t b) noexcept {
        typename Tier::Bytes codes[kGroups];
        BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) codes[g] = Format::template codes<Tier>(block, g, 0);
        BELLE_UNROLL for (size_t s = 0; s < kScales; ++s) {
          const RowScales<Tier, Format> scales(unit_scales, b * kScales + s, 0);
          BELLE_UNROLL for (size_t g = s * kGroups / kScales; g < (s + 1) * kGroups / kScales; ++g) {
            const auto column = [&](size_t i) noexcept {
              return scales.weights(column_codes<Tier, Format>(codes[g], i));
            };
            Tier::store_bytes(tiles + 2 * g * kGroupCodes, Tier::column_pair(column(0), column(1)));
            Tier::store_bytes(tiles + (2 * g + 1) * kGroupCodes, Tier::column_pair(column(2), column(3)));
          }
        }
        tiles += kTileBytes;
      });
}

template <class Tier, class Format>
constexpr Bf16Format kBf16Format = {kWideFormat<Tier, Format>, expand_bf16<Tier, Format>};

}  // namespace
}  // namespace belle

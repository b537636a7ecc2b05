// Quantized panels times a few tokens, straight from the panels. The activations of four columns come in by broadcast;
// a tile's tokens share one expansion of the codes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/activation_order.h"
#include "kernels/compiler.h"
#include "kernels/generic/chunked_matmul.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/token_tiles.h"
#include "kernels/generic/unit.h"
#include "kernels/table.h"

namespace belle {
namespace {

/// A block of one part's rows, ready for the tokens.
template <class Tier, class Format>
struct ExpandedBlock {
  using Vector = typename Tier::Vector;
  using Dots = typename Tier::template Dots<Format>;
  static constexpr size_t kScales = kBlockScales<Format>, kScaleGroups = Format::kScaleColumns / kGroupColumns;
  typename Tier::Bytes codes[kGroups];
  Vector d[kScales], m[kScales];  // m: formats with a minimum only

  /// Block b of the unit with these scales.
  ExpandedBlock(const uint8_t* block, const typename Format::template Scales<Tier>& scales, size_t b,
                size_t part) noexcept {
    BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) {
      codes[g] = Dots::operand(Format::template codes<Tier>(block, g, part));
    }
    BELLE_UNROLL for (size_t s = 0; s < kScales; ++s) {
      d[s] = scales.d(b * kScales + s, part);
      if constexpr (Format::kHasMinimum) m[s] = scales.m(b * kScales + s, part);
    }
  }

  /// sum + the products with one token's 32 activations. Those of columns that share a scale are exact; two chains
  /// halve the latency.
  Vector add_to(Vector sum, const ActivationBlock& token) const noexcept {
    BELLE_UNROLL for (size_t s = 0; s < kScales; ++s) {
      auto even = Dots::start(token, s), odd = typename Dots::Register{};
      BELLE_UNROLL for (size_t g = s * kScaleGroups; g < (s + 1) * kScaleGroups; g += 2) {
        even = Dots::add(even, codes[g], Tier::broadcast_group(token.values + 4 * g));
        odd = Dots::add(odd, codes[g + 1], Tier::broadcast_group(token.values + 4 * g + 4));
      }
      const Vector scale = Tier::multiply(d[s], Tier::broadcast(token.scale));
      sum = Tier::multiply_add(Dots::floats(Dots::join(even, odd)), scale, sum);
    }
    if constexpr (Format::kHasMinimum) {
      BELLE_UNROLL for (size_t s = 0; s < kScales; ++s) {
        const Vector values = Tier::to_floats(Tier::weighted_sums(token.sums, sum_weights<Format>(1, s)));
        sum = Tier::multiply_add(m[s], Tier::multiply(values, Tier::broadcast(token.scale)), sum);
      }
    }
    return sum;
  }
};

template <class Tier, class Format>
struct Quantized {
  using Vector = typename Tier::Vector;
  static constexpr size_t kParts = kPanelVectors<Tier>;

  template <size_t tokens>
  struct Tile {
    // The parts [begin, end) of every block, in one pass over the panel.
    template <size_t begin, size_t end>
    static inline void walk(const TileArgs& args, Vector (*sums)[kParts]) noexcept {
      const size_t n_units = args.matmul->k / Format::kUnitColumns;
      const ActivationRow row = activation_row(args.matmul->n_tokens, n_units * kUnitBlocks<Format>, args.first_token);
      const ActivationBlock* activations = args.matmul->blocks + row.first;  // of the tile's first token
      for (size_t i = 0; i < n_units; ++i) {
        const uint8_t* unit = args.panel + i * Format::kUnitBytes;
        if constexpr (begin == 0) prefetch_unit<Format::kUnitBytes>(unit, args.matmul->read_ahead);
        const typename Format::template Scales<Tier> scales(unit);
        for (size_t b = 0; b < kUnitBlocks<Format>; ++b, activations += row.stride) {
          BELLE_UNROLL for (size_t part = begin; part < end; ++part) {
            const ExpandedBlock<Tier, Format> block(unit + b * Format::kBlockBytes, scales, b, part);
            BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
              sums[t][part] = block.add_to(sums[t][part], activations[t]);
            }
          }
        }
      }
    }

    template <size_t part>
    static inline void walk_from(const TileArgs& args, Vector (*sums)[kParts]) noexcept {
      walk<part, part + 1>(args, sums);
      if constexpr (part + 1 < kParts) walk_from<part + 1>(args, sums);
    }

    // One token reads the panel once, as a stream. Several have no registers for all parts: a later pass finds the
    // panel in the cache.
    static void run(const TileArgs& args) noexcept {
      Vector sums[tokens][kParts];
      BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
        BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) sums[t][part] = Tier::zeros();
      }
      if constexpr (tokens == 1) walk<0, kParts>(args, sums);
      else walk_from<0>(args, sums);
      store_tile<Tier, tokens>(args, sums);
    }
  };
};

template <class Tier, class Format>
void quantized_matmul(const PanelMatmul& args) noexcept {
  if constexpr (Tier::kChunkTokens > 0) {
    if (args.n_tokens > Tier::kMatmulTokens) return chunked_matmul<Tier, Format>(args);
  }
  run_matmul<Quantized<Tier, Format>::template Tile, Tier::kMatmulTokens>(args, quantized_panel_bytes<Format>(args.k),
                                                                          args.k);
}

}  // namespace
}  // namespace belle

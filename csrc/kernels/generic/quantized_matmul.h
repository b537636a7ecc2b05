// Quantized panels times a few tokens, straight from the panels. The activations of four columns come in by broadcast;
// a tile's tokens share one expansion of the codes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/activation_order.h"
#include "kernels/compiler.h"
#include "kernels/generic/chunked_matmul.h"
#include "kernels/generic/expanded_block.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/streamed_matmul.h"
#include "kernels/generic/token_tiles.h"
#include "kernels/generic/unit.h"
#include "kernels/table.h"

namespace belle {
namespace {

template <class Tier, class Format>
struct Quantized {
  using Vector = typename Tier::Vector;
  static constexpr size_t kParts = kPanelVectors<Tier>, kSteps = ExpandedBlock<Tier, Format>::kSteps;

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
        const typename Format::template Scales<Tier> scales(unit);
        for (size_t b = 0; b < kUnitBlocks<Format>; ++b, activations += row.stride) {
          const ReadAhead<Format, (end - begin) * kSteps> ahead(unit, b, args.matmul->read_ahead);
          BELLE_UNROLL for (size_t part = begin; part < end; ++part) {
            const ExpandedBlock<Tier, Format> block(unit + b * Format::kBlockBytes, scales, b, part);
            BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
              if (t == 0 && begin == 0)
                sums[t][part] = block.add_to(sums[t][part], activations[t], ahead, (part - begin) * kSteps);
              else sums[t][part] = block.add_to(sums[t][part], activations[t], NothingAhead{}, 0);
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

template <class Tier, class Format, bool tiled>
void quantized_matmul(const PanelMatmul& args) noexcept {
  constexpr size_t kTokens = tiled ? Tier::kMatmulTokens : 1;
  if constexpr (!tiled) {
    if (args.n_tokens > 1) return streamed_matmul<Tier, Format>(args);
  } else if constexpr (Tier::kChunkTokens > 0) {
    if (args.n_tokens > kTokens) return chunked_matmul<Tier, Format>(args);
  }
  run_matmul<Quantized<Tier, Format>::template Tile, kTokens>(args, quantized_panel_bytes<Format>(args.k), args.k);
}

}  // namespace
}  // namespace belle

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

template <class Tier, class Format>
struct Quantized {
  using Vector = typename Tier::Vector;
  using Bytes = typename Tier::Bytes;
  using Dots = typename Tier::template Dots<Format>;
  static constexpr size_t kParts = kPanelVectors<Tier>;

  // The exact products of a block with one token's 32 activations; two chains halve the latency.
  static inline Vector block_dots(const Bytes* codes, const ActivationBlock& token) noexcept {
    auto even = Dots::start(token.sum), odd = typename Dots::Register{};
    BELLE_UNROLL for (size_t g = 0; g < kGroups; g += 2) {
      even = Dots::add(even, codes[g], Tier::broadcast_group(token.values + 4 * g));
      odd = Dots::add(odd, codes[g + 1], Tier::broadcast_group(token.values + 4 * g + 4));
    }
    return Dots::floats(Dots::join(even, odd));
  }

  template <size_t tokens>
  struct Tile {
    // sums[token][part] += one block
    static inline void add_block(const uint8_t* unit, size_t part, const ActivationBlock* activations,
                                 Vector (*sums)[kParts]) noexcept {
      Bytes codes[kGroups];
      BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) {
        codes[g] = Dots::operand(Format::template codes<Tier>(unit, g, part));
      }
      const Vector d = scales_of<Tier, Format>(unit, part);
      BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
        const ActivationBlock& token = activations[t];
        const Vector scale = Tier::multiply(d, Tier::broadcast(token.scale));
        sums[t][part] = Tier::multiply_add(block_dots(codes, token), scale, sums[t][part]);
        if constexpr (Format::kHasMinimum) {
          const Vector weighted = Tier::broadcast(token.scale * static_cast<float>(token.sum));
          sums[t][part] = Tier::multiply_add(minima_of<Tier, Format>(unit, part), weighted, sums[t][part]);
        }
      }
    }

    // The parts [begin, end) of every block, in one pass over the panel.
    template <size_t begin, size_t end>
    static inline void walk(const TileArgs& args, Vector (*sums)[kParts]) noexcept {
      const size_t n_blocks = args.matmul->k / kBlockSize;
      const ActivationRow row = activation_row(args.matmul->n_tokens, n_blocks, args.first_token);
      const ActivationBlock* activations = args.matmul->blocks + row.first;  // of the tile's first token
      for (size_t block = 0; block < n_blocks; ++block, activations += row.stride) {
        const uint8_t* unit = args.panel + block * Format::kUnitBytes;
        if constexpr (begin == 0) prefetch_unit<Format::kUnitBytes>(unit, args.matmul->read_ahead);
        BELLE_UNROLL for (size_t part = begin; part < end; ++part) add_block(unit, part, activations, sums);
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
  run_matmul<Quantized<Tier, Format>::template Tile, Tier::kMatmulTokens>(
      args, args.k / kBlockSize * Format::kUnitBytes, args.k);
}

}  // namespace
}  // namespace belle

// Quantized panels times many tokens on tiers with few registers: a chunk of a panel is expanded once into the
// first-level cache, then every tile of a few tokens runs over it with the integer sums of all 16 rows in registers.
//
// What happens to one row and token, and in which order, is the same as in quantized_matmul.h, so the bits are the same
// too.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/activation_order.h"
#include "kernels/compiler.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/prefetch.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/token_tiles.h"
#include "kernels/generic/unit.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kChunkBlocks = 16;  // 512 columns: 8 KB of codes beside a tile's activations

/// A chunk's place in the product.
struct ChunkPlace {
  const PanelMatmul* matmul;
  size_t first_row;
  size_t n_rows;  // 1 .. 16
  size_t first_block;
  size_t n_blocks;  // 1 .. kChunkBlocks
};

template <class Tier, class Format>
class ChunkedMatmul {
 public:
  /// Every panel with a group of tokens whose activations stay in the second-level cache, then the next group.
  static inline void run(const PanelMatmul& matmul) noexcept {
    const size_t k_blocks = matmul.k / kBlockSize;
    const size_t group = (kCachedTokenBytes / (matmul.k * kTokenGroup + 1) + 1) * kTokenGroup;
    Chunk chunk;
    for (size_t token = 0; token < matmul.n_tokens; token += group) {
      const size_t end = token + smaller(group, matmul.n_tokens - token);
      const uint8_t* units = matmul.panels;
      for (size_t row = 0; row < matmul.n_rows; row += kPanelRows) {
        for (size_t block = 0; block < k_blocks; block += kChunkBlocks) {
          const size_t n_blocks = smaller(kChunkBlocks, k_blocks - block);
          expand(units, n_blocks, chunk);
          units += n_blocks * Format::kUnitBytes;
          const ChunkPlace place{&matmul, row, smaller(kPanelRows, matmul.n_rows - row), block, n_blocks};
          run_tokens(place, chunk, token, end, units);
        }
      }
    }
  }

 private:
  using Vector = typename Tier::Vector;
  using Bytes = typename Tier::Bytes;
  using Dots = typename Tier::template Dots<Format>;
  static constexpr size_t kParts = kPanelVectors<Tier>, kChunkTokens = Tier::kChunkTokens;

  /// Some blocks of a panel, ready to multiply.
  struct Chunk {
    Bytes codes[kChunkBlocks][kGroups][kParts];  // as the tier multiplies them
    Vector d[kChunkBlocks][kParts];
    Vector m[kChunkBlocks][kParts];  // formats with a minimum only
  };

  static inline void expand(const uint8_t* units, size_t n_blocks, Chunk& chunk) noexcept {
    static_assert(Format::kUnitColumns == kBlockSize && Format::kScaleColumns == kBlockSize, "units are blocks");
    for (size_t b = 0; b < n_blocks; ++b, units += Format::kUnitBytes) {
      const typename Format::template Scales<Tier> scales(units);
      BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
        Bytes codes[kGroups];
        BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) {
          codes[g] = Dots::operand(Format::template codes<Tier>(units, g, part));
        }
        BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) chunk.codes[b][g][part] = codes[g];
        chunk.d[b][part] = scales.d(0, part);
        if constexpr (Format::kHasMinimum) chunk.m[b][part] = scales.m(0, part);
      }
    }
  }

  // The float sums of earlier chunks wait in y.
  static inline Vector load_rows(const float* y, size_t n_rows, size_t part) noexcept {
    const size_t row = part * Tier::kLanes;
    if (n_rows >= row + Tier::kLanes) return Tier::load(y + row, AllLanes{});
    return n_rows > row ? Tier::load(y + row, FirstLanes{n_rows - row}) : Tier::zeros();
  }

  template <size_t tokens>
  static inline void multiply_block(const Chunk& chunk, size_t b, const ActivationBlock* activations,
                                    Vector (*sums)[kParts]) noexcept {
    typename Dots::Register dots[tokens][kParts];
    BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
      BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) dots[t][part] = Dots::start(activations[t], 0);
    }
    for (size_t g = 0; g < kGroups; ++g) {
      Bytes codes[kParts];
      BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
        codes[part] = chunk.codes[b][g][part];
        Tier::settle(codes[part]);
      }
      BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
        const Bytes columns = Tier::broadcast_group(activations[t].values + 4 * g);
        BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
          dots[t][part] = Dots::add(dots[t][part], codes[part], columns);
          Tier::settle(dots[t][part]);
        }
      }
    }
    BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
      const ActivationBlock& token = activations[t];
      BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
        const Vector scale = Tier::multiply(chunk.d[b][part], Tier::broadcast(token.scale));
        sums[t][part] = Tier::multiply_add(Dots::floats(dots[t][part]), scale, sums[t][part]);
        if constexpr (Format::kHasMinimum) {
          const Vector values = Tier::to_floats(Tier::weighted_sums(token.sums, sum_weights<Format>(1, 0)));
          const Vector weighted = Tier::multiply(values, Tier::broadcast(token.scale));
          sums[t][part] = Tier::multiply_add(chunk.m[b][part], weighted, sums[t][part]);
        }
      }
    }
  }

  template <size_t tokens>
  static inline void run_tile_of(const ChunkPlace& place, const Chunk& chunk, size_t first_token) noexcept {
    const PanelMatmul& m = *place.matmul;
    const ActivationRow row = activation_row(m.n_tokens, m.k / kBlockSize, first_token);
    const ActivationBlock* activations = m.blocks + row.first + place.first_block * row.stride;
    float* y = m.y + first_token * m.y_stride + place.first_row;
    Vector sums[tokens][kParts];
    BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
      BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
        sums[t][part] = place.first_block == 0 ? Tier::zeros() : load_rows(y + t * m.y_stride, place.n_rows, part);
      }
    }
    for (size_t b = 0; b < place.n_blocks; ++b, activations += row.stride) {
      multiply_block<tokens>(chunk, b, activations, sums);
    }
    BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) store_rows<Tier>(y + t * m.y_stride, place.n_rows, sums[t]);
  }

  template <size_t tokens = kChunkTokens>
  static inline void run_tile(const ChunkPlace& place, const Chunk& chunk, size_t token, size_t n_tokens) noexcept {
    if constexpr (tokens > 0) {
      if (n_tokens == tokens) return run_tile_of<tokens>(place, chunk, token);
      run_tile<tokens - 1>(place, chunk, token, n_tokens);
    }
  }

  static size_t tiles_for(size_t n_tokens) noexcept { return quotient_up(n_tokens, kChunkTokens); }

  /// All tokens of [begin, end) against one chunk, while the units of the next one are on their way. Tiles of about the
  /// same size: 3 tokens fill the registers, but 3, 3, 3, 3, 3 and 1 take longer than 4 times 4.
  static inline void run_tokens(const ChunkPlace& place, const Chunk& chunk, size_t begin, size_t end,
                                const uint8_t* next_units) noexcept {
    constexpr size_t kChunkLines = kChunkBlocks * Format::kUnitBytes / kLineBytes;
    const size_t n_tiles =
        (end - begin) / kTokenGroup * tiles_for(kTokenGroup) + tiles_for((end - begin) % kTokenGroup);
    const size_t lines_per_tile = quotient_up(kChunkLines, n_tiles);
    uintptr_t line = reinterpret_cast<uintptr_t>(next_units);
    for (size_t token = begin; token < end;) {
      for (size_t i = 0; i < lines_per_tile; ++i, line += kLineBytes) prefetch_line(line);
      const size_t left = tokens_left_in_group(end, token), n_tokens = quotient_up(left, tiles_for(left));
      run_tile(place, chunk, token, n_tokens);
      token += n_tokens;
    }
  }
};

template <class Tier, class Format>
inline void chunked_matmul(const PanelMatmul& matmul) noexcept {
  ChunkedMatmul<Tier, Format>::run(matmul);
}

}  // namespace
}  // namespace belle

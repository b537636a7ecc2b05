// Wide products of weights of up to 7 bits on AVX2: a tile of 3 tokens meets 16 rows, block after block, with all sums
// in registers. The products of a piece of a block are exact; how they are scaled and summed over the blocks is a Sums:
//
//   BlockSums  kBlock32   a scale per block, in float: the operations of the one-token kernel, and its bits
//   SlabSums   kSlab256   one activation scale for 8 blocks, whose weight scales are whole numbers of steps: the sums
//                         stay integers, two instructions per block instead of four
//
// A piece is a whole block where the codes have up to 5 bits, half of one for 6 bits, or for scales of 16 columns, and
// a quarter for 7 bits.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/avx2/intrinsics.h"
#include "kernels/avx2/tier.h"
#include "kernels/avx2/wide_blocks.h"
#include "kernels/compiler.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/wide_matmul.h"
#include "kernels/table.h"

namespace belle {
namespace {

/// One panel's slab and one tile of tokens.
template <class Rows>
struct TileProduct {
  const Rows* rows;          // [n_blocks]
  const RowMinima* minima;   // [n_blocks], formats with a minimum only
  const TokenBlock* tokens;  // [n_blocks]
  size_t n_blocks;           // 1 .. kSlabBlocks
  const float* slab_scales;  // [16 rows], SlabSums only
  const float* before;       // [kTileTokens][16 rows], the sums of earlier slabs
  size_t before_stride;
  float* out;  // likewise
  size_t out_stride;
};

template <class Rows>
inline __m256 load_before(const TileProduct<Rows>& tile, size_t t, size_t part) noexcept {
  return Avx2::load(tile.before + t * tile.before_stride + part * Avx2::kLanes, AllLanes{});
}
template <class Rows>
inline void store_out(const TileProduct<Rows>& tile, size_t t, size_t part, __m256 sum) noexcept {
  Avx2::store(tile.out + t * tile.out_stride + part * Avx2::kLanes, sum, AllLanes{});
}

template <class Rows, bool has_minimum>
struct BlockSums {
  using Tile = TileProduct<Rows>;
  static constexpr bool kNeedsFactors = false;
  static_assert(Rows::kPieces == Rows::kScales, "a sum that is scaled is one of few tokens");
  __m256 sums[kTileTokens][kParts];

  void start(const Tile& tile) noexcept {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) sums[t][p] = load_before(tile, t, p);
    }
  }
  template <size_t piece>
  void add(const Tile& tile, size_t block, const __m256i (*dots)[kParts]) noexcept {
    const Rows& rows = tile.rows[block];
    const TokenBlock& tokens = tile.tokens[block];
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      const __m256 scale = Avx2::broadcast(tokens.scales[t]);
      BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) {
        const __m256 exact = _mm256_cvtepi32_ps(_mm256_madd_epi16(dots[t][p], _mm256_set1_epi16(1)));
        sums[t][p] = Avx2::multiply_add(exact, Avx2::multiply(rows.d[piece][p], scale), sums[t][p]);
        if constexpr (has_minimum) {
          sums[t][p] =
              Avx2::multiply_add(tile.minima[block].m[p], Avx2::broadcast(tokens.weighted_sums[t]), sums[t][p]);
        }
      }
    }
  }
  void finish(const Tile& tile) noexcept {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) store_out(tile, t, p, sums[t][p]);
    }
  }
};

template <class Rows, bool has_minimum>
struct SlabSums {
  using Tile = TileProduct<Rows>;
  static constexpr bool kNeedsFactors = true;
  Avx2::Sums32 sums[kTileTokens][kParts];

  void start(const Tile&) noexcept {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) sums[t][p] = Avx2::Sums32{};
    }
  }
  template <size_t piece>
  void add(const Tile& tile, size_t block, const __m256i (*dots)[kParts]) noexcept {
    constexpr size_t kScale = piece * Rows::kScales / Rows::kPieces;
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) {
        const __m256i weighted = _mm256_madd_epi16(dots[t][p], tile.rows[block].factors[kScale][p]);
        sums[t][p] = (Avx2::Sums32)_mm256_add_epi32((__m256i)sums[t][p], weighted);
      }
    }
  }
  void finish(const Tile& tile) noexcept {
    __m256 totals[kTileTokens][kParts];
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      const __m256 token_scale = Avx2::broadcast(tile.tokens[0].scales[t]);
      BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) {
        const __m256 scale = Avx2::multiply(token_scale, Avx2::load(tile.slab_scales + p * Avx2::kLanes, AllLanes{}));
        totals[t][p] = Avx2::multiply_add(Avx2::to_floats(sums[t][p]), scale, load_before(tile, t, p));
      }
    }
    for (size_t b = 0; has_minimum && b < tile.n_blocks; ++b) {
      BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
        const __m256 weighted_sum = Avx2::broadcast(tile.tokens[b].weighted_sums[t]);
        BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) {
          totals[t][p] = Avx2::multiply_add(tile.minima[b].m[p], weighted_sum, totals[t][p]);
        }
      }
    }
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) store_out(tile, t, p, totals[t][p]);
    }
  }
};

// 3 tokens by 16 rows of a piece of a block: sums of products of pairs, [8 rows][2] in lanes of 16 bits.
template <size_t piece, class Rows>
inline void multiply_piece(const Rows& rows, const TokenBlock& tokens, __m256i (*dots)[kParts]) noexcept {
  constexpr size_t kPieceGroups = kGroups / Rows::kPieces, kFirst = piece * kPieceGroups;
  BELLE_UNROLL for (size_t g = kFirst; g < kFirst + kPieceGroups; ++g) {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      const __m256i columns = Avx2::broadcast_group(reinterpret_cast<const int8_t*>(tokens.values[g][t]));
      BELLE_UNROLL for (size_t p = 0; p < kParts; ++p) {
        const __m256i products = _mm256_maddubs_epi16(columns, rows.codes[g][p]);
        dots[t][p] = _mm256_add_epi16(products, g == kFirst ? rows.starts[piece][p] : dots[t][p]);
        Avx2::settle(dots[t][p]);
      }
    }
  }
}

template <size_t piece, class Rows, class Sums>
inline void add_pieces(const TileProduct<Rows>& tile, size_t block, Sums& sums) noexcept {
  __m256i dots[kTileTokens][kParts];
  multiply_piece<piece>(tile.rows[block], tile.tokens[block], dots);
  sums.template add<piece>(tile, block, dots);
  if constexpr (piece + 1 < Rows::kPieces) add_pieces<piece + 1>(tile, block, sums);
}

template <class Rows, class Sums>
BELLE_ALONE void multiply_tile(const TileProduct<Rows>& of_block) noexcept {
  const TileProduct<Rows> tile = of_block;  // which no store can change
  Sums sums;
  sums.start(tile);
  for (size_t b = 0; b < tile.n_blocks; ++b) add_pieces<0>(tile, b, sums);
  sums.finish(tile);
}

template <class Rows, class Sums>
class WideChunk {
 public:
  using Format = RowFormat<Rows>;
  struct Session {};
  static constexpr size_t kTileTokens = belle::kTileTokens, kColumns = kSlabColumns;

  WideChunk(const Format& format, const Block& block, size_t slab, Prefetch& prefetch) noexcept
      : format_(format),
        block_(block),
        prefetch_(prefetch),
        tokens_(block.args->n_tokens, block.args->k),
        slab_(slab),
        n_blocks_(tokens_.blocks_of(slab)),
        rows_(*reinterpret_cast<RowSlab<Rows>*>(block.scratch->weights)) {
    static_assert(sizeof(RowSlab<Rows>) <= sizeof block.scratch->weights, "a slab's room");
  }

  static void finish(const Block& block) noexcept { TileSums<Avx2, kTileTokens>::finish(block); }
  static size_t steps_of(const Block& block) noexcept { return block.n_token_tiles; }

  void expand() noexcept {
    for (size_t p = 0; p < block_.n_panels; ++p) {
      format_.expand(block_.units_of(format_, p, slab_), n_blocks_, rows_.blocks[p], rows_.minima[p]);
      if constexpr (Sums::kNeedsFactors) {
        float* scales = block_.scratch->weight_scales + p * kPanelRows;
        set_factors(rows_.blocks[p], n_blocks_, format_.largest_factor, scales);
      }
    }
  }

  void multiply_block() noexcept {
    const bool first = block_.starts_with(slab_), last = slab_ + 1 == tokens_.n_slabs();
    TileProduct<Rows> product{};
    product.n_blocks = n_blocks_;
    product.tokens =
        reinterpret_cast<const TokenBlock*>(block_.args->packed) + tokens_.offset_of(slab_, block_.first_token_tile);
    product.before_stride = first ? 0 : kBlockRows;
    for (size_t tile = 0; tile < block_.n_token_tiles; ++tile, product.tokens += n_blocks_) {
      const float* before = first ? kNothing : block_.scratch->sums[tile * kTileTokens];
      const auto out = TileSums<Avx2, kTileTokens>::of(block_, tile, last);
      product.out_stride = out.stride;
      for (size_t panel = 0; panel < block_.n_panels; ++panel) {
        product.rows = rows_.blocks[panel];
        product.minima = rows_.minima[panel];
        product.slab_scales = block_.scratch->weight_scales + panel * kPanelRows;
        product.before = before + panel * kPanelRows;
        product.out = out.rows + panel * kPanelRows;
        multiply_tile<Rows, Sums>(product);
      }
      prefetch_.advance();
    }
  }

 private:
  const Format& format_;
  const Block& block_;
  Prefetch& prefetch_;
  const TokenBlocks tokens_;
  const size_t slab_, n_blocks_;
  RowSlab<Rows>& rows_;
};

template <template <class, bool> class Sums, class Format>
void multiply_rows(const WideMatmul& args) noexcept {
  using Rows = RowBlockOf<Format>;
  wide_matmul<Avx2, WideChunk<Rows, Sums<Rows, Format::kHasMinimum>>>(kRowFormat<Format>, args);
}

// exact: the bits of the kernels for few tokens.
template <template <class, bool> class Sums, bool exact>
constexpr WideKernels row_kernels(void (*pack)(const WidePack&) noexcept) noexcept {
  return wide_kernels(kTileTokens, token_block_bytes, pack, sizeof(Scratch), [](auto format) noexcept -> WideMatmulFn {
    using Format = decltype(format);
    if constexpr (exact ? RowCodes<Format>::kExact : RowCodes<Format>::kFits) return multiply_rows<Sums, Format>;
    else return nullptr;
  });
}

constexpr WideKernels kBlock32Kernels = row_kernels<BlockSums, true>(pack_token_blocks<ScalePerBlock>);
constexpr WideKernels kSlab256Kernels = row_kernels<SlabSums, false>(pack_token_blocks<ScalePerSlab>);

}  // namespace
}  // namespace belle

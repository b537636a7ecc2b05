// Wide products of 4-bit weights on AVX2: a tile of 3 tokens meets 16 rows, block after block, with all sums in
// registers. The products of a block are exact; how they are scaled and summed over the blocks is a Sums:
//
//   BlockSums  kBlock32   a scale per block, in float: the operations of the one-token kernel, and its bits
//   SlabSums   kSlab256   one activation scale for 8 blocks, whose weight scales are whole numbers of steps: the sums
//                         stay integers, two instructions per block instead of four
//
// Include after byte_blocks.h and wide_matmul.h; everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

/// One panel's slab and one tile of tokens.
struct TileProduct {
  const RowBlock* rows;      // [n_blocks]
  const RowMinima* minima;   // [n_blocks], formats with a minimum only
  const TokenBlock* tokens;  // [n_blocks]
  size_t n_blocks;           // 1 .. kSlabBlocks
  const float* slab_scales;  // [16 rows], SlabSums only
  const float* before;       // [kTileTokens][16 rows], the sums of earlier slabs
  size_t before_stride;
  float* out;  // likewise
  size_t out_stride;
};

inline Vector load_before(const TileProduct& tile, size_t t, size_t half) noexcept {
  return load(tile.before + t * tile.before_stride + half * kLanes, AllLanes{});
}
inline void store_out(const TileProduct& tile, size_t t, size_t half, Vector sum) noexcept {
  store(tile.out + t * tile.out_stride + half * kLanes, sum, AllLanes{});
}

template <bool has_minimum>
struct BlockSums {
  static constexpr bool kNeedsFactors = false;
  Vector sums[kTileTokens][kHalves];

  void start(const TileProduct& tile) noexcept {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) sums[t][h] = load_before(tile, t, h);
    }
  }
  void add(const TileProduct& tile, size_t block, const __m256i (*dots)[kHalves]) noexcept {
    const RowBlock& rows = tile.rows[block];
    const TokenBlock& tokens = tile.tokens[block];
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      const Vector scale = broadcast(tokens.scales[t]);
      BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) {
        const Vector exact = _mm256_cvtepi32_ps(_mm256_madd_epi16(dots[t][h], _mm256_set1_epi16(1)));
        sums[t][h] = multiply_add(exact, multiply(rows.d[h], scale), sums[t][h]);
        if constexpr (has_minimum) {
          sums[t][h] = multiply_add(tile.minima[block].m[h], broadcast(tokens.weighted_sums[t]), sums[t][h]);
        }
      }
    }
  }
  void finish(const TileProduct& tile) noexcept {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) store_out(tile, t, h, sums[t][h]);
    }
  }
};

template <bool has_minimum>
struct SlabSums {
  static constexpr bool kNeedsFactors = true;
  Sums32 sums[kTileTokens][kHalves];

  void start(const TileProduct&) noexcept {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) sums[t][h] = Sums32{};
    }
  }
  void add(const TileProduct& tile, size_t block, const __m256i (*dots)[kHalves]) noexcept {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) {
        const __m256i weighted = _mm256_madd_epi16(dots[t][h], tile.rows[block].factors[h]);
        sums[t][h] = (Sums32)_mm256_add_epi32((__m256i)sums[t][h], weighted);
      }
    }
  }
  void finish(const TileProduct& tile) noexcept {
    Vector totals[kTileTokens][kHalves];
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      const Vector token_scale = broadcast(tile.tokens[0].scales[t]);
      BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) {
        const Vector scale = multiply(token_scale, load(tile.slab_scales + h * kLanes, AllLanes{}));
        totals[t][h] = multiply_add(_mm256_cvtepi32_ps((__m256i)sums[t][h]), scale, load_before(tile, t, h));
      }
    }
    for (size_t b = 0; has_minimum && b < tile.n_blocks; ++b) {
      BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
        const Vector weighted_sum = broadcast(tile.tokens[b].weighted_sums[t]);
        BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) {
          totals[t][h] = multiply_add(tile.minima[b].m[h], weighted_sum, totals[t][h]);
        }
      }
    }
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) store_out(tile, t, h, totals[t][h]);
    }
  }
};

// 3 tokens by 16 rows of one block: sums of products of pairs, [8 rows][2] in lanes of 16 bits.
inline void multiply_block(const RowBlock& rows, const TokenBlock& tokens, __m256i (*dots)[kHalves]) noexcept {
  BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) {
    BELLE_UNROLL for (size_t t = 0; t < kTileTokens; ++t) {
      const __m256i columns = broadcast_group(reinterpret_cast<const int8_t*>(tokens.values[g][t]));
      BELLE_UNROLL for (size_t h = 0; h < kHalves; ++h) {
        const __m256i products = _mm256_maddubs_epi16(columns, rows.codes[g][h]);
        dots[t][h] = _mm256_add_epi16(products, g == 0 ? rows.starts[h] : dots[t][h]);
        settle(dots[t][h]);
      }
    }
  }
}

template <class Sums>
BELLE_ALONE void multiply_tile(const TileProduct& of_block) noexcept {
  const TileProduct tile = of_block;  // which no store can change
  Sums sums;
  sums.start(tile);
  for (size_t b = 0; b < tile.n_blocks; ++b) {
    __m256i dots[kTileTokens][kHalves];
    multiply_block(tile.rows[b], tile.tokens[b], dots);
    sums.add(tile, b, dots);
  }
  sums.finish(tile);
}

template <class Format, class Sums>
class ByteChunk {
 public:
  struct Session {};
  static constexpr size_t kTileTokens = belle::kTileTokens, kColumns = kSlabColumns;

  ByteChunk(const Block& block, size_t slab, Prefetch& prefetch) noexcept
      : block_(block),
        prefetch_(prefetch),
        tokens_(block.args->n_tokens, block.args->k),
        slab_(slab),
        n_blocks_(tokens_.blocks_of(slab)),
        rows_(*reinterpret_cast<RowSlab*>(block.scratch->weights)) {
    static_assert(sizeof(RowSlab) <= sizeof block.scratch->weights, "a slab's room");
  }

  static void run(const Block& block) noexcept { run_chunks<ByteChunk, Format>(block); }
  static void finish(const Block& block) noexcept { TileSums<kTileTokens>::finish(block); }
  static size_t steps_of(const Block& block) noexcept { return block.n_token_tiles; }

  void expand() noexcept {
    for (size_t p = 0; p < block_.n_panels; ++p) {
      const uint8_t* unit = block_.panels + p * block_.panel_bytes + slab_ * kSlabBlocks * Format::kUnitBytes;
      for (size_t b = 0; b < n_blocks_; ++b, unit += Format::kUnitBytes) {
        Format::expand(unit, rows_.blocks[p][b], rows_.minima[p][b]);
      }
      if constexpr (Sums::kNeedsFactors) {
        set_factors(rows_.blocks[p], n_blocks_, Format::kLargestFactor, block_.scratch->weight_scales + p * kPanelRows);
      }
    }
  }

  void multiply_block() noexcept {
    const bool first = block_.starts_with(slab_), last = slab_ + 1 == tokens_.n_slabs();
    TileProduct product{};
    product.n_blocks = n_blocks_;
    product.tokens =
        reinterpret_cast<const TokenBlock*>(block_.args->packed) + tokens_.offset_of(slab_, block_.first_token_tile);
    product.before_stride = first ? 0 : kBlockRows;
    for (size_t tile = 0; tile < block_.n_token_tiles; ++tile, product.tokens += n_blocks_) {
      const float* before = first ? kNothing : block_.scratch->sums[tile * kTileTokens];
      const auto out = TileSums<kTileTokens>::of(block_, tile, last);
      product.out_stride = out.stride;
      for (size_t panel = 0; panel < block_.n_panels; ++panel) {
        product.rows = rows_.blocks[panel];
        product.minima = rows_.minima[panel];
        product.slab_scales = block_.scratch->weight_scales + panel * kPanelRows;
        product.before = before + panel * kPanelRows;
        product.out = out.rows + panel * kPanelRows;
        multiply_tile<Sums>(product);
      }
      prefetch_.advance();
    }
  }

 private:
  const Block& block_;
  Prefetch& prefetch_;
  const TokenBlocks tokens_;
  const size_t slab_, n_blocks_;
  RowSlab& rows_;
};

template <class Format>
using BlockChunk = ByteChunk<Format, BlockSums<Format::kHasMinimum>>;
template <class Format>
using SlabChunk = ByteChunk<Format, SlabSums<Format::kHasMinimum>>;

using CodesQ4_0 = Nibbles<8, false>;
using CodesQ4_1 = Nibbles<0, true>;

constexpr WideKernels kBlock32Kernels =
    wide_kernels<BlockChunk, CodesQ4_0, CodesQ4_1>(token_block_bytes, pack_token_blocks<ScalePerBlock>);
constexpr WideKernels kSlab256Kernels =
    wide_kernels<SlabChunk, CodesQ4_0, CodesQ4_1>(token_block_bytes, pack_token_blocks<ScalePerSlab>);

}  // namespace
}  // namespace belle

// What the AVX2 tier multiplies for many tokens: blocks of 32 columns, activations of a few tokens and 4-bit codes of
// 16 rows, both laid out in the order of the products.
//
// vpmaddubsw wants one side unsigned. Here it is the activations, plus 128: what that adds depends on the weights
// alone, so it is where a row's sums start, made once for all tokens. Include after avx256.h; everything stays inside
// the including file's anonymous namespace.
#pragma once

#include "kernels/outliers.h"

namespace belle {
namespace {

constexpr size_t kTileTokens = 3;  // by 2 vectors of rows: 6 sums of a block and 6 of all blocks in 16 registers
constexpr size_t kSlabBlocks = kSlabColumns / kBlockSize;

// ---- activations: [slab][token tile][block of the slab], so that what one slab's products need lies together

struct alignas(64) TokenBlock {
  uint8_t values[kGroups][kTileTokens][kGroupColumns];  // plus 128
  float scales[kTileTokens];
  float weighted_sums[kTileTokens];  // scale * sum of the values, for formats with a minimum
  uint8_t unused[8];
};

struct TokenBlocks {
  size_t n_token_tiles, k_blocks;

  TokenBlocks(size_t n_tokens, size_t k) noexcept
      : n_token_tiles(quotient_up(n_tokens, kTileTokens)), k_blocks(k / kBlockSize) {}

  size_t n_slabs() const noexcept { return quotient_up(k_blocks, kSlabBlocks); }
  size_t blocks_of(size_t slab) const noexcept { return smaller(kSlabBlocks, k_blocks - slab * kSlabBlocks); }
  size_t offset_of(size_t slab, size_t tile) const noexcept {
    return slab * kSlabBlocks * n_token_tiles + tile * blocks_of(slab);
  }
};

size_t token_block_bytes(size_t n_tokens, size_t k) noexcept {
  const TokenBlocks blocks(n_tokens, k);
  return blocks.n_token_tiles * blocks.k_blocks * sizeof(TokenBlock);
}

inline void pack_block(const int8_t* values, int32_t sum, float scale, size_t place, TokenBlock& packed) noexcept {
  for (size_t g = 0; g < kGroups; ++g) {
    uint32_t columns;
    memcpy(&columns, values + g * kGroupColumns, sizeof columns);
    columns ^= 0x80808080u;  // plus 128
    memcpy(packed.values[g][place], &columns, sizeof columns);
  }
  packed.scales[place] = scale;
  packed.weighted_sums[place] = scale * static_cast<float>(sum);
}

// One token's blocks of a slab, with a scale each.
struct ScalePerBlock {
  static void quantize(const float* x, size_t n_blocks, ActivationBlock* blocks) noexcept {
    quantize_activations(x, n_blocks, blocks, 1);
  }
};

// The same with one scale for all of them.
struct ScalePerSlab {
  static void quantize(const float* x, size_t n_blocks, ActivationBlock* blocks) noexcept {
    const Quantizer quantizer(x, n_blocks * kBlockSize);
    for (size_t b = 0; b < n_blocks; ++b, x += kBlockSize) {
      blocks[b].scale = quantizer.scale;
      blocks[b].sum = quantize_block(x, broadcast(quantizer.inverse), quantizer.usable, blocks[b].values);
    }
  }
};

template <class Scales>
void pack_token_blocks(const WidePack& args) noexcept {
  const TokenBlocks blocks(args.n_tokens, args.k);
  for (size_t tile = args.first_tile; tile < args.end_tile; ++tile) {
    for (size_t slab = 0; slab < blocks.n_slabs(); ++slab) {
      TokenBlock* packed = reinterpret_cast<TokenBlock*>(args.packed) + blocks.offset_of(slab, tile);
      const size_t n_blocks = blocks.blocks_of(slab);
      for (size_t place = 0; place < kTileTokens; ++place) {
        const size_t token = tile * kTileTokens + place;
        ActivationBlock quantized[kSlabBlocks] = {};  // zeros where the token is missing
        if (token < args.n_tokens) {
          float room[kSlabColumns];
          const float* x = args.x + token * args.k + slab * kSlabColumns;
          Scales::quantize(without_outliers(args.outliers, x, slab, n_blocks * kBlockSize, room), n_blocks, quantized);
        }
        for (size_t b = 0; b < n_blocks; ++b) {
          pack_block(quantized[b].values, quantized[b].sum, quantized[b].scale, place, packed[b]);
        }
      }
      for (size_t b = 0; b < n_blocks; ++b) memset(packed[b].unused, 0, sizeof packed[b].unused);
    }
  }
}

// ---- weights: [panel][block of the slab]

/// One block of a panel; the last index is the half of the rows.
struct RowBlock {
  __m256i codes[kGroups][kHalves];  // signed
  __m256i starts[kHalves];          // [8 rows][2]: -128 * the sum of the codes that meet in this lane
  union {
    Vector d[kHalves];
    __m256i factors[kHalves];  // [8 rows][2]: d in steps of the slab's scale; after set_factors()
  };
};

/// The minima of a block's rows.
struct RowMinima {
  Vector m[kHalves];
};

/// One slab of some panels. Small, for it shares the first-level cache with the tokens.
struct RowSlab {
  RowBlock blocks[kBlockPanels][kSlabBlocks];
  RowMinima minima[kBlockPanels][kSlabBlocks];  // formats with a minimum only
};

// minus: by how much a stored code is larger than the signed one.
template <int minus, bool has_minimum>
struct Nibbles {
  static constexpr size_t kUnitBytes = has_minimum ? 320 : 288;
  static constexpr bool kHasMinimum = has_minimum;
  static constexpr WeightType kType = has_minimum ? WeightType::kQ4_1 : WeightType::kQ4_0;
  /// Of a RowBlock: 8 blocks * 32 columns * 127 * the largest code * this stays below 2^31.
  static constexpr int kLargestFactor = has_minimum ? 4095 : 8191;

  static void expand(const uint8_t* unit, RowBlock& block, RowMinima& minima) noexcept {
    const uint16_t* scales = reinterpret_cast<const uint16_t*>(unit + kGroups / 2 * kGroupCodes);  // d, then m
    const __m256i low_nibbles = _mm256_set1_epi8(0x0f), zero_code = _mm256_set1_epi8(minus);
    for (size_t half = 0; half < kHalves; ++half) {
      __m256i sums = _mm256_setzero_si256();
      BELLE_UNROLL for (size_t j = 0; j < kGroups / 2; ++j) {
        const __m256i bytes = load_bytes(unit + j * kGroupCodes + half * kHalfBytes);
        const __m256i low = _mm256_sub_epi8(_mm256_and_si256(bytes, low_nibbles), zero_code);
        const __m256i high = _mm256_sub_epi8(_mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_nibbles), zero_code);
        block.codes[j][half] = low;
        block.codes[j + kGroups / 2][half] = high;
        sums = _mm256_add_epi8(sums, _mm256_add_epi8(low, high));  // of 8 codes: -64 .. 120
      }
      const __m256i excess = _mm256_maddubs_epi16(_mm256_set1_epi8(static_cast<char>(0x80)), sums);
      block.starts[half] = _mm256_sub_epi16(_mm256_setzero_si256(), excess);
      block.d[half] = load(scales + half * kLanes, AllLanes{});
      if constexpr (has_minimum) minima.m[half] = load(scales + kPanelRows + half * kLanes, AllLanes{});
    }
  }
};

inline Vector magnitude(Vector v) noexcept { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }

/// The factors of a panel's blocks, and in slab_scales, [16 rows], what one step of them is worth: the largest |d| of
/// the slab over `largest`. A row of zeros gets zeros.
inline void set_factors(RowBlock* blocks, size_t n_blocks, int largest, float* slab_scales) noexcept {
  for (size_t half = 0; half < kHalves; ++half) {
    Vector bound = zeros();
    for (size_t b = 0; b < n_blocks; ++b) bound = larger(magnitude(blocks[b].d[half]), bound);
    const Vector steps = broadcast(static_cast<float>(largest));
    store(slab_scales + half * kLanes, divide(bound, steps), AllLanes{});
    const Vector any = _mm256_cmp_ps(bound, zeros(), _CMP_GT_OQ);
    const Vector inverse = _mm256_and_ps(divide(steps, bound), any);
    for (size_t b = 0; b < n_blocks; ++b) {
      const __m256i rounded = _mm256_cvtps_epi32(multiply(blocks[b].d[half], inverse));
      const __m256i low = _mm256_and_si256(rounded, _mm256_set1_epi32(0xffff));
      blocks[b].factors[half] = _mm256_or_si256(low, _mm256_slli_epi32(low, 16));
    }
  }
}

}  // namespace
}  // namespace belle

// What the AVX2 tier multiplies for many tokens: blocks of 32 columns, activations of a few tokens and 4-bit codes of
// 16 rows, both laid out in the order of the products.
//
// vpmaddubsw wants one side unsigned. Here it is the activations, plus 128: what that adds depends on the weights
// alone, so it is where a row's sums start, made once for all tokens.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "kernels/activation_order.h"
#include "kernels/avx2/intrinsics.h"
#include "kernels/avx2/tier.h"
#include "kernels/compiler.h"
#include "kernels/formats/uneven_codes.h"
#include "kernels/generic/outliers.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/quantize_activations.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/unit.h"
#include "kernels/generic/wide_format.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kTileTokens = 3;  // by 2 vectors of rows: 6 sums of a block and 6 of all blocks in 16 registers
constexpr size_t kParts = kPanelVectors<Avx2>;
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

inline size_t token_block_bytes(size_t n_tokens, size_t k) noexcept {
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
    quantize_activations<Avx2>(x, n_blocks, blocks, 1);
  }
};

// The same with one scale for all of them.
struct ScalePerSlab {
  static void quantize(const float* x, size_t n_blocks, ActivationBlock* blocks) noexcept {
    const Quantizer<Avx2> quantizer(x, n_blocks * kBlockSize);
    for (size_t b = 0; b < n_blocks; ++b, x += kBlockSize) {
      blocks[b].scale = quantizer.scale;
      Avx2::quantize_block(x, quantizer.inverse, quantizer.usable, blocks[b].values, blocks[b].sums);
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
          pack_block(quantized[b].values, sum_of_values(quantized[b]), quantized[b].scale, place, packed[b]);
        }
      }
      for (size_t b = 0; b < n_blocks; ++b) memset(packed[b].unused, 0, sizeof packed[b].unused);
    }
  }
}

// ---- weights: [panel][block of the slab]

/// How a format's codes are multiplied: less a centre, in pieces of a block whose products fit into a lane of 16 bits.
template <class Format, bool uneven = std::is_base_of_v<UnevenCodes, Format>>
struct RowCodes {
  static constexpr size_t kScales = kBlockScales<Format>;
  // Codes that are far from the one of zero only on one side: their minimum takes what the centre adds.
  static constexpr bool kMovesCentre = Format::kHasMinimum && Format::kLargestCode > 16;
  static constexpr int kCentre = kMovesCentre ? (Format::kLargestCode + 1) / 2 : Format::kZeroCode;
  static constexpr int kLowest = Format::kSmallestCode - kCentre, kHighest = Format::kLargestCode - kCentre;
  static constexpr int kLargest = kHighest > -kLowest ? kHighest : -kLowest;
  static constexpr size_t kPieces = kLargest <= 16 ? kScales : 2;
  static constexpr bool kFits =  // minima are for whole blocks
      kLargest <= 32 && kPieces >= kScales && !(Format::kHasMinimum && kScales > 1);
  // Sums whose scaling gives the bits of the kernels for few tokens.
  static constexpr bool kExact = kFits && kPieces == kScales && !kMovesCentre;
  static constexpr float kStep = 1.0f;

  static __m256i group(const uint8_t* block, size_t g, size_t part) noexcept {
    return _mm256_sub_epi8(Format::template codes<Avx2>(block, g, part), _mm256_set1_epi8(kCentre));
  }
};

/// The values of the iq4 types need 8 bits. They are kStep times whole numbers of 7 bits, but for 1.5 % of the squared
/// error that the types themselves have: the step and numbers with the least of it for normally distributed weights.
template <class Format>
struct RowCodes<Format, true> {
  static constexpr size_t kScales = kBlockScales<Format>, kPieces = 4;
  static constexpr bool kMovesCentre = false, kFits = true, kExact = false;
  static constexpr int8_t kValues[16] = {-64, -53, -42, -33, -25, -18, -11, -5, 1, 7, 13, 19, 27, 35, 45, 57};
  static constexpr int kLowest = kValues[0], kHighest = kValues[15], kLargest = -kLowest;
  static constexpr float kStep = 1.9733f;

  static __m256i group(const uint8_t* block, size_t g, size_t part) noexcept {
    return Avx2::look_up(kValues, Nibbles::codes<Avx2>(block, g, part));
  }
};

/// One block of a panel; the last index is the part of the rows.
template <size_t pieces, size_t scales>
struct RowBlock {
  static constexpr size_t kPieces = pieces, kScales = scales;
  __m256i codes[kGroups][kParts];  // signed
  __m256i starts[pieces][kParts];  // [8 rows][2]: -128 * the sum of the codes that meet in this lane
  union {
    __m256 d[scales][kParts];
    __m256i factors[scales][kParts];  // [8 rows][2]: d in steps of the slab's scale; after set_factors()
  };
};
template <class Format>
using RowBlockOf = RowBlock<RowCodes<Format>::kPieces, RowCodes<Format>::kScales>;

/// The minima of a block's rows.
struct RowMinima {
  __m256 m[kParts];
};

/// One slab of some panels. Small, for it shares the first-level cache with the tokens.
template <class Rows>
struct RowSlab {
  Rows blocks[kBlockPanels][kSlabBlocks];
  RowMinima minima[kBlockPanels][kSlabBlocks];  // formats with a minimum only
};

/// Of a RowBlock: the largest 2^n - 1 with which a slab's sums stay below 2^31.
constexpr int largest_factor(int largest_code) noexcept {
  int factor = 1;
  while (int64_t{kSlabColumns} * 127 * largest_code * (2 * factor + 1) <= INT32_MAX) factor = 2 * factor + 1;
  return factor;
}

/// One part of a block. Signed bytes must hold the codes less their centre, and the sum of those of a piece's groups.
template <class Format>
inline void expand_part(const uint8_t* codes, size_t part, RowBlockOf<Format>& block) noexcept {
  using Codes = RowCodes<Format>;
  constexpr int kPieceGroups = kGroups / Codes::kPieces;
  static_assert(kPieceGroups * Codes::kHighest <= INT8_MAX && kPieceGroups * Codes::kLowest >= INT8_MIN, "their sum");
  static_assert(2 * kPieceGroups * 127 * Codes::kLargest <= INT16_MAX, "a piece's products in a lane");
  BELLE_UNROLL for (size_t piece = 0; piece < Codes::kPieces; ++piece) {
    __m256i sums = _mm256_setzero_si256();
    BELLE_UNROLL for (size_t g = piece * kPieceGroups; g < (piece + 1) * kPieceGroups; ++g) {
      const __m256i group = Codes::group(codes, g, part);
      block.codes[g][part] = group;
      sums = _mm256_add_epi8(sums, group);
    }
    const __m256i excess = _mm256_maddubs_epi16(_mm256_set1_epi8(static_cast<char>(0x80)), sums);
    block.starts[piece][part] = _mm256_sub_epi16(_mm256_setzero_si256(), excess);
  }
}

/// One panel's slab of n_blocks blocks.
template <class Format>
void expand_rows(const uint8_t* units, size_t n_blocks, RowBlockOf<Format>* rows, RowMinima* minima) noexcept {
  using Codes = RowCodes<Format>;
  for_each_block<Avx2, Format>(units, 0, n_blocks, [&](const uint8_t* codes, const auto& scales, size_t b) noexcept {
    BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
      expand_part<Format>(codes, part, *rows);
      for (size_t s = 0; s < Codes::kScales; ++s) {
        rows->d[s][part] = scales.d(b * Codes::kScales + s, part);
        if constexpr (Codes::kStep != 1.0f) {
          rows->d[s][part] = Avx2::multiply(rows->d[s][part], Avx2::broadcast(Codes::kStep));
        }
      }
      if constexpr (Format::kHasMinimum) {
        minima->m[part] = scales.m(b, part);
        if constexpr (Codes::kMovesCentre) {
          minima->m[part] = Avx2::multiply_add(rows->d[0][part], Avx2::broadcast(static_cast<float>(Codes::kCentre)),
                                               minima->m[part]);
        }
      }
    }
    ++rows;
    ++minima;
  });
}

/// How a format's panels become rows.
template <class Rows>
struct RowFormat : WideFormat {
  void (*expand)(const uint8_t* units, size_t n_blocks, Rows* blocks, RowMinima* minima) noexcept;
  int largest_factor;
};

template <class Format>
constexpr RowFormat<RowBlockOf<Format>> kRowFormat = {kWideFormat<Avx2, Format>, expand_rows<Format>,
                                                      largest_factor(RowCodes<Format>::kLargest)};

/// The factors of a panel's blocks, and in slab_scales, [16 rows], what one step of them is worth: the largest |d| of
/// the slab over `largest`. A row of zeros gets zeros.
template <class Rows>
inline void set_factors(Rows* blocks, size_t n_blocks, int largest, float* slab_scales) noexcept {
  for (size_t part = 0; part < kParts; ++part) {
    __m256 bound = Avx2::zeros();
    for (size_t b = 0; b < n_blocks; ++b) {
      for (const auto& d : blocks[b].d) bound = Avx2::larger(Avx2::magnitude(d[part]), bound);
    }
    const __m256 steps = Avx2::broadcast(static_cast<float>(largest));
    Avx2::store(slab_scales + part * Avx2::kLanes, Avx2::divide(bound, steps), AllLanes{});
    const __m256 inverse = Avx2::quotient_or_zero(steps, bound);
    for (size_t b = 0; b < n_blocks; ++b) {
      for (size_t s = 0; s < Rows::kScales; ++s) {
        blocks[b].factors[s][part] = Avx2::in_both_halves(Avx2::multiply(blocks[b].d[s][part], inverse));
      }
    }
  }
}

}  // namespace
}  // namespace belle

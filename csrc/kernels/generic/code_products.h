// Wide kernels that multiply the codes of the file as they are, on tiers whose instruction sums the products of four
// unsigned and four signed bytes into 32 bits: a tile of tokens meets rows of a slab whose codes are expanded, and the
// exact sums of the columns that share a scale are scaled and added in float.
//
//   block32   Activations have scales of their own per block. Per row and token it is what quantized_matmul.h does, in
//             the same order, and so has the same bits.
//   slab256   The activations of int8_slabs.h, for formats whose weights int8 with one scale per slab would round too
//             coarsely. An integer sum becomes a float by where it starts: the bits of kFloatStart and a small number
//             are the float kFloatStart + that number. What that adds depends on the weights alone, and is taken out
//             once for several scales.
//
// The tier's tiles of tokens are those of int8_slabs.h. Registers hold the integer sums of a scale, and where there are
// 32 the float sums as well.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/activation_order.h"
#include "kernels/compiler.h"
#include "kernels/generic/int8_slabs.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/quantize_activations.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/wide_format.h"
#include "kernels/generic/wide_matmul.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kBlocksOfSlab = kSlabColumns / kBlockSize;

// ---- activations, plus 128: [slab][token tile] of a slab's blocks: [group of 4 columns][kSlabTokens][4], then floats
// [block][kSlabTokens]: scales; sums of the values, scaled: of whole blocks, of their first and of their last halves

template <class Tier>
struct BlockTiles {
  static constexpr size_t kTokens = Tier::kSlabTokens;
  static constexpr size_t kNumbers = 4;  // of a block and token
  static constexpr size_t kBlockBytes = kTokens * (kBlockSize + kNumbers * sizeof(float));
  size_t n_token_tiles, k_blocks;

  BlockTiles(size_t n_tokens, size_t k) noexcept
      : n_token_tiles(quotient_up(n_tokens, kTokens)), k_blocks(k / kBlockSize) {}

  size_t n_slabs() const noexcept { return quotient_up(k_blocks, kBlocksOfSlab); }
  size_t blocks_of(size_t slab) const noexcept { return smaller(kBlocksOfSlab, k_blocks - slab * kBlocksOfSlab); }
  size_t bytes() const noexcept { return n_token_tiles * k_blocks * kBlockBytes; }
  size_t offset_of(size_t slab, size_t tile) const noexcept {
    return (slab * kBlocksOfSlab * n_token_tiles + tile * blocks_of(slab)) * kBlockBytes;
  }
};

template <class Tier>
size_t block_packed_bytes(size_t n_tokens, size_t k) noexcept {
  return BlockTiles<Tier>(n_tokens, k).bytes();
}

// The numbers of one block and token; n_blocks * kTokens of each kind.
inline void put_numbers(const ActivationBlock& block, float* numbers, size_t stride) noexcept {
  const float scale = block.scale;
  numbers[0] = scale;
  numbers[stride] = static_cast<float>(sum_of_values(block)) * scale;
  numbers[2 * stride] = static_cast<float>(block.sums[0]) * scale;
  numbers[3 * stride] = static_cast<float>(block.sums[1]) * scale;
}

template <class Tier>
void pack_blocks(const WidePack& args) noexcept {
  constexpr size_t kTokens = Tier::kSlabTokens;
  const BlockTiles<Tier> tiles(args.n_tokens, args.k);
  for (size_t tile = args.first_tile; tile < args.end_tile; ++tile) {
    for (size_t slab = 0; slab < tiles.n_slabs(); ++slab) {
      const size_t n_blocks = tiles.blocks_of(slab);
      uint8_t* out = args.packed + tiles.offset_of(slab, tile);
      float* numbers = reinterpret_cast<float*>(out + n_blocks * kBlockSize * kTokens);
      alignas(64) int8_t values[kTokens][kSlabColumns];
      for (size_t i = 0; i < kTokens; ++i) {
        const size_t token = tile * kTokens + i;
        ActivationBlock blocks[kBlocksOfSlab] = {};  // zeros where the token is missing
        if (token < args.n_tokens) {
          quantize_activations<Tier>(args.x + token * args.k + slab * kSlabColumns, n_blocks, blocks, 1);
        }
        for (size_t b = 0; b < n_blocks; ++b) {
          memcpy(values[i] + b * kBlockSize, blocks[b].values, kBlockSize);
          put_numbers(blocks[b], numbers + b * kTokens + i, n_blocks * kTokens);
        }
      }
      pack_groups<kTokens>(values, n_blocks * kBlockSize, out);
    }
  }
}

// ---- weights

/// The forms that keep the codes.
struct CodeFormat : WideFormat {
  /// One panel's slab of n_columns columns -> codes less the one of zero, [groups of 4 columns][16 rows][4], and of
  /// each of the slab's scales d and, where there are some, m: [16 rows], kBlockRows apart.
  void (*expand)(const uint8_t* units, size_t n_columns, uint8_t* codes, float* d, float* m) noexcept;
};

template <class Tier, class Format>
void expand_codes(const uint8_t* units, size_t n_columns, uint8_t* codes, float* d, float* m) noexcept {
  constexpr size_t kScales = kBlockScales<Format>;
  const auto zero_code = Tier::fill_bytes(static_cast<int8_t>(Format::kZeroCode));
  for_each_block<Tier, Format>(units, 0, n_columns / kBlockSize,
                               [&](const uint8_t* block, const auto& scales, size_t b) noexcept {
                                 for (size_t part = 0; part < kPanelVectors<Tier>; ++part) {
                                   uint8_t* out = codes + part * sizeof(typename Tier::Bytes);
                                   for (size_t g = 0; g < kGroups; ++g) {
                                     const auto group = Format::template codes<Tier>(block, g, part);
                                     Tier::store_bytes(out + g * kGroupCodes, Tier::subtract_bytes(group, zero_code));
                                   }
                                   for (size_t s = 0; s < kScales; ++s) {
                                     const size_t at = s * kBlockRows + part * Tier::kLanes;
                                     Tier::store(d + at, scales.d(b * kScales + s, part), AllLanes{});
                                     if constexpr (Format::kHasMinimum)
                                       Tier::store(m + at, scales.m(b * kScales + s, part), AllLanes{});
                                   }
                                 }
                                 codes += kUnitWeights;
                                 d += kScales * kBlockRows;
                                 m += kScales * kBlockRows;
                               });
}

constexpr float kFloatStart = 12582912.0f;  // 1.5 * 2^23: the next floats are whole numbers
constexpr int32_t kFloatStartBits = 0x4b400000;
constexpr size_t kExcessScales = 4;  // each adds to what rounding costs: up to 4 in units of an integer sum

/// A slab of a block of panels.
struct CodeSlab {
  static constexpr size_t kScales = 2 * kBlocksOfSlab;  // or fewer
  uint8_t codes[kBlockPanels][kPanelSlabBytes];
  int32_t starts[kScales][kBlockRows];  // of the sums: -128 * the sum of the codes; slab256: and kFloatStartBits
  float d[kScales][kBlockRows];
  float m[kScales][kBlockRows];
  float excess[kScales / kExcessScales][kBlockRows];  // slab256: -kFloatStart times the sum of kExcessScales times d
};
static_assert(sizeof(CodeSlab) <= kChunkBytes, "a slab's room");

// ---- products

template <class Tier, bool slab>
struct TilesOf {
  using Type = BlockTiles<Tier>;
};
template <class Tier>
struct TilesOf<Tier, true> {
  using Type = SlabTiles<Tier>;
};

/// scales: of a row in a block of 32 columns. slab: the form is slab256.
template <class Tier, bool slab, bool has_minimum, size_t scales>
class CodeChunk {
  using Vector = typename Tier::Vector;
  using Bytes = typename Tier::Bytes;
  using Sums32 = typename Tier::Sums32;
  static constexpr size_t kLanes = Tier::kLanes, kParts = kPanelVectors<Tier>;
  static constexpr size_t kTokens = Tier::kSlabTokens, kVectors = Tier::kCodeVectors;
  static constexpr size_t kScaleGroups = kGroups / scales;
  using Tiles = typename TilesOf<Tier, slab>::Type;

 public:
  using Format = CodeFormat;
  struct Session {};
  static constexpr size_t kTileTokens = kTokens, kColumns = kSlabColumns;

  CodeChunk(const Format& format, const Block& block, size_t chunk, Prefetch& prefetch) noexcept
      : format_(format),
        block_(block),
        slab_(chunk),
        n_blocks_(block.columns_of(chunk) / kBlockSize),
        prefetch_(prefetch),
        tiles_(block.args->n_tokens, block.args->k),
        rows_(*reinterpret_cast<CodeSlab*>(block.scratch->weights)) {}

  static void finish(const Block& block) noexcept { TileSums<Tier, kTokens>::finish(block); }

  /// Calls of prefetch_.advance() per chunk.
  static size_t steps_of(const Block& block) noexcept { return block.n_token_tiles; }

  void expand() noexcept {
    for (size_t p = 0; p < block_.n_panels; ++p) {
      format_.expand(block_.units_of(format_, p, slab_), block_.columns_of(slab_), rows_.codes[p],
                     rows_.d[0] + p * kPanelRows, rows_.m[0] + p * kPanelRows);
    }
    for (size_t v = 0; v < block_.n_panels * kParts; ++v) {
      set_starts(v);
      if constexpr (slab) set_excess(v * kLanes);
    }
  }

  void multiply_block() noexcept {
    const size_t n_vectors = block_.n_panels * kParts;
    for (size_t tile = 0; tile < block_.n_token_tiles; ++tile) {
      size_t first = 0;
      for (; first + kVectors <= n_vectors; first += kVectors) multiply_tile<kVectors>(tile, first);
      if constexpr (kVectors > kParts) {
        for (; first < n_vectors; first += kParts) multiply_tile<kParts>(tile, first);
      }
      prefetch_.advance();
    }
  }

 private:
  /// What a tile of tokens and some vectors of rows read, from the block or the columns on that come next.
  struct Operands {
    const uint8_t *activations, *codes;
    const float* token_scales;  // block32: of the block
    const float* value_sums;    // of the activations; block32: scaled
    size_t sum_stride;          // from one scale's to the next one's
    const int32_t* starts;      // of the rows, as are those below
    const float *d, *m, *excess;
  };

  void set_starts(size_t vector) noexcept {
    const Bytes added = Tier::flip_sign_bits(Bytes{});  // 128 in each byte
    const uint8_t* codes = rows_.codes[0] + offset_of(vector);
    for (size_t i = 0; i < n_blocks_ * scales; ++i) {
      Sums32 sums = Tier::fill_sums(slab ? -kFloatStartBits : 0);
      for (size_t g = 0; g < kScaleGroups; ++g, codes += kGroupCodes) {
        sums = Tier::add_products(sums, added, Tier::load_bytes(codes));
      }
      Tier::store_sums(rows_.starts[i] + vector * kLanes, Tier::negative(sums));
    }
  }

  void set_excess(size_t row) noexcept {
    for (size_t i = 0; i < n_blocks_ * scales; i += kExcessScales) {
      Vector sum = Tier::zeros();
      for (size_t j = i; j < smaller(i + kExcessScales, n_blocks_ * scales); ++j) {
        sum = Tier::subtract_product(Tier::load(rows_.d[j] + row, AllLanes{}), Tier::broadcast(kFloatStart), sum);
      }
      Tier::store(rows_.excess[i / kExcessScales] + row, sum, AllLanes{});
    }
  }

  // Where a vector of the block's rows has its codes.
  static constexpr size_t offset_of(size_t vector) noexcept {
    return vector / kParts * kPanelSlabBytes + vector % kParts * sizeof(Bytes);
  }

  // The loops over tokens and vectors must be unrolled: what they index are registers.
  template <size_t vectors>
  BELLE_ALONE void multiply_tile(size_t tile, size_t first_vector) const noexcept {
    const size_t row = first_vector * kLanes;
    Operands from = operands(tile, first_vector);
    Vector sums[kTokens][vectors];
    const bool first = block_.starts_with(slab_);
    const float* before = first ? kNothing : block_.scratch->sums[tile * kTokens] + row;
    const size_t before_stride = first ? 0 : kBlockRows;
    BELLE_UNROLL
    for (size_t t = 0; t < kTokens; ++t) {
      BELLE_UNROLL
      for (size_t v = 0; v < vectors; ++v) {
        sums[t][v] = slab ? Tier::zeros() : Tier::load(before + t * before_stride + v * kLanes, AllLanes{});
      }
    }
    for (size_t b = 0; b < n_blocks_; ++b) add_block<vectors>(from, b, sums);
    const auto out = TileSums<Tier, kTokens>::of(block_, tile, slab_ + 1 == tiles_.n_slabs());
    BELLE_UNROLL
    for (size_t t = 0; t < kTokens; ++t) {
      const Vector scale = Tier::broadcast(from.token_scales[t]);
      BELLE_UNROLL
      for (size_t v = 0; v < vectors; ++v) {
        if constexpr (slab) {
          const Vector so_far = Tier::load(before + t * before_stride + v * kLanes, AllLanes{});
          sums[t][v] = Tier::multiply_add(sums[t][v], scale, so_far);
        }
        Tier::store(out.rows + row + t * out.stride + v * kLanes, sums[t][v], AllLanes{});
      }
    }
  }

  template <size_t vectors>
  static inline void add_block(Operands& from, size_t b, Vector (&sums)[kTokens][vectors]) noexcept {
    if constexpr (slab) {
      if (b * scales % kExcessScales == 0) {
        add_rows<vectors>(from.excess, sums);
        from.excess += kBlockRows;
      }
    }
    BELLE_UNROLL
    for (size_t s = 0; s < scales; ++s) add_products<vectors>(from, s, sums);
    if constexpr (has_minimum) {
      BELLE_UNROLL
      for (size_t s = 0; s < scales; ++s) add_minima<vectors>(from, s, sums);
    }
    if constexpr (!slab) from.token_scales += kTokens;
    from.value_sums += slab ? 2 * kTokens : kTokens;
    from.starts += scales * kBlockRows;
    from.d += scales * kBlockRows;
    from.m += scales * kBlockRows;
  }

  Operands operands(size_t tile, size_t first_vector) const noexcept {
    const size_t row = first_vector * kLanes, token_tile = block_.first_token_tile + tile;
    const uint8_t* packed = block_.args->packed;
    Operands from = {};
    from.activations = packed + tiles_.offset_of(slab_, token_tile);
    if constexpr (slab) {
      from.token_scales = tiles_.scales(packed, slab_) + token_tile * kTokens;
      from.value_sums = tiles_.value_sums(packed, slab_, token_tile);
    } else {
      from.token_scales = reinterpret_cast<const float*>(from.activations + n_blocks_ * kBlockSize * kTokens);
      from.value_sums = from.token_scales + (scales == 1 ? 1 : 2) * n_blocks_ * kTokens;
    }
    from.sum_stride = slab ? kTokens : n_blocks_ * kTokens;
    from.codes = rows_.codes[0] + offset_of(first_vector);
    from.starts = rows_.starts[0] + row;
    from.d = rows_.d[0] + row;
    from.m = rows_.m[0] + row;
    from.excess = rows_.excess[0] + row;
    return from;
  }

  // The columns that share scale s of a block.
  template <size_t vectors>
  static inline void add_products(Operands& from, size_t s, Vector (&sums)[kTokens][vectors]) noexcept {
    Sums32 dots[kTokens][vectors];
    BELLE_UNROLL
    for (size_t t = 0; t < kTokens; ++t) {
      BELLE_UNROLL
      for (size_t v = 0; v < vectors; ++v) dots[t][v] = Tier::load_sums(from.starts + s * kBlockRows + v * kLanes);
    }
    for (size_t group = 0; group < kScaleGroups; group += 2) {
      BELLE_UNROLL
      for (size_t half = 0; half < 2; ++half) {
        Bytes rows[vectors];
        BELLE_UNROLL
        for (size_t v = 0; v < vectors; ++v) rows[v] = Tier::load_bytes(from.codes + offset_of(v));
        BELLE_UNROLL
        for (size_t t = 0; t < kTokens; ++t) {
          const Bytes columns =
              Tier::broadcast_group(reinterpret_cast<const int8_t*>(from.activations + t * kGroupColumns));
          BELLE_UNROLL
          for (size_t v = 0; v < vectors; ++v) {
            dots[t][v] = Tier::add_products(dots[t][v], columns, rows[v]);
            Tier::settle(dots[t][v]);
          }
        }
        from.codes += kGroupCodes;
        from.activations += kGroupColumns * kTokens;
      }
    }
    BELLE_UNROLL
    for (size_t v = 0; v < vectors; ++v) {
      const Vector d = Tier::load(from.d + s * kBlockRows + v * kLanes, AllLanes{});
      BELLE_UNROLL
      for (size_t t = 0; t < kTokens; ++t) {
        if constexpr (slab) {
          sums[t][v] = Tier::multiply_add(Tier::as_floats(dots[t][v]), d, sums[t][v]);
        } else {
          const Vector scale = Tier::multiply(d, Tier::broadcast(from.token_scales[t]));
          sums[t][v] = Tier::multiply_add(Tier::to_floats(dots[t][v]), scale, sums[t][v]);
        }
        Tier::settle(sums[t][v]);
      }
    }
  }

  template <size_t vectors>
  static inline void add_rows(const float* rows, Vector (&sums)[kTokens][vectors]) noexcept {
    BELLE_UNROLL
    for (size_t v = 0; v < vectors; ++v) {
      const Vector added = Tier::load(rows + v * kLanes, AllLanes{});
      BELLE_UNROLL
      for (size_t t = 0; t < kTokens; ++t) {
        sums[t][v] = Tier::add(sums[t][v], added);
      }
    }
  }

  // The minima, of the columns that share scale s of a block.
  template <size_t vectors>
  static inline void add_minima(const Operands& from, size_t s, Vector (&sums)[kTokens][vectors]) noexcept {
    BELLE_UNROLL
    for (size_t t = 0; t < kTokens; ++t) {
      const float* value_sums = from.value_sums + s * from.sum_stride + t;
      Vector value_sum = Tier::broadcast(value_sums[0]);
      if constexpr (slab && scales == 1) value_sum = Tier::broadcast(value_sums[0] + value_sums[kTokens]);
      BELLE_UNROLL
      for (size_t v = 0; v < vectors; ++v) {
        const Vector m = Tier::load(from.m + s * kBlockRows + v * kLanes, AllLanes{});
        sums[t][v] = Tier::multiply_add(m, value_sum, sums[t][v]);
      }
    }
  }

  const Format& format_;
  const Block& block_;
  const size_t slab_, n_blocks_;
  Prefetch& prefetch_;
  const Tiles tiles_;
  CodeSlab& rows_;
};

template <class Tier, class Format>
constexpr CodeFormat kCodeFormat = {kWideFormat<Tier, Format>, expand_codes<Tier, Format>};

template <class Tier, class Format, bool slab>
void multiply_codes(const WideMatmul& args) noexcept {
  wide_matmul<Tier, CodeChunk<Tier, slab, Format::kHasMinimum, kBlockScales<Format>>>(kCodeFormat<Tier, Format>, args);
}

template <class Tier>
constexpr WideKernels kBlock32Codes =
    wide_kernels(Tier::kSlabTokens, block_packed_bytes<Tier>, pack_blocks<Tier>, sizeof(Scratch),
                 [](auto format) noexcept -> WideMatmulFn { return multiply_codes<Tier, decltype(format), false>; });

/// Formats of 6 bits, which requantizing would cost too much.
template <class Format>
constexpr bool kKeepsCodes = Format::kLargestCode - Format::kSmallestCode > 31 && !kSignedCodes<Format>;

template <class Tier>
constexpr WideKernels kSlab256Codes = wide_kernels(Tier::kSlabTokens, slab_packed_bytes<Tier>, pack_slabs<Tier>,
                                                   sizeof(Scratch), [](auto format) noexcept -> WideMatmulFn {
                                                     using Format = decltype(format);
                                                     if constexpr (kKeepsCodes<Format>)
                                                       return multiply_codes<Tier, Format, true>;
                                                     else return multiply_slabs<Tier, Format>;
                                                   });

}  // namespace
}  // namespace belle

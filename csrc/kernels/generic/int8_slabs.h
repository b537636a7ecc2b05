// Int8 slabs on tiers whose instruction sums the products of four unsigned and four signed bytes into 32 bits: weights
// with one scale per row and slab need no scaling between their blocks of 32, so nearly all of the work is that
// instruction. Activations are the unsigned side, packed plus 128; what that adds is taken out where the sums start.
//
// The tier says how many tokens, kSlabTokens, and vectors of rows, kSlabVectors, a tile has.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/compiler.h"
#include "kernels/generic/outliers.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/quantize_activations.h"
#include "kernels/generic/requantize.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/wide_matmul.h"
#include "kernels/table.h"

namespace belle {
namespace {

// ---- activations, plus 128: [slab][token tile][group of 4 columns][kSlabTokens][4], then float scales
// [slab][kSlabTokens * token tiles], and as floats the sums of the values of each half of a block of 32 columns,
// [slab][token tile][half][kSlabTokens]

template <class Tier>
struct SlabTiles {
  static constexpr size_t kSlabTokens = Tier::kSlabTokens, kSumColumns = kBlockSize / 2;
  size_t n_token_tiles, k;

  SlabTiles(size_t n_tokens, size_t columns) noexcept : n_token_tiles(quotient_up(n_tokens, kSlabTokens)), k(columns) {}

  size_t n_slabs() const noexcept { return quotient_up(k, kSlabColumns); }
  size_t columns_of(size_t slab) const noexcept { return smaller(kSlabColumns, k - slab * kSlabColumns); }
  size_t groups_of(size_t slab) const noexcept { return columns_of(slab) / kGroupColumns; }
  size_t offset_of(size_t slab, size_t tile) const noexcept {
    return (slab * kSlabColumns * n_token_tiles + tile * columns_of(slab)) * kSlabTokens;
  }
  size_t bytes() const noexcept { return k * n_token_tiles * kSlabTokens; }
  const float* scales(const uint8_t* packed, size_t slab) const noexcept {
    return reinterpret_cast<const float*>(packed + bytes()) + slab * n_token_tiles * kSlabTokens;
  }
  size_t n_scales() const noexcept { return n_slabs() * n_token_tiles * kSlabTokens; }
  size_t n_sums() const noexcept { return bytes() / kSumColumns; }
  const float* value_sums(const uint8_t* packed, size_t slab, size_t tile) const noexcept {
    return reinterpret_cast<const float*>(packed + bytes()) + n_scales() + offset_of(slab, tile) / kSumColumns;
  }
};

/// n columns of a tile's tokens -> [group of 4 columns][token][4], plus 128.
template <size_t tokens>
inline void pack_groups(const int8_t (*values)[kSlabColumns], size_t n, uint8_t* out) noexcept {
  for (size_t token = 0; token < tokens; ++token) {
    for (size_t at = 0; at < n; at += kGroupColumns) {
      uint32_t group;
      memcpy(&group, values[token] + at, sizeof group);
      group ^= 0x80808080u;
      memcpy(out + at * tokens + token * kGroupColumns, &group, sizeof group);
    }
  }
}

template <class Tier>
size_t slab_packed_bytes(size_t n_tokens, size_t k) noexcept {
  const SlabTiles<Tier> tiles(n_tokens, k);
  return tiles.bytes() + (tiles.n_scales() + tiles.n_sums()) * sizeof(float);
}

template <class Tier>
void pack_slabs(const WidePack& args) noexcept {
  constexpr size_t kSlabTokens = Tier::kSlabTokens;
  const SlabTiles<Tier> tiles(args.n_tokens, args.k);
  for (size_t tile = args.first_tile; tile < args.end_tile; ++tile) {
    for (size_t slab = 0; slab < tiles.n_slabs(); ++slab) {
      uint8_t* out = args.packed + tiles.offset_of(slab, tile);
      float* scales = const_cast<float*>(tiles.scales(args.packed, slab)) + tile * kSlabTokens;
      const size_t n = tiles.columns_of(slab);
      float* value_sums = const_cast<float*>(tiles.value_sums(args.packed, slab, tile));
      alignas(64) int8_t values[kSlabTokens][kSlabColumns];
      for (size_t i = 0; i < kSlabTokens; ++i) {
        const size_t token = tile * kSlabTokens + i;
        const size_t first = token * args.k + slab * kSlabColumns;
        int16_t sums[kSlabColumns / SlabTiles<Tier>::kSumColumns] = {};
        scales[i] = 0.0f;
        if (token < args.n_tokens) {
          float room[kSlabColumns];
          const float* x = without_outliers(args.outliers, args.x + first, slab, n, room);
          scales[i] = quantize_slab<Tier>(x, n, values[i], sums);
        } else {
          memset(values[i], 0, n);
        }
        for (size_t s = 0; s < n / SlabTiles<Tier>::kSumColumns; ++s) {
          value_sums[s * kSlabTokens + i] = static_cast<float>(sums[s]);
        }
      }
      pack_groups<kSlabTokens>(values, n, out);
    }
  }
}

// ---- products

template <class Tier>
class SlabChunk {
  using Vector = typename Tier::Vector;
  using Bytes = typename Tier::Bytes;
  using Sums32 = typename Tier::Sums32;
  static constexpr size_t kLanes = Tier::kLanes, kParts = kPanelVectors<Tier>;
  static constexpr size_t kSlabTokens = Tier::kSlabTokens, kSlabVectors = Tier::kSlabVectors;

 public:
  using Format = SlabFormat;
  struct Session {};
  static constexpr size_t kTileTokens = kSlabTokens, kColumns = kSlabColumns;

  SlabChunk(const Format& format, const Block& block, size_t slab, Prefetch& prefetch) noexcept
      : format_(format), block_(block), slab_(slab), prefetch_(prefetch), tiles_(block.args->n_tokens, block.args->k) {}

  static void finish(const Block& block) noexcept { TileSums<Tier, kSlabTokens>::finish(block); }

  /// Calls of prefetch_.advance() per chunk.
  static size_t steps_of(const Block& block) noexcept { return block.n_token_tiles; }

  void expand() noexcept {
    for (size_t p = 0; p < block_.n_panels; ++p) {
      format_.expand(block_.units_of(format_, p, slab_), block_.columns_of(slab_),
                     block_.scratch->weights + p * kPanelSlabBytes, block_.scratch->weight_scales + p * kPanelRows);
    }
    for (size_t first = 0; first < kBlockVectors; first += kSlabVectors) {
      Sums32 excess[kSlabVectors];  // [rows] of 128 * weight
      BELLE_UNROLL
      for (size_t v = 0; v < kSlabVectors; ++v) excess[v] = Sums32{};
      const Bytes added = Tier::flip_sign_bits(Bytes{});  // 128 in each byte
      for (size_t group = 0; group < tiles_.groups_of(slab_); ++group) {
        BELLE_UNROLL
        for (size_t v = 0; v < kSlabVectors; ++v) {  // of panels that the block lacks as well: nobody reads them
          const uint8_t* weights = block_.scratch->weights + offset_of(first + v) + group * kGroupCodes;
          excess[v] = Tier::add_products(excess[v], added, Tier::load_bytes(weights));
        }
      }
      BELLE_UNROLL
      for (size_t v = 0; v < kSlabVectors; ++v) {
        Tier::store_sums(block_.scratch->starts + (first + v) * kLanes, Tier::negative(excess[v]));
      }
    }
  }

  void multiply_block() noexcept {
    const size_t n_vectors = block_.n_panels * kParts;
    for (size_t tile = 0; tile < block_.n_token_tiles; ++tile) {
      size_t first = 0;
      for (; first + kSlabVectors <= n_vectors; first += kSlabVectors) multiply_tile<kSlabVectors>(tile, first);
      if constexpr (kSlabVectors > kParts) {
        for (; first < n_vectors; first += kParts) multiply_tile<kParts>(tile, first);
      }
      prefetch_.advance();
    }
  }

 private:
  static constexpr size_t kBlockVectors = kBlockPanels * kParts;

  // Where a vector of the block's rows has its weights.
  static constexpr size_t offset_of(size_t vector) noexcept {
    return vector / kParts * kPanelSlabBytes + vector % kParts * sizeof(Bytes);
  }

  // A tile of tokens against some vectors of the block's rows. The loops over both must be unrolled: what they index
  // are registers.
  template <size_t vectors>
  BELLE_ALONE void multiply_tile(size_t tile, size_t first_vector) const noexcept {
    const Scratch& scratch = *block_.scratch;
    const size_t token_tile = block_.first_token_tile + tile, n_groups = tiles_.groups_of(slab_);
    const uint8_t* activations = block_.args->packed + tiles_.offset_of(slab_, token_tile);
    const uint8_t* weights = scratch.weights + offset_of(first_vector);
    const size_t first_row = first_vector * kLanes;
    Sums32 dots[kSlabTokens][vectors];
    BELLE_UNROLL
    for (size_t i = 0; i < kSlabTokens; ++i) {
      BELLE_UNROLL
      for (size_t v = 0; v < vectors; ++v) dots[i][v] = Tier::load_sums(scratch.starts + first_row + v * kLanes);
    }
    for (size_t group = 0; group < n_groups; group += 2) {  // a slab is whole blocks of 8 groups
      BELLE_UNROLL
      for (size_t half = 0; half < 2; ++half) {
        Bytes rows[vectors];
        BELLE_UNROLL
        for (size_t v = 0; v < vectors; ++v) rows[v] = Tier::load_bytes(weights + offset_of(v));
        BELLE_UNROLL
        for (size_t i = 0; i < kSlabTokens; ++i) {
          const Bytes columns = Tier::broadcast_group(reinterpret_cast<const int8_t*>(activations + i * kGroupColumns));
          BELLE_UNROLL
          for (size_t v = 0; v < vectors; ++v) {
            dots[i][v] = Tier::add_products(dots[i][v], columns, rows[v]);
            Tier::settle(dots[i][v]);
          }
        }
        weights += kGroupCodes;
        activations += kGroupColumns * kSlabTokens;
      }
    }
    const float* token_scales = tiles_.scales(block_.args->packed, slab_) + token_tile * kSlabTokens;
    const float* weight_scales = scratch.weight_scales + first_row;
    const bool first = block_.starts_with(slab_);
    const float* before = (first ? kNothing : scratch.sums[tile * kSlabTokens]) + first_row;
    const size_t stride = first ? 0 : kBlockRows;
    const auto out = TileSums<Tier, kSlabTokens>::of(block_, tile, slab_ + 1 == tiles_.n_slabs());
    BELLE_UNROLL
    for (size_t i = 0; i < kSlabTokens; ++i) {
      const Vector token_scale = Tier::broadcast(token_scales[i]);
      float* rows = out.rows + i * out.stride + first_row;
      BELLE_UNROLL
      for (size_t v = 0; v < vectors; ++v) {
        const Vector scale = Tier::multiply(token_scale, Tier::load(weight_scales + v * kLanes, AllLanes{}));
        const Vector sum = Tier::load(before + i * stride + v * kLanes, AllLanes{});
        Tier::store(rows + v * kLanes, Tier::multiply_add(Tier::to_floats(dots[i][v]), scale, sum), AllLanes{});
      }
    }
  }

  const Format& format_;
  const Block& block_;
  const size_t slab_;
  Prefetch& prefetch_;
  const SlabTiles<Tier> tiles_;
};

template <class Tier, class Format>
constexpr SlabFormat kSlabFormat = {kWideFormat<Tier, Format>, expand_int8<Tier, Format>};

template <class Tier, class Format>
void multiply_slabs(const WideMatmul& args) noexcept {
  wide_matmul<Tier, SlabChunk<Tier>>(kSlabFormat<Tier, Format>, args);
}

}  // namespace
}  // namespace belle

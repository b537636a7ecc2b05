// Activations as AMX reads them, in steps of 64 bytes along the columns of a tile of 16 tokens. What one product reads
// lies together: all columns of a tile of int8, and a slab of 256 columns of all tiles of bfloat16.
//
//   kSlab256   int8  [token tile][step of 64 columns][16 tokens][64], then float scales [token tile][slab][16]
//   kBf16      bf16  [slab][token tile][step of 32 columns][16 tokens][32]
//
// The last slab may have fewer steps; columns past k and tokens past the last one are zero.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/amx/tiles.h"
#include "kernels/avx2/intrinsics.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/outliers.h"
#include "kernels/generic/quantize_activations.h"
#include "kernels/generic/sizes.h"
#include "kernels/table.h"

namespace belle {
namespace {

inline size_t token_tiles_of(size_t n_tokens) noexcept { return quotient_up(n_tokens, kTileRows); }

/// The tiles of a form. step_columns: columns of 64 bytes.
template <size_t step_columns>
struct PackedTiles {
  static constexpr size_t kSlabSteps = kSlabColumns / step_columns;
  size_t n_token_tiles, n_steps;

  PackedTiles(size_t n_tokens, size_t k) noexcept
      : n_token_tiles(token_tiles_of(n_tokens)), n_steps(quotient_up(k, step_columns)) {}

  size_t n_slabs() const noexcept { return quotient_up(n_steps, kSlabSteps); }
  size_t steps_of(size_t slab) const noexcept { return smaller(kSlabSteps, n_steps - slab * kSlabSteps); }
  size_t bytes() const noexcept { return n_steps * n_token_tiles * kTileBytes; }
};

struct Int8Tiles : PackedTiles<64> {
  using PackedTiles::PackedTiles;
  size_t offset_of(size_t slab, size_t token_tile) const noexcept {
    return (token_tile * n_steps + slab * kSlabSteps) * kTileBytes;
  }
};

struct Bf16Tiles : PackedTiles<32> {
  using PackedTiles::PackedTiles;
  size_t offset_of(size_t slab, size_t token_tile) const noexcept {
    return (slab * kSlabSteps * n_token_tiles + token_tile * steps_of(slab)) * kTileBytes;
  }
};

// ---- int8, one scale per token and slab

inline size_t int8_packed_bytes(size_t n_tokens, size_t k) noexcept {
  const Int8Tiles tiles(n_tokens, k);
  return tiles.bytes() + tiles.n_slabs() * tiles.n_token_tiles * kTileRows * sizeof(float);
}

inline const float* int8_scales(const uint8_t* packed, const Int8Tiles& tiles, size_t slab,
                                size_t token_tile) noexcept {
  return reinterpret_cast<const float*>(packed + tiles.bytes()) + (token_tile * tiles.n_slabs() + slab) * kTileRows;
}

template <class Tier>
void pack_int8(const WidePack& args) noexcept {
  const Int8Tiles tiles(args.n_tokens, args.k);
  for (size_t tile = args.first_tile; tile < args.end_tile; ++tile) {
    for (size_t slab = 0; slab < tiles.n_slabs(); ++slab) {
      uint8_t* out = args.packed + tiles.offset_of(slab, tile);
      float* scales = const_cast<float*>(int8_scales(args.packed, tiles, slab, tile));
      const size_t n = smaller(kSlabColumns, args.k - slab * kSlabColumns);
      for (size_t row = 0; row < kTileRows; ++row) {
        const size_t token = tile * kTileRows + row;
        uint8_t* to = out + row * kTileRowBytes;
        alignas(64) int8_t values[kSlabColumns] = {};
        const size_t first = token * args.k + slab * kSlabColumns;
        scales[row] = 0.0f;
        if (token < args.n_tokens) {
          float room[kSlabColumns];
          const float* x = without_outliers(args.outliers, args.x + first, slab, n, room);
          int16_t sums[kSlabColumns / 16];  // not needed
          scales[row] = quantize_slab<Tier>(x, n, values, sums);
        }
        for (size_t step = 0; step < tiles.steps_of(slab); ++step) {
          memcpy(to + step * kTileBytes, values + step * kTileRowBytes, kTileRowBytes);
        }
      }
    }
  }
}

// ---- bfloat16, rounded to nearest even

inline size_t bf16_packed_bytes(size_t n_tokens, size_t k) noexcept { return Bf16Tiles(n_tokens, k).bytes(); }

template <class Tier>
void pack_bf16(const WidePack& args) noexcept {
  const Bf16Tiles tiles(args.n_tokens, args.k);
  for (size_t tile = args.first_tile; tile < args.end_tile; ++tile) {
    for (size_t slab = 0; slab < tiles.n_slabs(); ++slab) {
      uint8_t* out = args.packed + tiles.offset_of(slab, tile);
      for (size_t row = 0; row < kTileRows; ++row) {
        const size_t token = tile * kTileRows + row;
        for (size_t step = 0; step < tiles.steps_of(slab); ++step) {
          __m512i values = _mm512_setzero_si512();
          if (token < args.n_tokens) {
            const float* x = args.x + token * args.k + slab * kSlabColumns + step * kBlockSize;
            values = Tier::to_bf16(Tier::load(x, AllLanes{}), Tier::load(x + Tier::kLanes, AllLanes{}));
          }
          _mm512_storeu_si512(out + step * kTileBytes + row * kTileRowBytes, values);
        }
      }
    }
  }
}

}  // namespace
}  // namespace belle

// The AMX tile registers as the wide kernels use them: four tiles of sums, two of activations, two of weights, each 16
// rows of 64 bytes. In attention queries and probabilities are the activations, keys and values the weights.
//
// A tier has the operations of native_tiles.h, or of emulated_tiles.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/amx/tile_numbers.h"

namespace belle {
namespace {

constexpr size_t kTileRows = 16;
constexpr size_t kTileRowBytes = 64;
constexpr size_t kTileBytes = kTileRows * kTileRowBytes;

// The register of each role: sums of token tile t and row tile r are 2t + r.
constexpr int kActivationTile = 4;  // + t
constexpr int kWeightTile = 6;      // + r

/// The operand of ldtilecfg: palette 1, eight tiles.
struct TileConfig {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
static_assert(sizeof(TileConfig) == 64, "ldtilecfg reads 64 bytes");

/// This thread's tiles, configured while the object lives; a released state costs nothing at a context switch.
template <class Tier>
class TileSession {
 public:
  TileSession() noexcept {
    alignas(64) TileConfig config = {};
    config.palette = 1;
    for (size_t tile = 0; tile < 8; ++tile) {
      config.row_bytes[tile] = kTileRowBytes;
      config.rows[tile] = kTileRows;
    }
    Tier::configure_tiles(&config);
  }
  ~TileSession() { Tier::release_tiles(); }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;
};

/// sums[i][j] += dot of 64 int8: activations [16 tokens][64], weights [16 groups of 4 columns][16 rows][4]
template <class OfTier>
struct Int8Dot {
  using Tier = OfTier;

  /// Weights that lie in the second-level cache, where the next tokens find them again.
  template <int tile>
  static void load_weights(const uint8_t* from) noexcept {
    Tier::load_tile_once(Tile<tile>{}, from, kTileRowBytes);
  }

  template <int t, int r>
  static void run() noexcept {
    Tier::add_int8_products(Tile<2 * t + r>{}, Tile<kActivationTile + t>{}, Tile<kWeightTile + r>{});
  }
};

/// sums[i][j] += dot of 32 bfloat16: activations [16 tokens][32], weights [16 pairs of columns][16 rows][2]
template <class OfTier>
struct Bf16Dot {
  using Tier = OfTier;

  template <int tile>
  static void load_weights(const uint8_t* from) noexcept {
    Tier::load_tile(Tile<tile>{}, from, kTileRowBytes);
  }

  template <int t, int r>
  static void run() noexcept {
    Tier::add_bf16_products(Tile<2 * t + r>{}, Tile<kActivationTile + t>{}, Tile<kWeightTile + r>{});
  }
};

/// Where the sums of a block of 2 x 2 tiles lie in memory, in bytes.
struct SumLayout {
  size_t token_tile, row_tile;  // from one tile to the next
  size_t token;                 // from one row of a tile to the next
};

template <class Tier, int token_tiles, int row_tiles>
inline void zero_sums() noexcept {
  Tier::zero_tile(Tile<0>{});
  if constexpr (row_tiles == 2) Tier::zero_tile(Tile<1>{});
  if constexpr (token_tiles == 2) Tier::zero_tile(Tile<2>{});
  if constexpr (token_tiles == 2 && row_tiles == 2) Tier::zero_tile(Tile<3>{});
}

template <class Tier, int token_tiles, int row_tiles>
inline void load_sums(const uint8_t* from, SumLayout at) noexcept {
  Tier::load_tile(Tile<0>{}, from, at.token);
  if constexpr (row_tiles == 2) Tier::load_tile(Tile<1>{}, from + at.row_tile, at.token);
  if constexpr (token_tiles == 2) Tier::load_tile(Tile<2>{}, from + at.token_tile, at.token);
  if constexpr (token_tiles == 2 && row_tiles == 2)
    Tier::load_tile(Tile<3>{}, from + at.token_tile + at.row_tile, at.token);
}

template <class Tier, int token_tiles, int row_tiles>
inline void store_sums(uint8_t* to, SumLayout at) noexcept {
  Tier::store_tile(Tile<0>{}, to, at.token);
  if constexpr (row_tiles == 2) Tier::store_tile(Tile<1>{}, to + at.row_tile, at.token);
  if constexpr (token_tiles == 2) Tier::store_tile(Tile<2>{}, to + at.token_tile, at.token);
  if constexpr (token_tiles == 2 && row_tiles == 2)
    Tier::store_tile(Tile<3>{}, to + at.token_tile + at.row_tile, at.token);
}

/// Adds one step of 64 bytes along the columns. The second tile of activations or weights lies `stride` bytes on.
template <class Dot, int token_tiles, int row_tiles>
inline void multiply_step(const uint8_t* activations, size_t activation_stride, const uint8_t* weights,
                          size_t weight_stride) noexcept {
  using Tier = typename Dot::Tier;
  Tier::load_tile(Tile<kActivationTile>{}, activations, kTileRowBytes);
  Dot::template load_weights<kWeightTile>(weights);
  Dot::template run<0, 0>();
  if constexpr (row_tiles == 2) {
    Dot::template load_weights<kWeightTile + 1>(weights + weight_stride);
    Dot::template run<0, 1>();
  }
  if constexpr (token_tiles == 2) {
    Tier::load_tile(Tile<kActivationTile + 1>{}, activations + activation_stride, kTileRowBytes);
    Dot::template run<1, 0>();
    if constexpr (row_tiles == 2) Dot::template run<1, 1>();
  }
}

/// The first step of new sums: those that the registers hold, of as many tiles, are stored meanwhile, [2][2][16][16].
template <class Dot, int token_tiles, int row_tiles>
inline void multiply_first_step(const uint8_t* activations, size_t activation_stride, const uint8_t* weights,
                                size_t weight_stride, void* held_sums) noexcept {
  using Tier = typename Dot::Tier;
  uint8_t* held = static_cast<uint8_t*>(held_sums);
  Tier::load_tile(Tile<kActivationTile>{}, activations, kTileRowBytes);
  Dot::template load_weights<kWeightTile>(weights);
  Tier::store_tile(Tile<0>{}, held, kTileRowBytes);
  Tier::zero_tile(Tile<0>{});
  Dot::template run<0, 0>();
  if constexpr (row_tiles == 2) {
    Dot::template load_weights<kWeightTile + 1>(weights + weight_stride);
    Tier::store_tile(Tile<1>{}, held + kTileBytes, kTileRowBytes);
    Tier::zero_tile(Tile<1>{});
    Dot::template run<0, 1>();
  }
  if constexpr (token_tiles == 2) {
    Tier::load_tile(Tile<kActivationTile + 1>{}, activations + activation_stride, kTileRowBytes);
    Tier::store_tile(Tile<2>{}, held + 2 * kTileBytes, kTileRowBytes);
    Tier::zero_tile(Tile<2>{});
    Dot::template run<1, 0>();
    if constexpr (row_tiles == 2) {
      Tier::store_tile(Tile<3>{}, held + 3 * kTileBytes, kTileRowBytes);
      Tier::zero_tile(Tile<3>{});
      Dot::template run<1, 1>();
    }
  }
}

/// One tile, or two that lie `stride` bytes apart, into the registers from `first` on.
template <class Tier, int first, int tiles>
inline void load_tiles(const uint8_t* from, size_t stride) noexcept {
  Tier::load_tile(Tile<first>{}, from, kTileRowBytes);
  if constexpr (tiles == 2) Tier::load_tile(Tile<first + 1>{}, from + stride, kTileRowBytes);
}

/// Adds the products of the tiles that are loaded.
template <class Dot, int token_tiles, int row_tiles>
inline void multiply_loaded() noexcept {
  Dot::template run<0, 0>();
  if constexpr (row_tiles == 2) Dot::template run<0, 1>();
  if constexpr (token_tiles == 2) Dot::template run<1, 0>();
  if constexpr (token_tiles == 2 && row_tiles == 2) Dot::template run<1, 1>();
}

}  // namespace
}  // namespace belle

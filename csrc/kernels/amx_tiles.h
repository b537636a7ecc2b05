// The AMX tile registers as the wide kernels use them: four tiles of sums, two of activations, two of weights, each 16
// rows of 64 bytes. In attention queries and probabilities are the activations, keys and values the weights. A file
// that defines BELLE_EMULATED_TILES gets software in place of the instructions.
//
// Everything stays inside the including file's anonymous namespace.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(BELLE_EMULATED_TILES)
#include "kernels/amx_emulated_tiles.h"
#else
#include "kernels/amx_native_tiles.h"
#endif

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
class TileSession {
 public:
  TileSession() noexcept {
    alignas(64) TileConfig config = {};
    config.palette = 1;
    for (size_t tile = 0; tile < 8; ++tile) {
      config.row_bytes[tile] = kTileRowBytes;
      config.rows[tile] = kTileRows;
    }
    tile_configure(&config);
  }
  ~TileSession() { tile_release(); }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;
};

/// sums[i][j] += dot of 64 int8: activations [16 tokens][64], weights [16 groups of 4 columns][16 rows][4]
struct Int8Dot {
  /// Weights that lie in the second-level cache, where the next tokens find them again.
  template <int tile>
  static void load_weights(const uint8_t* from) noexcept {
    tile_load_once<tile>(from, kTileRowBytes);
  }

  template <int t, int r>
  static void run() noexcept {
    tile_dot_int8<2 * t + r, kActivationTile + t, kWeightTile + r>();
  }
};

/// sums[i][j] += dot of 32 bfloat16: activations [16 tokens][32], weights [16 pairs of columns][16 rows][2]
struct Bf16Dot {
  template <int tile>
  static void load_weights(const uint8_t* from) noexcept {
    tile_load<tile>(from, kTileRowBytes);
  }

  template <int t, int r>
  static void run() noexcept {
    tile_dot_bf16<2 * t + r, kActivationTile + t, kWeightTile + r>();
  }
};

/// Where the sums of a block of 2 x 2 tiles lie in memory, in bytes.
struct SumLayout {
  size_t token_tile, row_tile;  // from one tile to the next
  size_t token;                 // from one row of a tile to the next
};

template <int token_tiles, int row_tiles>
inline void zero_sums() noexcept {
  tile_zero<0>();
  if constexpr (row_tiles == 2) tile_zero<1>();
  if constexpr (token_tiles == 2) tile_zero<2>();
  if constexpr (token_tiles == 2 && row_tiles == 2) tile_zero<3>();
}

template <int token_tiles, int row_tiles>
inline void load_sums(const uint8_t* from, SumLayout at) noexcept {
  tile_load<0>(from, at.token);
  if constexpr (row_tiles == 2) tile_load<1>(from + at.row_tile, at.token);
  if constexpr (token_tiles == 2) tile_load<2>(from + at.token_tile, at.token);
  if constexpr (token_tiles == 2 && row_tiles == 2) tile_load<3>(from + at.token_tile + at.row_tile, at.token);
}

template <int token_tiles, int row_tiles>
inline void store_sums(uint8_t* to, SumLayout at) noexcept {
  tile_store<0>(to, at.token);
  if constexpr (row_tiles == 2) tile_store<1>(to + at.row_tile, at.token);
  if constexpr (token_tiles == 2) tile_store<2>(to + at.token_tile, at.token);
  if constexpr (token_tiles == 2 && row_tiles == 2) tile_store<3>(to + at.token_tile + at.row_tile, at.token);
}

/// Adds one step of 64 bytes along the columns. The second tile of activations or weights lies `stride` bytes on.
template <class Dot, int token_tiles, int row_tiles>
inline void multiply_step(const uint8_t* activations, size_t activation_stride, const uint8_t* weights,
                          size_t weight_stride) noexcept {
  tile_load<kActivationTile>(activations, kTileRowBytes);
  Dot::template load_weights<kWeightTile>(weights);
  Dot::template run<0, 0>();
  if constexpr (row_tiles == 2) {
    Dot::template load_weights<kWeightTile + 1>(weights + weight_stride);
    Dot::template run<0, 1>();
  }
  if constexpr (token_tiles == 2) {
    tile_load<kActivationTile + 1>(activations + activation_stride, kTileRowBytes);
    Dot::template run<1, 0>();
    if constexpr (row_tiles == 2) Dot::template run<1, 1>();
  }
}

/// The first step of new sums: those that the registers hold, of as many tiles, are stored meanwhile, [2][2][16][16].
template <class Dot, int token_tiles, int row_tiles>
inline void multiply_first_step(const uint8_t* activations, size_t activation_stride, const uint8_t* weights,
                                size_t weight_stride, void* held_sums) noexcept {
  uint8_t* held = static_cast<uint8_t*>(held_sums);
  tile_load<kActivationTile>(activations, kTileRowBytes);
  Dot::template load_weights<kWeightTile>(weights);
  tile_store<0>(held, kTileRowBytes);
  tile_zero<0>();
  Dot::template run<0, 0>();
  if constexpr (row_tiles == 2) {
    Dot::template load_weights<kWeightTile + 1>(weights + weight_stride);
    tile_store<1>(held + kTileBytes, kTileRowBytes);
    tile_zero<1>();
    Dot::template run<0, 1>();
  }
  if constexpr (token_tiles == 2) {
    tile_load<kActivationTile + 1>(activations + activation_stride, kTileRowBytes);
    tile_store<2>(held + 2 * kTileBytes, kTileRowBytes);
    tile_zero<2>();
    Dot::template run<1, 0>();
    if constexpr (row_tiles == 2) {
      tile_store<3>(held + 3 * kTileBytes, kTileRowBytes);
      tile_zero<3>();
      Dot::template run<1, 1>();
    }
  }
}

/// One tile, or two that lie `stride` bytes apart, into the registers from `first` on.
template <int first, int tiles>
inline void load_tiles(const uint8_t* from, size_t stride) noexcept {
  tile_load<first>(from, kTileRowBytes);
  if constexpr (tiles == 2) tile_load<first + 1>(from + stride, kTileRowBytes);
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

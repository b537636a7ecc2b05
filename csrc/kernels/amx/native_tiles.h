// The AMX tile instructions under the names that tiles.h is written in. A tile's number is part of the instruction, so
// each is spelled out.
#pragma once

#include <stddef.h>

#include "kernels/amx/tile_numbers.h"
#include "kernels/avx2/intrinsics.h"

namespace belle {
namespace {

struct NativeTiles {
  // GCC's intrinsics do not say that they read memory: without this, stores before them could be moved or dropped, and
  // ldtilecfg would fault on what it finds.
  static void finish_stores() noexcept {
#if defined(__GNUC__)
    __asm__ volatile("" ::: "memory");
#endif
  }

  static void configure_tiles(const void* config) noexcept {
    finish_stores();
    _tile_loadconfig(config);
  }

  static void release_tiles() noexcept { _tile_release(); }

  template <int tile>
  static void zero_tile(Tile<tile>) noexcept {
    static_assert(0 <= tile && tile < 4, "tiles of sums");
    if constexpr (tile == 0) _tile_zero(0);
    if constexpr (tile == 1) _tile_zero(1);
    if constexpr (tile == 2) _tile_zero(2);
    if constexpr (tile == 3) _tile_zero(3);
  }

  template <int tile>
  static void load_tile(Tile<tile>, const void* from, size_t stride_bytes) noexcept {
    static_assert(0 <= tile && tile < 8, "eight tiles");
    finish_stores();
    if constexpr (tile == 0) _tile_loadd(0, from, stride_bytes);
    if constexpr (tile == 1) _tile_loadd(1, from, stride_bytes);
    if constexpr (tile == 2) _tile_loadd(2, from, stride_bytes);
    if constexpr (tile == 3) _tile_loadd(3, from, stride_bytes);
    if constexpr (tile == 4) _tile_loadd(4, from, stride_bytes);
    if constexpr (tile == 5) _tile_loadd(5, from, stride_bytes);
    if constexpr (tile == 6) _tile_loadd(6, from, stride_bytes);
    if constexpr (tile == 7) _tile_loadd(7, from, stride_bytes);
  }

  // Of what is read once: it need not stay in the first-level cache.
  template <int tile>
  static void load_tile_once(Tile<tile>, const void* from, size_t stride_bytes) noexcept {
    static_assert(6 <= tile && tile < 8, "tiles of weights");
    finish_stores();
    if constexpr (tile == 6) _tile_stream_loadd(6, from, stride_bytes);
    if constexpr (tile == 7) _tile_stream_loadd(7, from, stride_bytes);
  }

  template <int tile>
  static void store_tile(Tile<tile>, void* to, size_t stride_bytes) noexcept {
    static_assert(0 <= tile && tile < 4, "tiles of sums");
    if constexpr (tile == 0) _tile_stored(0, to, stride_bytes);
    if constexpr (tile == 1) _tile_stored(1, to, stride_bytes);
    if constexpr (tile == 2) _tile_stored(2, to, stride_bytes);
    if constexpr (tile == 3) _tile_stored(3, to, stride_bytes);
    finish_stores();
  }

  template <int sums, int left, int right>
  static void add_int8_products(Tile<sums>, Tile<left>, Tile<right>) noexcept {
    static_assert(0 <= sums && sums < 4 && left == 4 + sums / 2 && right == 6 + sums % 2, "the roles of tiles.h");
    if constexpr (sums == 0) _tile_dpbssd(0, 4, 6);
    if constexpr (sums == 1) _tile_dpbssd(1, 4, 7);
    if constexpr (sums == 2) _tile_dpbssd(2, 5, 6);
    if constexpr (sums == 3) _tile_dpbssd(3, 5, 7);
  }

  template <int sums, int left, int right>
  static void add_bf16_products(Tile<sums>, Tile<left>, Tile<right>) noexcept {
    static_assert(0 <= sums && sums < 4 && left == 4 + sums / 2 && right == 6 + sums % 2, "the roles of tiles.h");
    if constexpr (sums == 0) _tile_dpbf16ps(0, 4, 6);
    if constexpr (sums == 1) _tile_dpbf16ps(1, 4, 7);
    if constexpr (sums == 2) _tile_dpbf16ps(2, 5, 6);
    if constexpr (sums == 3) _tile_dpbf16ps(3, 5, 7);
  }
};

}  // namespace
}  // namespace belle

// The AMX tile instructions under the names that amx_tiles.h is written in. A tile's number is part of the instruction,
// so each is spelled out. Everything stays inside the including file's anonymous namespace.
#pragma once

#include <immintrin.h>
#include <stddef.h>

namespace belle {
namespace {

// GCC's intrinsics do not say that they read memory: without this, stores before them could be moved or dropped, and
// ldtilecfg would fault on what it finds.
inline void finish_stores() noexcept {
#if defined(__GNUC__)
  __asm__ volatile("" ::: "memory");
#endif
}

inline void tile_configure(const void* config) noexcept {
  finish_stores();
  _tile_loadconfig(config);
}

inline void tile_release() noexcept { _tile_release(); }

template <int tile>
inline void tile_zero() noexcept {
  static_assert(0 <= tile && tile < 4, "tiles of sums");
  if constexpr (tile == 0) _tile_zero(0);
  if constexpr (tile == 1) _tile_zero(1);
  if constexpr (tile == 2) _tile_zero(2);
  if constexpr (tile == 3) _tile_zero(3);
}

template <int tile>
inline void tile_load(const void* from, size_t stride_bytes) noexcept {
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
inline void tile_load_once(const void* from, size_t stride_bytes) noexcept {
  static_assert(6 <= tile && tile < 8, "tiles of weights");
  finish_stores();
  if constexpr (tile == 6) _tile_stream_loadd(6, from, stride_bytes);
  if constexpr (tile == 7) _tile_stream_loadd(7, from, stride_bytes);
}

template <int tile>
inline void tile_store(void* to, size_t stride_bytes) noexcept {
  static_assert(0 <= tile && tile < 4, "tiles of sums");
  if constexpr (tile == 0) _tile_stored(0, to, stride_bytes);
  if constexpr (tile == 1) _tile_stored(1, to, stride_bytes);
  if constexpr (tile == 2) _tile_stored(2, to, stride_bytes);
  if constexpr (tile == 3) _tile_stored(3, to, stride_bytes);
  finish_stores();
}

template <int sums, int left, int right>
inline void tile_dot_int8() noexcept {
  static_assert(0 <= sums && sums < 4 && left == 4 + sums / 2 && right == 6 + sums % 2, "the roles of amx_tiles.h");
  if constexpr (sums == 0) _tile_dpbssd(0, 4, 6);
  if constexpr (sums == 1) _tile_dpbssd(1, 4, 7);
  if constexpr (sums == 2) _tile_dpbssd(2, 5, 6);
  if constexpr (sums == 3) _tile_dpbssd(3, 5, 7);
}

template <int sums, int left, int right>
inline void tile_dot_bf16() noexcept {
  static_assert(0 <= sums && sums < 4 && left == 4 + sums / 2 && right == 6 + sums % 2, "the roles of amx_tiles.h");
  if constexpr (sums == 0) _tile_dpbf16ps(0, 4, 6);
  if constexpr (sums == 1) _tile_dpbf16ps(1, 4, 7);
  if constexpr (sums == 2) _tile_dpbf16ps(2, 5, 6);
  if constexpr (sums == 3) _tile_dpbf16ps(3, 5, 7);
}

}  // namespace
}  // namespace belle

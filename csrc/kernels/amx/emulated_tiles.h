// A software stand-in for the tile instructions, so that the AMX kernels run and are tested on CPUs without AMX. It
// follows the operations of the Intel SDM (LDTILECFG, TILELOADD, TILESTORED, TDPBSSD, TDPBF16PS): exact integers, and
// for bfloat16 the documented order, fused multiply-adds in float with denormals flushed to zero. Where the
// instructions fault, it traps: tiles without a configuration, or of shapes that do not fit.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/amx/tile_numbers.h"
#include "kernels/compiler.h"

namespace belle {
namespace {

struct EmulatedTile {
  uint8_t bytes[16][64];
  size_t rows, row_bytes;
};

struct EmulatedState {
  bool configured;
  EmulatedTile tile[8];
};

thread_local EmulatedState emulated_state;  // of the thread, as the registers are

inline void trap_unless(bool valid) noexcept {
  if (!valid) __builtin_trap();
}

inline EmulatedTile& emulated_tile(int number) noexcept {
  trap_unless(emulated_state.configured);
  return emulated_state.tile[number];
}

// C [m, n] of sums, A [m, k] and B [k, n] of groups of four bytes. What lies outside the configured rows and columns is
// zero in all three, so all 16 are computed.
inline void check_product(const EmulatedTile& c, const EmulatedTile& a, const EmulatedTile& b) noexcept {
  trap_unless(&c != &a && &c != &b && &a != &b);
  trap_unless(c.rows == a.rows && c.row_bytes == b.row_bytes && a.row_bytes == 4 * b.rows);
}

inline float flushed(float value) noexcept { return fabsf(value) < 1.17549435e-38f ? copysignf(0.0f, value) : value; }

inline float bf16_operand(const uint8_t* bytes) noexcept {
  const uint32_t bits = static_cast<uint32_t>(bytes[0]) << 16 | static_cast<uint32_t>(bytes[1]) << 24;
  float value;
  memcpy(&value, &bits, sizeof value);
  return flushed(value);
}

struct EmulatedTiles {
  static void configure_tiles(const void* config) noexcept {
    uint8_t bytes[64];
    memcpy(bytes, config, sizeof bytes);
    trap_unless(bytes[0] == 1 && bytes[1] == 0);
    for (size_t i = 2; i < 16; ++i) trap_unless(bytes[i] == 0);
    for (size_t i = 8; i < 16; ++i) trap_unless(bytes[16 + 2 * i] == 0 && bytes[17 + 2 * i] == 0 && bytes[48 + i] == 0);
    memset(&emulated_state, 0, sizeof emulated_state);
    for (size_t i = 0; i < 8; ++i) {
      EmulatedTile& tile = emulated_state.tile[i];
      tile.row_bytes = static_cast<size_t>(bytes[16 + 2 * i] | (bytes[17 + 2 * i] << 8));
      tile.rows = bytes[48 + i];
      trap_unless(tile.row_bytes <= 64 && tile.rows <= 16 && (tile.row_bytes == 0) == (tile.rows == 0));
    }
    emulated_state.configured = true;
  }

  static void release_tiles() noexcept { memset(&emulated_state, 0, sizeof emulated_state); }

  template <int number>
  BELLE_ALONE static void zero_tile(Tile<number>) noexcept {
    EmulatedTile& tile = emulated_tile(number);
    memset(tile.bytes, 0, sizeof tile.bytes);
  }

  template <int number>
  BELLE_ALONE static void load_tile(Tile<number>, const void* from, size_t stride_bytes) noexcept {
    EmulatedTile& tile = emulated_tile(number);
    const uint8_t* row = static_cast<const uint8_t*>(from);
    memset(tile.bytes, 0, sizeof tile.bytes);
    for (size_t i = 0; i < tile.rows; ++i) memcpy(tile.bytes[i], row + i * stride_bytes, tile.row_bytes);
  }

  template <int number>
  static void load_tile_once(Tile<number>, const void* from, size_t stride_bytes) noexcept {
    load_tile(Tile<number>{}, from, stride_bytes);
  }

  template <int number>
  BELLE_ALONE static void store_tile(Tile<number>, void* to, size_t stride_bytes) noexcept {
    const EmulatedTile& tile = emulated_tile(number);
    uint8_t* row = static_cast<uint8_t*>(to);
    for (size_t i = 0; i < tile.rows; ++i) memcpy(row + i * stride_bytes, tile.bytes[i], tile.row_bytes);
  }

  template <int sums, int left, int right>
  BELLE_ALONE static void add_int8_products(Tile<sums>, Tile<left>, Tile<right>) noexcept {
    EmulatedTile& c = emulated_tile(sums);
    const EmulatedTile &a = emulated_tile(left), &b = emulated_tile(right);
    check_product(c, a, b);
    int32_t weights[64][16];  // [column][n]
    for (size_t k = 0; k < 16; ++k) {
      for (size_t n = 0; n < 16; ++n) {
        for (size_t i = 0; i < 4; ++i) weights[4 * k + i][n] = static_cast<int8_t>(b.bytes[k][4 * n + i]);
      }
    }
    for (size_t m = 0; m < c.rows; ++m) {
      uint32_t row[16];  // wraps, as the instruction does
      memcpy(row, c.bytes[m], sizeof row);
      for (size_t column = 0; column < 64; ++column) {
        const int32_t value = static_cast<int8_t>(a.bytes[m][column]);
        for (size_t n = 0; n < 16; ++n) row[n] += static_cast<uint32_t>(value * weights[column][n]);
      }
      memcpy(c.bytes[m], row, sizeof row);
    }
  }

  // even, odd = chains of fused multiply-adds over the pairs' first and second elements; C = C + (even + odd)
  template <int sums, int left, int right>
  BELLE_ALONE static void add_bf16_products(Tile<sums>, Tile<left>, Tile<right>) noexcept {
    EmulatedTile& c = emulated_tile(sums);
    const EmulatedTile &a = emulated_tile(left), &b = emulated_tile(right);
    check_product(c, a, b);
    float weights[2][16][16];  // [element of the pair][pair][n]
    for (size_t k = 0; k < 16; ++k) {
      for (size_t n = 0; n < 16; ++n) {
        weights[0][k][n] = bf16_operand(b.bytes[k] + 4 * n);
        weights[1][k][n] = bf16_operand(b.bytes[k] + 4 * n + 2);
      }
    }
    for (size_t m = 0; m < c.rows; ++m) {
      float even[16] = {}, odd[16] = {}, row[16];
      for (size_t k = 0; k < 16; ++k) {
        const float first = bf16_operand(a.bytes[m] + 4 * k), second = bf16_operand(a.bytes[m] + 4 * k + 2);
        for (size_t n = 0; n < 16; ++n) even[n] = flushed(fmaf(first, weights[0][k][n], even[n]));
        for (size_t n = 0; n < 16; ++n) odd[n] = flushed(fmaf(second, weights[1][k][n], odd[n]));
      }
      memcpy(row, c.bytes[m], sizeof row);
      for (size_t n = 0; n < 16; ++n) row[n] = flushed(flushed(row[n]) + flushed(even[n] + odd[n]));
      memcpy(c.bytes[m], row, sizeof row);
    }
  }
};

}  // namespace
}  // namespace belle

// The scales of a unit of 256 columns: whole numbers in bytes [n][16 rows] times d, and minima likewise times dmin.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/compiler.h"
#include "kernels/formats/half_scales.h"
#include "kernels/generic/panel_shape.h"

namespace belle {
namespace {

/// Half-precision numbers of all 16 rows, ready to be multiplied.
template <class Tier>
struct RowFactors {
  using Vector = typename Tier::Vector;
  Vector of_part[kPanelVectors<Tier>];

  explicit RowFactors(const uint8_t* halves) noexcept {
    BELLE_UNROLL for (size_t part = 0; part < kPanelVectors<Tier>; ++part) {
      of_part[part] = half_rows<Tier>(halves, part);
    }
  }

  /// The factor times whole numbers of the part's rows, of [16 rows].
  Vector times(const int8_t* numbers, size_t part) const noexcept {
    return Tier::multiply(of_part[part], Tier::int8_rows(numbers + part * Tier::kLanes));
  }
};

// Whole numbers of eight rows in a word of 64 bits, for which compilers have vectors, as they have not for bytes that
// are shifted.
constexpr uint64_t every_byte(uint8_t byte) noexcept { return byte * uint64_t{0x0101010101010101}; }

/// n bytes (a multiple of 8) from one or two areas: out = number(word of a, word of b).
template <size_t n, class Number>
inline void join_bytes(const uint8_t* a, const uint8_t* b, int8_t* out, Number number) noexcept {
  for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
    uint64_t first, second;
    memcpy(&first, a + i, sizeof first);
    memcpy(&second, b + i, sizeof second);
    const uint64_t joined = number(first, second);
    memcpy(out + i, &joined, sizeof joined);
  }
}

/// Numbers of four bits, those at `shift` of each byte.
inline uint64_t four_bits(uint64_t bytes, unsigned shift) noexcept { return (bytes >> shift) & every_byte(0x0f); }

/// Numbers of six bits: the low four and the upper two.
inline uint64_t six_bits(uint64_t low, unsigned low_shift, uint64_t high, unsigned high_shift) noexcept {
  return four_bits(low, low_shift) | ((high >> high_shift) & every_byte(0x03)) << 4;
}

/// Each number, which is below 64, less 32.
inline uint64_t less_32(uint64_t numbers) noexcept {
  return ((numbers | every_byte(0x80)) - every_byte(32)) ^ every_byte(0x80);  // borrows nothing from a neighbour
}
/// Each number, which is below 64, below zero.
inline uint64_t negative(uint64_t numbers) noexcept { return (every_byte(0x80) - numbers) ^ every_byte(0x80); }

}  // namespace
}  // namespace belle

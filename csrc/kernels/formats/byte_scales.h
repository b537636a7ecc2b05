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

template <size_t n_scales>
constexpr size_t kSixBitScalesBytes = n_scales * 6 / 8 * kPanelRows;

/// n_scales scales of 6 bits for each row, less 32, in units of d. They lie scales_at bytes behind the unit's start,
/// then d. Row p of 16 bytes has the low four bits of scale p in its low nibbles, those of scale p + n_scales / 2 in
/// the high ones. Each row of the last third has the upper bits of four scales, a quarter of n_scales apart.
template <class Tier, size_t n_scales, size_t scales_at>
class SixBitScales {
 public:
  using Vector = typename Tier::Vector;

  explicit SixBitScales(const uint8_t* unit) noexcept : d_(unit + scales_at + kSixBitScalesBytes<n_scales>) {
    constexpr size_t kQuarter = n_scales / 4 * kPanelRows;
    const uint8_t *low = unit + scales_at, *high = low + 2 * kQuarter;
    for (unsigned i = 0; i < 4; ++i) {
      join_bytes<kQuarter>(low + i % 2 * kQuarter, high, numbers_ + i * kQuarter,
                           [i](uint64_t l, uint64_t h) noexcept { return less_32(six_bits(l, i / 2 * 4, h, 2 * i)); });
    }
  }

  Vector d(size_t i, size_t part) const noexcept { return d_.times(numbers_ + i * kPanelRows, part); }

 private:
  alignas(64) int8_t numbers_[n_scales * kPanelRows];  // [n_scales][16 rows]
  RowFactors<Tier> d_;
};

}  // namespace
}  // namespace belle

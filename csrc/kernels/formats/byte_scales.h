// The scales of a unit of 256 columns: whole numbers in bytes [n][16 rows] times d, and minima likewise times dmin.
#pragma once

#include <stddef.h>
#include <stdint.h>

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

/// The low four bits of n whole numbers and their upper two, each a byte of the result.
template <size_t n>
inline void join_six_bits(const uint8_t* low, unsigned low_shift, const uint8_t* high, unsigned high_shift,
                          int8_t* out) noexcept {
  for (size_t i = 0; i < n; ++i) {
    out[i] = static_cast<int8_t>(((low[i] >> low_shift) & 0x0f) | (((high[i] >> high_shift) & 3) << 4));
  }
}

}  // namespace
}  // namespace belle

// Eight scales and eight minima of 6 bits for each row, of the blocks of 32 columns of a unit of q4_k and q5_k, in
// units of d and dmin: the weight is code * (d * scale) - dmin * minimum.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/formats/byte_scales.h"
#include "kernels/generic/panel_shape.h"

namespace belle {
namespace {

constexpr size_t kSixBitPairsBytes = 12 * kPanelRows;

/// They lie scales_at bytes behind the unit's start, then d and dmin. Row s of 16 bytes has the low four bits of scale
/// s in its low nibbles, those of minimum s in the high ones. Row 8 + p has two bits of scale p, of minimum p, of scale
/// p + 4 and of minimum p + 4.
template <class Tier, size_t scales_at>
class SixBitPairs {
 public:
  using Vector = typename Tier::Vector;

  explicit SixBitPairs(const uint8_t* unit) noexcept
      : d_(unit + scales_at + kSixBitPairsBytes), dmin_(unit + scales_at + kSixBitPairsBytes + kScaleBytes) {
    constexpr size_t kFour = 4 * kPanelRows;
    const uint8_t *low = unit + scales_at, *high = low + 2 * kFour;
    for (unsigned half = 0; half < 2; ++half, low += kFour) {
      join_bytes<kFour>(low, high, scales_ + half * kFour,
                        [half](uint64_t l, uint64_t h) noexcept { return six_bits(l, 0, h, 4 * half); });
      join_bytes<kFour>(low, high, minima_ + half * kFour,
                        [half](uint64_t l, uint64_t h) noexcept { return negative(six_bits(l, 4, h, 4 * half + 2)); });
    }
  }

  Vector d(size_t i, size_t part) const noexcept { return d_.times(scales_ + i * kPanelRows, part); }
  Vector m(size_t i, size_t part) const noexcept { return dmin_.times(minima_ + i * kPanelRows, part); }

 private:
  alignas(64) int8_t scales_[8 * kPanelRows];  // [8][16 rows]
  alignas(64) int8_t minima_[8 * kPanelRows];  // below zero: they are subtracted
  RowFactors<Tier> d_, dmin_;
};

/// A format of such scales and minima; Codes reads the codes of a block.
template <class Codes>
struct SixBitPairFormat : Codes {
  static constexpr size_t kUnitColumns = kSuperBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kCodeBytes = kUnitColumns / kBlockSize * Codes::kBlockBytes;
  static constexpr size_t kUnitBytes = kCodeBytes + kSixBitPairsBytes + 2 * kScaleBytes;
  static constexpr bool kHasMinimum = true;
  static constexpr int kZeroCode = 0;

  template <class Tier>
  using Scales = SixBitPairs<Tier, kCodeBytes>;
};

}  // namespace
}  // namespace belle

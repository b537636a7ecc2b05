// q3_k: a code of 3 bits, and for each row's 16 columns a scale of 6 bits in units of d; the weight is (code - 4) * (d
// * (scale - 32)).
#pragma once

#include "kernels/formats/byte_scales.h"
#include "kernels/formats/planes.h"

namespace belle {
namespace {

struct Q3_K {
  static constexpr WeightType kType = WeightType::kQ3_K;
  static constexpr size_t kUnitColumns = kSuperBlockSize, kScaleColumns = kHalfBlock;
  static constexpr size_t kBlockBytes = kPairPlaneBytes + kBitPlaneBytes;
  static constexpr size_t kScalesAt = kUnitColumns / kBlockSize * kBlockBytes;
  static constexpr size_t kFactorsAt = kScalesAt + 12 * kPanelRows;
  static constexpr size_t kUnitBytes = kFactorsAt + kScaleBytes;
  static constexpr bool kHasMinimum = false;
  static constexpr int kSmallestCode = 0, kLargestCode = 7, kZeroCode = 4;

  template <class Tier>
  class Scales {
   public:
    using Vector = typename Tier::Vector;
    // Scale p has its low bits in the low nibble of row p of the area, scale p + 8 in the high one; the upper bits of
    // scales p, p + 4, p + 8 and p + 12 share row 8 + p.
    explicit Scales(const uint8_t* unit) noexcept : d_(unit + kFactorsAt) {
      constexpr size_t kFour = 4 * kPanelRows;
      const uint8_t *low = unit + kScalesAt, *high = low + 2 * kFour;
      for (unsigned i = 0; i < 4; ++i) {
        join_bytes<kFour>(low + i % 2 * kFour, high, numbers_ + i * kFour,
                          [i](uint64_t l, uint64_t h) noexcept { return less_32(six_bits(l, i / 2 * 4, h, 2 * i)); });
      }
    }

    Vector d(size_t i, size_t part) const noexcept { return d_.times(numbers_ + i * kPanelRows, part); }

   private:
    alignas(64) int8_t numbers_[kUnitColumns / kScaleColumns * kPanelRows];  // [16][16 rows]
    RowFactors<Tier> d_;
  };

  template <class Tier>
  static typename Tier::Bytes codes(const uint8_t* block, size_t group, size_t part) noexcept {
    return Tier::either(plane_pairs<Tier>(block, group, part, 0),
                        plane_bits<Tier>(block + kPairPlaneBytes, group, part, 2));
  }
};

}  // namespace
}  // namespace belle

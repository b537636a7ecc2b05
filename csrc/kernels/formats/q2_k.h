// q2_k: a code of 2 bits, and for each row's 16 columns a scale and a minimum of 4 bits, in units of d and dmin; the
// weight is code * (d * scale) - dmin * minimum.
#pragma once

#include "kernels/formats/byte_scales.h"
#include "kernels/formats/planes.h"

namespace belle {
namespace {

struct Q2_K {
  static constexpr WeightType kType = WeightType::kQ2_K;
  static constexpr size_t kUnitColumns = kSuperBlockSize, kScaleColumns = kHalfBlock;
  static constexpr size_t kBlockBytes = kPairPlaneBytes;
  static constexpr size_t kScalesAt = kUnitColumns / kBlockSize * kBlockBytes;
  static constexpr size_t kFactorsAt = kScalesAt + kUnitColumns / kScaleColumns * kPanelRows;
  static constexpr size_t kUnitBytes = kFactorsAt + 2 * kScaleBytes;
  static constexpr bool kHasMinimum = true;
  static constexpr int kSmallestCode = 0, kLargestCode = 3, kZeroCode = 0;

  template <class Tier>
  class Scales {
   public:
    using Vector = typename Tier::Vector;
    explicit Scales(const uint8_t* unit) noexcept : d_(unit + kFactorsAt), dmin_(unit + kFactorsAt + kScaleBytes) {
      const uint8_t* both = unit + kScalesAt;
      join_bytes<sizeof numbers_>(both, both, numbers_,
                                  [](uint64_t bytes, uint64_t) noexcept { return four_bits(bytes, 0); });
      join_bytes<sizeof minima_>(both, both, minima_,
                                 [](uint64_t bytes, uint64_t) noexcept { return negative(four_bits(bytes, 4)); });
    }

    Vector d(size_t i, size_t part) const noexcept { return d_.times(numbers_ + i * kPanelRows, part); }
    Vector m(size_t i, size_t part) const noexcept { return dmin_.times(minima_ + i * kPanelRows, part); }

   private:
    alignas(64) int8_t numbers_[kUnitColumns / kScaleColumns * kPanelRows];  // [16][16 rows]
    alignas(64) int8_t minima_[kUnitColumns / kScaleColumns * kPanelRows];   // below zero: they are subtracted
    RowFactors<Tier> d_, dmin_;
  };

  template <class Tier>
  static typename Tier::Bytes codes(const uint8_t* block, size_t group, size_t part) noexcept {
    return plane_pairs<Tier>(block, group, part, 0);
  }
};

}  // namespace
}  // namespace belle

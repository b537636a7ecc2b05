// q6_k: a code of 6 bits, and for each row's 16 columns a signed byte, the scale in units of d; the weight is (code -
// 32) * (d * scale).
#pragma once

#include "kernels/formats/byte_scales.h"
#include "kernels/formats/nibbles.h"
#include "kernels/formats/planes.h"

namespace belle {
namespace {

struct Q6_K {
  static constexpr WeightType kType = WeightType::kQ6_K;
  static constexpr size_t kUnitColumns = kSuperBlockSize, kScaleColumns = kHalfBlock;
  static constexpr size_t kBlockBytes = Nibbles::kBlockBytes + kPairPlaneBytes;
  static constexpr size_t kScalesAt = kUnitColumns / kBlockSize * kBlockBytes;
  static constexpr size_t kFactorsAt = kScalesAt + kUnitColumns / kScaleColumns * kPanelRows;
  static constexpr size_t kUnitBytes = kFactorsAt + kScaleBytes;
  static constexpr bool kHasMinimum = false;
  static constexpr int kSmallestCode = 0, kLargestCode = 63, kZeroCode = 32;

  template <class Tier>
  class Scales {
   public:
    using Vector = typename Tier::Vector;
    explicit Scales(const uint8_t* unit) noexcept
        : numbers_(reinterpret_cast<const int8_t*>(unit + kScalesAt)), d_(unit + kFactorsAt) {}

    Vector d(size_t i, size_t part) const noexcept { return d_.times(numbers_ + i * kPanelRows, part); }

   private:
    const int8_t* numbers_;  // [16][16 rows]
    RowFactors<Tier> d_;
  };

  template <class Tier>
  static typename Tier::Bytes codes(const uint8_t* block, size_t group, size_t part) noexcept {
    const uint8_t* pairs = block + Nibbles::kBlockBytes;
    return Tier::either(Nibbles::codes<Tier>(block, group, part), plane_pairs<Tier>(pairs, group, part, 4));
  }
};

}  // namespace
}  // namespace belle

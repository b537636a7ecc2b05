// iq4_xs: an index of 4 bits, and for each row's 32 columns a scale of 6 bits in units of d; the weight is one of 16
// values times d * (scale - 32).
#pragma once

#include "kernels/formats/byte_scales.h"
#include "kernels/formats/uneven_codes.h"

namespace belle {
namespace {

struct IQ4_XS : UnevenCodes {
  static constexpr WeightType kType = WeightType::kIQ4_XS;
  static constexpr size_t kUnitColumns = kSuperBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kScalesAt = kUnitColumns / kBlockSize * kBlockBytes;
  static constexpr size_t kFactorsAt = kScalesAt + 6 * kPanelRows;
  static constexpr size_t kUnitBytes = kFactorsAt + kScaleBytes;

  template <class Tier>
  class Scales {
   public:
    using Vector = typename Tier::Vector;

    // Row p of 16 bytes has the low bits of scale p in its low nibbles, those of scale p + 4 in the high ones; row 4 +
    // p has the upper bits of scales p, p + 2, p + 4 and p + 6.
    explicit Scales(const uint8_t* unit) noexcept : d_(unit + kFactorsAt) {
      constexpr size_t kTwo = 2 * kPanelRows;
      const uint8_t *low = unit + kScalesAt, *high = low + 2 * kTwo;
      for (unsigned i = 0; i < 4; ++i) {
        join_bytes<kTwo>(low + i % 2 * kTwo, high, numbers_ + i * kTwo,
                         [i](uint64_t l, uint64_t h) noexcept { return less_32(six_bits(l, i / 2 * 4, h, 2 * i)); });
      }
    }

    Vector d(size_t i, size_t part) const noexcept { return d_.times(numbers_ + i * kPanelRows, part); }

   private:
    alignas(64) int8_t numbers_[8 * kPanelRows];  // [8][16 rows]
    RowFactors<Tier> d_;
  };
};

}  // namespace
}  // namespace belle

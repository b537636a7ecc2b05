// q5_1: a code of 5 bits, a scale d and a minimum m for each row's 32 columns; the weight is code * d + m.
#pragma once

#include "kernels/formats/five_bits.h"
#include "kernels/formats/half_scales.h"

namespace belle {
namespace {

struct Q5_1 : FiveBits {
  static constexpr WeightType kType = WeightType::kQ5_1;
  static constexpr size_t kUnitColumns = kBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kUnitBytes = kBlockBytes + 2 * kScaleBytes;
  static constexpr bool kHasMinimum = true;
  static constexpr int kZeroCode = 0;

  template <class Tier>
  using Scales = HalfScales<Tier, kBlockBytes>;
};

}  // namespace
}  // namespace belle

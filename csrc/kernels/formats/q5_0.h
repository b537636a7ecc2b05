// q5_0: a code of 5 bits and a scale d for each row's 32 columns; the weight is (code - 16) * d.
#pragma once

#include "kernels/formats/five_bits.h"
#include "kernels/formats/half_scales.h"

namespace belle {
namespace {

struct Q5_0 : FiveBits {
  static constexpr WeightType kType = WeightType::kQ5_0;
  static constexpr size_t kUnitColumns = kBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kUnitBytes = kBlockBytes + kScaleBytes;
  static constexpr bool kHasMinimum = false;
  static constexpr int kZeroCode = 16;

  template <class Tier>
  using Scales = HalfScales<Tier, kBlockBytes>;
};

}  // namespace
}  // namespace belle

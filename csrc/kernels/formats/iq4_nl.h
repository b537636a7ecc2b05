// iq4_nl: an index of 4 bits and a scale d for each row's 32 columns; the weight is one of 16 values times d.
#pragma once

#include "kernels/formats/half_scales.h"
#include "kernels/formats/uneven_codes.h"

namespace belle {
namespace {

struct IQ4_NL : UnevenCodes {
  static constexpr WeightType kType = WeightType::kIQ4_NL;
  static constexpr size_t kUnitColumns = kBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kUnitBytes = kBlockBytes + kScaleBytes;

  template <class Tier>
  using Scales = HalfScales<Tier, kBlockBytes>;
};

}  // namespace
}  // namespace belle

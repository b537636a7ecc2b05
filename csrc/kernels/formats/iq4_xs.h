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
  static constexpr size_t kScales = kUnitColumns / kScaleColumns;
  static constexpr size_t kUnitBytes = kScalesAt + kSixBitScalesBytes<kScales> + kScaleBytes;

  template <class Tier>
  using Scales = SixBitScales<Tier, kScales, kScalesAt>;
};

}  // namespace
}  // namespace belle

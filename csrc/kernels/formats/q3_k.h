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
  static constexpr size_t kScales = kUnitColumns / kScaleColumns;
  static constexpr size_t kUnitBytes = kScalesAt + kSixBitScalesBytes<kScales> + kScaleBytes;
  static constexpr bool kHasMinimum = false;
  static constexpr int kSmallestCode = 0, kLargestCode = 7, kZeroCode = 4;

  template <class Tier>
  using Scales = SixBitScales<Tier, kScales, kScalesAt>;

  template <class Tier>
  static typename Tier::Bytes codes(const uint8_t* block, size_t group, size_t part) noexcept {
    return Tier::either(plane_pairs<Tier>(block, group, part, 0),
                        plane_bits<Tier>(block + kPairPlaneBytes, group, part, 2));
  }
};

}  // namespace
}  // namespace belle

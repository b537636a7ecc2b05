// q4_k: a code of 4 bits; a scale and a minimum of 6 bits for each row's 32 columns (six_bit_pairs.h).
#pragma once

#include "kernels/formats/nibbles.h"
#include "kernels/formats/six_bit_pairs.h"

namespace belle {
namespace {

struct Q4_K : Nibbles {
  static constexpr WeightType kType = WeightType::kQ4_K;
  static constexpr size_t kUnitColumns = kSuperBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kCodeBytes = kUnitColumns / kBlockSize * kBlockBytes;
  static constexpr size_t kUnitBytes = kCodeBytes + kSixBitPairsBytes + 2 * kScaleBytes;
  static constexpr bool kHasMinimum = true;
  static constexpr int kZeroCode = 0;

  template <class Tier>
  using Scales = SixBitPairs<Tier, kCodeBytes>;
};

}  // namespace
}  // namespace belle

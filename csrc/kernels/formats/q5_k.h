// q5_k: a code of 5 bits; a scale and a minimum of 6 bits for each row's 32 columns (six_bit_pairs.h).
#pragma once

#include "kernels/formats/five_bits.h"
#include "kernels/formats/six_bit_pairs.h"

namespace belle {
namespace {

struct Q5_K : SixBitPairFormat<FiveBits> {
  static constexpr WeightType kType = WeightType::kQ5_K;
};

}  // namespace
}  // namespace belle

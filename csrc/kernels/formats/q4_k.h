// q4_k: a code of 4 bits; a scale and a minimum of 6 bits for each row's 32 columns (six_bit_pairs.h).
#pragma once

#include "kernels/formats/nibbles.h"
#include "kernels/formats/six_bit_pairs.h"

namespace belle {
namespace {

struct Q4_K : SixBitPairFormat<Nibbles> {
  static constexpr WeightType kType = WeightType::kQ4_K;
};

}  // namespace
}  // namespace belle

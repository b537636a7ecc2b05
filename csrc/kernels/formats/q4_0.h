// q4_0: a code of 4 bits and a scale d for each row's 32 columns; the weight is (code - 8) * d.
#pragma once

#include "kernels/formats/half_scales.h"
#include "kernels/formats/nibbles.h"
#include "kernels/generic/quantize_blocks.h"

namespace belle {
namespace {

struct Q4_0 : Nibbles {
  static constexpr WeightType kType = WeightType::kQ4_0;
  static constexpr size_t kUnitColumns = kBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kUnitBytes = kBlockBytes + kScaleBytes;
  static constexpr bool kHasMinimum = false;
  static constexpr int kZeroCode = 8;

  template <class Tier>
  using Scales = HalfScales<Tier, kBlockBytes>;

  /// One part's weights as multiples of a scale of their row, rounded to int8: inverse is 1 over that scale. In lanes
  /// of 16 bits: (code - 8) * 16 times d * inverse * 2^11, over 2^15.
  template <class Tier>
  static void requantize(const uint8_t* block, const Scales<Tier>& scales, size_t, size_t part,
                         typename Tier::Vector inverse, uint8_t* groups) noexcept {
    using Bytes = typename Tier::Bytes;
    const auto d = scales.d(0, part);
    const Bytes factor = Tier::in_both_halves(Tier::multiply(Tier::multiply(d, inverse), Tier::broadcast(2048.0f)));
    const Bytes nibble = Tier::int16s(0x00f0), zero_code = Tier::int16s(kZeroCode * 16);
    const auto weights = [&](Bytes shifted) noexcept {
      return Tier::multiply_round(Tier::subtract_int16(Tier::both(shifted, nibble), zero_code), factor);
    };
    for (size_t j = 0; j < kByteGroups; ++j) {
      const Bytes codes = bytes<Tier>(block, j, part);
      Tier::store_bytes(groups + j * kGroupCodes, Tier::join_bytes(weights(Tier::template shift_left<4>(codes)),
                                                                   weights(Tier::template shift_right<4>(codes))));
      Tier::store_bytes(groups + (j + kByteGroups) * kGroupCodes,
                        Tier::join_bytes(weights(codes), weights(Tier::template shift_right<8>(codes))));
    }
  }

  /// 32 weights to a block of a GGUF file; the one of the largest magnitude gets the code 0.
  template <class Tier>
  static BlockQ4_0 quantize(const float* x) noexcept {
    const typename Tier::BlockValues values(x);
    const float d = values.of_largest_magnitude() / -8.0f;
    BlockQ4_0 block;
    block.d = Tier::half_bits(d);
    values.store_nibbles(0.0f, inverse_of(d), 8.5f, block.qs);
    return block;
  }
};

}  // namespace
}  // namespace belle

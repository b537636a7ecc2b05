// q4_1: a code of 4 bits, a scale d and a minimum m for each row's 32 columns; the weight is code * d + m.
#pragma once

#include "kernels/formats/half_scales.h"
#include "kernels/formats/nibbles.h"
#include "kernels/generic/quantize_blocks.h"

namespace belle {
namespace {

struct Q4_1 : Nibbles {
  static constexpr WeightType kType = WeightType::kQ4_1;
  static constexpr size_t kUnitColumns = kBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kUnitBytes = kBlockBytes + 2 * kScaleBytes;
  static constexpr bool kHasMinimum = true;
  static constexpr int kZeroCode = 0;

  template <class Tier>
  using Scales = HalfScales<Tier, kBlockBytes>;

  /// As in q4_0.h. The minimum is part of the weight: code * d + m, in units of scale / 64, then rounded.
  template <class Tier>
  static void requantize(const uint8_t* block, const Scales<Tier>& scales, size_t, size_t part,
                         typename Tier::Vector inverse, uint8_t* groups) noexcept {
    using Bytes = typename Tier::Bytes;
    const auto d = scales.d(0, part), m = scales.m(0, part);
    const Bytes factor = Tier::in_both_halves(Tier::multiply(Tier::multiply(d, inverse), Tier::broadcast(1024.0f)));
    const Bytes minimum = Tier::in_both_halves(Tier::multiply(Tier::multiply(m, inverse), Tier::broadcast(64.0f)));
    const Bytes start = Tier::add_int16(minimum, Tier::int16s(32));
    const Bytes nibble = Tier::int16s(0x7800);  // code * 2^11
    const auto weights = [&](Bytes shifted) noexcept {
      const Bytes product = Tier::multiply_round(Tier::both(shifted, nibble), factor);
      return Tier::template shift_right_signed<6>(Tier::add_int16(product, start));
    };
    for (size_t j = 0; j < kByteGroups; ++j) {
      const Bytes codes = bytes<Tier>(block, j, part);
      Tier::store_bytes(groups + j * kGroupCodes, Tier::join_bytes(weights(Tier::template shift_left<11>(codes)),
                                                                   weights(Tier::template shift_left<3>(codes))));
      Tier::store_bytes(groups + (j + kByteGroups) * kGroupCodes,
                        Tier::join_bytes(weights(Tier::template shift_left<7>(codes)),
                                         weights(Tier::template shift_right<1>(codes))));
    }
  }

  /// 32 weights to a block of a GGUF file.
  template <class Tier>
  static BlockQ4_1 quantize(const float* x) noexcept {
    const typename Tier::BlockValues values(x);
    const float lowest = values.smallest(), d = (values.largest() - lowest) / 15.0f;
    BlockQ4_1 block;
    block.d = Tier::half_bits(d);
    block.m = Tier::half_bits(lowest);
    values.store_nibbles(lowest, inverse_of(d), 0.5f, block.qs);
    return block;
  }
};

}  // namespace
}  // namespace belle

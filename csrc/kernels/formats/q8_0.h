// q8_0: a signed code of 8 bits and a scale d for each row's 32 columns; the weight is code * d. Byte [g][row][b] of a
// unit is the code of column 4g + b.
#pragma once

#include "kernels/formats/half_scales.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/quantize_blocks.h"

namespace belle {
namespace {

struct Q8_0 {
  static constexpr WeightType kType = WeightType::kQ8_0;
  static constexpr size_t kUnitColumns = kBlockSize, kScaleColumns = kBlockSize;
  static constexpr size_t kBlockBytes = kGroups * kGroupCodes;
  static constexpr size_t kUnitBytes = kBlockBytes + kScaleBytes;
  static constexpr bool kHasMinimum = false;
  static constexpr int kSmallestCode = -128, kLargestCode = 127, kZeroCode = 0;

  template <class Tier>
  using Scales = HalfScales<Tier, kBlockBytes>;

  template <class Tier>
  static typename Tier::Bytes codes(const uint8_t* block, size_t group, size_t part) noexcept {
    return Tier::load_bytes(block + group * kGroupCodes + part * sizeof(typename Tier::Bytes));
  }

  /// As in q4_0.h: code times d * inverse * 2^15, over 2^15.
  template <class Tier>
  static void requantize(const uint8_t* block, const Scales<Tier>& scales, size_t, size_t part,
                         typename Tier::Vector inverse, uint8_t* groups) noexcept {
    using Bytes = typename Tier::Bytes;
    const auto d = scales.d(0, part);
    const Bytes factor = Tier::in_both_halves(Tier::multiply(Tier::multiply(d, inverse), Tier::broadcast(32768.0f)));
    for (size_t g = 0; g < kGroups; ++g) {
      const Bytes both = codes<Tier>(block, g, part);
      const Bytes even = Tier::template shift_right_signed<8>(Tier::template shift_left<8>(both));
      const Bytes odd = Tier::template shift_right_signed<8>(both);
      Tier::store_bytes(groups + g * kGroupCodes,
                        Tier::join_bytes(Tier::multiply_round(even, factor), Tier::multiply_round(odd, factor)));
    }
  }

  /// 32 weights to a block of a GGUF file.
  template <class Tier>
  static BlockQ8_0 quantize(const float* x) noexcept {
    const typename Tier::BlockValues values(x);
    const float d = values.largest_magnitude() / 127.0f;
    BlockQ8_0 block;
    block.d = Tier::half_bits(d);
    values.store_bytes(inverse_of(d), block.qs);
    return block;
  }
};

}  // namespace
}  // namespace belle

// Blocks of 32 weights with binary16 scales of their own: q4_0, q4_1, q5_0, q5_1, q8_0, iq4_nl. Eight at a time.
//
// The best scale of any value is rounded to binary16 and the codes are taken with that. Where the result is worse than
// zeros, the block is zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quant/search/affine_fit.h"
#include "quant/search/code_values.h"
#include "quant/search/scale_fit.h"
#include "quant/search/sub_blocks.h"
#include "quant/search/write_block.h"

namespace belle {
namespace {

using EightBlocks = SubBlocks<kBlockSize, 1>;

/// Each block's number as the file holds it, among weights over the block's unit.
struct HalfNumbers {
  uint16_t bits[kLanes];
  Lanes value;

  static HalfNumbers nearest(Lanes numbers, const EightBlocks& blocks) noexcept {
    HalfNumbers halves;
    float values[kLanes];
    numbers.store(values);
    for (size_t b = 0; b < kLanes; ++b) {
      const HalfScale half = HalfScale::nearest(values[b], blocks.units[b]);
      halves.bits[b] = half.bits;
      values[b] = half.value;
    }
    halves.value = Lanes::load(values);
    return halves;
  }

  /// 0 in the blocks whose error is not below that of zeros.
  void drop_useless(Lanes error, const EightBlocks& blocks) noexcept {
    float errors[kLanes], zero_errors[kLanes];
    error.store(errors);
    blocks.sum_wxx[0].store(zero_errors);
    for (size_t b = 0; b < kLanes; ++b) {
      if (!(errors[b] < zero_errors[b])) bits[b] = 0;
    }
  }
};

/// Blocks with a scale d alone.
template <class Values, class Block>
void search_scaled(const float* x, const float* importance, Block* out) noexcept {
  EightBlocks blocks;
  fill<ErrorWeight::kHalfSquare>(blocks, x, importance, false);
  const Lanes *lanes = blocks.x[0], *weight = blocks.weight[0], wxx = blocks.sum_wxx[0];
  const Lanes s = search_scale_fit<Values, kBlockSize>(lanes, weight, wxx, blocks.lowest[0], blocks.highest[0]).s;
  HalfNumbers d = HalfNumbers::nearest(s, blocks);
  uint8_t codes[kSuperBlockSize];
  codes_of_group<Values, kBlockSize>(lanes, d.value, codes);
  d.drop_useless(fit_values<Values, kBlockSize>(lanes, weight, wxx, d.value, inverse_or_zero(d.value)).error, blocks);
  for (size_t b = 0; b < kLanes; ++b) {
    BlockParts parts{};
    parts.d = d.bits[b];
    std::memcpy(parts.codes, codes + b * kBlockSize, kBlockSize);
    write_block(parts, out[b]);
  }
}

/// Blocks with a scale d and a minimum m of either sign: the weight is d * code + m.
template <int largest_code, class Block>
void search_with_minimum(const float* x, const float* importance, Block* out) noexcept {
  constexpr float kLargest = largest_code;
  EightBlocks blocks;
  fill<ErrorWeight::kHalfSquare>(blocks, x, importance, false);
  const Lanes *lanes = blocks.x[0], *weight = blocks.weight[0];
  const WeightSums all{blocks.sum_w[0], blocks.sum_wx[0], blocks.sum_wxx[0]};
  const AffineFit fit =
      search_affine_fit<kBlockSize>(lanes, weight, all, blocks.lowest[0], blocks.highest[0], kLargest, kAnyMinimum);
  HalfNumbers d = HalfNumbers::nearest(fit.s, blocks);
  HalfNumbers m = HalfNumbers::nearest(Lanes(0.0f) - best_minimum(fit.sums, all, d.value, kAnyMinimum), blocks);
  const Lanes minimum = Lanes(0.0f) - m.value, inverse = inverse_or_zero(d.value);
  const AffineSums sums = affine_sums<kBlockSize>(lanes, weight, d.value, minimum, kLargest);
  const Lanes error = affine_error(sums, all, d.value, minimum);
  d.drop_useless(error, blocks);
  m.drop_useless(error, blocks);
  float codes[kBlockSize][kLanes];
  for (size_t i = 0; i < kBlockSize; ++i) affine_code(lanes[i], inverse, minimum, kLargest).store(codes[i]);
  for (size_t b = 0; b < kLanes; ++b) {
    BlockParts parts{};
    parts.d = d.bits[b];
    parts.dmin = m.bits[b];
    for (size_t i = 0; i < kBlockSize; ++i) parts.codes[i] = static_cast<uint8_t>(codes[i][b]);
    write_block(parts, out[b]);
  }
}

}  // namespace
}  // namespace belle

// Weights to blocks of the types whose scales are searched for.
//
// A sub-block's scale (and minimum) of any value comes first: the best of several, each refitted to its codes by least
// squares. Then the super-block's d (and dmin) is searched, the sub-blocks' whole multiples of it are chosen by the
// error with their own codes, and d is refitted to both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quant/search/affine_scales.h"
#include "quant/search/code_values.h"
#include "quant/search/scale_search.h"
#include "quant/search/write_codes.h"

namespace belle {
namespace {

template <size_t n_groups>
void whole_bytes(const Lanes (&numbers)[n_groups], int offset, uint8_t* out) noexcept {
  for (size_t g = 0; g < n_groups; ++g) {
    float lanes[kLanes];
    numbers[g].store(lanes);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      out[g * kLanes + lane] = static_cast<uint8_t>(static_cast<int>(lanes[lane]) + offset);
    }
  }
}

/// A super-block's codes and whole scales, one byte each.
struct SuperBlockCodes {
  uint16_t d, dmin;
  uint8_t scales[16], minima[16];
  uint8_t codes[kSuperBlockSize];
};

template <ErrorWeight kind, size_t n_weights, int largest_code, int largest_scale>
SuperBlockCodes search_affine(const float* x, const float* importance) noexcept {
  constexpr size_t kGroups = kSuperBlockSize / n_weights / kLanes;
  SubBlocks<n_weights, kGroups> blocks;
  fill<kind>(blocks, x, importance, true);
  const AffineSearch<n_weights, kGroups, largest_code, largest_scale> search(blocks);
  const auto found = search.run();
  SuperBlockCodes result{};
  result.d = found.d.bits;
  result.dmin = found.dmin.bits;
  whole_bytes(found.scale, 0, result.scales);
  whole_bytes(found.minimum, 0, result.minima);
  search.codes(found, result.codes);
  return result;
}

/// The whole scales get `offset` added.
template <class Values, ErrorWeight kind, size_t n_weights, int lowest_scale, int highest_scale>
SuperBlockCodes search_scales(const float* x, const float* importance, int offset) noexcept {
  constexpr size_t kGroups = kSuperBlockSize / n_weights / kLanes;
  SubBlocks<n_weights, kGroups> blocks;
  fill<kind>(blocks, x, importance, true);
  const ScaleSearch<Values, n_weights, kGroups, lowest_scale, highest_scale> search(blocks);
  const auto found = search.run();
  SuperBlockCodes result{};
  result.d = found.d.bits;
  whole_bytes(found.scale, offset, result.scales);
  search.codes(found, result.codes);
  return result;
}

inline BlockQ2_K search_q2_k(const float* x, const float* importance) noexcept {
  const SuperBlockCodes found = search_affine<ErrorWeight::kSquare, 16, 3, 15>(x, importance);
  BlockQ2_K block;
  block.d = found.d;
  block.dmin = found.dmin;
  for (size_t i = 0; i < sizeof block.scales; ++i) block.scales[i] = byte_of(found.scales[i] | found.minima[i] << 4);
  write_pairs(found.codes, 0, block.qs);
  return block;
}

inline BlockQ3_K search_q3_k(const float* x, const float* importance) noexcept {
  const SuperBlockCodes found = search_scales<WholeValues<4, 3>, ErrorWeight::kSquare, 16, -32, 31>(x, importance, 32);
  BlockQ3_K block;
  block.d = found.d;
  write_six_bit_scales(found.scales, block.scales);
  write_pairs(found.codes, 0, block.qs);
  write_bits(found.codes, 2, block.hmask);
  return block;
}

template <class Block, int largest_code>
inline Block search_six_bit_pairs(const float* x, const float* importance) noexcept {
  const SuperBlockCodes found = search_affine<ErrorWeight::kMagnitude, 32, largest_code, 63>(x, importance);
  Block block;
  block.d = found.d;
  block.dmin = found.dmin;
  write_scales_and_minima(found.scales, found.minima, block.scales);
  write_nibbles_of_parts(found.codes, block.qs);
  if constexpr (largest_code > 15) write_bits(found.codes, 4, block.qh);
  return block;
}

inline BlockQ6_K search_q6_k(const float* x, const float* importance) noexcept {
  const SuperBlockCodes found =
      search_scales<WholeValues<32, 31>, ErrorWeight::kHalfSquare, 16, -128, 127>(x, importance, 0);
  BlockQ6_K block;
  block.d = found.d;
  std::memcpy(block.scales, found.scales, sizeof block.scales);
  for (size_t half = 0; half < 2; ++half) {  // part 4n + h beside part 4n + 2 + h
    write_nibbles(found.codes + half * 128, 2 * kPart, 2 * kPart, block.ql + half * 2 * kPart);
  }
  write_pairs(found.codes, 4, block.qh);
  return block;
}

inline BlockIQ4_XS search_iq4_xs(const float* x, const float* importance) noexcept {
  const SuperBlockCodes found = search_scales<Iq4Values, ErrorWeight::kHalfSquare, 32, -32, 31>(x, importance, 32);
  BlockIQ4_XS block;
  block.d = found.d;
  unsigned upper = 0;
  for (size_t s = 0; s < kLanes; ++s) upper |= static_cast<unsigned>(found.scales[s] >> 4) << (2 * s);
  block.scales_h = static_cast<uint16_t>(upper);
  for (size_t i = 0; i < sizeof block.scales_l; ++i) {
    block.scales_l[i] = byte_of((found.scales[2 * i] & 0x0fu) | (found.scales[2 * i + 1] & 0x0fu) << 4);
  }
  for (size_t s = 0; s < kLanes; ++s) write_nibbles(found.codes + s * kPart, 16, 16, block.qs + s * 16);
  return block;
}

/// Eight blocks. Their scales are rounded to binary16; where that is worse than zeros, they are 0.
inline void search_iq4_nl(const float* x, const float* importance, BlockIQ4_NL* out) noexcept {
  using Values = Iq4Values;
  SubBlocks<kBlockSize, 1> blocks;
  fill<ErrorWeight::kHalfSquare>(blocks, x, importance, false);
  const Lanes *lanes = blocks.x[0], *weight = blocks.weight[0], wxx = blocks.sum_wxx[0];
  float scales[kLanes], errors[kLanes], zero_errors[kLanes];
  search_scale_fit<Values, kBlockSize>(lanes, weight, wxx, blocks.lowest[0], blocks.highest[0]).s.store(scales);
  for (size_t b = 0; b < kLanes; ++b) {
    const HalfScale d = HalfScale::nearest(scales[b], blocks.units[b]);
    scales[b] = d.value;
    out[b].d = d.bits;
  }
  const Lanes rounded = Lanes::load(scales);
  fit_values<Values, kBlockSize>(lanes, weight, wxx, rounded, inverse_or_zero(rounded)).error.store(errors);
  wxx.store(zero_errors);
  uint8_t codes[kSuperBlockSize];
  codes_of_group<Values, kBlockSize>(lanes, rounded, codes);
  for (size_t b = 0; b < kLanes; ++b) {
    if (!(errors[b] < zero_errors[b])) out[b].d = 0;
    write_nibbles(codes + b * kBlockSize, 16, 16, out[b].qs);
  }
}

}  // namespace
}  // namespace belle

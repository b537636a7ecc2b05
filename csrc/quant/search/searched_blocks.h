// Weights to blocks of the types whose scales are searched for.
//
// A sub-block's scale (and minimum) of any value comes first: the best of several, each refitted to its codes by least
// squares. Then the super-block's d (and dmin) is searched, the sub-blocks' whole multiples of it are chosen by the
// error with their own codes, and d is refitted to both.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/search/affine_scales.h"
#include "quant/search/code_values.h"
#include "quant/search/scale_search.h"
#include "quant/search/write_block.h"

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

template <ErrorWeight kind, size_t n_weights, int largest_code, int largest_scale>
BlockParts search_affine(const float* x, const float* importance) noexcept {
  constexpr size_t kGroups = kSuperBlockSize / n_weights / kLanes;
  SubBlocks<n_weights, kGroups> blocks;
  fill<kind>(blocks, x, importance, true);
  const AffineSearch<n_weights, kGroups, largest_code, largest_scale> search(blocks);
  const auto found = search.run();
  BlockParts result{};
  result.d = found.d.bits;
  result.dmin = found.dmin.bits;
  whole_bytes(found.scale, 0, result.scales);
  whole_bytes(found.minimum, 0, result.minima);
  search.codes(found, result.codes);
  return result;
}

/// The whole scales get `offset` added.
template <class Values, ErrorWeight kind, size_t n_weights, int lowest_scale, int highest_scale>
BlockParts search_scales(const float* x, const float* importance, int offset) noexcept {
  constexpr size_t kGroups = kSuperBlockSize / n_weights / kLanes;
  SubBlocks<n_weights, kGroups> blocks;
  fill<kind>(blocks, x, importance, true);
  const ScaleSearch<Values, n_weights, kGroups, lowest_scale, highest_scale> search(blocks);
  const auto found = search.run();
  BlockParts result{};
  result.d = found.d.bits;
  whole_bytes(found.scale, offset, result.scales);
  search.codes(found, result.codes);
  return result;
}

inline BlockParts search_q2_k(const float* x, const float* importance) noexcept {
  return search_affine<ErrorWeight::kSquare, 16, 3, 15>(x, importance);
}

inline BlockParts search_q3_k(const float* x, const float* importance) noexcept {
  return search_scales<WholeValues<4, 3>, ErrorWeight::kSquare, 16, -32, 31>(x, importance, 32);
}

template <int largest_code>
BlockParts search_six_bit_pairs(const float* x, const float* importance) noexcept {
  return search_affine<ErrorWeight::kMagnitude, 32, largest_code, 63>(x, importance);
}

inline BlockParts search_q6_k(const float* x, const float* importance) noexcept {
  return search_scales<WholeValues<32, 31>, ErrorWeight::kHalfSquare, 16, -128, 127>(x, importance, 0);
}

inline BlockParts search_iq4_xs(const float* x, const float* importance) noexcept {
  return search_scales<Iq4Values, ErrorWeight::kHalfSquare, 32, -32, 31>(x, importance, 32);
}

}  // namespace
}  // namespace belle

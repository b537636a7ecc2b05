// A row of weights to blocks of any type with scales: those with the least error are searched for.
#pragma once

#include <cstdlib>
#include <cstring>

#include "quant/search/half_scale_blocks.h"
#include "quant/search/searched_blocks.h"
#include "quant/types.h"

namespace belle {
namespace {

template <class Block, class Search>
void search_super_blocks(const float* x, const float* importance, size_t n, uint8_t* out, Search search) noexcept {
  for (size_t at = 0; at < n; at += kSuperBlockSize, out += sizeof(Block)) {
    Block block;
    write_block(search(x + at, importance == nullptr ? nullptr : importance + at), block);
    std::memcpy(out, &block, sizeof block);
  }
}

/// Eight blocks at a time; the last ones with zeros beside them.
template <class Block, class Search>
void search_eights(const float* x, const float* importance, size_t n, uint8_t* out, Search search) noexcept {
  for (size_t at = 0; at < n; at += kSuperBlockSize) {
    const size_t n_here = n - at < kSuperBlockSize ? n - at : kSuperBlockSize;
    float padded[kSuperBlockSize] = {}, padded_importance[kSuperBlockSize] = {};
    std::memcpy(padded, x + at, n_here * sizeof(float));
    if (importance != nullptr) std::memcpy(padded_importance, importance + at, n_here * sizeof(float));
    Block blocks[kLanes];
    search(padded, importance == nullptr ? nullptr : padded_importance, blocks);
    const size_t n_bytes = n_here / kBlockSize * sizeof(Block);
    std::memcpy(out, blocks, n_bytes);
    out += n_bytes;
  }
}

inline void search_blocks(WeightType type, const float* x, const float* importance, size_t n, uint8_t* out) noexcept {
  switch (type) {
    case WeightType::kQ2_K: return search_super_blocks<BlockQ2_K>(x, importance, n, out, search_q2_k);
    case WeightType::kQ3_K: return search_super_blocks<BlockQ3_K>(x, importance, n, out, search_q3_k);
    case WeightType::kQ4_K: return search_super_blocks<BlockQ4_K>(x, importance, n, out, search_six_bit_pairs<15>);
    case WeightType::kQ5_K: return search_super_blocks<BlockQ5_K>(x, importance, n, out, search_six_bit_pairs<31>);
    case WeightType::kQ6_K: return search_super_blocks<BlockQ6_K>(x, importance, n, out, search_q6_k);
    case WeightType::kIQ4_NL:
      return search_eights<BlockIQ4_NL>(x, importance, n, out, search_scaled<Iq4Values, BlockIQ4_NL>);
    case WeightType::kQ4_0:
      return search_eights<BlockQ4_0>(x, importance, n, out, search_scaled<WholeValues<8, 7>, BlockQ4_0>);
    case WeightType::kQ5_0:
      return search_eights<BlockQ5_0>(x, importance, n, out, search_scaled<WholeValues<16, 15>, BlockQ5_0>);
    case WeightType::kQ8_0:
      return search_eights<BlockQ8_0>(x, importance, n, out, search_scaled<WholeValues<127, 127>, BlockQ8_0>);
    case WeightType::kQ4_1: return search_eights<BlockQ4_1>(x, importance, n, out, search_with_minimum<15, BlockQ4_1>);
    case WeightType::kQ5_1: return search_eights<BlockQ5_1>(x, importance, n, out, search_with_minimum<31, BlockQ5_1>);
    case WeightType::kIQ4_XS: return search_super_blocks<BlockIQ4_XS>(x, importance, n, out, search_iq4_xs);
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16: break;  // have no scales
  }
  std::abort();
}

}  // namespace
}  // namespace belle

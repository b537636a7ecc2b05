// A row of weights to blocks of any type whose scales are searched for.
#pragma once

#include <cstdlib>
#include <cstring>

#include "quant/search/searched_blocks.h"
#include "quant/types.h"

namespace belle {
namespace {

template <class Block, class Search>
void search_super_blocks(const float* x, const float* importance, size_t n, uint8_t* out, Search search) noexcept {
  for (size_t at = 0; at < n; at += kSuperBlockSize, out += sizeof(Block)) {
    const Block block = search(x + at, importance == nullptr ? nullptr : importance + at);
    std::memcpy(out, &block, sizeof block);
  }
}

/// Eight blocks at a time; the last ones with zeros beside them.
inline void search_iq4_nl_row(const float* x, const float* importance, size_t n, uint8_t* out) noexcept {
  for (size_t at = 0; at < n; at += kSuperBlockSize) {
    const size_t n_here = n - at < kSuperBlockSize ? n - at : kSuperBlockSize;
    float padded[kSuperBlockSize] = {}, padded_importance[kSuperBlockSize] = {};
    std::memcpy(padded, x + at, n_here * sizeof(float));
    if (importance != nullptr) std::memcpy(padded_importance, importance + at, n_here * sizeof(float));
    BlockIQ4_NL blocks[kLanes];
    search_iq4_nl(padded, importance == nullptr ? nullptr : padded_importance, blocks);
    const size_t n_bytes = n_here / kBlockSize * sizeof(BlockIQ4_NL);
    std::memcpy(out, blocks, n_bytes);
    out += n_bytes;
  }
}

inline void search_blocks(WeightType type, const float* x, const float* importance, size_t n, uint8_t* out) noexcept {
  switch (type) {
    case WeightType::kQ2_K: return search_super_blocks<BlockQ2_K>(x, importance, n, out, search_q2_k);
    case WeightType::kQ3_K: return search_super_blocks<BlockQ3_K>(x, importance, n, out, search_q3_k);
    case WeightType::kQ4_K:
      return search_super_blocks<BlockQ4_K>(x, importance, n, out, search_six_bit_pairs<BlockQ4_K, 15>);
    case WeightType::kQ5_K:
      return search_super_blocks<BlockQ5_K>(x, importance, n, out, search_six_bit_pairs<BlockQ5_K, 31>);
    case WeightType::kQ6_K: return search_super_blocks<BlockQ6_K>(x, importance, n, out, search_q6_k);
    case WeightType::kIQ4_NL: return search_iq4_nl_row(x, importance, n, out);
    case WeightType::kIQ4_XS: return search_super_blocks<BlockIQ4_XS>(x, importance, n, out, search_iq4_xs);
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16:
    case WeightType::kQ4_0:
    case WeightType::kQ4_1:
    case WeightType::kQ8_0:
    case WeightType::kQ5_0:
    case WeightType::kQ5_1: break;  // by a formula: quantize_row
  }
  std::abort();
}

}  // namespace
}  // namespace belle

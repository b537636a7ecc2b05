// The order of activation blocks in memory, and the sum of one, for all who write or read them. Everything stays inside
// the including file's anonymous namespace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kTokenGroup = 16;

/// Blocks of [n_tokens, k / 32] lie group by group of 16 tokens, a group as [k / 32][its tokens]: what a tile of tokens
/// multiplies a block of weights with is one stretch of memory. Block b of the token lies at first + b * stride, those
/// of the tokens behind it in its group next to it.
struct ActivationRow {
  size_t first;
  size_t stride;  // tokens of the group: 1 .. 16
};

inline size_t tokens_left_in_group(size_t n_tokens, size_t token) noexcept {
  const size_t group_end = token / kTokenGroup * kTokenGroup + kTokenGroup;
  return (group_end < n_tokens ? group_end : n_tokens) - token;
}

inline ActivationRow activation_row(size_t n_tokens, size_t n_blocks, size_t token) noexcept {
  const size_t place = token % kTokenGroup, group = token - place;
  return {group * n_blocks + place, tokens_left_in_group(n_tokens, group)};
}

/// Of all values. No member function: one that is not inlined would be a symbol with the flags of its file.
inline int32_t sum_of_values(const ActivationBlock& block) noexcept { return block.sums[0] + block.sums[1]; }

}  // namespace
}  // namespace belle

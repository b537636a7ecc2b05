// How one head's keys and values lie in a page of a q8 cache: in bytes, with a scale for each position.
//
//   keys    [head_dim / 4][kPageTokens][4 elements] bytes, then float scales [kPageTokens]
//   values  [kPageTokens / 4][head_dim][4 positions] bytes, then float scales [kPageTokens]
//
// A number is (byte - kZeroByte) * scale of its position. Four bytes that are multiplied and summed lie together. Keys
// are filled up to whole groups of elements, with any bytes. A scale of NaN says that an element was not finite.
// Everything stays inside the including file's anonymous namespace: what is not inlined has the flags of its file.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kGroupBytes = 4;
constexpr int kZeroByte = 128;
constexpr size_t kPositionGroups = kPageTokens / kGroupBytes;
constexpr size_t kScalesBytes = kPageTokens * sizeof(float);

constexpr size_t element_groups(size_t head_dim) noexcept { return (head_dim + kGroupBytes - 1) / kGroupBytes; }
/// Where the scales begin: the bytes before them.
constexpr size_t key_scales_at(size_t head_dim) noexcept {
  return element_groups(head_dim) * kPageTokens * kGroupBytes;
}
constexpr size_t value_scales_at(size_t head_dim) noexcept { return head_dim * kPageTokens; }

constexpr size_t key_byte_at(size_t element, size_t position) noexcept {
  return (element / kGroupBytes * kPageTokens + position) * kGroupBytes + element % kGroupBytes;
}
constexpr size_t value_byte_at(size_t element, size_t position, size_t head_dim) noexcept {
  return (position / kGroupBytes * head_dim + element) * kGroupBytes + position % kGroupBytes;
}

}  // namespace
}  // namespace belle

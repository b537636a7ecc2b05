// Planes narrower than a nibble, for a block of 32 columns: the bits that a wider code has beside its nibble, or a
// narrow code's own.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/panel_shape.h"

namespace belle {
namespace {

constexpr size_t kPairPlaneBytes = 2 * kGroupCodes, kBitPlaneBytes = kGroupCodes;

/// Two bits of each code of a group of columns, [rows of the part][4 columns], moved to the bits `to` and to + 1. Byte
/// [h][row][b] of the plane holds those of column 16h + 4j + b at its bits 2j and 2j + 1.
template <class Tier>
inline typename Tier::Bytes plane_pairs(const uint8_t* plane, size_t group, size_t part, int to) noexcept {
  const uint8_t* word = plane + group / 4 * kGroupCodes + part * sizeof(typename Tier::Bytes);
  const uint8_t mask = static_cast<uint8_t>(3 << to);
  return Tier::moved_bits(Tier::load_bytes(word), to - 2 * static_cast<int>(group % 4), mask);
}

/// One bit of each code, moved to bit `to`. Byte [row][b] of the plane holds that of column 4g + b at bit g.
template <class Tier>
inline typename Tier::Bytes plane_bits(const uint8_t* plane, size_t group, size_t part, int to) noexcept {
  const uint8_t* word = plane + part * sizeof(typename Tier::Bytes);
  const uint8_t mask = static_cast<uint8_t>(1 << to);
  return Tier::moved_bits(Tier::load_bytes(word), to - static_cast<int>(group), mask);
}

}  // namespace
}  // namespace belle

// Codes of 4 bits: a nibble plane of 256 bytes for a block of 32 columns. Byte [j][row][b] holds the code of column 4j
// + b in its low nibble, and that of column 16 + 4j + b in its high one.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/panel_shape.h"

namespace belle {
namespace {

struct Nibbles {
  static constexpr size_t kBlockBytes = kGroups * kGroupCodes / 2;
  static constexpr int kSmallestCode = 0, kLargestCode = 15;
  static constexpr size_t kByteGroups = kGroups / 2;  // each holds the codes of two groups of columns

  /// Bytes of a group of columns j and of the group j + kByteGroups.
  template <class Tier>
  static typename Tier::Bytes bytes(const uint8_t* block, size_t j, size_t part) noexcept {
    return Tier::load_bytes(block + j * kGroupCodes + part * sizeof(typename Tier::Bytes));
  }

  /// The codes of a group of columns, [rows of the part][4 columns].
  template <class Tier>
  static typename Tier::Bytes codes(const uint8_t* block, size_t group, size_t part) noexcept {
    const typename Tier::Bytes both = bytes<Tier>(block, group % kByteGroups, part);
    return group < kByteGroups ? Tier::low_nibbles(both) : Tier::high_nibbles(both);
  }
};

}  // namespace
}  // namespace belle

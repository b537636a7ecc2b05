// Codes of 5 bits, for a block of 32 columns: a nibble plane with the low four, then a bit plane with the fifth.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/formats/nibbles.h"
#include "kernels/formats/planes.h"

namespace belle {
namespace {

struct FiveBits {
  static constexpr size_t kBlockBytes = Nibbles::kBlockBytes + kBitPlaneBytes;
  static constexpr int kSmallestCode = 0, kLargestCode = 31;

  /// The codes of a group of columns, [rows of the part][4 columns].
  template <class Tier>
  static typename Tier::Bytes codes(const uint8_t* block, size_t group, size_t part) noexcept {
    return Tier::either(Nibbles::codes<Tier>(block, group, part),
                        plane_bits<Tier>(block + Nibbles::kBlockBytes, group, part, 4));
  }
};

}  // namespace
}  // namespace belle

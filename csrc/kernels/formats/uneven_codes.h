// The codes of the iq4 types: a nibble plane of indices of 16 values, which are denser around zero.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/formats/nibbles.h"
#include "quant/blocks.h"

namespace belle {
namespace {

struct UnevenCodes {
  static constexpr size_t kBlockBytes = Nibbles::kBlockBytes;
  static constexpr int kSmallestCode = kIQ4Values[0], kLargestCode = kIQ4Values[15], kZeroCode = 0;
  static constexpr bool kHasMinimum = false;

  /// The values of a group of columns, [rows of the part][4 columns].
  template <class Tier>
  static typename Tier::Bytes codes(const uint8_t* block, size_t group, size_t part) noexcept {
    return Tier::look_up(kIQ4Values, Nibbles::codes<Tier>(block, group, part));
  }
};

}  // namespace
}  // namespace belle

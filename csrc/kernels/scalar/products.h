// Whole numbers of the portable tier: the codes of a group of all 16 rows, in plain loops.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/generic/panel_shape.h"

namespace belle {
namespace {

struct ScalarProducts {
  struct Bytes {
    uint8_t at[kGroupCodes];
  };

  static Bytes load_bytes(const uint8_t* from) noexcept {
    Bytes bytes;
    memcpy(bytes.at, from, sizeof bytes.at);
    return bytes;
  }
  static Bytes low_nibbles(Bytes bytes) noexcept {
    for (size_t i = 0; i < kGroupCodes; ++i) bytes.at[i] &= 0x0f;
    return bytes;
  }
  /// Of each byte below 16 that entry of the table.
  static Bytes look_up(const int8_t (&table)[16], Bytes indices) noexcept {
    for (size_t i = 0; i < kGroupCodes; ++i) indices.at[i] = static_cast<uint8_t>(table[indices.at[i]]);
    return indices;
  }
  /// Each byte shifted up by so many bits, down where that is negative; then the bits of `mask`.
  static Bytes moved_bits(Bytes bytes, int up, uint8_t mask) noexcept {
    for (size_t i = 0; i < kGroupCodes; ++i) {
      bytes.at[i] = static_cast<uint8_t>((up >= 0 ? bytes.at[i] << up : bytes.at[i] >> -up) & mask);
    }
    return bytes;
  }
  static Bytes either(Bytes a, Bytes b) noexcept {
    for (size_t i = 0; i < kGroupCodes; ++i) a.at[i] |= b.at[i];
    return a;
  }
  static Bytes high_nibbles(Bytes bytes) noexcept {
    for (size_t i = 0; i < kGroupCodes; ++i) bytes.at[i] = static_cast<uint8_t>(bytes.at[i] >> 4);
    return bytes;
  }
};

}  // namespace
}  // namespace belle

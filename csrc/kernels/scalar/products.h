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
  static Bytes high_nibbles(Bytes bytes) noexcept {
    for (size_t i = 0; i < kGroupCodes; ++i) bytes.at[i] = static_cast<uint8_t>(bytes.at[i] >> 4);
    return bytes;
  }
};

}  // namespace
}  // namespace belle

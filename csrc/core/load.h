// Numbers at any address, in the byte order of this machine.
#pragma once

#include <cstdint>
#include <cstring>

namespace belle {

template <typename T>
T load(const uint8_t* data) noexcept {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

}  // namespace belle

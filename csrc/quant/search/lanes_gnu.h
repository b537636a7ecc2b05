// Lanes in two vectors of four, which GCC and Clang know on every processor.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>

namespace belle {
namespace {

constexpr size_t kLanes = 8;

using Quad = float __attribute__((vector_size(16)));
using QuadMask = int __attribute__((vector_size(16)));

struct Lanes {
  Quad low, high;

  Lanes() = default;
  Lanes(Quad first, Quad second) noexcept : low(first), high(second) {}
  explicit Lanes(float x) noexcept : low{x, x, x, x}, high{x, x, x, x} {}
  static Lanes load(const float* from) noexcept {
    Lanes lanes;
    std::memcpy(&lanes.low, from, sizeof lanes.low);
    std::memcpy(&lanes.high, from + 4, sizeof lanes.high);
    return lanes;
  }
  void store(float* to) const noexcept {
    std::memcpy(to, &low, sizeof low);
    std::memcpy(to + 4, &high, sizeof high);
  }
};
struct LaneMask {
  QuadMask low, high;
};

inline Lanes operator+(Lanes a, Lanes b) noexcept { return {a.low + b.low, a.high + b.high}; }
inline Lanes operator-(Lanes a, Lanes b) noexcept { return {a.low - b.low, a.high - b.high}; }
inline Lanes operator*(Lanes a, Lanes b) noexcept { return {a.low * b.low, a.high * b.high}; }
inline Lanes operator/(Lanes a, Lanes b) noexcept { return {a.low / b.low, a.high / b.high}; }
inline LaneMask operator<(Lanes a, Lanes b) noexcept { return {a.low < b.low, a.high < b.high}; }
inline Lanes select(LaneMask mask, Lanes yes, Lanes no) noexcept {
  return {mask.low ? yes.low : no.low, mask.high ? yes.high : no.high};
}
/// b where they are equal
inline Lanes smaller(Lanes a, Lanes b) noexcept { return select(a < b, a, b); }
inline Lanes larger(Lanes a, Lanes b) noexcept { return select(b < a, a, b); }
inline Lanes square_root(Lanes a) noexcept {
  float v[kLanes];
  a.store(v);
  for (float& value : v) value = std::sqrt(value);
  return Lanes::load(v);
}
/// table[index], whole numbers from 0 to 7
inline Lanes look_up(const float (&table)[8], Lanes index) noexcept {
  float v[kLanes];
  index.store(v);
  for (float& value : v) value = table[static_cast<int>(value)];
  return Lanes::load(v);
}

}  // namespace
}  // namespace belle

// Lanes as plain loops, for compilers without vectors of their own.
#pragma once

#include <cmath>
#include <cstddef>

namespace belle {
namespace {

constexpr size_t kLanes = 8;

struct Lanes {
  float v[kLanes];

  Lanes() = default;
  explicit Lanes(float x) noexcept {
    for (float& value : v) value = x;
  }
  static Lanes load(const float* from) noexcept {
    Lanes lanes;
    for (size_t i = 0; i < kLanes; ++i) lanes.v[i] = from[i];
    return lanes;
  }
  void store(float* to) const noexcept {
    for (size_t i = 0; i < kLanes; ++i) to[i] = v[i];
  }
};
struct LaneMask {
  bool v[kLanes];
};

template <class Function>
Lanes each_lane(Function function) noexcept {
  Lanes lanes;
  for (size_t i = 0; i < kLanes; ++i) lanes.v[i] = function(i);
  return lanes;
}

inline Lanes operator+(const Lanes& a, const Lanes& b) noexcept {
  return each_lane([&](size_t i) { return a.v[i] + b.v[i]; });
}
inline Lanes operator-(const Lanes& a, const Lanes& b) noexcept {
  return each_lane([&](size_t i) { return a.v[i] - b.v[i]; });
}
inline Lanes operator*(const Lanes& a, const Lanes& b) noexcept {
  return each_lane([&](size_t i) { return a.v[i] * b.v[i]; });
}
inline Lanes operator/(const Lanes& a, const Lanes& b) noexcept {
  return each_lane([&](size_t i) { return a.v[i] / b.v[i]; });
}
inline LaneMask operator<(const Lanes& a, const Lanes& b) noexcept {
  LaneMask mask;
  for (size_t i = 0; i < kLanes; ++i) mask.v[i] = a.v[i] < b.v[i];
  return mask;
}
/// b where they are equal
inline Lanes smaller(const Lanes& a, const Lanes& b) noexcept {
  return each_lane([&](size_t i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Lanes larger(const Lanes& a, const Lanes& b) noexcept {
  return each_lane([&](size_t i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Lanes select(const LaneMask& mask, const Lanes& yes, const Lanes& no) noexcept {
  return each_lane([&](size_t i) { return mask.v[i] ? yes.v[i] : no.v[i]; });
}
inline Lanes square_root(const Lanes& a) noexcept {
  return each_lane([&](size_t i) { return std::sqrt(a.v[i]); });
}
/// table[index], whole numbers from 0 to 7
inline Lanes look_up(const float (&table)[8], const Lanes& index) noexcept {
  return each_lane([&](size_t i) { return table[static_cast<int>(index.v[i])]; });
}

}  // namespace
}  // namespace belle

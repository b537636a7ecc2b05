// Lanes as plain loops, for every processor.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace belle {
namespace {

struct RowLanes {
  static constexpr size_t kCount = 8;
  float v[kCount];

  RowLanes() = default;
  explicit RowLanes(float x) noexcept {
    for (float& value : v) value = x;
  }
  static RowLanes load(const float* from) noexcept {
    RowLanes lanes;
    for (size_t i = 0; i < kCount; ++i) lanes.v[i] = from[i];
    return lanes;
  }
  void store(float* to) const noexcept {
    for (size_t i = 0; i < kCount; ++i) to[i] = v[i];
  }
  static RowLanes load_bytes(const uint8_t* from) noexcept {
    RowLanes lanes;
    for (size_t i = 0; i < kCount; ++i) lanes.v[i] = static_cast<float>(from[i]);
    return lanes;
  }
  /// Whole numbers from 0 to 255.
  void store_bytes(uint8_t* to) const noexcept {
    for (size_t i = 0; i < kCount; ++i) to[i] = static_cast<uint8_t>(v[i]);
  }
};

template <class Function>
RowLanes each_row(Function function) noexcept {
  RowLanes lanes;
  for (size_t i = 0; i < RowLanes::kCount; ++i) lanes.v[i] = function(i);
  return lanes;
}

inline RowLanes operator+(const RowLanes& a, const RowLanes& b) noexcept {
  return each_row([&](size_t i) { return a.v[i] + b.v[i]; });
}
inline RowLanes operator-(const RowLanes& a, const RowLanes& b) noexcept {
  return each_row([&](size_t i) { return a.v[i] - b.v[i]; });
}
inline RowLanes operator*(const RowLanes& a, const RowLanes& b) noexcept {
  return each_row([&](size_t i) { return a.v[i] * b.v[i]; });
}
/// a * b + c, rounded once
inline RowLanes fused(const RowLanes& a, const RowLanes& b, const RowLanes& c) noexcept {
  return each_row([&](size_t i) { return std::fma(a.v[i], b.v[i], c.v[i]); });
}
/// b where one is not a number
inline RowLanes smaller(const RowLanes& a, const RowLanes& b) noexcept {
  return each_row([&](size_t i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline RowLanes larger(const RowLanes& a, const RowLanes& b) noexcept {
  return each_row([&](size_t i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
/// yes where a >= b
inline RowLanes where_reaches(const RowLanes& a, const RowLanes& b, const RowLanes& yes, const RowLanes& no) noexcept {
  return each_row([&](size_t i) { return a.v[i] >= b.v[i] ? yes.v[i] : no.v[i]; });
}

inline bool differ(const RowLanes& a, const RowLanes& b) noexcept {
  for (size_t i = 0; i < RowLanes::kCount; ++i) {
    if (!(a.v[i] == b.v[i])) return true;
  }
  return false;
}

}  // namespace
}  // namespace belle

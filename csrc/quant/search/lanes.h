// Eight floats side by side, one of each sub-block: the arithmetic of the searches for scales.
//
// Every operation rounds as the single one does, and sums run along a sub-block, so all builds compute the same bits.
// Everything here is in the file's anonymous namespace: an object compiled with AVX2 leaves no symbol of it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>

#if defined(__AVX2__)
#include "quant/search/lanes_avx2.h"
#elif defined(__GNUC__)
#include "quant/search/lanes_gnu.h"
#else
#include "quant/search/lanes_plain.h"
#endif

namespace belle {
namespace {

inline Lanes magnitude(Lanes a) noexcept { return larger(a, Lanes(0.0f) - a); }

inline Lanes limit(Lanes a, float low, float high) noexcept { return larger(smaller(a, Lanes(high)), Lanes(low)); }

/// To the nearest whole number, ties to even; |a| is below 2^22.
inline Lanes round_even(Lanes a) noexcept {
  const Lanes magic(12582912.0f);  // 1.5 * 2^23, where floats are whole numbers
  return (a + magic) - magic;
}

/// 1 / a, and 0 where a is 0
inline Lanes inverse_or_zero(Lanes a) noexcept {
  const LaneMask is_number = Lanes(0.0f) < magnitude(a);
  return select(is_number, Lanes(1.0f) / select(is_number, a, Lanes(1.0f)), Lanes(0.0f));
}

inline float sum_of(Lanes a) noexcept {
  float v[kLanes];
  a.store(v);
  return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

inline float largest_of(Lanes a) noexcept {
  float v[kLanes];
  a.store(v);
  float largest = v[0];
  for (size_t i = 1; i < kLanes; ++i) largest = v[i] > largest ? v[i] : largest;
  return largest;
}

}  // namespace
}  // namespace belle

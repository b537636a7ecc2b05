// Lanes in a register of AVX2.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace belle {
namespace {

constexpr size_t kLanes = 8;

struct Lanes {
  __m256 v;

  Lanes() = default;
  Lanes(__m256 values) noexcept : v(values) {}
  explicit Lanes(float x) noexcept : v(_mm256_set1_ps(x)) {}
  static Lanes load(const float* from) noexcept { return _mm256_loadu_ps(from); }
  void store(float* to) const noexcept { _mm256_storeu_ps(to, v); }
};
using LaneMask = Lanes;  // all bits of a lane, or none

inline Lanes operator+(Lanes a, Lanes b) noexcept { return _mm256_add_ps(a.v, b.v); }
inline Lanes operator-(Lanes a, Lanes b) noexcept { return _mm256_sub_ps(a.v, b.v); }
inline Lanes operator*(Lanes a, Lanes b) noexcept { return _mm256_mul_ps(a.v, b.v); }
inline Lanes operator/(Lanes a, Lanes b) noexcept { return _mm256_div_ps(a.v, b.v); }
inline LaneMask operator<(Lanes a, Lanes b) noexcept { return _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ); }
/// b where they are equal
inline Lanes smaller(Lanes a, Lanes b) noexcept { return _mm256_min_ps(a.v, b.v); }
inline Lanes larger(Lanes a, Lanes b) noexcept { return _mm256_max_ps(a.v, b.v); }
inline Lanes select(LaneMask mask, Lanes yes, Lanes no) noexcept { return _mm256_blendv_ps(no.v, yes.v, mask.v); }
inline Lanes square_root(Lanes a) noexcept { return _mm256_sqrt_ps(a.v); }
/// table[index], whole numbers from 0 to 7
inline Lanes look_up(const float (&table)[8], Lanes index) noexcept {
  return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), _mm256_cvttps_epi32(index.v));
}

}  // namespace
}  // namespace belle

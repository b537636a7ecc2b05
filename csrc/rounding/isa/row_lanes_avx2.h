// Lanes in a register of AVX2.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace belle {
namespace {

struct RowLanes {
  static constexpr size_t kCount = 8;
  __m256 v;

  RowLanes() = default;
  RowLanes(__m256 values) noexcept : v(values) {}
  explicit RowLanes(float x) noexcept : v(_mm256_set1_ps(x)) {}
  static RowLanes load(const float* from) noexcept { return _mm256_loadu_ps(from); }
  void store(float* to) const noexcept { _mm256_storeu_ps(to, v); }
  static RowLanes load_bytes(const uint8_t* from) noexcept {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  }
  /// Whole numbers from 0 to 255.
  void store_bytes(uint8_t* to) const noexcept {
    const __m256i whole = _mm256_cvttps_epi32(v);
    const __m128i shorts = _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(shorts, shorts));
  }
};

inline RowLanes operator+(RowLanes a, RowLanes b) noexcept { return _mm256_add_ps(a.v, b.v); }
inline RowLanes operator-(RowLanes a, RowLanes b) noexcept { return _mm256_sub_ps(a.v, b.v); }
inline RowLanes operator*(RowLanes a, RowLanes b) noexcept { return _mm256_mul_ps(a.v, b.v); }
/// a * b + c, rounded once
inline RowLanes fused(RowLanes a, RowLanes b, RowLanes c) noexcept { return _mm256_fmadd_ps(a.v, b.v, c.v); }
/// b where one is not a number
inline RowLanes smaller(RowLanes a, RowLanes b) noexcept { return _mm256_min_ps(a.v, b.v); }
inline RowLanes larger(RowLanes a, RowLanes b) noexcept { return _mm256_max_ps(a.v, b.v); }
/// yes where a >= b
inline RowLanes where_reaches(RowLanes a, RowLanes b, RowLanes yes, RowLanes no) noexcept {
  return _mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ));
}

inline bool differ(RowLanes a, RowLanes b) noexcept {
  return _mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)) != 0;
}

}  // namespace
}  // namespace belle

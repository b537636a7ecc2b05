// Lanes in a register of AVX-512.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rounding/isa/intrinsics.h"

namespace belle {
namespace {

struct RowLanes {
  static constexpr size_t kCount = 16;
  __m512 v;

  RowLanes() = default;
  RowLanes(__m512 values) noexcept : v(values) {}
  explicit RowLanes(float x) noexcept : v(_mm512_set1_ps(x)) {}
  static RowLanes load(const float* from) noexcept { return _mm512_loadu_ps(from); }
  void store(float* to) const noexcept { _mm512_storeu_ps(to, v); }
  static RowLanes load_bytes(const uint8_t* from) noexcept {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  /// Whole numbers from 0 to 255.
  void store_bytes(uint8_t* to) const noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(v)));
  }
};

inline RowLanes operator+(RowLanes a, RowLanes b) noexcept { return _mm512_add_ps(a.v, b.v); }
inline RowLanes operator-(RowLanes a, RowLanes b) noexcept { return _mm512_sub_ps(a.v, b.v); }
inline RowLanes operator*(RowLanes a, RowLanes b) noexcept { return _mm512_mul_ps(a.v, b.v); }
/// a * b + c, rounded once
inline RowLanes fused(RowLanes a, RowLanes b, RowLanes c) noexcept { return _mm512_fmadd_ps(a.v, b.v, c.v); }
/// b where one is not a number
inline RowLanes smaller(RowLanes a, RowLanes b) noexcept { return _mm512_min_ps(a.v, b.v); }
inline RowLanes larger(RowLanes a, RowLanes b) noexcept { return _mm512_max_ps(a.v, b.v); }
/// yes where a >= b
inline RowLanes where_reaches(RowLanes a, RowLanes b, RowLanes yes, RowLanes no) noexcept {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ), no.v, yes.v);
}

inline bool differ(RowLanes a, RowLanes b) noexcept { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ) != 0; }

}  // namespace
}  // namespace belle

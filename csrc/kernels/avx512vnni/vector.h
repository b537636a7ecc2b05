// Vectors of floats for the tiers of AVX-512 and AMX.
//
// Everything is in the file's anonymous namespace: no symbol compiled with AVX flags may leave its object file.
#pragma once

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/avx2/intrinsics.h"
#include "kernels/generic/lanes.h"

namespace belle {
namespace {

struct Avx512Vector {
  using Vector = __m512;
  static constexpr size_t kLanes = 16;

  static __mmask16 lane_mask(FirstLanes lanes) noexcept { return static_cast<__mmask16>((1u << lanes.count) - 1u); }

  static Vector zeros() noexcept { return _mm512_setzero_ps(); }
  static Vector broadcast(float x) noexcept { return _mm512_set1_ps(x); }

  // Partial loads leave zeros in the other lanes and touch no memory behind the last element.
  static Vector load(const float* from, AllLanes) noexcept { return _mm512_loadu_ps(from); }
  static Vector load(const float* from, FirstLanes lanes) noexcept {
    return _mm512_maskz_loadu_ps(lane_mask(lanes), from);
  }
  static Vector load(const uint16_t* from, AllLanes) noexcept {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static Vector load(const uint16_t* from, FirstLanes lanes) noexcept {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lane_mask(lanes), from));
  }

  static Vector int8_rows(const int8_t* from) noexcept {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }

  static Vector load_bf16(const uint16_t* from) noexcept {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }

  /// As in avx2/integers.h.
  template <class Register>
  static void settle(Register& value) noexcept {
#if defined(__GNUC__)
    asm volatile("" : "+v"(value));
#else
    (void)value;
#endif
  }

  static void store(float* to, Vector v, AllLanes) noexcept { _mm512_storeu_ps(to, v); }
  static void store(float* to, Vector v, FirstLanes lanes) noexcept { _mm512_mask_storeu_ps(to, lane_mask(lanes), v); }
  static void store_half(uint16_t* to, Vector v, AllLanes) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static void store_half(uint16_t* to, Vector v, FirstLanes lanes) noexcept {
    _mm256_mask_storeu_epi16(to, lane_mask(lanes), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }

  static Vector keep(Vector v, AllLanes) noexcept { return v; }
  static Vector keep(Vector v, FirstLanes lanes) noexcept { return _mm512_maskz_mov_ps(lane_mask(lanes), v); }

  static Vector add(Vector a, Vector b) noexcept { return _mm512_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) noexcept { return _mm512_sub_ps(a, b); }
  static Vector multiply(Vector a, Vector b) noexcept { return _mm512_mul_ps(a, b); }
  static Vector divide(Vector a, Vector b) noexcept { return _mm512_div_ps(a, b); }
  /// a * b + c
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  /// c - a * b
  static Vector subtract_product(Vector a, Vector b, Vector c) noexcept { return _mm512_fnmadd_ps(a, b, c); }

  static float sum_lanes(Vector v) noexcept { return _mm512_reduce_add_ps(v); }

  static Vector lane_numbers() noexcept { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
  /// The other lanes become `rest`.
  static Vector keep_or(Vector v, AllLanes, float) noexcept { return v; }
  static Vector keep_or(Vector v, FirstLanes lanes, float rest) noexcept {
    return _mm512_mask_mov_ps(broadcast(rest), lane_mask(lanes), v);
  }
  /// b where a is NaN
  static Vector larger(Vector a, Vector b) noexcept { return _mm512_max_ps(a, b); }
  static Vector magnitude(Vector v) noexcept { return _mm512_abs_ps(v); }
  static Vector square_root(Vector v) noexcept { return _mm512_sqrt_ps(v); }
  /// a / b, and 0 where b is 0
  static Vector quotient_or_zero(Vector a, Vector b) noexcept {
    return _mm512_maskz_div_ps(_mm512_cmp_ps_mask(b, zeros(), _CMP_GT_OQ), a, b);
  }
  static Vector finite_or_zero(Vector v) noexcept {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(magnitude(v), broadcast(FLT_MAX), _CMP_LE_OQ), v);
  }
  static bool any_above(Vector v, float limit) noexcept {
    return _mm512_cmp_ps_mask(v, broadcast(limit), _CMP_GT_OQ) != 0;
  }
  static float largest_lane(Vector v) noexcept { return _mm512_reduce_max_ps(v); }

  /// x limited to [low, high]; NaN stays, because min and max return their second operand for it.
  static Vector limit(Vector x, float low, float high) noexcept {
    return _mm512_max_ps(broadcast(low), _mm512_min_ps(broadcast(high), x));
  }
  static Vector round_to_integer(Vector x) noexcept {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// x * 2^n for an integral n
  static Vector scale_by_power(Vector x, Vector n) noexcept { return _mm512_scalef_ps(x, n); }
  /// v where x >= limit or x is NaN, else 0
  static Vector zero_where_below(Vector v, Vector x, float limit) noexcept {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, broadcast(limit), _CMP_NLT_UQ), v);
  }

  /// kLanes / 2 pairs (x0, x1) -> (x0 cos - x1 sin, x1 cos + x0 sin)
  static void rotate_vector(float* x, const float* cosines, const float* sines) noexcept {
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const Vector c = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(cosines)));
    const Vector s = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(sines)));
    const Vector pairs = _mm512_loadu_ps(x);
    const Vector swapped = _mm512_permute_ps(pairs, 0xb1);
    _mm512_storeu_ps(x, _mm512_fmaddsub_ps(pairs, c, multiply(swapped, s)));
  }
};

}  // namespace
}  // namespace belle

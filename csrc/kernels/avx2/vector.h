// Vectors of floats for the tiers of AVX2 and AVX-VNNI.
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

struct Avx2Vector {
  using Vector = __m256;
  static constexpr size_t kLanes = 8;

  static __m256i lane_mask(FirstLanes lanes) noexcept {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(lanes.count)), index);
  }

  static Vector zeros() noexcept { return _mm256_setzero_ps(); }
  static Vector broadcast(float x) noexcept { return _mm256_set1_ps(x); }

  // Partial loads leave zeros in the other lanes and touch no memory behind the last element.
  static Vector load(const float* from, AllLanes) noexcept { return _mm256_loadu_ps(from); }
  static Vector load(const float* from, FirstLanes lanes) noexcept {
    return _mm256_maskload_ps(from, lane_mask(lanes));
  }
  static Vector load(const uint16_t* from, AllLanes) noexcept {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Vector load(const uint16_t* from, FirstLanes lanes) noexcept {
    uint16_t halves[kLanes] = {};
    memcpy(halves, from, lanes.count * sizeof(uint16_t));
    return load(halves, AllLanes{});
  }

  static Vector int8_rows(const int8_t* from) noexcept {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  }

  static Vector load_bf16(const uint16_t* from) noexcept {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }

  static void store(float* to, Vector v, AllLanes) noexcept { _mm256_storeu_ps(to, v); }
  static void store(float* to, Vector v, FirstLanes lanes) noexcept { _mm256_maskstore_ps(to, lane_mask(lanes), v); }
  static void store_half(uint16_t* to, Vector v, AllLanes) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static void store_half(uint16_t* to, Vector v, FirstLanes lanes) noexcept {
    uint16_t halves[kLanes];
    store_half(halves, v, AllLanes{});
    memcpy(to, halves, lanes.count * sizeof(uint16_t));
  }

  static Vector keep(Vector v, AllLanes) noexcept { return v; }
  static Vector keep(Vector v, FirstLanes lanes) noexcept {
    return _mm256_and_ps(v, _mm256_castsi256_ps(lane_mask(lanes)));
  }

  static Vector add(Vector a, Vector b) noexcept { return _mm256_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) noexcept { return _mm256_sub_ps(a, b); }
  static Vector multiply(Vector a, Vector b) noexcept { return _mm256_mul_ps(a, b); }
  static Vector divide(Vector a, Vector b) noexcept { return _mm256_div_ps(a, b); }
  /// a * b + c
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  /// c - a * b
  static Vector subtract_product(Vector a, Vector b, Vector c) noexcept { return _mm256_fnmadd_ps(a, b, c); }

  static float sum_lanes(Vector v) noexcept {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
  }

  static Vector lane_numbers() noexcept { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
  /// The other lanes become `rest`.
  static Vector keep_or(Vector v, AllLanes, float) noexcept { return v; }
  static Vector keep_or(Vector v, FirstLanes lanes, float rest) noexcept {
    return _mm256_blendv_ps(broadcast(rest), v, _mm256_castsi256_ps(lane_mask(lanes)));
  }
  /// b where a is NaN
  static Vector larger(Vector a, Vector b) noexcept { return _mm256_max_ps(a, b); }
  static Vector magnitude(Vector v) noexcept { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
  static Vector square_root(Vector v) noexcept { return _mm256_sqrt_ps(v); }
  /// a / b, and 0 where b is 0
  static Vector quotient_or_zero(Vector a, Vector b) noexcept {
    return _mm256_and_ps(_mm256_div_ps(a, b), _mm256_cmp_ps(b, zeros(), _CMP_GT_OQ));
  }
  static Vector finite_or_zero(Vector v) noexcept {
    return _mm256_and_ps(v, _mm256_cmp_ps(magnitude(v), broadcast(FLT_MAX), _CMP_LE_OQ));
  }
  static bool any_above(Vector v, float limit) noexcept {
    return _mm256_movemask_ps(_mm256_cmp_ps(v, broadcast(limit), _CMP_GT_OQ)) != 0;
  }
  static float largest_lane(Vector v) noexcept {
    __m128 largest = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
    return _mm_cvtss_f32(_mm_max_ss(largest, _mm_movehdup_ps(largest)));
  }

  /// x limited to [low, high]; NaN stays, because min and max return their second operand for it.
  static Vector limit(Vector x, float low, float high) noexcept {
    return _mm256_max_ps(broadcast(low), _mm256_min_ps(broadcast(high), x));
  }
  static Vector round_to_integer(Vector x) noexcept {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Vector power_of_two(__m256i exponent) noexcept {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(exponent, _mm256_set1_epi32(127)), 23));
  }
  /// x * 2^n for an integral n in [-252, 254], in two steps because 2^128 is no float
  static Vector scale_by_power(Vector x, Vector n) noexcept {
    const __m256i exponent = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(exponent, 1);
    return multiply(multiply(x, power_of_two(half)), power_of_two(_mm256_sub_epi32(exponent, half)));
  }
  /// v where x >= limit or x is NaN, else 0
  static Vector zero_where_below(Vector v, Vector x, float limit) noexcept {
    return _mm256_andnot_ps(_mm256_cmp_ps(x, broadcast(limit), _CMP_LT_OQ), v);
  }

  /// kLanes / 2 pairs (x0, x1) -> (x0 cos - x1 sin, x1 cos + x0 sin)
  static void rotate_vector(float* x, const float* cosines, const float* sines) noexcept {
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    const Vector c = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(cosines)), twice);
    const Vector s = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(sines)), twice);
    const Vector pairs = _mm256_loadu_ps(x);
    const Vector swapped = _mm256_permute_ps(pairs, 0xb1);
    _mm256_storeu_ps(x, _mm256_fmaddsub_ps(pairs, c, multiply(swapped, s)));
  }
};

}  // namespace
}  // namespace belle

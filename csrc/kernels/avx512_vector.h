// AVX-512 as the vector type that vector_rows.h and vector_attention.h are written in. Included by AVX-512 tiers only.
//
// Everything is in the file's anonymous namespace: no symbol compiled with AVX flags may leave its object file.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
// GCC's own intrinsics read their "undefined" vectors; the warning names its header, not this code.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/generic/lanes.h"

namespace belle {
namespace {

using Vector = __m512;
constexpr size_t kLanes = 16;
// Attention's tiles: 8 queries x 2 vectors of scores, 4 queries x 4 vectors of the output.
constexpr size_t kScoreQueries = 8, kValueQueries = 4, kValueVectors = 4;

inline __mmask16 lane_mask(FirstLanes lanes) noexcept { return static_cast<__mmask16>((1u << lanes.count) - 1u); }

inline Vector zeros() noexcept { return _mm512_setzero_ps(); }
inline Vector broadcast(float x) noexcept { return _mm512_set1_ps(x); }

// Partial loads leave zeros in the other lanes and touch no memory behind the last element.
inline Vector load(const float* from, AllLanes) noexcept { return _mm512_loadu_ps(from); }
inline Vector load(const float* from, FirstLanes lanes) noexcept {
  return _mm512_maskz_loadu_ps(lane_mask(lanes), from);
}
inline Vector load(const uint16_t* from, AllLanes) noexcept {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Vector load(const uint16_t* from, FirstLanes lanes) noexcept {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lane_mask(lanes), from));
}

inline void store(float* to, Vector v, AllLanes) noexcept { _mm512_storeu_ps(to, v); }
inline void store(float* to, Vector v, FirstLanes lanes) noexcept { _mm512_mask_storeu_ps(to, lane_mask(lanes), v); }
inline void store_half(uint16_t* to, Vector v, AllLanes) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline void store_half(uint16_t* to, Vector v, FirstLanes lanes) noexcept {
  _mm256_mask_storeu_epi16(to, lane_mask(lanes), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

inline Vector keep(Vector v, AllLanes) noexcept { return v; }
inline Vector keep(Vector v, FirstLanes lanes) noexcept { return _mm512_maskz_mov_ps(lane_mask(lanes), v); }

inline Vector add(Vector a, Vector b) noexcept { return _mm512_add_ps(a, b); }
inline Vector subtract(Vector a, Vector b) noexcept { return _mm512_sub_ps(a, b); }
inline Vector multiply(Vector a, Vector b) noexcept { return _mm512_mul_ps(a, b); }
inline Vector divide(Vector a, Vector b) noexcept { return _mm512_div_ps(a, b); }
/// a * b + c
inline Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm512_fmadd_ps(a, b, c); }
/// c - a * b
inline Vector subtract_product(Vector a, Vector b, Vector c) noexcept { return _mm512_fnmadd_ps(a, b, c); }

inline float sum_lanes(Vector v) noexcept { return _mm512_reduce_add_ps(v); }

inline Vector lane_numbers() noexcept { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
/// The other lanes become `rest`.
inline Vector keep_or(Vector v, AllLanes, float) noexcept { return v; }
inline Vector keep_or(Vector v, FirstLanes lanes, float rest) noexcept {
  return _mm512_mask_mov_ps(broadcast(rest), lane_mask(lanes), v);
}
/// b where a is NaN
inline Vector larger(Vector a, Vector b) noexcept { return _mm512_max_ps(a, b); }
inline bool any_above(Vector v, float limit) noexcept {
  return _mm512_cmp_ps_mask(v, broadcast(limit), _CMP_GT_OQ) != 0;
}
inline float largest_lane(Vector v) noexcept { return _mm512_reduce_max_ps(v); }

/// x limited to [low, high]; NaN stays, because min and max return their second operand for it.
inline Vector limit(Vector x, float low, float high) noexcept {
  return _mm512_max_ps(broadcast(low), _mm512_min_ps(broadcast(high), x));
}
inline Vector round_to_integer(Vector x) noexcept {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/// x * 2^n for an integral n
inline Vector scale_by_power(Vector x, Vector n) noexcept { return _mm512_scalef_ps(x, n); }
/// v where x >= limit or x is NaN, else 0
inline Vector zero_where_below(Vector v, Vector x, float limit) noexcept {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, broadcast(limit), _CMP_NLT_UQ), v);
}

/// kLanes / 2 pairs (x0, x1) -> (x0 cos - x1 sin, x1 cos + x0 sin)
inline void rotate_vector(float* x, const float* cosines, const float* sines) noexcept {
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  const Vector c = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(cosines)));
  const Vector s = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(sines)));
  const Vector pairs = _mm512_loadu_ps(x);
  const Vector swapped = _mm512_permute_ps(pairs, 0xb1);
  _mm512_storeu_ps(x, _mm512_fmaddsub_ps(pairs, c, multiply(swapped, s)));
}

}  // namespace
}  // namespace belle

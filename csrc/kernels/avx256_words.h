// Lanes of 16 bits in 256-bit vectors, which slab_expand.h and word_attention.h are written in. Include after avx256.h;
// everything stays inside the including file's anonymous namespace.
#pragma once

#include <float.h>

namespace belle {
namespace {

inline Bytes words(int16_t value) noexcept { return _mm256_set1_epi16(value); }
inline Bytes both(Bytes a, Bytes b) noexcept { return _mm256_and_si256(a, b); }
inline Bytes add_words(Bytes a, Bytes b) noexcept { return _mm256_add_epi16(a, b); }
inline Bytes subtract_words(Bytes a, Bytes b) noexcept { return _mm256_sub_epi16(a, b); }
/// round(a * b / 2^15)
inline Bytes multiply_round(Bytes a, Bytes b) noexcept { return _mm256_mulhrs_epi16(a, b); }
template <unsigned bits>
inline Bytes shift_left(Bytes a) noexcept {
  return _mm256_slli_epi16(a, bits);
}
template <unsigned bits>
inline Bytes shift_right(Bytes a) noexcept {
  return _mm256_srli_epi16(a, bits);
}
template <unsigned bits>
inline Bytes shift_right_signed(Bytes a) noexcept {
  return _mm256_srai_epi16(a, bits);
}

/// The low bytes of `even`'s words at the even places, those of `odd` at the odd ones.
inline Bytes join_bytes(Bytes even, Bytes odd) noexcept {
  return _mm256_or_si256(_mm256_and_si256(even, _mm256_set1_epi16(0x00ff)), _mm256_slli_epi16(odd, 8));
}

/// A factor per row, rounded, in both words of its lane.
inline Bytes in_both_words(Vector factors) noexcept {
  const __m256i low = _mm256_and_si256(_mm256_cvtps_epi32(factors), _mm256_set1_epi32(0xffff));
  return _mm256_or_si256(low, _mm256_slli_epi32(low, 16));
}

inline void store_bytes(uint8_t* to, Bytes bytes) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
}
inline Vector magnitude(Vector v) noexcept { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
/// a / b, and 0 where b is 0
inline Vector quotient_or_zero(Vector a, Vector b) noexcept {
  return _mm256_and_ps(_mm256_div_ps(a, b), _mm256_cmp_ps(b, zeros(), _CMP_GT_OQ));
}

/// In each lane `first`, rounded, in the low word, and `second` in the high one.
inline Bytes word_pairs(Vector first, Vector second) noexcept {
  const __m256i high = _mm256_slli_epi32(_mm256_cvtps_epi32(second), 16);
  return _mm256_blend_epi16(_mm256_cvtps_epi32(first), high, 0xaa);
}
/// kLanes words, rounded
inline void store_words(uint8_t* to, Vector v) noexcept {
  const __m256i numbers = _mm256_cvtps_epi32(v);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), words);
}

inline Vector square_root(Vector v) noexcept { return _mm256_sqrt_ps(v); }
inline Vector finite_or_zero(Vector v) noexcept {
  return _mm256_and_ps(v, _mm256_cmp_ps(magnitude(v), broadcast(FLT_MAX), _CMP_LE_OQ));
}

}  // namespace
}  // namespace belle

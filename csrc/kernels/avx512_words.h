// Lanes of 16 bits in 512-bit vectors, which slab_expand.h and word_attention.h are written in. Include after avx512.h;
// everything stays inside the including file's anonymous namespace.
#pragma once

#include <float.h>

namespace belle {
namespace {

inline Bytes words(int16_t value) noexcept { return _mm512_set1_epi16(value); }
inline Bytes both(Bytes a, Bytes b) noexcept { return _mm512_and_si512(a, b); }
inline Bytes add_words(Bytes a, Bytes b) noexcept { return _mm512_add_epi16(a, b); }
inline Bytes subtract_words(Bytes a, Bytes b) noexcept { return _mm512_sub_epi16(a, b); }
/// round(a * b / 2^15)
inline Bytes multiply_round(Bytes a, Bytes b) noexcept { return _mm512_mulhrs_epi16(a, b); }
template <unsigned bits>
inline Bytes shift_left(Bytes a) noexcept {
  return _mm512_slli_epi16(a, bits);
}
template <unsigned bits>
inline Bytes shift_right(Bytes a) noexcept {
  return _mm512_srli_epi16(a, bits);
}
template <unsigned bits>
inline Bytes shift_right_signed(Bytes a) noexcept {
  return _mm512_srai_epi16(a, bits);
}

/// The low bytes of `even`'s words at the even places, those of `odd` at the odd ones.
inline Bytes join_bytes(Bytes even, Bytes odd) noexcept {
  return _mm512_ternarylogic_epi32(_mm512_set1_epi16(0x00ff), even, _mm512_slli_epi16(odd, 8), 0xca);  // select
}

/// A factor per row, rounded, in both words of its lane.
inline Bytes in_both_words(Vector factors) noexcept {
  const __m512i low = _mm512_and_si512(_mm512_cvtps_epi32(factors), _mm512_set1_epi32(0xffff));
  return _mm512_or_si512(low, _mm512_slli_epi32(low, 16));
}

inline void store_bytes(uint8_t* to, Bytes bytes) noexcept { _mm512_storeu_si512(to, bytes); }
inline Vector magnitude(Vector v) noexcept { return _mm512_abs_ps(v); }
/// a / b, and 0 where b is 0
inline Vector quotient_or_zero(Vector a, Vector b) noexcept {
  return _mm512_maskz_div_ps(_mm512_cmp_ps_mask(b, zeros(), _CMP_GT_OQ), a, b);
}

/// In each lane `first`, rounded, in the low word, and `second` in the high one.
inline Bytes word_pairs(Vector first, Vector second) noexcept {
  const __m512i high = _mm512_slli_epi32(_mm512_cvtps_epi32(second), 16);
  return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_cvtps_epi32(first), high);
}
/// kLanes words, rounded
inline void store_words(uint8_t* to, Vector v) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
}
/// sums + the products of two pairs of words in each lane
inline Sums32 add_word_products(Sums32 sums, Bytes a, Bytes b) noexcept {
  return (Sums32)_mm512_dpwssd_epi32((__m512i)sums, a, b);
}

inline Vector square_root(Vector v) noexcept { return _mm512_sqrt_ps(v); }
inline Vector finite_or_zero(Vector v) noexcept {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(v), broadcast(FLT_MAX), _CMP_LE_OQ), v);
}

}  // namespace
}  // namespace belle

// The transposition behind the panel layout: words of rows become rows of words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define BELLE_TRANSPOSE_SSE2  // part of every x86-64 processor
#endif

namespace belle {

/// The 16 bytes at rows + r * stride_bytes of four rows r, as four words w each, go to out + w * out_stride_bytes, one
/// row's word beside the next row's.
inline void transpose_4x4_words(const uint8_t* rows, size_t stride_bytes, uint8_t* out,
                                size_t out_stride_bytes) noexcept {
#ifdef BELLE_TRANSPOSE_SSE2
  const auto row = [&](size_t r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows + r * stride_bytes)); };
  const auto store = [&](size_t w, __m128i words) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + w * out_stride_bytes), words);
  };
  const __m128i row0 = row(0), row1 = row(1), row2 = row(2), row3 = row(3);
  const __m128i low01 = _mm_unpacklo_epi32(row0, row1), low23 = _mm_unpacklo_epi32(row2, row3);
  const __m128i high01 = _mm_unpackhi_epi32(row0, row1), high23 = _mm_unpackhi_epi32(row2, row3);
  store(0, _mm_unpacklo_epi64(low01, low23));
  store(1, _mm_unpackhi_epi64(low01, low23));
  store(2, _mm_unpacklo_epi64(high01, high23));
  store(3, _mm_unpackhi_epi64(high01, high23));
#else
  for (size_t r = 0; r < 4; ++r) {
    for (size_t w = 0; w < 4; ++w) std::memcpy(out + w * out_stride_bytes + r * 4, rows + r * stride_bytes + w * 4, 4);
  }
#endif
}

}  // namespace belle

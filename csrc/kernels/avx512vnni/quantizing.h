// What quantizes weights and activations: activations 16 values at a time, weights as with AVX2.
#pragma once

#include "kernels/avx2/quantizing.h"
#include "kernels/avx512vnni/vector.h"

namespace belle {
namespace {

class Avx512Quantizing : public Avx2Quantizing {
  static constexpr size_t kWidth = 16;  // floats per vector

 public:
  /// Largest magnitude of n (a multiple of 32) floats, as bits: those of NaN and infinity are larger than any number's.
  static int32_t largest_bits(const float* x, size_t n) noexcept {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i largest = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += kWidth) {
      largest = _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(_mm512_loadu_ps(x + i)), magnitude));
    }
    return _mm512_reduce_max_epi32(largest);
  }

  /// 32 floats times `inverse`, rounded to nearest even; zeros if they are not usable. sums: of each half.
  static void quantize_block(const float* x, float inverse, bool usable, int8_t* values, int16_t* sums) noexcept {
    const __m512 inverses = _mm512_set1_ps(inverse);
    const __mmask16 lanes = usable ? 0xffff : 0;
    const __m512i low = _mm512_maskz_cvtps_epi32(lanes, _mm512_mul_ps(_mm512_loadu_ps(x), inverses));
    const __m512i high = _mm512_maskz_cvtps_epi32(lanes, _mm512_mul_ps(_mm512_loadu_ps(x + kWidth), inverses));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values), _mm512_cvtepi32_epi8(low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values + kWidth), _mm512_cvtepi32_epi8(high));
    sums[0] = static_cast<int16_t>(_mm512_reduce_add_epi32(low));
    sums[1] = static_cast<int16_t>(_mm512_reduce_add_epi32(high));
  }
};

}  // namespace
}  // namespace belle

// Activations in int8 slabs of 256 columns, one scale per token and slab: a token's part of a slab, which the tiers lay
// out as their products want it (avx512_slab.h, amx_pack.h). Include after avx512.h; everything stays inside the
// including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kSlabColumns = 256;

inline size_t smaller(size_t a, size_t b) noexcept { return a < b ? a : b; }
inline size_t quotient_up(size_t a, size_t b) noexcept { return (a + b - 1) / b; }

// The formulas and special cases of quantize_activations, on wider blocks.

// Largest magnitude of n (a multiple of 32) floats, as bits: those of NaN and infinity are larger than any number's.
inline int32_t largest_bits(const float* x, size_t n) noexcept {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i largest = _mm512_setzero_si512();
  for (size_t i = 0; i < n; i += kLanes) {
    largest = _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(_mm512_loadu_ps(x + i)), magnitude));
  }
  return _mm512_reduce_max_epi32(largest);
}

/// One token's part of a slab, n columns (a multiple of 32) -> int8 [n], zero as `zero`: 0 for signed values, 128 for
/// the same plus 128, which instructions that want one side unsigned read. Returns the scale. 64 bytes go every
/// stride_bytes.
template <uint8_t zero, size_t stride_bytes>
inline float pack_token_slab(const float* x, size_t n, uint8_t* out) noexcept {
  const int32_t largest = largest_bits(x, n);
  float absmax;
  memcpy(&absmax, &largest, sizeof absmax);
  const bool usable = largest < kInfinityBits && absmax >= kTinyAbsmax;
  const __mmask16 lanes = usable ? 0xffff : 0;
  const Vector inverse = broadcast(127.0f / absmax);
  for (size_t i = 0; i < n; i += kLanes) {
    const __m512i values = _mm512_maskz_cvtps_epi32(lanes, multiply(_mm512_loadu_ps(x + i), inverse));
    const __m128i bytes = _mm_xor_si128(_mm512_cvtepi32_epi8(values), _mm_set1_epi8(static_cast<char>(zero)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i / 64 * stride_bytes + i % 64), bytes);
  }
  return usable ? absmax / 127.0f : largest < kInfinityBits ? 0.0f : NAN;
}

}  // namespace
}  // namespace belle

// Rows of a checkpoint to GGUF blocks, 8 values at a time: bit for bit what quant/quantize.cpp does, which explains the
// formulas. For every x86 tier; stays inside the including file's anonymous namespace.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quant/types.h"

namespace belle {
namespace {

constexpr size_t kWidth = 8;                      // floats per vector
constexpr size_t kVectors = kBlockSize / kWidth;  // that make a block
constexpr uint32_t kExponentBits = 0x7f800000u;   // all of them set: infinity or NaN
constexpr int kAbsBits = 0x7fffffff;

inline __m256 widen_8(WeightType type, const uint8_t* data) noexcept {
  const __m128i* halves = reinterpret_cast<const __m128i*>(data);
  if (type == WeightType::kF16) return _mm256_cvtph_ps(_mm_loadu_si128(halves));
  if (type == WeightType::kBf16) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(halves)), 16));
  }
  return _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(data)));
}

bool widen(WeightType type, const uint8_t* data, size_t n, float* out) noexcept {
  const size_t value_bytes = type == WeightType::kF32 ? sizeof(float) : sizeof(uint16_t);
  const __m256i exponent = _mm256_set1_epi32(static_cast<int>(kExponentBits));
  __m256i special = _mm256_setzero_si256();
  for (size_t i = 0; i < n; i += kWidth) {
    const size_t count = n - i < kWidth ? n - i : kWidth;
    uint8_t padded[kWidth * sizeof(float)] = {};
    const uint8_t* from = data + i * value_bytes;
    if (count < kWidth) from = static_cast<const uint8_t*>(memcpy(padded, from, count * value_bytes));
    const __m256 values = widen_8(type, from);
    const __m256i bits = _mm256_and_si256(_mm256_castps_si256(values), exponent);
    special = _mm256_or_si256(special, _mm256_cmpeq_epi32(bits, exponent));
    float full[kWidth];
    if (count == kWidth) _mm256_storeu_ps(out + i, values);
    else {
      _mm256_storeu_ps(full, values);
      memcpy(out + i, full, count * sizeof(float));
    }
  }
  return _mm256_testz_si256(special, special) != 0;
}

inline __m256 absolute(__m256 x) noexcept { return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(kAbsBits))); }

template <typename Pick>
inline float pick_lane(__m256 v, Pick pick) noexcept {
  __m128 best = pick(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  best = pick(best, _mm_movehl_ps(best, best));
  return _mm_cvtss_f32(pick(best, _mm_movehdup_ps(best)));
}

inline float largest_of(__m256 v) noexcept {
  return pick_lane(v, [](__m128 a, __m128 b) { return _mm_max_ps(a, b); });
}
inline float smallest_of(__m256 v) noexcept {
  return pick_lane(v, [](__m128 a, __m128 b) { return _mm_min_ps(a, b); });
}

struct BlockValues {
  __m256 v[kVectors];

  explicit BlockValues(const float* x) noexcept {
    for (size_t j = 0; j < kVectors; ++j) v[j] = _mm256_loadu_ps(x + j * kWidth);
  }
  __m256 largest() const noexcept { return _mm256_max_ps(_mm256_max_ps(v[0], v[1]), _mm256_max_ps(v[2], v[3])); }
  __m256 smallest() const noexcept { return _mm256_min_ps(_mm256_min_ps(v[0], v[1]), _mm256_min_ps(v[2], v[3])); }
  __m256 magnitude() const noexcept {
    return _mm256_max_ps(_mm256_max_ps(absolute(v[0]), absolute(v[1])), _mm256_max_ps(absolute(v[2]), absolute(v[3])));
  }
};

// bits must not be 0
inline size_t lowest_bit(uint32_t bits) noexcept {
#if defined(_MSC_VER)
  unsigned long index;
  _BitScanForward(&index, bits);
  return index;
#else
  return static_cast<size_t>(__builtin_ctz(bits));
#endif
}

// The first value equal to `wanted`, of x or of |x|: zeros of both signs are equal, and a scale keeps the first one's.
template <bool of_magnitudes>
inline float first_equal(const float* x, const BlockValues& block, float wanted) noexcept {
  const __m256 all = _mm256_set1_ps(wanted);
  uint32_t found = 0;
  for (size_t j = 0; j < kVectors; ++j) {
    const __m256 values = of_magnitudes ? absolute(block.v[j]) : block.v[j];
    const int mask = _mm256_movemask_ps(_mm256_cmp_ps(values, all, _CMP_EQ_OQ));
    found |= static_cast<uint32_t>(mask) << (j * kWidth);
  }
  return x[lowest_bit(found)];
}

inline uint16_t half_bits(float x) noexcept {
  return static_cast<uint16_t>(_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT), 0));
}

// 0 for a scale so small that its inverse overflows.
inline float inverse_of(float d) noexcept { return (d < 0.0f ? -d : d) < 1e-38f ? 0.0f : 1.0f / d; }

// trunc((x - shift) * inverse + offset), limited to a nibble
inline __m256i nibble_codes(__m256 x, __m256 shift, __m256 inverse, __m256 offset) noexcept {
  const __m256 scaled = _mm256_add_ps(_mm256_mul_ps(_mm256_sub_ps(x, shift), inverse), offset);
  return _mm256_cvttps_epi32(_mm256_min_ps(_mm256_max_ps(scaled, _mm256_setzero_ps()), _mm256_set1_ps(15.0f)));
}

inline void store_nibbles(const BlockValues& block, float shift, float inverse, float offset, uint8_t* qs) noexcept {
  __m256i codes[kVectors];
  for (size_t j = 0; j < kVectors; ++j) {
    codes[j] = nibble_codes(block.v[j], _mm256_set1_ps(shift), _mm256_set1_ps(inverse), _mm256_set1_ps(offset));
  }
  const __m256i first = _mm256_or_si256(codes[0], _mm256_slli_epi32(codes[2], 4));
  const __m256i second = _mm256_or_si256(codes[1], _mm256_slli_epi32(codes[3], 4));
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(first, second), 0xd8);
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(qs), bytes);
}

void quantize_q4_0(const float* x, size_t n, uint8_t* out) noexcept {
  for (; n >= kBlockSize; n -= kBlockSize, x += kBlockSize, out += sizeof(BlockQ4_0)) {
    const BlockValues values(x);
    const float d = first_equal<true>(x, values, largest_of(values.magnitude())) / -8.0f;
    BlockQ4_0 block;
    block.d = half_bits(d);
    store_nibbles(values, 0.0f, inverse_of(d), 8.5f, block.qs);
    memcpy(out, &block, sizeof block);
  }
}

void quantize_q4_1(const float* x, size_t n, uint8_t* out) noexcept {
  for (; n >= kBlockSize; n -= kBlockSize, x += kBlockSize, out += sizeof(BlockQ4_1)) {
    const BlockValues values(x);
    const float lowest = first_equal<false>(x, values, smallest_of(values.smallest()));
    const float highest = first_equal<false>(x, values, largest_of(values.largest()));
    const float d = (highest - lowest) / 15.0f;
    BlockQ4_1 block;
    block.d = half_bits(d);
    block.m = half_bits(lowest);
    store_nibbles(values, lowest, inverse_of(d), 0.5f, block.qs);
    memcpy(out, &block, sizeof block);
  }
}

// Rounds half away from zero.
inline __m256i byte_codes(__m256 x, __m256 inverse) noexcept {
  const __m256 scaled = _mm256_mul_ps(x, inverse);
  const __m256i whole = _mm256_cvttps_epi32(scaled);
  const __m256 rest = _mm256_sub_ps(scaled, _mm256_cvtepi32_ps(whole));
  const __m256i up = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_set1_ps(0.5f), _CMP_GE_OQ));
  const __m256i down = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_set1_ps(-0.5f), _CMP_LE_OQ));
  return _mm256_add_epi32(_mm256_sub_epi32(whole, up), down);  // a true comparison is -1
}

void quantize_q8_0(const float* x, size_t n, uint8_t* out) noexcept {
  for (; n >= kBlockSize; n -= kBlockSize, x += kBlockSize, out += sizeof(BlockQ8_0)) {
    const BlockValues values(x);
    const float d = largest_of(values.magnitude()) / 127.0f;
    const __m256 inverse = _mm256_set1_ps(inverse_of(d));
    __m256i codes[kVectors];
    for (size_t j = 0; j < kVectors; ++j) codes[j] = byte_codes(values.v[j], inverse);
    const __m256i words =
        _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]), _mm256_packs_epi32(codes[2], codes[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // the packs work in halves of 128 bits
    BlockQ8_0 block;
    block.d = half_bits(d);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(block.qs), _mm256_permutevar8x32_epi32(words, order));
    memcpy(out, &block, sizeof block);
  }
}

}  // namespace
}  // namespace belle

// A slab of quantized weights as int8 with one scale per row, 16 rows at a time: round(weight / scale), where scale =
// (the largest weight that the slab's own scales allow) / 127.
//
// Include after slab_pack.h; everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

// Bytes of a vector are codes of four neighbouring columns of 16 rows. Arithmetic is in 16-bit lanes: the even bytes
// and the odd bytes of a vector apart, then joined.
inline __m512i join_bytes(__m512i even, __m512i odd) noexcept {
  return _mm512_ternarylogic_epi32(_mm512_set1_epi16(0x00ff), even, _mm512_slli_epi16(odd, 8), 0xca);  // select
}

// round(a * b / 2^15) in 16-bit lanes
inline __m512i multiply_round(__m512i a, __m512i b) noexcept { return _mm512_mulhrs_epi16(a, b); }

// A factor per row in both 16-bit halves of its lane.
inline __m512i in_both_halves(Vector factors) noexcept {
  const __m512i low = _mm512_and_si512(_mm512_cvtps_epi32(factors), _mm512_set1_epi32(0xffff));
  return _mm512_or_si512(low, _mm512_slli_epi32(low, 16));
}

inline Vector halves_of(const uint8_t* unit, size_t offset) noexcept {
  return load(reinterpret_cast<const uint16_t*>(unit + offset), AllLanes{});
}

inline void store_group(uint8_t* to, size_t group, __m512i bytes) noexcept {
  _mm512_storeu_si512(to + group * 64, bytes);
}

struct WideQ4_0 {
  static constexpr size_t kUnitBytes = 288, kScalesAt = 256;

  /// [16 rows] the largest magnitude that the unit's scales allow
  static Vector bound(const uint8_t* unit) noexcept {
    return multiply(broadcast(8.0f), _mm512_abs_ps(halves_of(unit, kScalesAt)));
  }

  // (code - 8) * 16 times d / scale * 2^11, over 2^15
  static void requantize(const uint8_t* unit, Vector inverse, uint8_t* groups) noexcept {
    const Vector d = halves_of(unit, kScalesAt);
    const __m512i factor = in_both_halves(multiply(multiply(d, inverse), broadcast(2048.0f)));
    const __m512i nibble = _mm512_set1_epi16(0x00f0), zero_code = _mm512_set1_epi16(8 * 16);
    const auto product = [&](__m512i shifted) noexcept {
      return multiply_round(_mm512_sub_epi16(_mm512_and_si512(shifted, nibble), zero_code), factor);
    };
    for (size_t j = 0; j < 4; ++j) {
      const __m512i bytes = load_bytes(unit + j * 64);
      store_group(groups, j, join_bytes(product(_mm512_slli_epi16(bytes, 4)), product(_mm512_srli_epi16(bytes, 4))));
      store_group(groups, j + 4, join_bytes(product(bytes), product(_mm512_srli_epi16(bytes, 8))));
    }
  }

  /// code * d + offset is the weight
  static Vector offset(const uint8_t* unit) noexcept { return multiply(broadcast(-8.0f), halves_of(unit, kScalesAt)); }
};

struct WideQ4_1 {
  static constexpr size_t kUnitBytes = 320, kScalesAt = 256, kMinimaAt = 288;

  static Vector bound(const uint8_t* unit) noexcept {
    const Vector d = halves_of(unit, kScalesAt), m = halves_of(unit, kMinimaAt);
    return _mm512_max_ps(_mm512_abs_ps(m), _mm512_abs_ps(multiply_add(broadcast(15.0f), d, m)));
  }

  // The minimum is part of the requantized weight: code * d + m, in units of scale / 64, then rounded.
  static void requantize(const uint8_t* unit, Vector inverse, uint8_t* groups) noexcept {
    const Vector d = halves_of(unit, kScalesAt), m = halves_of(unit, kMinimaAt);
    const __m512i factor = in_both_halves(multiply(multiply(d, inverse), broadcast(1024.0f)));
    const __m512i minimum = in_both_halves(multiply(multiply(m, inverse), broadcast(64.0f)));
    const __m512i start = _mm512_add_epi16(minimum, _mm512_set1_epi16(32));
    const __m512i nibble = _mm512_set1_epi16(0x7800);  // code * 2^11
    const auto weight = [&](__m512i shifted) noexcept {
      const __m512i product = multiply_round(_mm512_and_si512(shifted, nibble), factor);
      return _mm512_srai_epi16(_mm512_add_epi16(product, start), 6);
    };
    for (size_t j = 0; j < 4; ++j) {
      const __m512i bytes = load_bytes(unit + j * 64);
      store_group(groups, j, join_bytes(weight(_mm512_slli_epi16(bytes, 11)), weight(_mm512_slli_epi16(bytes, 3))));
      store_group(groups, j + 4, join_bytes(weight(_mm512_slli_epi16(bytes, 7)), weight(_mm512_srli_epi16(bytes, 1))));
    }
  }

  static Vector offset(const uint8_t* unit) noexcept { return halves_of(unit, kMinimaAt); }
};

struct WideQ8_0 {
  static constexpr size_t kUnitBytes = 544, kScalesAt = 512;

  static Vector bound(const uint8_t* unit) noexcept {
    return multiply(broadcast(128.0f), _mm512_abs_ps(halves_of(unit, kScalesAt)));
  }

  // code times d / scale * 2^15, over 2^15
  static void requantize(const uint8_t* unit, Vector inverse, uint8_t* groups) noexcept {
    const Vector d = halves_of(unit, kScalesAt);
    const __m512i factor = in_both_halves(multiply(multiply(d, inverse), broadcast(32768.0f)));
    for (size_t g = 0; g < kGroups; ++g) {
      const __m512i bytes = load_bytes(unit + g * 64);
      const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8), odd = _mm512_srai_epi16(bytes, 8);
      store_group(groups, g, join_bytes(multiply_round(even, factor), multiply_round(odd, factor)));
    }
  }

  static Vector offset(const uint8_t*) noexcept { return zeros(); }
};

/// One panel's slab of n_units blocks of 32 columns -> int8 [groups of 4 columns][16 rows][4], scales [16].
template <class Format>
inline void expand_int8(const uint8_t* units, size_t n_units, uint8_t* groups, float* scales) noexcept {
  Vector bound = zeros();
  for (size_t u = 0; u < n_units; ++u) bound = _mm512_max_ps(bound, Format::bound(units + u * Format::kUnitBytes));
  const __mmask16 present = _mm512_cmp_ps_mask(bound, zeros(), _CMP_GT_OQ);  // a row of zeros has no scale
  const Vector inverse = _mm512_maskz_div_ps(present, broadcast(127.0f), bound);
  _mm512_storeu_ps(scales, divide(bound, broadcast(127.0f)));
  constexpr size_t kUnitWeights = kBlockSize * kPanelRows;
  for (size_t u = 0; u < n_units; ++u) {
    Format::requantize(units + u * Format::kUnitBytes, inverse, groups + u * kUnitWeights);
  }
}

}  // namespace
}  // namespace belle

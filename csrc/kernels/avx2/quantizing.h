// What quantizes weights and activations, 8 values at a time; that of weights serves every x86 tier.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/avx2/intrinsics.h"
#include "quant/search_row.h"
#include "quant/types.h"

namespace belle {
namespace {

class Avx2Quantizing {
  static constexpr size_t kWidth = 8;                      // floats per vector
  static constexpr size_t kVectors = kBlockSize / kWidth;  // that make a block

 public:
  // ---- Weights of a checkpoint

  /// kF32, kF16 or kBf16 values as floats; false if one of them is not finite.
  static bool widen(WeightType type, const uint8_t* data, size_t n, float* out) noexcept {
    constexpr int kExponentBits = 0x7f800000;  // all of them set: infinity or NaN
    const size_t value_bytes = type == WeightType::kF32 ? sizeof(float) : sizeof(uint16_t);
    const __m256i exponent = _mm256_set1_epi32(kExponentBits);
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

  static constexpr SearchRowFn search = search_row_avx2;

  /// The bits of a binary16, rounded to nearest even.
  static uint16_t half_bits(float x) noexcept {
    return static_cast<uint16_t>(_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT), 0));
  }

  /// 32 finite floats that become a block of a quantized type. Zeros of both signs are equal: the extremes have the
  /// sign of the first one.
  class BlockValues {
   public:
    explicit BlockValues(const float* x) noexcept : x_(x) {
      for (size_t j = 0; j < kVectors; ++j) v_[j] = _mm256_loadu_ps(x + j * kWidth);
    }

    float smallest() const noexcept {
      const auto smaller_of = [](auto a, auto b) noexcept { return min(a, b); };
      return first_equal<false>(pick_lane(pick_vector(v_, smaller_of), smaller_of));
    }
    float largest() const noexcept {
      const auto larger_of = [](auto a, auto b) noexcept { return max(a, b); };
      return first_equal<false>(pick_lane(pick_vector(v_, larger_of), larger_of));
    }
    float largest_magnitude() const noexcept {
      const __m256 magnitudes[kVectors] = {absolute(v_[0]), absolute(v_[1]), absolute(v_[2]), absolute(v_[3])};
      const auto larger_of = [](auto a, auto b) noexcept { return max(a, b); };
      return pick_lane(pick_vector(magnitudes, larger_of), larger_of);
    }
    /// The first value that has the largest magnitude.
    float of_largest_magnitude() const noexcept { return first_equal<true>(largest_magnitude()); }

    /// trunc((x - shift) * inverse + offset), limited to 0 .. 15: the first 16 in the low nibbles, the others in the
    /// high ones.
    void store_nibbles(float shift, float inverse, float offset, uint8_t* bytes) const noexcept {
      __m256i codes[kVectors];
      for (size_t j = 0; j < kVectors; ++j) {
        codes[j] = nibble_codes(v_[j], _mm256_set1_ps(shift), _mm256_set1_ps(inverse), _mm256_set1_ps(offset));
      }
      const __m256i first = _mm256_or_si256(codes[0], _mm256_slli_epi32(codes[2], 4));
      const __m256i second = _mm256_or_si256(codes[1], _mm256_slli_epi32(codes[3], 4));
      const __m256i pairs = _mm256_permute4x64_epi64(_mm256_packus_epi32(first, second), 0xd8);
      const __m128i all = _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), all);
    }

    /// x * inverse, rounded half away from zero.
    void store_bytes(float inverse, int8_t* bytes) const noexcept {
      __m256i codes[kVectors];
      for (size_t j = 0; j < kVectors; ++j) codes[j] = byte_codes(v_[j], _mm256_set1_ps(inverse));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes), pack_bytes(codes));
    }

   private:
    static __m256 min(__m256 a, __m256 b) noexcept { return _mm256_min_ps(a, b); }
    static __m128 min(__m128 a, __m128 b) noexcept { return _mm_min_ps(a, b); }
    static __m256 max(__m256 a, __m256 b) noexcept { return _mm256_max_ps(a, b); }
    static __m128 max(__m128 a, __m128 b) noexcept { return _mm_max_ps(a, b); }

    static __m256 absolute(__m256 x) noexcept {
      return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
    }

    template <class Pick>
    static __m256 pick_vector(const __m256* v, Pick pick) noexcept {
      return pick(pick(v[0], v[1]), pick(v[2], v[3]));
    }
    template <class Pick>
    static float pick_lane(__m256 v, Pick pick) noexcept {
      __m128 best = pick(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
      best = pick(best, _mm_movehl_ps(best, best));
      return _mm_cvtss_f32(pick(best, _mm_movehdup_ps(best)));
    }

    // The first value equal to `wanted`, of x or of |x|.
    template <bool of_magnitudes>
    float first_equal(float wanted) const noexcept {
      const __m256 all = _mm256_set1_ps(wanted);
      uint32_t found = 0;
      for (size_t j = 0; j < kVectors; ++j) {
        const __m256 values = of_magnitudes ? absolute(v_[j]) : v_[j];
        const int mask = _mm256_movemask_ps(_mm256_cmp_ps(values, all, _CMP_EQ_OQ));
        found |= static_cast<uint32_t>(mask) << (j * kWidth);
      }
      return x_[lowest_bit(found)];
    }

    // bits must not be 0
    static size_t lowest_bit(uint32_t bits) noexcept {
#if defined(_MSC_VER)
      unsigned long index;
      _BitScanForward(&index, bits);
      return index;
#else
      return static_cast<size_t>(__builtin_ctz(bits));
#endif
    }

    static __m256i nibble_codes(__m256 x, __m256 shift, __m256 inverse, __m256 offset) noexcept {
      const __m256 scaled = _mm256_add_ps(_mm256_mul_ps(_mm256_sub_ps(x, shift), inverse), offset);
      return _mm256_cvttps_epi32(_mm256_min_ps(_mm256_max_ps(scaled, _mm256_setzero_ps()), _mm256_set1_ps(15.0f)));
    }

    static __m256i byte_codes(__m256 x, __m256 inverse) noexcept {
      const __m256 scaled = _mm256_mul_ps(x, inverse);
      const __m256i whole = _mm256_cvttps_epi32(scaled);
      const __m256 rest = _mm256_sub_ps(scaled, _mm256_cvtepi32_ps(whole));
      const __m256i up = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_set1_ps(0.5f), _CMP_GE_OQ));
      const __m256i down = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_set1_ps(-0.5f), _CMP_LE_OQ));
      return _mm256_add_epi32(_mm256_sub_epi32(whole, up), down);  // a true comparison is -1
    }

    const float* x_;
    __m256 v_[kVectors];
  };

  // ---- Activations

  /// Largest magnitude of n (a multiple of 32) floats, as bits: those of NaN and infinity are larger than any number's.
  static int32_t largest_bits(const float* x, size_t n) noexcept {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += kWidth) {
      largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + i)), magnitude));
    }
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    return _mm_cvtsi128_si32(four);
  }

  /// 32 floats times `inverse`, rounded to nearest even; zeros if they are not usable. sums: of each half.
  static void quantize_block(const float* x, float inverse, bool usable, int8_t* values, int16_t* sums) noexcept {
    const __m256 inverses = _mm256_set1_ps(inverse);
    const __m256i lanes = _mm256_set1_epi32(usable ? -1 : 0);
    __m256i quarters[kVectors];
    for (size_t i = 0; i < kVectors; ++i) {
      const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(x + i * kWidth), inverses);
      quarters[i] = _mm256_and_si256(_mm256_cvtps_epi32(scaled), lanes);
    }
    const __m256i first = _mm256_packs_epi32(quarters[0], quarters[1]);
    const __m256i second = _mm256_packs_epi32(quarters[2], quarters[3]);
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing works within 128-bit lanes
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second), in_order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values), bytes);
    sums[0] = static_cast<int16_t>(sum_int16(first));
    sums[1] = static_cast<int16_t>(sum_int16(second));
  }

 private:
  static __m256 widen_8(WeightType type, const uint8_t* data) noexcept {
    const __m128i* halves = reinterpret_cast<const __m128i*>(data);
    if (type == WeightType::kF16) return _mm256_cvtph_ps(_mm_loadu_si128(halves));
    if (type == WeightType::kBf16) {
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(halves)), 16));
    }
    return _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(data)));
  }

  // Four vectors of 32-bit numbers within int8 -> 32 bytes.
  static __m256i pack_bytes(const __m256i (&numbers)[kVectors]) noexcept {
    const __m256i packed =
        _mm256_packs_epi16(_mm256_packs_epi32(numbers[0], numbers[1]), _mm256_packs_epi32(numbers[2], numbers[3]));
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));  // halves of 128 bits
  }

  // Of 16 numbers, any two of which have a sum of 16 bits.
  static int32_t sum_int16(__m256i v) noexcept {
    const __m128i pairs = _mm_add_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    __m128i sum = _mm_madd_epi16(pairs, _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
  }
};

}  // namespace
}  // namespace belle

// Whole numbers in 256-bit vectors, for the tiers of AVX2 and AVX-VNNI.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/avx2/intrinsics.h"
#include "kernels/avx2/vector.h"

namespace belle {
namespace {

struct Avx2Integers {
  using Bytes = __m256i;

  // Integer sums of 8 rows, in lanes of 32 bits or of 16. For GCC types of their own: as __m256i, four lanes of 64 bits
  // to it, the sums of a loop would be copied from register to register and to memory with every product.
#if defined(__GNUC__)
  typedef int32_t Sums32 __attribute__((vector_size(32)));
  typedef int16_t Sums16 __attribute__((vector_size(32)));
#else
  using Sums32 = __m256i;
  using Sums16 = __m256i;
#endif

  static Bytes load_bytes(const uint8_t* from) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static void store_bytes(uint8_t* to, Bytes bytes) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
  }

  static Bytes fill_bytes(int8_t value) noexcept { return _mm256_set1_epi8(value); }
  static Bytes subtract_bytes(Bytes a, Bytes b) noexcept { return _mm256_sub_epi8(a, b); }

  /// Four bytes in each lane of 32 bits.
  static Bytes broadcast_group(const int8_t* values) noexcept {
    int32_t four_values;
    memcpy(&four_values, values, sizeof four_values);
    return _mm256_set1_epi32(four_values);
  }

  static Sums32 load_sums(const int32_t* from) noexcept {
    return (Sums32)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static void store_sums(int32_t* to, Sums32 sums) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)sums);
  }
  static Sums32 negative(Sums32 sums) noexcept {
    return (Sums32)_mm256_sub_epi32(_mm256_setzero_si256(), (__m256i)sums);
  }
  /// sums[0] and sums[1] times the two numbers of 16 bits, added, in each lane
  static Sums32 weighted_sums(const int16_t* sums, int32_t weights) noexcept {
    const Bytes pairs = broadcast_group(reinterpret_cast<const int8_t*>(sums));
    return (Sums32)_mm256_madd_epi16(pairs, _mm256_set1_epi32(weights));
  }
  static Sums32 fill_sums(int32_t value) noexcept { return (Sums32)_mm256_set1_epi32(value); }
  static Sums32 add_sums(Sums32 a, Sums32 b) noexcept { return (Sums32)_mm256_add_epi32((__m256i)a, (__m256i)b); }
  static __m256 to_floats(Sums32 sums) noexcept { return _mm256_cvtepi32_ps((__m256i)sums); }
  /// The same bits.
  static __m256 as_floats(Sums32 sums) noexcept { return _mm256_castsi256_ps((__m256i)sums); }

  /// In each lane of 32 bits one byte: 0 .. 3, from the lowest on.
  static __m256 unsigned_byte_as_floats(Bytes lanes, size_t byte) noexcept {
    const __m256i lowest = _mm256_srli_epi32(lanes, static_cast<int>(8 * byte));
    return _mm256_cvtepi32_ps(byte == 3 ? lowest : _mm256_and_si256(lowest, _mm256_set1_epi32(0xff)));
  }
  static __m256 signed_byte_as_floats(Bytes lanes, size_t byte) noexcept {
    const __m256i highest = _mm256_slli_epi32(lanes, static_cast<int>(24 - 8 * byte));
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(highest, 24));
  }

  static Bytes low_nibbles(Bytes bytes) noexcept { return _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f)); }
  static Bytes high_nibbles(Bytes bytes) noexcept { return low_nibbles(_mm256_srli_epi16(bytes, 4)); }
  /// Each byte shifted up by so many bits, down where that is negative; then the bits of `mask`, which come from the
  /// byte itself.
  static Bytes moved_bits(Bytes bytes, int up, uint8_t mask) noexcept {
    const Bytes moved = up >= 0 ? _mm256_slli_epi16(bytes, up) : _mm256_srli_epi16(bytes, -up);
    return _mm256_and_si256(moved, _mm256_set1_epi8(static_cast<char>(mask)));
  }
  static Bytes either(Bytes a, Bytes b) noexcept { return _mm256_or_si256(a, b); }
  /// Of each byte below 16 that entry of the table.
  static Bytes look_up(const int8_t (&table)[16], Bytes indices) noexcept {
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), indices);
  }
  /// Signed bytes plus 128, as unsigned ones, or back.
  static Bytes flip_sign_bits(Bytes bytes) noexcept {
    return _mm256_xor_si256(bytes, _mm256_set1_epi8(static_cast<char>(0x80)));
  }

  /// Keeps a value in its register, and the order of the source: left alone, GCC computes all products of a block first
  /// and spills them, or loads codes anew for each token.
  template <class Register>
  static void settle(Register& value) noexcept {
#if defined(__GNUC__)
    asm volatile("" : "+x"(value));
#else
    (void)value;
#endif
  }

  /// For integer_peak.h: registers of sums.
  template <class Sums>
  struct PeakRegister {
    using Register = Sums;
    static Sums fill(int32_t value) noexcept { return (Sums)_mm256_set1_epi32(value); }
    static int32_t first(Sums v) noexcept { return _mm_cvtsi128_si32(_mm256_castsi256_si128((__m256i)v)); }
  };

  // ---- Lanes of 16 bits

  static Bytes int16s(int16_t value) noexcept { return _mm256_set1_epi16(value); }
  static Bytes both(Bytes a, Bytes b) noexcept { return _mm256_and_si256(a, b); }
  static Bytes add_int16(Bytes a, Bytes b) noexcept { return _mm256_add_epi16(a, b); }
  static Bytes subtract_int16(Bytes a, Bytes b) noexcept { return _mm256_sub_epi16(a, b); }
  /// round(a * b / 2^15)
  static Bytes multiply_round(Bytes a, Bytes b) noexcept { return _mm256_mulhrs_epi16(a, b); }
  template <unsigned bits>
  static Bytes shift_left(Bytes a) noexcept {
    return _mm256_slli_epi16(a, bits);
  }
  template <unsigned bits>
  static Bytes shift_right(Bytes a) noexcept {
    return _mm256_srli_epi16(a, bits);
  }
  template <unsigned bits>
  static Bytes shift_right_signed(Bytes a) noexcept {
    return _mm256_srai_epi16(a, bits);
  }

  /// The low bytes of `even`'s lanes at the even places, those of `odd` at the odd ones.
  static Bytes join_bytes(Bytes even, Bytes odd) noexcept {
    return _mm256_or_si256(_mm256_and_si256(even, _mm256_set1_epi16(0x00ff)), _mm256_slli_epi16(odd, 8));
  }
  /// A factor per row, rounded, in both 16-bit halves of its lane of 32 bits.
  static Bytes in_both_halves(__m256 factors) noexcept {
    const __m256i low = _mm256_and_si256(_mm256_cvtps_epi32(factors), _mm256_set1_epi32(0xffff));
    return _mm256_or_si256(low, _mm256_slli_epi32(low, 16));
  }
  /// In each lane of 32 bits `first`, rounded, in the low half, and `second` in the high one.
  static Bytes int16_pairs(__m256 first, __m256 second) noexcept {
    const __m256i high = _mm256_slli_epi32(_mm256_cvtps_epi32(second), 16);
    return _mm256_blend_epi16(_mm256_cvtps_epi32(first), high, 0xaa);
  }
  /// As many 16-bit numbers as a vector has floats, rounded.
  static void store_int16s(uint8_t* to, __m256 v) noexcept {
    const __m256i numbers = _mm256_cvtps_epi32(v);
    const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), halves);
  }
};

}  // namespace
}  // namespace belle

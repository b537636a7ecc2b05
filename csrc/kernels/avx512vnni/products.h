// Products of whole numbers with AVX-512 VNNI: four of bytes, or two of 16 bits, summed into 32 bits by one
// instruction.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/avx2/intrinsics.h"
#include "kernels/avx512vnni/vector.h"

namespace belle {
namespace {

struct Avx512VnniProducts {
  using Bytes = __m512i;

  // 16 sums of 32 bits. For GCC a type of its own: as __m512i, eight lanes of 64 bits to it, the sums of a loop would
  // be copied from register to register and to memory with every product.
#if defined(__GNUC__)
  typedef int32_t Sums32 __attribute__((vector_size(64)));
#else
  using Sums32 = __m512i;
#endif

  static Bytes load_bytes(const uint8_t* from) noexcept { return _mm512_loadu_si512(from); }
  static void store_bytes(uint8_t* to, Bytes bytes) noexcept { _mm512_storeu_si512(to, bytes); }

  static Bytes fill_bytes(int8_t value) noexcept { return _mm512_set1_epi8(value); }
  static Bytes subtract_bytes(Bytes a, Bytes b) noexcept { return _mm512_sub_epi8(a, b); }

  /// Four bytes in each lane of 32 bits.
  static Bytes broadcast_group(const int8_t* values) noexcept {
    int32_t four_values;
    memcpy(&four_values, values, sizeof four_values);
    return _mm512_set1_epi32(four_values);
  }

  static Sums32 load_sums(const int32_t* from) noexcept { return (Sums32)_mm512_loadu_si512(from); }
  static void store_sums(int32_t* to, Sums32 sums) noexcept { _mm512_storeu_si512(to, (__m512i)sums); }
  static Sums32 negative(Sums32 sums) noexcept {
    return (Sums32)_mm512_sub_epi32(_mm512_setzero_si512(), (__m512i)sums);
  }
  /// sums[0] and sums[1] times the two numbers of 16 bits, added, in each lane
  static Sums32 weighted_sums(const int16_t* sums, int32_t weights) noexcept {
    const Bytes pairs = broadcast_group(reinterpret_cast<const int8_t*>(sums));
    return (Sums32)_mm512_madd_epi16(pairs, _mm512_set1_epi32(weights));
  }
  static Sums32 fill_sums(int32_t value) noexcept { return (Sums32)_mm512_set1_epi32(value); }
  static Sums32 add_sums(Sums32 a, Sums32 b) noexcept { return (Sums32)_mm512_add_epi32((__m512i)a, (__m512i)b); }
  static __m512 to_floats(Sums32 sums) noexcept { return _mm512_cvtepi32_ps((__m512i)sums); }
  /// The same bits.
  static __m512 as_floats(Sums32 sums) noexcept { return _mm512_castsi512_ps((__m512i)sums); }

  /// In each lane of 32 bits one byte: 0 .. 3, from the lowest on.
  static __m512 unsigned_byte_as_floats(Bytes lanes, size_t byte) noexcept {
    const __m512i lowest = _mm512_srli_epi32(lanes, static_cast<unsigned>(8 * byte));
    return _mm512_cvtepi32_ps(byte == 3 ? lowest : _mm512_and_si512(lowest, _mm512_set1_epi32(0xff)));
  }
  static __m512 signed_byte_as_floats(Bytes lanes, size_t byte) noexcept {
    const __m512i highest = _mm512_slli_epi32(lanes, static_cast<unsigned>(24 - 8 * byte));
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(highest, 24));
  }

  static Bytes low_nibbles(Bytes bytes) noexcept { return _mm512_and_si512(bytes, _mm512_set1_epi8(0x0f)); }
  static Bytes high_nibbles(Bytes bytes) noexcept { return low_nibbles(_mm512_srli_epi16(bytes, 4)); }
  /// Each byte shifted up by so many bits, down where that is negative; then the bits of `mask`, which come from the
  /// byte itself.
  static Bytes moved_bits(Bytes bytes, int up, uint8_t mask) noexcept {
    const Bytes moved = up >= 0 ? _mm512_slli_epi16(bytes, static_cast<unsigned>(up))
                                : _mm512_srli_epi16(bytes, static_cast<unsigned>(-up));
    return _mm512_and_si512(moved, _mm512_set1_epi8(static_cast<char>(mask)));
  }
  static Bytes either(Bytes a, Bytes b) noexcept { return _mm512_or_si512(a, b); }
  /// Of each byte below 16 that entry of the table.
  static Bytes look_up(const int8_t (&table)[16], Bytes indices) noexcept {
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), indices);
  }
  /// Signed bytes plus 128, as unsigned ones, or back.
  static Bytes flip_sign_bits(Bytes bytes) noexcept {
    return _mm512_xor_si512(bytes, _mm512_set1_epi8(static_cast<char>(0x80)));
  }

  /// sums + the products of four unsigned and four signed bytes in each lane
  static Sums32 add_products(Sums32 sums, Bytes unsigned_bytes, Bytes signed_bytes) noexcept {
    return (Sums32)_mm512_dpbusd_epi32((__m512i)sums, unsigned_bytes, signed_bytes);
  }
  /// sums + the products of two pairs of 16-bit numbers in each lane
  static Sums32 add_int16_products(Sums32 sums, Bytes a, Bytes b) noexcept {
    return (Sums32)_mm512_dpwssd_epi32((__m512i)sums, a, b);
  }

  /// For integer_peak.h.
  struct PeakMultiply {
    using Register = Sums32;
    static constexpr size_t kProducts = 64;
    static Register fill(int32_t value) noexcept { return fill_sums(value); }
    static int32_t first(Register v) noexcept { return _mm_cvtsi128_si32(_mm512_castsi512_si128((__m512i)v)); }
    static Register step(Register sum, Register other) noexcept {
      return add_products(sum, (__m512i)other, (__m512i)other);
    }
  };

  // ---- Lanes of 16 bits

  static Bytes int16s(int16_t value) noexcept { return _mm512_set1_epi16(value); }
  static Bytes both(Bytes a, Bytes b) noexcept { return _mm512_and_si512(a, b); }
  static Bytes add_int16(Bytes a, Bytes b) noexcept { return _mm512_add_epi16(a, b); }
  static Bytes subtract_int16(Bytes a, Bytes b) noexcept { return _mm512_sub_epi16(a, b); }
  /// round(a * b / 2^15)
  static Bytes multiply_round(Bytes a, Bytes b) noexcept { return _mm512_mulhrs_epi16(a, b); }
  template <unsigned bits>
  static Bytes shift_left(Bytes a) noexcept {
    return _mm512_slli_epi16(a, bits);
  }
  template <unsigned bits>
  static Bytes shift_right(Bytes a) noexcept {
    return _mm512_srli_epi16(a, bits);
  }
  template <unsigned bits>
  static Bytes shift_right_signed(Bytes a) noexcept {
    return _mm512_srai_epi16(a, bits);
  }

  /// The low bytes of `even`'s lanes at the even places, those of `odd` at the odd ones.
  static Bytes join_bytes(Bytes even, Bytes odd) noexcept {
    return _mm512_ternarylogic_epi32(_mm512_set1_epi16(0x00ff), even, _mm512_slli_epi16(odd, 8), 0xca);  // select
  }
  /// A factor per row, rounded, in both 16-bit halves of its lane of 32 bits.
  static Bytes in_both_halves(__m512 factors) noexcept {
    const __m512i low = _mm512_and_si512(_mm512_cvtps_epi32(factors), _mm512_set1_epi32(0xffff));
    return _mm512_or_si512(low, _mm512_slli_epi32(low, 16));
  }
  /// In each lane of 32 bits `first`, rounded, in the low half, and `second` in the high one.
  static Bytes int16_pairs(__m512 first, __m512 second) noexcept {
    const __m512i high = _mm512_slli_epi32(_mm512_cvtps_epi32(second), 16);
    return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_cvtps_epi32(first), high);
  }
  /// As many 16-bit numbers as a vector has floats, rounded.
  static void store_int16s(uint8_t* to, __m512 v) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
  }
};

}  // namespace
}  // namespace belle

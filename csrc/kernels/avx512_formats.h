// The quantized weight types as the AVX-512 VNNI instructions read them. Include after avx512.h; everything stays
// inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

// vpdpbusd wants unsigned codes, so each format gives them with an offset that the sum of the activations takes out.
struct Q4_0Format {
  static constexpr size_t kCodeBytes = 256, kUnitBytes = 288;
  static constexpr int kZeroCode = 8;
  static constexpr bool kHasMinimum = false;

  // codes[g]: columns 4g .. 4g+3 of 16 rows
  static void expand(const uint8_t* unit, __m512i* codes) noexcept {
    const __m512i low_nibbles = _mm512_set1_epi8(0x0f);
    for (size_t j = 0; j < 4; ++j) {
      const __m512i bytes = load_bytes(unit + j * 64);
      codes[j] = _mm512_and_si512(bytes, low_nibbles);
      codes[j + 4] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low_nibbles);
    }
  }
};

struct Q4_1Format : Q4_0Format {
  static constexpr size_t kUnitBytes = 320;
  static constexpr int kZeroCode = 0;
  static constexpr bool kHasMinimum = true;
};

struct Q8_0Format {
  static constexpr size_t kCodeBytes = 512, kUnitBytes = 544;
  static constexpr int kZeroCode = 128;
  static constexpr bool kHasMinimum = false;

  static void expand(const uint8_t* unit, __m512i* codes) noexcept {
    const __m512i sign_bits = _mm512_set1_epi8(static_cast<char>(0x80));
    for (size_t g = 0; g < kGroups; ++g) codes[g] = _mm512_xor_si512(load_bytes(unit + g * 64), sign_bits);
  }
};

// For the peak
struct Multiply {
  using Register = Sums32;
  static constexpr size_t kProducts = 64;
  static Register fill(int32_t value) noexcept { return (Register)_mm512_set1_epi32(value); }
  static int32_t first(Register v) noexcept { return _mm_cvtsi128_si32(_mm512_castsi512_si128((__m512i)v)); }
  static Register step(Register sum, Register other) noexcept {
    return add_products(sum, (__m512i)other, (__m512i)other);
  }
};

}  // namespace
}  // namespace belle

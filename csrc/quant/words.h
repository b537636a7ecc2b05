// A word of 32 bits of each of four rows, and the transpositions behind the panel layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define BELLE_WORDS_SSE2  // part of every x86-64 processor
#endif

namespace belle {

constexpr size_t kWordRows = 4;

/// Shifts and masks work on each row's word by itself.
struct Words {
#ifdef BELLE_WORDS_SSE2
  __m128i bits;

  static Words of(uint32_t row0, uint32_t row1, uint32_t row2, uint32_t row3) noexcept {
    return {
        _mm_set_epi32(static_cast<int>(row3), static_cast<int>(row2), static_cast<int>(row1), static_cast<int>(row0))};
  }
  static Words all(uint32_t word) noexcept { return {_mm_set1_epi32(static_cast<int>(word))}; }
  void store(uint8_t* out) const noexcept { _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bits); }

  friend Words operator&(Words a, Words b) noexcept { return {_mm_and_si128(a.bits, b.bits)}; }
  friend Words operator|(Words a, Words b) noexcept { return {_mm_or_si128(a.bits, b.bits)}; }
  friend Words operator^(Words a, Words b) noexcept { return {_mm_xor_si128(a.bits, b.bits)}; }
  friend Words operator<<(Words a, int n) noexcept { return {_mm_slli_epi32(a.bits, n)}; }
  friend Words operator>>(Words a, int n) noexcept { return {_mm_srli_epi32(a.bits, n)}; }
#else
  uint32_t rows[kWordRows];

  static Words of(uint32_t row0, uint32_t row1, uint32_t row2, uint32_t row3) noexcept {
    return {{row0, row1, row2, row3}};
  }
  static Words all(uint32_t word) noexcept { return of(word, word, word, word); }
  void store(uint8_t* out) const noexcept { std::memcpy(out, rows, sizeof rows); }

  template <class Operation>
  static Words each(Operation operation) noexcept {
    return of(operation(0), operation(1), operation(2), operation(3));
  }
  friend Words operator&(Words a, Words b) noexcept {
    return each([&](size_t r) { return a.rows[r] & b.rows[r]; });
  }
  friend Words operator|(Words a, Words b) noexcept {
    return each([&](size_t r) { return a.rows[r] | b.rows[r]; });
  }
  friend Words operator^(Words a, Words b) noexcept {
    return each([&](size_t r) { return a.rows[r] ^ b.rows[r]; });
  }
  friend Words operator<<(Words a, int n) noexcept {
    return each([&](size_t r) { return a.rows[r] << n; });
  }
  friend Words operator>>(Words a, int n) noexcept {
    return each([&](size_t r) { return a.rows[r] >> n; });
  }
#endif
};

/// The word at the same place of four rows.
inline Words load_word(const uint8_t* const* rows, size_t offset_bytes) noexcept {
  uint32_t words[kWordRows];
  for (size_t r = 0; r < kWordRows; ++r) std::memcpy(words + r, rows[r] + offset_bytes, sizeof *words);
  return Words::of(words[0], words[1], words[2], words[3]);
}

/// Four words of each row, 16 bytes that follow each other.
inline void load_words(const uint8_t* const* rows, size_t offset_bytes, Words* words) noexcept {
#ifdef BELLE_WORDS_SSE2
  const auto row = [&](size_t r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[r] + offset_bytes)); };
  const __m128i row0 = row(0), row1 = row(1), row2 = row(2), row3 = row(3);
  const __m128i low01 = _mm_unpacklo_epi32(row0, row1), low23 = _mm_unpacklo_epi32(row2, row3);
  const __m128i high01 = _mm_unpackhi_epi32(row0, row1), high23 = _mm_unpackhi_epi32(row2, row3);
  words[0] = {_mm_unpacklo_epi64(low01, low23)};
  words[1] = {_mm_unpackhi_epi64(low01, low23)};
  words[2] = {_mm_unpacklo_epi64(high01, high23)};
  words[3] = {_mm_unpackhi_epi64(high01, high23)};
#else
  for (size_t w = 0; w < 4; ++w) words[w] = load_word(rows, offset_bytes + w * sizeof(uint32_t));
#endif
}

/// Exchanges the bits of `mask` in `a`, shifted up by `shift`, with those of `mask` in `b`.
inline void exchange_bits(Words& a, Words& b, int shift, uint32_t mask) noexcept {
  const Words difference = ((a >> shift) ^ b) & Words::all(mask);
  b = b ^ difference;
  a = a ^ (difference << shift);
}

/// Exchanges the bits of `mask`, shifted up by `shift`, with those of `mask` itself in one word.
inline Words exchange_bits(Words a, int shift, uint32_t mask) noexcept {
  const Words difference = ((a >> shift) ^ a) & Words::all(mask);
  return a ^ difference ^ (difference << shift);
}

/// A step of a transposition of bits between n words: each word whose index lacks the bit `distance` with the one that
/// has it.
inline void exchange_with_neighbours(Words* words, size_t n, size_t distance, int shift, uint32_t mask) noexcept {
  for (size_t i = 0; i < n; ++i) {
    if ((i & distance) == 0) exchange_bits(words[i], words[i + distance], shift, mask);
  }
}

/// The four bytes of 16 rows' words, [16 rows][4] in four Words, to [4][16 rows] at `out`.
inline void store_bytes_of_rows(const Words* words, uint8_t* out) noexcept {
#ifdef BELLE_WORDS_SSE2
  __m128i a = words[0].bits, b = words[1].bits, c = words[2].bits, d = words[3].bits;
  for (int round = 0; round < 4; ++round) {  // each moves the uppermost bit of a byte's index to its low end
    const __m128i low_ac = _mm_unpacklo_epi8(a, c), high_ac = _mm_unpackhi_epi8(a, c);
    const __m128i low_bd = _mm_unpacklo_epi8(b, d), high_bd = _mm_unpackhi_epi8(b, d);
    a = low_ac;
    b = high_ac;
    c = low_bd;
    d = high_bd;
  }
  const Words bytes[] = {{a}, {b}, {c}, {d}};
  for (size_t i = 0; i < 4; ++i) bytes[i].store(out + i * 4 * kWordRows);
#else
  for (size_t r = 0; r < 4 * kWordRows; ++r) {
    uint8_t bytes[4];
    std::memcpy(bytes, words[r / kWordRows].rows + r % kWordRows, sizeof bytes);
    for (size_t i = 0; i < 4; ++i) out[i * 4 * kWordRows + r] = bytes[i];
  }
#endif
}

}  // namespace belle

// A slab of quantized weights as bfloat16, 16 rows at a time: the weights themselves, rounded.
//
// Include after amx_pack.h and slab_expand.h; everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

// Two columns of 16 rows -> [16 rows][2] bf16
inline __m512i column_pair(Vector first, Vector second) noexcept {
  alignas(64) static constexpr uint16_t kInterleaved[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                            21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                            11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kInterleaved), to_bf16(first, second));
}

// Columns 4g .. 4g+3 of a unit, from codes in the bytes of 32-bit lanes shifted down by `shift`.
template <class Column>
inline void store_four_columns(uint8_t* tile, size_t g, Column column) noexcept {
  store_bytes(tile + 2 * g * kGroupCodes, column_pair(column(0), column(1)));
  store_bytes(tile + (2 * g + 1) * kGroupCodes, column_pair(column(2), column(3)));
}

/// One panel's slab of n_units blocks of 32 columns -> bf16 tiles [n_units].
template <class Format>
inline void expand_bf16(const uint8_t* units, size_t n_units, uint8_t* tiles) noexcept {
  for (size_t u = 0; u < n_units; ++u) {
    const uint8_t* unit = units + u * Format::kUnitBytes;
    uint8_t* tile = tiles + u * kTileBytes;
    const Vector d = halves_of(unit, Format::kScalesAt), offset = Format::offset(unit);
    const __m512i low_nibble = _mm512_set1_epi32(0x0f);
    for (size_t j = 0; j < Format::kScalesAt / 64; ++j) {
      const __m512i bytes = load_bytes(unit + j * 64);
      if constexpr (Format::kScalesAt == 512) {
        store_four_columns(tile, j, [&](unsigned b) noexcept {
          return multiply(_mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(bytes, 24 - 8 * b), 24)), d);
        });
      } else {
        const auto weight = [&](unsigned shift) noexcept {
          const __m512i code = _mm512_and_si512(_mm512_srli_epi32(bytes, shift), low_nibble);
          return multiply_add(_mm512_cvtepi32_ps(code), d, offset);
        };
        store_four_columns(tile, j, [&](unsigned b) noexcept { return weight(8 * b); });
        store_four_columns(tile, j + 4, [&](unsigned b) noexcept { return weight(8 * b + 4); });
      }
    }
  }
}

}  // namespace
}  // namespace belle

// A slab of quantized weights as int8 with one scale per row, 16 rows at a time: round(weight / scale), where scale =
// (the largest weight that the slab's own scales allow) / 127.
//
// Include after avx512_words.h or avx256_words.h; everything stays inside the including file's anonymous namespace.
#pragma once

#include "kernels/wide_shape.h"

namespace belle {
namespace {

// Bytes of a vector are codes of four neighbouring columns of kLanes rows: of a whole panel with 512 bits, of half a
// panel, its `part`, with 256. Arithmetic is in lanes of 16 bits: the even bytes and the odd bytes of a vector apart,
// then joined.

// A unit's codes of one group, and its half-precision numbers at `offset`.
inline Bytes codes_of(const uint8_t* unit, size_t group, size_t part) noexcept {
  return load_bytes(unit + group * kGroupCodes + part * sizeof(Bytes));
}
inline Vector halves_of(const uint8_t* unit, size_t offset, size_t part = 0) noexcept {
  return load(reinterpret_cast<const uint16_t*>(unit + offset) + part * kLanes, AllLanes{});
}

struct WideQ4_0 {
  static constexpr WeightType kType = WeightType::kQ4_0;
  static constexpr size_t kUnitBytes = 288, kScalesAt = 256;

  /// [16 rows] the largest magnitude that the unit's scales allow
  static Vector bound(const uint8_t* unit, size_t part) noexcept {
    return multiply(broadcast(8.0f), magnitude(halves_of(unit, kScalesAt, part)));
  }

  // (code - 8) * 16 times d / scale * 2^11, over 2^15
  static void requantize(const uint8_t* unit, size_t part, Vector inverse, uint8_t* groups) noexcept {
    const Vector d = halves_of(unit, kScalesAt, part);
    const Bytes factor = in_both_words(multiply(multiply(d, inverse), broadcast(2048.0f)));
    const Bytes nibble = words(0x00f0), zero_code = words(8 * 16);
    const auto product = [&](Bytes shifted) noexcept {
      return multiply_round(subtract_words(both(shifted, nibble), zero_code), factor);
    };
    for (size_t j = 0; j < 4; ++j) {
      const Bytes codes = codes_of(unit, j, part);
      store_bytes(groups + j * kGroupCodes, join_bytes(product(shift_left<4>(codes)), product(shift_right<4>(codes))));
      store_bytes(groups + (j + 4) * kGroupCodes, join_bytes(product(codes), product(shift_right<8>(codes))));
    }
  }

  /// code * d + offset is the weight
  static Vector offset(const uint8_t* unit) noexcept { return multiply(broadcast(-8.0f), halves_of(unit, kScalesAt)); }
};

struct WideQ4_1 {
  static constexpr WeightType kType = WeightType::kQ4_1;
  static constexpr size_t kUnitBytes = 320, kScalesAt = 256, kMinimaAt = 288;

  static Vector bound(const uint8_t* unit, size_t part) noexcept {
    const Vector d = halves_of(unit, kScalesAt, part), m = halves_of(unit, kMinimaAt, part);
    return larger(magnitude(m), magnitude(multiply_add(broadcast(15.0f), d, m)));
  }

  // The minimum is part of the requantized weight: code * d + m, in units of scale / 64, then rounded.
  static void requantize(const uint8_t* unit, size_t part, Vector inverse, uint8_t* groups) noexcept {
    const Vector d = halves_of(unit, kScalesAt, part), m = halves_of(unit, kMinimaAt, part);
    const Bytes factor = in_both_words(multiply(multiply(d, inverse), broadcast(1024.0f)));
    const Bytes minimum = in_both_words(multiply(multiply(m, inverse), broadcast(64.0f)));
    const Bytes start = add_words(minimum, words(32));
    const Bytes nibble = words(0x7800);  // code * 2^11
    const auto weight = [&](Bytes shifted) noexcept {
      return shift_right_signed<6>(add_words(multiply_round(both(shifted, nibble), factor), start));
    };
    for (size_t j = 0; j < 4; ++j) {
      const Bytes codes = codes_of(unit, j, part);
      store_bytes(groups + j * kGroupCodes, join_bytes(weight(shift_left<11>(codes)), weight(shift_left<3>(codes))));
      store_bytes(groups + (j + 4) * kGroupCodes,
                  join_bytes(weight(shift_left<7>(codes)), weight(shift_right<1>(codes))));
    }
  }

  static Vector offset(const uint8_t* unit) noexcept { return halves_of(unit, kMinimaAt); }
};

struct WideQ8_0 {
  static constexpr WeightType kType = WeightType::kQ8_0;
  static constexpr size_t kUnitBytes = 544, kScalesAt = 512;

  static Vector bound(const uint8_t* unit, size_t part) noexcept {
    return multiply(broadcast(128.0f), magnitude(halves_of(unit, kScalesAt, part)));
  }

  // code times d / scale * 2^15, over 2^15
  static void requantize(const uint8_t* unit, size_t part, Vector inverse, uint8_t* groups) noexcept {
    const Vector d = halves_of(unit, kScalesAt, part);
    const Bytes factor = in_both_words(multiply(multiply(d, inverse), broadcast(32768.0f)));
    for (size_t g = 0; g < kGroups; ++g) {
      const Bytes codes = codes_of(unit, g, part);
      const Bytes even = shift_right_signed<8>(shift_left<8>(codes)), odd = shift_right_signed<8>(codes);
      store_bytes(groups + g * kGroupCodes, join_bytes(multiply_round(even, factor), multiply_round(odd, factor)));
    }
  }

  static Vector offset(const uint8_t*) noexcept { return zeros(); }
};

/// The scales of one part of a panel's slab of n_units blocks of 32 columns; returns the factor of requantize.
template <class Format>
inline Vector slab_scales(const uint8_t* units, size_t n_units, size_t part, float* scales) noexcept {
  Vector bound = zeros();  // zero for a row of zeros, which has no scale
  for (size_t u = 0; u < n_units; ++u) bound = larger(Format::bound(units + u * Format::kUnitBytes, part), bound);
  store(scales, divide(bound, broadcast(127.0f)), AllLanes{});
  return quotient_or_zero(broadcast(127.0f), bound);
}

constexpr size_t kUnitWeights = kBlockSize * kPanelRows;

/// One panel's slab of n_units blocks of 32 columns -> int8 [groups of 4 columns][16 rows][4], scales [16].
template <class Format>
inline void expand_int8(const uint8_t* units, size_t n_units, uint8_t* groups, float* scales) noexcept {
  for (size_t part = 0; part < kPanelVectors; ++part, scales += kLanes) {
    const Vector inverse = slab_scales<Format>(units, n_units, part, scales);
    for (size_t u = 0; u < n_units; ++u) {
      uint8_t* out = groups + u * kUnitWeights + part * sizeof(Bytes);
      Format::requantize(units + u * Format::kUnitBytes, part, inverse, out);
    }
  }
}

}  // namespace
}  // namespace belle

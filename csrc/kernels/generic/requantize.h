// A slab of quantized weights as int8 with one scale per row, 16 rows at a time: round(weight / scale), where scale =
// (the largest weight that the slab's own scales allow) / 127.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/compiler.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/unit.h"
#include "kernels/generic/wide_format.h"
#include "kernels/table.h"

namespace belle {
namespace {

/// A form that has slabs of int8.
struct SlabFormat : WideFormat {
  /// One panel's slab of n_columns columns -> int8 [groups of 4 columns][16 rows][4], scales [16].
  void (*expand)(const uint8_t* units, size_t n_columns, uint8_t* groups, float* scales) noexcept;
};

constexpr size_t kUnitWeights = kBlockSize * kPanelRows;  // of a block of 32 columns

/// The scales of one part of a panel's slab; returns the factor of requantize.
template <class Tier, class Format>
inline typename Tier::Vector slab_scales(const uint8_t* units, size_t n_columns, size_t part, float* scales) noexcept {
  using Vector = typename Tier::Vector;
  Vector bound = Tier::zeros();  // zero for a row of zeros, which has no scale
  for (size_t u = 0; u < n_columns / Format::kUnitColumns; ++u) {
    const typename Format::template Scales<Tier> unit_scales(units + u * Format::kUnitBytes);
    for (size_t i = 0; i < Format::kUnitColumns / Format::kScaleColumns; ++i) {
      bound = Tier::larger(largest_weights<Tier, Format>(unit_scales, i, part), bound);
    }
  }
  Tier::store(scales, Tier::divide(bound, Tier::broadcast(127.0f)), AllLanes{});
  return Tier::quotient_or_zero(Tier::broadcast(127.0f), bound);
}

constexpr unsigned bits_of(unsigned value) noexcept { return value == 0 ? 0 : 1 + bits_of(value / 2); }

/// Codes that share a scale as int8. In lanes of 16 bits, with multiply_round, which divides by 2^15:
///   without a minimum   (code - zero code) * 2^kShift times d * inverse * 2^(15 - kShift)
///   with one            code * 2^kShift times d * inverse * 2^(21 - kShift), plus m * inverse * 64: 64ths, rounded
/// kShift is the largest for which the shifted codes fit, or without a minimum the smallest for which the factor does.
template <class Tier, class Format>
class Requantizer {
  using Vector = typename Tier::Vector;
  using Bytes = typename Tier::Bytes;
  static constexpr unsigned kShift =
      Format::kHasMinimum ? 15 - bits_of(Format::kLargestCode) : bits_of(127 / kLargestStep<Format>);
  static constexpr unsigned kFractionBits = Format::kHasMinimum ? 6 : 0;

 public:
  Requantizer(const typename Format::template Scales<Tier>& scales, size_t i, size_t part, Vector inverse) noexcept
      : factor_(Tier::in_both_halves(Tier::multiply(Tier::multiply(scales.d(i, part), inverse),
                                                    Tier::broadcast(power(15 + kFractionBits - kShift))))),
        offset_(Tier::int16s(Format::kHasMinimum ? 1 << (kFractionBits - 1) : Format::kZeroCode << kShift)) {
    if constexpr (Format::kHasMinimum) {
      const Vector minimum = Tier::multiply(Tier::multiply(scales.m(i, part), inverse), Tier::broadcast(64.0f));
      offset_ = Tier::add_int16(offset_, Tier::in_both_halves(minimum));
    }
  }

  /// A group of columns.
  Bytes operator()(Bytes codes) const noexcept { return Tier::join_bytes(round(even(codes)), round(odd(codes))); }

 private:
  static constexpr float power(unsigned n) noexcept { return static_cast<float>(1u << n); }
  static constexpr int16_t kMask = static_cast<int16_t>(Format::kLargestCode << kShift);  // unsigned codes

  // The codes of the even and of the odd bytes, times 2^kShift.
  static Bytes even(Bytes codes) noexcept {
    if constexpr (kSignedCodes<Format>) {
      return Tier::template shift_right_signed<8 - kShift>(Tier::template shift_left<8>(codes));
    } else {
      return Tier::both(Tier::template shift_left<kShift>(codes), Tier::int16s(kMask));
    }
  }
  static Bytes odd(Bytes codes) noexcept {
    if constexpr (kSignedCodes<Format>) {
      return Tier::both(Tier::template shift_right_signed<8 - kShift>(codes), Tier::int16s(-(1 << kShift)));
    } else if constexpr (kShift >= 8) {
      return Tier::both(Tier::template shift_left<kShift - 8>(codes), Tier::int16s(kMask));
    } else {
      return Tier::both(Tier::template shift_right<8 - kShift>(codes), Tier::int16s(kMask));
    }
  }
  Bytes round(Bytes shifted) const noexcept {
    if constexpr (Format::kHasMinimum) {
      const Bytes sums = Tier::add_int16(Tier::multiply_round(shifted, factor_), offset_);
      return Tier::template shift_right_signed<kFractionBits>(sums);
    } else {
      return Tier::multiply_round(Tier::subtract_int16(shifted, offset_), factor_);
    }
  }

  Bytes factor_, offset_;
};

// Whether a format has a way of its own.
template <auto>
using VoidOf = void;
template <class Tier, class Format, class = void>
constexpr bool kRequantizes = false;
template <class Tier, class Format>
constexpr bool kRequantizes<Tier, Format, VoidOf<&Format::template requantize<Tier>>> = true;

/// Block b of a unit, one part's rows -> int8 [groups of 4 columns][16 rows][4].
template <class Tier, class Format>
inline void requantize_block(const uint8_t* block, const typename Format::template Scales<Tier>& scales, size_t b,
                             size_t part, typename Tier::Vector inverse, uint8_t* groups) noexcept {
  constexpr size_t kScales = kBlockScales<Format>, kScaleGroups = kGroups / kScales;
  if constexpr (kRequantizes<Tier, Format>) {
    Format::template requantize<Tier>(block, scales, b, part, inverse, groups);
  } else {
    for (size_t s = 0; s < kScales; ++s) {
      const Requantizer<Tier, Format> weights(scales, b * kScales + s, part, inverse);
      for (size_t g = s * kScaleGroups; g < (s + 1) * kScaleGroups; ++g) {
        Tier::store_bytes(groups + g * kGroupCodes, weights(Format::template codes<Tier>(block, g, part)));
      }
    }
  }
}

/// The expansion of a format. read_ahead: asks for the next slab meanwhile, which may lie behind the panel's end.
template <class Tier, class Format, bool read_ahead = false>
void expand_int8(const uint8_t* units, size_t n_columns, uint8_t* groups, float* scales) noexcept {
  constexpr size_t kBlockBytes = Format::kUnitBytes / kUnitBlocks<Format>;
  constexpr size_t kSlabBytes = kSlabColumns / kBlockSize * kBlockBytes;
  for (size_t part = 0; part < kPanelVectors<Tier>; ++part, scales += Tier::kLanes) {
    const typename Tier::Vector inverse = slab_scales<Tier, Format>(units, n_columns, part, scales);
    uint8_t* out = groups + part * sizeof(typename Tier::Bytes);
    uintptr_t ahead = reinterpret_cast<uintptr_t>(units) + kSlabBytes;
    for_each_block<Tier, Format>(units, 0, n_columns / kBlockSize,
                                 [&](const uint8_t* block, const auto& unit_scales, size_t b) noexcept {
                                   if constexpr (read_ahead) {
                                     prefetch_lines(ahead, kBlockBytes);
                                     ahead += kBlockBytes;
                                   }
                                   requantize_block<Tier, Format>(block, unit_scales, b, part, inverse, out);
                                   out += kUnitWeights;
                                 });
  }
}

}  // namespace
}  // namespace belle

// One unit of a quantized panel as numbers: 32 columns of 16 rows. A Format (formats/) says where the codes lie; the
// scales d of the rows follow them, then the minima m where the format has some. A weight is (code - zero code) * d,
// or code * d + m.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"

namespace belle {
namespace {

template <class Format>
constexpr bool kSignedCodes = Format::kSmallestCode < 0;

/// The largest distance of a code from the one whose weight is zero.
template <class Format>
constexpr int kLargestStep = Format::kLargestCode - Format::kZeroCode > Format::kZeroCode - Format::kSmallestCode
                                 ? Format::kLargestCode - Format::kZeroCode
                                 : Format::kZeroCode - Format::kSmallestCode;

template <class Tier, class Format>
inline typename Tier::Vector scales_of(const uint8_t* unit, size_t part) noexcept {
  return Tier::load(reinterpret_cast<const uint16_t*>(unit + Format::kCodeBytes) + part * Tier::kLanes, AllLanes{});
}

template <class Tier, class Format>
inline typename Tier::Vector minima_of(const uint8_t* unit, size_t part) noexcept {
  static_assert(Format::kHasMinimum, "the format has none");
  return scales_of<Tier, Format>(unit + kScaleBytes, part);
}

/// The codes of one column, of codes of a group: a byte of each lane of 32 bits.
template <class Tier, class Format>
inline typename Tier::Vector column_codes(typename Tier::Bytes group, size_t column) noexcept {
  if constexpr (kSignedCodes<Format>) return Tier::signed_byte_as_floats(group, column);
  else return Tier::unsigned_byte_as_floats(group, column);
}

/// What makes weights of the codes of one part's rows.
template <class Tier, class Format>
struct RowScales {
  using Vector = typename Tier::Vector;
  static constexpr bool kHasOffset = Format::kHasMinimum || Format::kZeroCode != 0;
  Vector d, offset;

  RowScales(const uint8_t* unit, size_t part) noexcept : d(scales_of<Tier, Format>(unit, part)), offset(d) {
    if constexpr (Format::kHasMinimum) offset = minima_of<Tier, Format>(unit, part);
    else if constexpr (kHasOffset) offset = Tier::multiply(Tier::broadcast(static_cast<float>(-Format::kZeroCode)), d);
  }

  Vector weights(Vector codes) const noexcept {
    if constexpr (kHasOffset) return Tier::multiply_add(codes, d, offset);
    else return Tier::multiply(codes, d);
  }
};

/// Of each row, the largest magnitude of a weight that the unit's scales allow.
template <class Tier, class Format>
inline typename Tier::Vector largest_weights(const uint8_t* unit, size_t part) noexcept {
  const typename Tier::Vector d = scales_of<Tier, Format>(unit, part);
  if constexpr (Format::kHasMinimum) {
    const typename Tier::Vector m = minima_of<Tier, Format>(unit, part);
    const typename Tier::Vector top =
        Tier::multiply_add(Tier::broadcast(static_cast<float>(Format::kLargestCode)), d, m);
    return Tier::larger(Tier::magnitude(m), Tier::magnitude(top));
  } else {
    return Tier::multiply(Tier::broadcast(static_cast<float>(kLargestStep<Format>)), Tier::magnitude(d));
  }
}

}  // namespace
}  // namespace belle

// One unit of a quantized panel as numbers: 32 or 256 columns of 16 rows, in blocks of 32 columns. A Format (formats/)
// says where a block's codes lie and how its scales are stored; one scale serves 32 or 16 columns of a row. A weight is
// (code - zero code) * d, or code * d + m.
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

template <class Format>
constexpr size_t kUnitBlocks = Format::kUnitColumns / kBlockSize;

/// Scales of a row that one block of 32 columns has.
template <class Format>
constexpr size_t kBlockScales = kBlockSize / Format::kScaleColumns;

template <class Format>
constexpr size_t quantized_panel_bytes(size_t k) noexcept {
  return k / Format::kUnitColumns * Format::kUnitBytes;
}

/// Two numbers of 16 bits, the lower one first: with them as weights, the sums of a block's halves add up to `factor`
/// times the sum of the columns that share scale s of the block.
template <class Format>
constexpr int32_t sum_weights(int factor, size_t s) noexcept {
  const uint32_t weight = static_cast<uint32_t>(factor) & 0xffffu;
  const bool first = kBlockScales<Format> == 1 || s == 0, last = kBlockScales<Format> == 1 || s == 1;
  return static_cast<int32_t>((first ? weight : 0) | (last ? weight << 16 : 0));
}

/// The codes of one column, of codes of a group: a byte of each lane of 32 bits.
template <class Tier, class Format>
inline typename Tier::Vector column_codes(typename Tier::Bytes group, size_t column) noexcept {
  if constexpr (kSignedCodes<Format>) return Tier::signed_byte_as_floats(group, column);
  else return Tier::unsigned_byte_as_floats(group, column);
}

/// What makes weights of the codes of one part's rows that share scale i of their unit.
template <class Tier, class Format>
struct RowScales {
  using Vector = typename Tier::Vector;
  static constexpr bool kHasOffset = Format::kHasMinimum || Format::kZeroCode != 0;
  Vector d, offset;

  RowScales(const typename Format::template Scales<Tier>& scales, size_t i, size_t part) noexcept
      : d(scales.d(i, part)), offset(d) {
    if constexpr (Format::kHasMinimum) offset = scales.m(i, part);
    else if constexpr (kHasOffset) offset = Tier::multiply(Tier::broadcast(static_cast<float>(-Format::kZeroCode)), d);
  }

  Vector weights(Vector codes) const noexcept {
    if constexpr (kHasOffset) return Tier::multiply_add(codes, d, offset);
    else return Tier::multiply(codes, d);
  }
};

/// Of each row, the largest magnitude of a weight that scale i of a unit allows.
template <class Tier, class Format>
inline typename Tier::Vector largest_weights(const typename Format::template Scales<Tier>& scales, size_t i,
                                             size_t part) noexcept {
  const typename Tier::Vector d = scales.d(i, part);
  if constexpr (Format::kHasMinimum) {
    const typename Tier::Vector m = scales.m(i, part);
    const typename Tier::Vector top =
        Tier::multiply_add(Tier::broadcast(static_cast<float>(Format::kLargestCode)), d, m);
    return Tier::larger(Tier::magnitude(m), Tier::magnitude(top));
  } else {
    return Tier::multiply(Tier::broadcast(static_cast<float>(kLargestStep<Format>)), Tier::magnitude(d));
  }
}

}  // namespace
}  // namespace belle

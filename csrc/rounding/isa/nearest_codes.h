// Codes and what they stand for, before the scale.
#pragma once

#include <cstddef>

#include "quant/blocks.h"
#include "rounding/isa/row_lanes.h"
#include "rounding/kernels.h"

namespace belle {
namespace {

/// A value of a code with the code itself, as whole numbers.
struct CodedValue {
  RowLanes value, code;
};

inline CodedValue nearest_whole(RowLanes x, const CodeValues& values) noexcept {
  const RowLanes low(values.lowest), value = round_even(limit(x, low, RowLanes(values.highest)));
  return {value, value - low};
}

/// A border between two values belongs to the upper one. The sums are whole numbers, and exact.
inline CodedValue nearest_iq4(RowLanes x) noexcept {
  const RowLanes zero(0.0f), one(1.0f);
  CodedValue found{RowLanes(static_cast<float>(kIQ4Values[0])), zero};
  for (size_t i = 1; i < 16; ++i) {
    const float low = kIQ4Values[i - 1], high = kIQ4Values[i];
    const RowLanes border(0.5f * (low + high));
    found.value = found.value + where_reaches(x, border, RowLanes(high - low), zero);
    found.code = found.code + where_reaches(x, border, one, zero);
  }
  return found;
}

inline CodedValue nearest_code(RowLanes x, const CodeValues& values) noexcept {
  return values.even ? nearest_whole(x, values) : nearest_iq4(x);
}

inline RowLanes value_of_code(RowLanes code, const CodeValues& values) noexcept {
  if (values.even) return code + RowLanes(values.lowest);
  RowLanes value(static_cast<float>(kIQ4Values[0]));
  for (size_t i = 1; i < 16; ++i) {
    const float step = static_cast<float>(kIQ4Values[i]) - static_cast<float>(kIQ4Values[i - 1]);
    value = value + where_reaches(code, RowLanes(static_cast<float>(i)), RowLanes(step), RowLanes(0.0f));
  }
  return value;
}

}  // namespace
}  // namespace belle

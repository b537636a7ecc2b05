// One row of a panel's unit as numbers: what the planes and scale areas of panels.h hold.
#pragma once

#include "quant/panels.h"

namespace belle {

/// A weight is number * (d * scale), and plus or minus m * minimum where the type has one: scale and minimum belong to
/// `scale_columns` neighbours, and are 1 in types whose blocks have no whole-number scales.
struct UnitRow {
  uint8_t codes[kSuperBlockSize];
  int16_t scales[kSuperBlockSize / 16];
  int16_t minima[kSuperBlockSize / 16];
  float d, m;
};

enum class Minimum : uint8_t { kNone, kAdded, kSubtracted };

/// How the units of a type are read. The number of a code is code - zero_code, or kIQ4Values[code].
struct UnitKind {
  size_t columns, scale_columns;
  int zero_code;
  Minimum minimum;
  bool has_uneven_numbers;
  void (*read)(const uint8_t* unit, size_t row, UnitRow& out) noexcept;
};

/// Of a quantized type.
UnitKind unit_kind(WeightType type) noexcept;

}  // namespace belle

#include <cstring>

#include "core/half.h"
#include "core/load.h"
#include "quant/panels.h"
#include "quant/unit_rows.h"

namespace belle {
namespace {

// Calls function(first column, its neighbours' codes, scale, minimum) for all columns that share a scale.
template <class Function>
void for_each_scale(WeightType type, const UnitKind& kind, const uint8_t* panel, size_t row, size_t k,
                    Function function) noexcept {
  const size_t unit_bytes = panel_bytes(type, kind.columns);
  UnitRow unit;
  for (size_t column = 0; column < k; column += kind.columns, panel += unit_bytes) {
    kind.read(panel, row, unit);
    for (size_t i = 0; i < kind.columns; i += kind.scale_columns) {
      const size_t s = i / kind.scale_columns;
      const float scale = unit.d * static_cast<float>(unit.scales[s]);
      const float minimum = kind.minimum != Minimum::kNone ? unit.m * static_cast<float>(unit.minima[s]) : 0.0f;
      function(column + i, unit.codes + i, scale, minimum);
    }
  }
}

void unpack_codes(WeightType type, const uint8_t* panel, size_t row, size_t k, float* out) noexcept {
  const UnitKind kind = unit_kind(type);
  for_each_scale(type, kind, panel, row, k, [&](size_t column, const uint8_t* codes, float scale, float minimum) {
    float* y = out + column;
    if (kind.has_uneven_numbers) {
      for (size_t i = 0; i < kind.scale_columns; ++i) y[i] = static_cast<float>(kIQ4Values[codes[i]]) * scale;
    } else {
      for (size_t i = 0; i < kind.scale_columns; ++i) y[i] = static_cast<float>(codes[i] - kind.zero_code) * scale;
    }
    if (kind.minimum == Minimum::kAdded) {
      for (size_t i = 0; i < kind.scale_columns; ++i) y[i] += minimum;
    } else if (kind.minimum == Minimum::kSubtracted) {
      for (size_t i = 0; i < kind.scale_columns; ++i) y[i] -= minimum;
    }
  });
}

// Twice the width of the range whose numbers become an uneven number: from half-way to the one below to half-way to the
// one above. The ranges at the ends reach as far out as they reach in.
int twice_the_width(int code) noexcept {
  const int last = 15;
  if (code == 0) return 2 * (kIQ4Values[1] - kIQ4Values[0]);
  if (code == last) return 2 * (kIQ4Values[last] - kIQ4Values[last - 1]);
  return kIQ4Values[code + 1] - kIQ4Values[code - 1];
}

}  // namespace

void unpack_panel_row(WeightType type, const uint8_t* panel, size_t row, size_t k, float* out) noexcept {
  switch (type) {
    case WeightType::kF32:
      for (size_t col = 0; col < k; ++col) std::memcpy(out + col, panel + (col * kPanelRows + row) * 4, 4);
      return;
    case WeightType::kF16:
      for (size_t col = 0; col < k; ++col)
        out[col] = half_to_float(load<uint16_t>(panel + (col * kPanelRows + row) * 2));
      return;
    case WeightType::kBf16:
      for (size_t col = 0; col < k; ++col)
        out[col] = bf16_to_float(load<uint16_t>(panel + (col * kPanelRows + row) * 2));
      return;
    default: return unpack_codes(type, panel, row, k, out);
  }
}

void add_rounding_variances(WeightType type, const uint8_t* panel, size_t row, size_t k, double* variances) noexcept {
  const UnitKind kind = unit_kind(type);
  for_each_scale(type, kind, panel, row, k, [&](size_t column, const uint8_t* codes, float scale, float) {
    const double variance = static_cast<double>(scale) * scale / 12.0;
    for (size_t i = 0; i < kind.scale_columns; ++i) {
      const double steps = kind.has_uneven_numbers ? 0.5 * twice_the_width(codes[i]) : 1.0;
      variances[column + i] += variance * steps * steps;
    }
  });
}

}  // namespace belle

// Matrix products of the portable tier: flat loops over [16 rows][4 columns], which compilers turn into vectors. Every
// other tier is checked against the same formulas.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/activation_order.h"
#include "kernels/formats/formats.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/unit.h"
#include "kernels/scalar/numbers.h"
#include "kernels/scalar/tier.h"
#include "kernels/table.h"

namespace belle {
namespace {

template <class Element>
void float_panel_row(const uint8_t* panel, const float* x, size_t k, float* acc) noexcept {
  for (size_t col = 0; col < k; ++col) {
    const uint8_t* column = panel + col * kPanelRows * Element::kBytes;
    for (size_t r = 0; r < kPanelRows; ++r) {
      acc[r] = multiply_add(x[col], Element::template rows<Scalar>(column + r * Element::kBytes), acc[r]);
    }
  }
}

template <class Element>
void float_matmul(const PanelMatmul& args) noexcept {
  const size_t panel_stride = args.k * kPanelRows * Element::kBytes;
  for (size_t row = 0; row < args.n_rows; row += kPanelRows) {
    const uint8_t* panel = args.panels + row / kPanelRows * panel_stride;
    for (size_t t = 0; t < args.n_tokens; ++t) {
      float acc[kPanelRows] = {};
      float_panel_row<Element>(panel, args.x + t * args.k, args.k, acc);
      memcpy(args.y + t * args.y_stride + row, acc, smaller(kPanelRows, args.n_rows - row) * sizeof(float));
    }
  }
}

// dots[16] += exact integer dots of the columns that share scale s of a block
template <class Format>
void integer_dots(const uint8_t* block, size_t s, const int8_t* values, int32_t* dots) noexcept {
  constexpr size_t kScaleGroups = Format::kScaleColumns / kGroupColumns;
  int32_t sums[kGroupCodes] = {};
  for (size_t g = s * kScaleGroups; g < (s + 1) * kScaleGroups; ++g) {
    const Scalar::Bytes bytes = Format::template codes<Scalar>(block, g, 0);
    int16_t codes[kGroupCodes], columns[kGroupCodes];
    for (size_t i = 0; i < kGroupCodes; ++i) {
      codes[i] = kSignedCodes<Format> ? static_cast<int8_t>(bytes.at[i]) : bytes.at[i];
    }
    const int16_t four[4] = {values[4 * g], values[4 * g + 1], values[4 * g + 2], values[4 * g + 3]};
    for (size_t r = 0; r < kPanelRows; ++r) memcpy(columns + 4 * r, four, sizeof four);
    for (size_t i = 0; i < kGroupCodes; ++i) sums[i] += codes[i] * columns[i];
  }
  for (size_t r = 0; r < kPanelRows; ++r) {
    dots[r] += (sums[4 * r] + sums[4 * r + 1]) + (sums[4 * r + 2] + sums[4 * r + 3]);
  }
}

// acc[16] += the integer dots of block b of a unit, scaled
template <class Format>
void add_block(const uint8_t* block, const typename Format::template Scales<Scalar>& scales, size_t b,
               const ActivationBlock& activations, float* acc) noexcept {
  constexpr size_t kScales = kBlockScales<Format>;
  const float scale = activations.scale;
  const auto sum_of = [&](size_t s) noexcept {
    return kScales == 1 ? sum_of_values(activations) : activations.sums[s];
  };
  for (size_t s = 0; s < kScales; ++s) {
    const int32_t start = -Format::kZeroCode * sum_of(s);
    int32_t dots[kPanelRows];
    for (size_t r = 0; r < kPanelRows; ++r) dots[r] = start;
    integer_dots<Format>(block, s, activations.values, dots);
    for (size_t r = 0; r < kPanelRows; ++r) {
      acc[r] = multiply_add(static_cast<float>(dots[r]), scales.d(b * kScales + s, r) * scale, acc[r]);
    }
  }
  if constexpr (Format::kHasMinimum) {
    for (size_t s = 0; s < kScales; ++s) {
      const float weighted = scale * static_cast<float>(sum_of(s));
      for (size_t r = 0; r < kPanelRows; ++r) acc[r] = multiply_add(scales.m(b * kScales + s, r), weighted, acc[r]);
    }
  }
}

// acc[16] += a panel's products with one token
template <class Format>
void quantized_panel_row(const uint8_t* panel, size_t k, const ActivationBlock* activations, size_t stride,
                         float* acc) noexcept {
  for (const uint8_t* unit = panel; unit < panel + quantized_panel_bytes<Format>(k); unit += Format::kUnitBytes) {
    const typename Format::template Scales<Scalar> scales(unit);
    for (size_t b = 0; b < kUnitBlocks<Format>; ++b, activations += stride) {
      add_block<Format>(unit + b * Format::kBlockBytes, scales, b, *activations, acc);
    }
  }
}

template <class Format>
void quantized_matmul(const PanelMatmul& args) noexcept {
  for (size_t row = 0; row < args.n_rows; row += kPanelRows) {
    const uint8_t* panel = args.panels + row / kPanelRows * quantized_panel_bytes<Format>(args.k);
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const ActivationRow x = activation_row(args.n_tokens, args.k / kBlockSize, t);
      float acc[kPanelRows] = {};
      quantized_panel_row<Format>(panel, args.k, args.blocks + x.first, x.stride, acc);
      memcpy(args.y + t * args.y_stride + row, acc, smaller(kPanelRows, args.n_rows - row) * sizeof(float));
    }
  }
}

// Products of 16-bit numbers summed in 32 bits, the form of integer_dots; the columns change, so that no product can be
// taken out of the loop.
inline uint64_t integer_peak(size_t n_rounds, int32_t* sink) noexcept {
  constexpr uint32_t kProducts = 16;
  const uint32_t seed = static_cast<uint32_t>(*sink);
  int32_t sums[kProducts];
  int16_t codes[kProducts], columns[kProducts];
  for (uint32_t i = 0; i < kProducts; ++i) {
    sums[i] = 0;
    codes[i] = static_cast<int16_t>((seed + i) & 0x0f);
    columns[i] = static_cast<int16_t>((seed - i) & 0x7f);
  }
  for (size_t round = 0; round < n_rounds; ++round) {
    for (size_t i = 0; i < kProducts; ++i) {
      sums[i] = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(codes[i] * columns[i]));
    }
    for (size_t i = 0; i < kProducts; ++i) columns[i] ^= 1;
  }
  int32_t total = 0;
  for (size_t i = 0; i < kProducts; ++i) total ^= sums[i];
  *sink = total;
  return 2 * static_cast<uint64_t>(n_rounds) * kProducts;
}

constexpr void set_products(KernelTable& table) noexcept {
  for_each_format(FloatElements{}, [&](auto element) {
    using Element = decltype(element);
    table.matmul[kIndexOf<Element>] = float_matmul<Element>;
  });
  for_each_format(QuantizedFormats{}, [&](auto format) {
    using Format = decltype(format);
    table.matmul[kIndexOf<Format>] = quantized_matmul<Format>;
  });
  table.integer_peak = integer_peak;
}

}  // namespace
}  // namespace belle

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

// dots[16] += exact integer dots
template <class Format>
void integer_dots(const uint8_t* unit, const int8_t* values, int32_t* dots) noexcept {
  int32_t sums[kGroupCodes] = {};
  for (size_t g = 0; g < kGroups; ++g) {
    const Scalar::Bytes bytes = Format::template codes<Scalar>(unit, g, 0);
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

// acc[16] += the block's integer dots, scaled
template <class Format>
void add_block(const uint8_t* unit, const ActivationBlock& activations, float* acc) noexcept {
  const float scale = activations.scale;
  const int32_t start = -Format::kZeroCode * activations.sum;
  int32_t dots[kPanelRows];
  for (size_t r = 0; r < kPanelRows; ++r) dots[r] = start;
  integer_dots<Format>(unit, activations.values, dots);
  for (size_t r = 0; r < kPanelRows; ++r) {
    acc[r] = multiply_add(static_cast<float>(dots[r]), scales_of<Scalar, Format>(unit, r) * scale, acc[r]);
    if constexpr (Format::kHasMinimum) {
      const float weighted = scale * static_cast<float>(activations.sum);
      acc[r] = multiply_add(minima_of<Scalar, Format>(unit, r), weighted, acc[r]);
    }
  }
}

template <class Format>
void quantized_matmul(const PanelMatmul& args) noexcept {
  const size_t n_blocks = args.k / kBlockSize;
  for (size_t row = 0; row < args.n_rows; row += kPanelRows) {
    const uint8_t* panel = args.panels + row / kPanelRows * n_blocks * Format::kUnitBytes;
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const ActivationRow x = activation_row(args.n_tokens, n_blocks, t);
      float acc[kPanelRows] = {};
      for (size_t block = 0; block < n_blocks; ++block) {
        add_block<Format>(panel + block * Format::kUnitBytes, args.blocks[x.first + block * x.stride], acc);
      }
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

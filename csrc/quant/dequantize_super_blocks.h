// One super-block of 256 weights as floats, with the roundings of the `gguf` package: first a part's scale, d times its
// whole number, then the weight.
#pragma once

#include "quant/blocks.h"

namespace belle {

void dequantize(const BlockQ2_K& block, float* y) noexcept;
void dequantize(const BlockQ3_K& block, float* y) noexcept;
void dequantize(const BlockQ4_K& block, float* y) noexcept;
void dequantize(const BlockQ5_K& block, float* y) noexcept;
void dequantize(const BlockQ6_K& block, float* y) noexcept;
void dequantize(const BlockIQ4_XS& block, float* y) noexcept;

}  // namespace belle

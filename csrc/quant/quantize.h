// Rows of floats to GGUF blocks and back: the reference rounding of the `gguf` package, bit for bit.
#pragma once

#include "quant/types.h"

namespace belle {

/// The type must be one that is written (TypeTraits); n a multiple of its block size; out holds row_bytes(type, n).
void quantize_row(WeightType type, const float* x, size_t n, uint8_t* out) noexcept;

/// n weights of any type as floats; the inverse up to rounding, exact for f32, f16 and bf16 sources.
void dequantize_row(WeightType type, const uint8_t* data, size_t n, float* out) noexcept;

}  // namespace belle

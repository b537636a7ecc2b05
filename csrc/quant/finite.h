// Looks for NaN and infinity in stored weights: in every value of the float types, in the scales of the quantized ones.
#pragma once

#include "quant/types.h"

namespace belle {

/// data: n_values weights as GGUF stores them; n_values is a multiple of the type's block size.
bool all_finite(WeightType type, const uint8_t* data, size_t n_values) noexcept;

}  // namespace belle

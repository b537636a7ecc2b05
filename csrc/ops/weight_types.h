// Which weight types the kernels of this build multiply.
#pragma once

#include "quant/types.h"

namespace belle {

/// Whether the tiers have products for weights of a type: all tiers have those of kernels/formats/formats.h.
bool has_products(const TypeTraits& traits) noexcept;

}  // namespace belle

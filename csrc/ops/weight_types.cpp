#include "ops/weight_types.h"

#include "kernels/isa.h"

namespace belle {

bool has_products(const TypeTraits& traits) noexcept {
  return scalar_kernels()->matmul[static_cast<size_t>(traits.type)] != nullptr;
}

}  // namespace belle

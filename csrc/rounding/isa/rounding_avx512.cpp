// The inner loops of rounding, compiled with AVX-512.
#include "rounding/isa/feed_back.h"
#include "rounding/isa/refine_codes.h"
#include "rounding/isa/refine_scales.h"
#include "rounding/isa/tile_products.h"

namespace belle {
namespace {

constexpr RoundingKernels kKernels = {"avx512", search_row_avx2, multiply_add, feed_back, refine_scales, refine_codes};

}  // namespace

const RoundingKernels* rounding_avx512() noexcept { return &kKernels; }

}  // namespace belle

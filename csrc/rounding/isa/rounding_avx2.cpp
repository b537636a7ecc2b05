// The inner loops of rounding, compiled with AVX2 and FMA.
#include "rounding/isa/feed_back.h"
#include "rounding/isa/refine_codes.h"
#include "rounding/isa/refine_scales.h"
#include "rounding/isa/tile_products.h"

namespace belle {
namespace {

constexpr RoundingKernels kKernels = {"avx2", search_row_avx2, multiply_add, feed_back, refine_scales, refine_codes};

}  // namespace

const RoundingKernels* rounding_avx2() noexcept { return &kKernels; }

}  // namespace belle

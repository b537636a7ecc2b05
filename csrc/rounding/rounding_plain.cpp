// The inner loops of rounding, compiled for every processor.
#include "rounding/isa/feed_back.h"
#include "rounding/isa/refine_codes.h"
#include "rounding/isa/refine_scales.h"
#include "rounding/isa/tile_products.h"

namespace belle {
namespace {

constexpr RoundingKernels kKernels = {"plain", search_row, multiply_add, feed_back, refine_scales, refine_codes};

}  // namespace

const RoundingKernels* rounding_plain() noexcept { return &kKernels; }

}  // namespace belle

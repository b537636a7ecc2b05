#include "quant/search_row.h"

#include "quant/search/search_rows.h"

namespace belle {

bool is_searched(WeightType type) noexcept {
  switch (type) {
    case WeightType::kQ2_K:
    case WeightType::kQ3_K:
    case WeightType::kQ4_K:
    case WeightType::kQ5_K:
    case WeightType::kQ6_K:
    case WeightType::kIQ4_NL:
    case WeightType::kIQ4_XS: return true;
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16:
    case WeightType::kQ4_0:
    case WeightType::kQ4_1:
    case WeightType::kQ8_0:
    case WeightType::kQ5_0:
    case WeightType::kQ5_1: break;
  }
  return false;
}

void search_row(WeightType type, const float* x, const float* importance, size_t n, uint8_t* out) noexcept {
  search_blocks(type, x, importance, n, out);
}

}  // namespace belle

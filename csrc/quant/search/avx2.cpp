// The searches for scales, compiled with AVX2: the bits of quant/search_row.cpp, faster.
#include "quant/search/search_rows.h"
#include "quant/search_row.h"

namespace belle {

void search_row_avx2(WeightType type, const float* x, const float* importance, size_t n, uint8_t* out) noexcept {
  search_blocks(type, x, importance, n, out);
}

}  // namespace belle

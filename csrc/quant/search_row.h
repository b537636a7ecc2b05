// Rows of floats to blocks of the types with scales: those with the least error are searched for.
//
// How: quant/search/searched_blocks.h, half_scale_blocks.h. Every build of the search writes the same bits.
#pragma once

#include "quant/types.h"

namespace belle {

/// Whether the type's scales are always searched for, as it has no formula: the k-types and the iq4 types. Those of the
/// other types with scales are only searched for where columns have an importance.
bool is_searched(WeightType type) noexcept;

/// x: n finite weights of a row, n a multiple of the block size. importance: what an error in each column counts, [n]
/// finite numbers from 0 on, or null for columns that count alike. out: row_bytes(type, n).
using SearchRowFn = void (*)(WeightType type, const float* x, const float* importance, size_t n, uint8_t* out) noexcept;

void search_row(WeightType type, const float* x, const float* importance, size_t n, uint8_t* out) noexcept;
/// For processors with AVX2; x86 builds only.
void search_row_avx2(WeightType type, const float* x, const float* importance, size_t n, uint8_t* out) noexcept;

}  // namespace belle

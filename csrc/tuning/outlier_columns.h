// Which columns of a linear layer's input are outliers: channels that are many times as large as the others in nearly
// every token (Dettmers et al. 2022, "LLM.int8()") and take the precision of all that share their scale.
#pragma once

#include <cstdint>
#include <vector>

#include "core/span.h"

namespace belle {

/// The columns of x [n_tokens, n_cols] that slabs are better off without, ascending, at most kMaxOutliers of them and
/// one in 64. The squared error of a slab grows with the square of its largest magnitude; summed over the slabs,
/// relative to the token's size, this is the error E(n) left when the n columns of the largest mean square are taken
/// out. The n that makes E(n) * (1 + n / 16) smallest is chosen: a column must be worth it, and in activations without
/// outliers none is. The first half of the tokens says which columns are the largest, the second what is left: a
/// column that one token happens to have large is not worth it. A token that is not finite counts for nothing.
std::vector<uint32_t> outlier_columns(const float* x, size_t n_tokens, size_t n_cols);

}  // namespace belle

// A matrix as a file stores it, searched for NaN and infinity before it is packed.
#pragma once

#include "core/thread_pool.h"
#include "ops/linear.h"
#include "quant/finite.h"

namespace belle {

/// rows: the GGUF rows of `weight`, as for pack_matrix.
bool all_finite(ThreadPool& pool, const Matrix& weight, const uint8_t* rows);

}  // namespace belle

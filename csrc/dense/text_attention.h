// Causal attention inside each of several texts that lie one behind the other.
#pragma once

#include <cstddef>

#include "core/span.h"
#include "core/thread_pool.h"
#include "dense/dense_kernels.h"

namespace belle {

struct TextHeads {
  size_t n_heads, n_kv_heads, head_dim;
  const float* slopes;         // ALiBi (Press et al. 2022), [n_heads]; null for none
  Span<const size_t> lengths;  // tokens of each text
};

/// q and out [n, n_heads, head_dim], k and v [n, n_kv_heads, head_dim]; n is the sum of the lengths. A text's outputs
/// do not depend on the others.
void attend_texts(const DenseKernels& kernels, ThreadPool& pool, const TextHeads& heads, const float* q, const float* k,
                  const float* v, float* out);

}  // namespace belle

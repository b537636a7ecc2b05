// Causal attention over a paged KV cache: online softmax, page by page in position order, so that a row's result
// never depends on the other rows, the batch or the thread count (Milakov & Gimelshein 2018; Dao et al. 2022).
#pragma once

#include <vector>

#include "core/span.h"
#include "kv/pass_rows.h"
#include "kv/shape.h"
#include "ops/context.h"
#include "ops/scratch_pool.h"

namespace belle {

/// The online softmax starts anew at every multiple of this many positions, and what the splits give is merged in their
/// order: threads can share one head's positions, and a row's bits are the same whether they do or not.
constexpr size_t kSplitPositions = 8 * kPageTokens;

struct AttentionShape {
  size_t n_heads;
  float scale;          // applied to q . k, usually 1 / sqrt(head_dim)
  const float* slopes;  // ALiBi slope per head, or null
};

/// out [n_rows, n_heads, head_dim]: each row attends to positions 0..its own of its sequence.
/// With ALiBi, slope * (key position - query position) is added to each score (Press et al. 2022, section 3).
/// scratch: for prompts on tiers that have a kernel of their own for them (ops/prompt_attention.h).
void attention(const OpsContext& context, const KvShape& kv, const AttentionShape& shape, size_t layer,
               Span<const KvRow> rows, HeadRows queries, ScratchPool& scratch, float* out);

/// ALiBi slopes for any head count: the geometric sequence of the next lower power of two,
/// then every other term of the next higher one (Press et al. 2022; BLOOM's reference code).
std::vector<float> alibi_slopes(size_t n_heads);

}  // namespace belle

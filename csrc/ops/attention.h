// Causal attention over a paged KV cache: online softmax, page by page in position order, so that a row's result
// never depends on the other rows, the batch or the thread count (Milakov & Gimelshein 2018; Dao et al. 2022).
#pragma once

#include <cstdint>
#include <vector>

#include "core/span.h"
#include "ops/context.h"
#include "ops/scratch_pool.h"

namespace belle {

/// The online softmax starts anew at every multiple of this many positions, and what the splits give is merged in their
/// order: threads can share one head's positions, and a row's bits are the same whether they do or not.
constexpr size_t kSplitPositions = 8 * kPageTokens;

constexpr size_t kMaxHeadDim = 8192;

enum class KvType : uint8_t { kF32, kF16 };

inline size_t kv_element_bytes(KvType type) noexcept { return type == KvType::kF32 ? 4 : 2; }

/// Shape of one page: for each layer and head keys [head_dim][kPageTokens], then values [kPageTokens][head_dim]: scores
/// come out side by side, and so do the elements of the output; a thread's heads are one stretch of memory.
struct KvShape {
  KvType type;
  size_t n_layers;
  size_t n_kv_heads;
  size_t head_dim;

  size_t head_bytes() const noexcept { return kPageTokens * head_dim * kv_element_bytes(type); }
  size_t layer_bytes() const noexcept { return 2 * n_kv_heads * head_bytes(); }
  size_t page_bytes() const noexcept { return n_layers * layer_bytes(); }
  // Of the first key of a page; element d of position p follows at d * kPageTokens + p.
  size_t keys_offset(size_t layer, size_t head) const noexcept {
    return layer * layer_bytes() + head * 2 * head_bytes();
  }
  // Of the first value of a page; element d of position p follows at p * head_dim + d.
  size_t values_offset(size_t layer, size_t head) const noexcept { return keys_offset(layer, head) + head_bytes(); }
};

/// One row of a pass: where its sequence's pages are and which position it holds.
struct KvRow {
  uint8_t* const* pages;  // at least position / kPageTokens + 1 of them
  uint32_t position;
};

/// Where a row's heads lie in a projection's output: row t, head h at base + t * row_stride + h * head_dim.
struct HeadRows {
  const float* base;
  size_t row_stride;
};

struct AttentionShape {
  size_t n_heads;
  float scale;          // applied to q . k, usually 1 / sqrt(head_dim)
  const float* slopes;  // ALiBi slope per head, or null
};

/// Writes each row's keys and values at its position. Throws UnsupportedModelError for a number that only an f32 cache
/// can hold.
void store_kv(const OpsContext& context, const KvShape& kv, size_t layer, Span<const KvRow> rows, HeadRows keys,
              HeadRows values);

/// Copies the keys and values of one sequence's positions [first, last) down by `distance` positions, in every layer.
void move_positions_down(const OpsContext& context, const KvShape& kv, uint8_t* const* pages, size_t first, size_t last,
                         size_t distance);

/// out [n_rows, n_heads, head_dim]: each row attends to positions 0..its own of its sequence.
/// With ALiBi, slope * (key position - query position) is added to each score (Press et al. 2022, section 3).
/// scratch: for prompts on tiers that have a kernel of their own for them (ops/wide_attention.h).
void attention(const OpsContext& context, const KvShape& kv, const AttentionShape& shape, size_t layer,
               Span<const KvRow> rows, HeadRows queries, ScratchPool& scratch, float* out);

/// ALiBi slopes for any head count: the geometric sequence of the next lower power of two,
/// then every other term of the next higher one (Press et al. 2022; BLOOM's reference code).
std::vector<float> alibi_slopes(size_t n_heads);

}  // namespace belle

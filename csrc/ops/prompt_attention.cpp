#include "ops/prompt_attention.h"

#include <algorithm>

namespace belle {
namespace {

constexpr size_t kLeastSliceRows = 16;

// Rows in a piece of work: as many as the kernel takes, because every piece turns the keys and values of its pages into
// tiles anew; fewer where threads would have nothing to do.
size_t rows_per_slice(size_t n_rows, size_t n_heads, size_t n_threads) noexcept {
  size_t n = kMaxWideQueries;
  while (n > kLeastSliceRows && n_heads * ((n_rows + n - 1) / n) < kItemsPerThread * n_threads) n /= 2;
  return n;
}

void attend_head(const LayerAttention& all, size_t head, RowBlock block, uint8_t* scratch, float* out) noexcept {
  const KvShape& kv = all.kv;
  WideAttention args{};
  args.q = all.q(block.begin, head);
  args.q_stride = all.queries.row_stride;
  args.n_queries = block.end - block.begin;
  args.first_position = all.rows[block.begin].position;
  args.pages = all.rows[block.begin].pages;
  args.keys_offset = kv.keys_offset(all.layer, all.kv_head(head));
  args.values_offset = kv.values_offset(all.layer, all.kv_head(head));
  args.head_dim = kv.head_dim;
  args.scale = all.shape.scale;
  args.slope = all.slope(head);
  args.out = out + (block.begin * all.shape.n_heads + head) * kv.head_dim;
  args.out_stride = all.shape.n_heads * kv.head_dim;
  args.scratch = scratch;
  const WideAttentionKernel& kernel = *all.kernels.wide_attention;
  (kv.type == KvType::kQ8 ? kernel.attend_q8 : kernel.attend_f16)(args);
}

}  // namespace

bool takes_prompt_attention(const OpsContext& context, const KvShape& kv) noexcept {
  const WideAttentionKernel* kernel = context.kernels.wide_attention;
  if (kernel == nullptr || kv.type == KvType::kF32 || kv.head_dim > kernel->max_head_dim) return false;
  return context.phase == Phase::kPrefill && context.forms.any_wide();
}

void prompt_attention(const OpsContext& context, const LayerAttention& all, ScratchPool& scratch, float* out) {
  scratch.fit(context.pool.size(), all.kernels.wide_attention->scratch_bytes(all.kv.head_dim));
  const size_t n_rows = all.rows.size(), slice_rows = rows_per_slice(n_rows, all.shape.n_heads, context.pool.size());
  const size_t n_slices = (n_rows + slice_rows - 1) / slice_rows;
  context.pool.parallel_for(all.shape.n_heads * n_slices, [&](size_t begin, size_t end) {
    uint8_t* piece = scratch.take();
    for (size_t item = begin; item < end; ++item) {
      const size_t head = item / n_slices, first = item % n_slices * slice_rows;
      const size_t last = std::min(first + slice_rows, n_rows);
      for (RowBlock block{first, first}; block.end < last;) {
        block = block_at(all.rows, block.end, last);
        attend_head(all, head, block, piece, out);
      }
    }
    scratch.give_back(piece);
  });
}

}  // namespace belle

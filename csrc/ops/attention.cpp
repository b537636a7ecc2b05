#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/linear_input.h"
#include "ops/prompt_attention.h"

namespace belle {
namespace {

// Heads [begin, end).
struct HeadRange {
  size_t begin;
  size_t end;
};

// What the online softmax knows of some queries of some heads: sums over the positions seen so far.
struct Partial {
  float* out;  // [n_queries, n_heads, head_dim], queries `stride` apart: sums of exp(score - running_max) * value
  size_t stride;
  float* running_max;   // [n_heads, n_queries]
  float* denominators;  // [n_heads, n_queries]: sums of exp(score - running_max)

  Partial from(size_t query) const noexcept {
    return {out + query * stride, stride, running_max + query, denominators + query};
  }
  Partial of_head(size_t head, size_t n_queries, size_t head_dim) const noexcept {
    return {out + head * head_dim, stride, running_max + head * n_queries, denominators + head * n_queries};
  }
};

size_t n_splits(size_t position) noexcept { return position / kSplitPositions + 1; }

// One head of a block of queries over one page. next_keys: what is read after it, or null.
void attend_one_page(const LayerAttention& all, size_t head, RowBlock block, size_t first, const uint8_t* next_keys,
                     Partial partial) noexcept {
  const KvShape& kv = all.kv;
  const auto attend_page =
      by_kv_type(kv.type, all.kernels.attend_page_f32, all.kernels.attend_page_f16, all.kernels.attend_page_q8);
  const size_t kv_head = all.kv_head(head), n_queries = block.end - block.begin;
  const size_t first_position = all.rows[block.begin].position;
  const uint8_t* page = all.rows[block.begin].pages[first / kPageTokens];
  // Query i sits at first_position + i and sees that many positions and its own.
  const auto visit = [&](size_t begin, size_t end, size_t n_positions, size_t more) {
    if (begin == end) return;
    const float distance = static_cast<float>(first) - static_cast<float>(first_position + begin);
    const Partial seen = partial.from(begin);
    attend_page({all.q(block.begin + begin, head), all.queries.row_stride, end - begin,
                 page + kv.keys_offset(all.layer, kv_head), page + kv.values_offset(all.layer, kv_head), next_keys,
                 n_positions, more, kv.head_dim, all.shape.scale, all.slope(head), distance, seen.out, seen.stride,
                 seen.running_max, seen.denominators});
  };
  const auto query_at = [&](size_t position) {  // the first query at this position or behind it
    return std::min(n_queries, position > first_position ? position - first_position : 0);
  };
  const size_t inside = query_at(first), behind = query_at(first + kPageTokens);
  visit(inside, behind, first_position + inside + 1 - first, 1);
  visit(behind, n_queries, kPageTokens, 0);
}

// Some heads of a block of queries over the pages of one split, page by page: the heads of a page lie side by side.
// Returns the first query that sees any of its positions.
size_t attend_split(const LayerAttention& all, HeadRange heads, RowBlock block, size_t split,
                    Partial partial) noexcept {
  const size_t head_dim = all.kv.head_dim, n_queries = block.end - block.begin;
  const size_t first_position = all.rows[block.begin].position, last_position = all.rows[block.end - 1].position;
  const size_t split_begin = split * kSplitPositions, split_end = split_begin + kSplitPositions;
  const size_t first_query = split_begin > first_position ? split_begin - first_position : 0;
  for (size_t head = 0; head < heads.end - heads.begin; ++head) {
    const Partial own = partial.of_head(head, n_queries, head_dim);
    for (size_t i = first_query; i < n_queries; ++i) {
      own.running_max[i] = -std::numeric_limits<float>::infinity();
      own.denominators[i] = 0.0f;
      std::fill_n(own.out + i * own.stride, head_dim, 0.0f);
    }
  }
  uint8_t* const* pages = all.rows[block.begin].pages;
  for (size_t first = split_begin; first < split_end && first <= last_position; first += kPageTokens) {
    for (size_t head = heads.begin; head < heads.end; ++head) {
      const bool last_head = head + 1 == heads.end, last_page = first + kPageTokens > last_position;
      const size_t next_head = all.kv_head(last_head ? heads.begin : head + 1);
      const uint8_t* next_keys = last_head && last_page ? nullptr
                                                        : pages[first / kPageTokens + (last_head ? 1 : 0)] +
                                                              all.kv.keys_offset(all.layer, next_head);
      attend_one_page(all, head, block, first, next_keys, partial.of_head(head - heads.begin, n_queries, head_dim));
    }
  }
  return first_query;
}

// One query's sums over the positions before a split, and over the split's.
void merge(Partial total, Partial part, size_t head_dim) noexcept {
  const float highest = std::max(*total.running_max, *part.running_max);
  const float total_factor = std::exp(*total.running_max - highest), factor = std::exp(*part.running_max - highest);
  *total.running_max = highest;
  *total.denominators = *total.denominators * total_factor + *part.denominators * factor;
  for (size_t d = 0; d < head_dim; ++d) total.out[d] = total.out[d] * total_factor + part.out[d] * factor;
}

void divide(Partial total, size_t head_dim) noexcept {
  for (size_t d = 0; d < head_dim; ++d) total.out[d] /= *total.denominators;
}

constexpr size_t kMaxPartials = 64;  // queries of heads that a thread attends to side by side

// Some heads of a block of queries over all positions, split by split. part_out: [block, heads, head_dim], of this
// thread.
void attend_heads(const LayerAttention& all, HeadRange heads, RowBlock block, float* out, float* part_out) noexcept {
  const size_t head_dim = all.kv.head_dim, stride = all.shape.n_heads * head_dim;
  const size_t n_queries = block.end - block.begin, n_heads = heads.end - heads.begin;
  float sums[4][kMaxPartials];
  const Partial total{out + block.begin * stride + heads.begin * head_dim, stride, sums[0], sums[1]};
  const Partial part{part_out, n_heads * head_dim, sums[2], sums[3]};
  attend_split(all, heads, block, 0, total);
  const auto for_each_query = [&](size_t first, const auto& visit) {
    for (size_t head = 0; head < n_heads; ++head) {
      const Partial own_total = total.of_head(head, n_queries, head_dim);
      const Partial own_part = part.of_head(head, n_queries, head_dim);
      for (size_t i = first; i < n_queries; ++i) visit(own_total.from(i), own_part.from(i));
    }
  };
  for (size_t split = 1; split < n_splits(all.rows[block.end - 1].position); ++split) {
    const size_t first_query = attend_split(all, heads, block, split, part);
    for_each_query(first_query, [&](Partial whole, Partial added) { merge(whole, added, head_dim); });
  }
  for_each_query(0, [&](Partial whole, Partial) { divide(whole, head_dim); });
}

// Heads of slices of rows as pieces of work, enough for the threads in prefill. Of few rows a thread attends to several
// heads side by side.
void attend_by_heads(const OpsContext& context, const LayerAttention& all, float* out) {
  const size_t n_rows = all.rows.size(), n_slices = (n_rows + kMaxQueries - 1) / kMaxQueries;
  context.pool.parallel_for(all.shape.n_heads * n_slices, [&](size_t begin, size_t end) {
    float part_out[kMaxHeadDim];  // of as many queries and heads as fit
    const size_t most = std::min(kMaxPartials, kMaxHeadDim / all.kv.head_dim);
    for (size_t item = begin; item < end;) {
      const size_t head = item / n_slices, first = item % n_slices * kMaxQueries;
      const size_t last = std::min(first + kMaxQueries, n_rows), n_heads = n_slices == 1 ? end - item : 1;
      for (RowBlock block{first, first}; block.end < last;) {
        block = block_at(all.rows, block.end, std::min(block.end + std::min(most, kMaxQueries), last));
        const size_t together = most / (block.end - block.begin);
        for (size_t done = 0; done < n_heads; done += together) {
          const HeadRange heads{head + done, head + std::min(done + together, n_heads)};
          attend_heads(all, heads, block, out, part_out);
        }
      }
      item += n_heads;
    }
  });
}

// Splits of heads of rows as pieces of work: for few rows and heads and many threads. The same sums in the same order
// as attend_by_heads, so the same bits.
void attend_by_splits(const OpsContext& context, const LayerAttention& all, float* out) {
  const size_t head_dim = all.kv.head_dim, n_heads = all.shape.n_heads, stride = n_heads * head_dim;
  size_t longest = 0;
  for (const KvRow& row : all.rows) longest = std::max<size_t>(longest, row.position);
  const size_t splits = n_splits(longest), n_parts = all.rows.size() * n_heads * splits;
  std::vector<float> part_out(n_parts * head_dim), running_max(n_parts), denominators(n_parts);
  const auto part_of = [&](size_t row, size_t head, size_t split) {
    const size_t at = (row * n_heads + head) * splits + split;
    return Partial{part_out.data() + at * head_dim, head_dim, running_max.data() + at, denominators.data() + at};
  };
  context.pool.parallel_for(n_parts, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      const size_t row = item / splits / n_heads, head = item / splits % n_heads, split = item % splits;
      if (split >= n_splits(all.rows[row].position)) continue;
      attend_split(all, {head, head + 1}, {row, row + 1}, split, part_of(row, head, split));
    }
  });
  context.pool.parallel_for(all.rows.size() * n_heads, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      const size_t row = item / n_heads, head = item % n_heads;
      const Partial total = part_of(row, head, 0);
      for (size_t split = 1; split < n_splits(all.rows[row].position); ++split) {
        merge(total, part_of(row, head, split), head_dim);
      }
      divide(total, head_dim);
      std::copy_n(total.out, head_dim, out + row * stride + head * head_dim);
    }
  });
}

}  // namespace

void attention(const OpsContext& context, const KvShape& kv, const AttentionShape& shape, size_t layer,
               Span<const KvRow> rows, HeadRows queries, ScratchPool& scratch, float* out) {
  const OperationTimer timer(context.profile, Operation::kAttention);
  const LayerAttention all{context.kernels, kv, shape, layer, rows, queries};
  if (takes_prompt_attention(context, kv)) return prompt_attention(context, all, scratch, out);
  const size_t n_items = shape.n_heads * ((rows.size() + kMaxQueries - 1) / kMaxQueries);
  const bool long_enough =
      std::any_of(rows.begin(), rows.end(), [](const KvRow& row) { return row.position >= kSplitPositions; });
  if (n_items < kItemsPerThread * context.pool.size() && rows.size() <= kNarrowTokens && long_enough) {
    attend_by_splits(context, all, out);
  } else {
    attend_by_heads(context, all, out);
  }
}

std::vector<float> alibi_slopes(size_t n_heads) {
  const size_t lower_power = size_t{1} << static_cast<size_t>(std::floor(std::log2(static_cast<double>(n_heads))));
  const double base = std::pow(2.0, -8.0 / static_cast<double>(lower_power));
  const double extra_base = std::pow(2.0, -4.0 / static_cast<double>(lower_power));
  std::vector<float> slopes;
  for (size_t h = 0; h < n_heads; ++h) {
    const double slope = h < lower_power ? std::pow(base, static_cast<double>(h + 1))
                                         : std::pow(extra_base, static_cast<double>(2 * (h - lower_power) + 1));
    slopes.push_back(static_cast<float>(slope));
  }
  return slopes;
}

}  // namespace belle

#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace belle {
namespace {

// Rows [begin, end): consecutive positions of one sequence, at most kMaxQueries.
struct QueryBlock {
  size_t begin;
  size_t end;
};

QueryBlock block_at(Span<const KvRow> rows, size_t begin, size_t end) noexcept {
  QueryBlock block{begin, begin + 1};
  while (block.end < end && rows[block.end].pages == rows[begin].pages &&
         rows[block.end].position == rows[begin].position + (block.end - begin)) {
    ++block.end;
  }
  return block;
}

// One head of a block of queries over all pages. Queries that see the whole page meet it together; those whose own
// position lies in it, each alone.
void attend_head(const KernelTable& kernels, const KvShape& kv, const AttentionShape& shape, size_t layer, size_t head,
                 Span<const KvRow> rows, QueryBlock block, HeadRows queries, float* out) noexcept {
  const auto attend_page = kv.type == KvType::kF32 ? kernels.attend_page_f32 : kernels.attend_page_f16;
  const size_t kv_head = head / (shape.n_heads / kv.n_kv_heads), out_stride = shape.n_heads * kv.head_dim;
  float running_max[kMaxQueries], denominators[kMaxQueries];
  const size_t n_queries = block.end - block.begin;
  std::fill(running_max, running_max + n_queries, -std::numeric_limits<float>::infinity());
  std::fill(denominators, denominators + n_queries, 0.0f);
  out += block.begin * out_stride + head * kv.head_dim;
  for (size_t i = 0; i < n_queries; ++i) std::fill(out + i * out_stride, out + i * out_stride + kv.head_dim, 0.0f);

  const size_t first_position = rows[block.begin].position, last_position = rows[block.end - 1].position;
  for (size_t first = 0; first <= last_position; first += kPageTokens) {
    const uint8_t* page = rows[block.begin].pages[first / kPageTokens];
    // Query i sits at first_position + i and sees that many positions and its own.
    const auto visit = [&](size_t begin, size_t end, size_t n_positions) {
      const float distance = static_cast<float>(first) - static_cast<float>(first_position + begin);
      attend_page({queries.base + (block.begin + begin) * queries.row_stride + head * kv.head_dim, queries.row_stride,
                   end - begin, page + kv.keys_offset(layer, kv_head), page + kv.values_offset(layer, kv_head),
                   n_positions, kv.head_dim, shape.scale, shape.slopes == nullptr ? 0.0f : shape.slopes[head], distance,
                   out + begin * out_stride, out_stride, running_max + begin, denominators + begin});
    };
    size_t see_all = 0;  // queries from here on see the whole page
    for (; see_all < n_queries && first_position + see_all + 1 < first + kPageTokens; ++see_all) {
      if (first_position + see_all >= first) visit(see_all, see_all + 1, first_position + see_all + 1 - first);
    }
    if (see_all < n_queries) visit(see_all, n_queries, kPageTokens);
  }
  for (size_t i = 0; i < n_queries; ++i) {
    for (size_t d = 0; d < kv.head_dim; ++d) out[i * out_stride + d] /= denominators[i];
  }
}

template <typename Element>
void spread_key(const Element* key, size_t head_dim, uint8_t* keys, size_t position) noexcept {
  Element* slot = reinterpret_cast<Element*>(keys) + position % kPageTokens;
  for (size_t d = 0; d < head_dim; ++d) slot[d * kPageTokens] = key[d];
}

void store_head(const KernelTable& kernels, const KvShape& kv, const float* key, const float* value, uint8_t* keys,
                uint8_t* values, size_t position) noexcept {
  uint8_t* value_slot = values + position % kPageTokens * kv.head_dim * kv_element_bytes(kv.type);
  if (kv.type == KvType::kF32) {
    spread_key(key, kv.head_dim, keys, position);
    std::memcpy(value_slot, value, kv.head_dim * sizeof(float));
  } else {
    // The value's slot holds the key's half floats for a moment.
    kernels.to_half(key, kv.head_dim, reinterpret_cast<uint16_t*>(value_slot));
    spread_key(reinterpret_cast<const uint16_t*>(value_slot), kv.head_dim, keys, position);
    kernels.to_half(value, kv.head_dim, reinterpret_cast<uint16_t*>(value_slot));
  }
}

template <typename Element>
void move_position(const KvShape& kv, size_t layer, size_t head, const uint8_t* from, size_t from_position, uint8_t* to,
                   size_t to_position) noexcept {
  const auto* keys = reinterpret_cast<const Element*>(from + kv.keys_offset(layer, head)) + from_position % kPageTokens;
  auto* moved_keys = reinterpret_cast<Element*>(to + kv.keys_offset(layer, head)) + to_position % kPageTokens;
  for (size_t d = 0; d < kv.head_dim; ++d) moved_keys[d * kPageTokens] = keys[d * kPageTokens];
  const size_t slot_bytes = kv.head_dim * sizeof(Element), values = kv.values_offset(layer, head);
  std::memcpy(to + values + to_position % kPageTokens * slot_bytes,
              from + values + from_position % kPageTokens * slot_bytes, slot_bytes);
}

}  // namespace

void store_kv(const OpsContext& context, const KvShape& kv, size_t layer, Span<const KvRow> rows, HeadRows keys,
              HeadRows values) {
  const OperationTimer timer(context.profile, Operation::kKvStore);
  context.pool.parallel_for(kv.n_kv_heads, [&](size_t begin, size_t end) {
    for (size_t h = begin; h < end; ++h) {
      for (size_t r = 0; r < rows.size(); ++r) {
        uint8_t* page = rows[r].pages[rows[r].position / kPageTokens];
        store_head(context.kernels, kv, keys.base + r * keys.row_stride + h * kv.head_dim,
                   values.base + r * values.row_stride + h * kv.head_dim, page + kv.keys_offset(layer, h),
                   page + kv.values_offset(layer, h), rows[r].position);
      }
    }
  });
}

void move_positions_down(const OpsContext& context, const KvShape& kv, uint8_t* const* pages, size_t first, size_t last,
                         size_t distance) {
  const auto move = kv.type == KvType::kF32 ? move_position<float> : move_position<uint16_t>;
  context.pool.parallel_for(kv.n_layers * kv.n_kv_heads, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      for (size_t position = first; position < last; ++position) {  // ascending: a source is read before it is written
        const size_t target = position - distance;
        move(kv, item / kv.n_kv_heads, item % kv.n_kv_heads, pages[position / kPageTokens], position,
             pages[target / kPageTokens], target);
      }
    }
  });
}

void attention(const OpsContext& context, const KvShape& kv, const AttentionShape& shape, size_t layer,
               Span<const KvRow> rows, HeadRows queries, float* out) {
  const OperationTimer timer(context.profile, Operation::kAttention);
  const size_t n_slices = (rows.size() + kMaxQueries - 1) / kMaxQueries;
  context.pool.parallel_for(shape.n_heads * n_slices, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      const size_t head = item / n_slices, first = item % n_slices * kMaxQueries;
      const size_t last = std::min(first + kMaxQueries, rows.size());
      for (QueryBlock block{first, first}; block.end < last;) {
        block = block_at(rows, block.end, last);
        attend_head(context.kernels, kv, shape, layer, head, rows, block, queries, out);
      }
    }
  });
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

#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace belle {
namespace {

void score_page(const KernelTable& kernels, KvType type, const float* q, const uint8_t* keys, size_t n, size_t head_dim,
                float* scores) noexcept {
  if (type == KvType::kF32) {
    kernels.attention_scores_f32(q, reinterpret_cast<const float*>(keys), n, head_dim, head_dim, scores);
  } else {
    kernels.attention_scores_f16(q, reinterpret_cast<const uint16_t*>(keys), n, head_dim, head_dim, scores);
  }
}

void add_page_values(const KernelTable& kernels, KvType type, const float* probs, const uint8_t* values, size_t n,
                     size_t head_dim, float* out) noexcept {
  if (type == KvType::kF32) {
    kernels.attention_values_f32(probs, reinterpret_cast<const float*>(values), n, head_dim, head_dim, out);
  } else {
    kernels.attention_values_f16(probs, reinterpret_cast<const uint16_t*>(values), n, head_dim, head_dim, out);
  }
}

// Scaled scores plus ALiBi; returns their maximum.
float bias_scores(float* scores, size_t n, float scale, float slope, float first_distance) noexcept {
  float highest = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < n; ++i) {
    scores[i] = scores[i] * scale + slope * (first_distance + static_cast<float>(i));
    highest = std::max(highest, scores[i]);
  }
  return highest;
}

void attend_head(const KernelTable& kernels, const KvShape& kv, const AttentionShape& shape, size_t layer, size_t head,
                 const KvRow& row, const float* q, float* out) noexcept {
  const size_t kv_head = head / (shape.n_heads / kv.n_kv_heads);
  const size_t n_positions = size_t{row.position} + 1;
  const float slope = shape.slopes == nullptr ? 0.0f : shape.slopes[head];
  float scores[kPageTokens];
  float running_max = -std::numeric_limits<float>::infinity();
  float denominator = 0.0f;
  std::fill(out, out + kv.head_dim, 0.0f);
  for (size_t first = 0; first < n_positions; first += kPageTokens) {
    const uint8_t* page = row.pages[first / kPageTokens];
    const size_t n = std::min(kPageTokens, n_positions - first);
    score_page(kernels, kv.type, q, page + kv.keys_offset(layer, kv_head), n, kv.head_dim, scores);
    const float distance = static_cast<float>(first) - static_cast<float>(row.position);
    const float page_max = bias_scores(scores, n, shape.scale, slope, distance);
    if (page_max > running_max) {
      const float correction = std::exp(running_max - page_max);  // exp(-inf) = 0 on the first page
      denominator *= correction;
      for (size_t d = 0; d < kv.head_dim; ++d) out[d] *= correction;
      running_max = page_max;
    }
    denominator += kernels.exp_and_sum(scores, n, running_max);
    add_page_values(kernels, kv.type, scores, page + kv.values_offset(layer, kv_head), n, kv.head_dim, out);
  }
  for (size_t d = 0; d < kv.head_dim; ++d) out[d] /= denominator;
}

void store_head(const KernelTable& kernels, KvType type, const float* source, size_t head_dim, uint8_t* slot) noexcept {
  if (type == KvType::kF32) std::memcpy(slot, source, head_dim * sizeof(float));
  else kernels.to_half(source, head_dim, reinterpret_cast<uint16_t*>(slot));
}

}  // namespace

void store_kv(const OpsContext& context, const KvShape& kv, size_t layer, Span<const KvRow> rows, HeadRows keys,
              HeadRows values) {
  const size_t slot_bytes = kv.head_dim * kv_element_bytes(kv.type);
  context.pool.parallel_for(rows.size(), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      uint8_t* page = rows[r].pages[rows[r].position / kPageTokens];
      const size_t slot = rows[r].position % kPageTokens * slot_bytes;
      for (size_t h = 0; h < kv.n_kv_heads; ++h) {
        store_head(context.kernels, kv.type, keys.base + r * keys.row_stride + h * kv.head_dim, kv.head_dim,
                   page + kv.keys_offset(layer, h) + slot);
        store_head(context.kernels, kv.type, values.base + r * values.row_stride + h * kv.head_dim, kv.head_dim,
                   page + kv.values_offset(layer, h) + slot);
      }
    }
  });
}

void move_positions_down(const OpsContext& context, const KvShape& kv, uint8_t* const* pages, size_t first, size_t last,
                         size_t distance) {
  const size_t slot_bytes = kv.head_dim * kv_element_bytes(kv.type);
  const auto slot = [&](size_t position, size_t offset) {
    return pages[position / kPageTokens] + offset + position % kPageTokens * slot_bytes;
  };
  context.pool.parallel_for(kv.n_layers * kv.n_kv_heads, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      const size_t layer = item / kv.n_kv_heads, head = item % kv.n_kv_heads;
      for (size_t position = first; position < last; ++position) {  // ascending: a source is read before it is written
        for (const size_t offset : {kv.keys_offset(layer, head), kv.values_offset(layer, head)}) {
          std::memcpy(slot(position - distance, offset), slot(position, offset), slot_bytes);
        }
      }
    }
  });
}

void attention(const OpsContext& context, const KvShape& kv, const AttentionShape& shape, size_t layer,
               Span<const KvRow> rows, HeadRows queries, float* out) {
  context.pool.parallel_for(rows.size() * shape.n_heads, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      const size_t r = item / shape.n_heads, head = item % shape.n_heads;
      attend_head(context.kernels, kv, shape, layer, head, rows[r],
                  queries.base + r * queries.row_stride + head * kv.head_dim, out + item * kv.head_dim);
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

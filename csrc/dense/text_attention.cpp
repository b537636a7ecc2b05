#include "dense/text_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "dense/products.h"

namespace belle {
namespace {

constexpr size_t kQueries = 64;  // of a text, that are computed together

/// Some queries of one head of a text.
struct Part {
  size_t text_begin;    // row of the text's first token
  size_t begin, count;  // queries, from there on
  size_t head;
};

std::vector<Part> parts_of(const TextHeads& heads) {
  std::vector<Part> parts;
  size_t row = 0;
  for (const size_t length : heads.lengths) {
    for (size_t begin = 0; begin < length; begin += kQueries) {
      for (size_t head = 0; head < heads.n_heads; ++head) {
        parts.push_back({row, begin, std::min(kQueries, length - begin), head});
      }
    }
    row += length;
  }
  return parts;
}

/// scores: room for part.count rows of part.begin + part.count
void attend_part(const DenseKernels& kernels, const TextHeads& heads, const Part& part, const float* q, const float* k,
                 const float* v, float* scores, float* out) noexcept {
  const size_t dim = heads.head_dim, q_stride = heads.n_heads * dim, kv_stride = heads.n_kv_heads * dim;
  const size_t n_keys = part.begin + part.count;  // what the last query sees
  const size_t kv_head = part.head / (heads.n_heads / heads.n_kv_heads);
  const size_t q_offset = (part.text_begin + part.begin) * q_stride + part.head * dim;
  const size_t kv_offset = part.text_begin * kv_stride + kv_head * dim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  const float slope = heads.slopes != nullptr ? heads.slopes[part.head] : 0.0f;

  std::fill_n(scores, part.count * n_keys, 0.0f);
  multiply_rows_add(kernels, part.count, n_keys, dim, q + q_offset, q_stride, k + kv_offset, kv_stride, scores, n_keys);
  for (size_t i = 0; i < part.count; ++i) {
    const size_t seen = part.begin + i + 1;
    kernels.softmax(scores + i * n_keys, scale, slope, seen, scores + i * n_keys);
    std::fill(scores + i * n_keys + seen, scores + (i + 1) * n_keys, 0.0f);
    std::fill_n(out + q_offset + i * q_stride, dim, 0.0f);
  }
  multiply_add(kernels, part.count, dim, n_keys, scores, n_keys, v + kv_offset, kv_stride, out + q_offset, q_stride);
}

}  // namespace

void attend_texts(const DenseKernels& kernels, ThreadPool& pool, const TextHeads& heads, const float* q, const float* k,
                  const float* v, float* out) {
  const std::vector<Part> parts = parts_of(heads);
  pool.parallel_for(parts.size(), [&](size_t begin, size_t end) {
    std::vector<float> scores;  // of the longest of these
    for (size_t index = begin; index < end; ++index) {
      const Part& part = parts[index];
      scores.resize(std::max(scores.size(), part.count * (part.begin + part.count)));
      attend_part(kernels, heads, part, q, k, v, scores.data(), out);
    }
  });
}

}  // namespace belle

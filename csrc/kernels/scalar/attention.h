// Attention of some queries over one page of cached positions, with plain loops.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/byte_page.h"
#include "kernels/scalar/numbers.h"
#include "kernels/table.h"

namespace belle {
namespace {

inline float to_float(float value) noexcept { return value; }
inline float to_float(uint16_t half) noexcept { return half_value(half); }

constexpr float kSmallestExponent = -87.0f;  // e^-87 is near the smallest normal float; below, all tiers give 0

inline float exp_and_sum(float* x, size_t n, float shift) noexcept {
  double sum = 0.0;
  for (size_t i = 0; i < n; ++i) {
    const float exponent = x[i] - shift;
    x[i] = exponent < kSmallestExponent ? 0.0f : expf(exponent);
    sum += x[i];
  }
  return static_cast<float>(sum);
}

// The step of the online softmax: scores become exp(score - running maximum).
inline void softmax_step(const AttentionPage& page, size_t query, size_t n_positions, float* scores) noexcept {
  float* out = page.out + query * page.out_stride;
  float highest = page.running_max[query];
  for (size_t i = 0; i < n_positions; ++i) {
    const float distance = page.first_distance - static_cast<float>(query) + static_cast<float>(i);
    scores[i] = scores[i] * page.scale + page.slope * distance;
    if (scores[i] > highest) highest = scores[i];
  }
  if (highest > page.running_max[query]) {
    const float correction = expf(page.running_max[query] - highest);  // exp(-inf) = 0 on the first page
    page.denominators[query] *= correction;
    for (size_t d = 0; d < page.head_dim; ++d) out[d] *= correction;
    page.running_max[query] = highest;
  }
  page.denominators[query] += exp_and_sum(scores, n_positions, highest);
}

template <class Element>
void attend_query(const AttentionPage& page, size_t query) noexcept {
  const Element* keys = static_cast<const Element*>(page.keys);
  const Element* values = static_cast<const Element*>(page.values);
  const size_t n_positions = page.n_positions + query * page.more;
  float* out = page.out + query * page.out_stride;
  float scores[kPageTokens] = {};
  for (size_t d = 0; d < page.head_dim; ++d, keys += kPageTokens) {
    const float q = page.q[query * page.q_stride + d];
    for (size_t i = 0; i < n_positions; ++i) scores[i] = multiply_add(q, to_float(keys[i]), scores[i]);
  }
  softmax_step(page, query, n_positions, scores);
  for (size_t i = 0; i < n_positions; ++i) {
    const Element* value = values + i * page.head_dim;
    for (size_t d = 0; d < page.head_dim; ++d) out[d] = multiply_add(scores[i], to_float(value[d]), out[d]);
  }
}

// Of a q8 cache.
inline void attend_byte_query(const AttentionPage& page, size_t query) noexcept {
  const size_t head_dim = page.head_dim, n_positions = page.n_positions + query * page.more;
  const uint8_t* keys = static_cast<const uint8_t*>(page.keys);
  const uint8_t* values = static_cast<const uint8_t*>(page.values);
  const float* key_scales = reinterpret_cast<const float*>(keys + key_scales_at(head_dim));
  const float* value_scales = reinterpret_cast<const float*>(values + value_scales_at(head_dim));
  float* out = page.out + query * page.out_stride;
  float scores[kPageTokens] = {};
  for (size_t d = 0; d < head_dim; ++d) {
    const float q = page.q[query * page.q_stride + d];
    for (size_t i = 0; i < n_positions; ++i) {
      const int number = keys[key_byte_at(d, i)] - kZeroByte;
      scores[i] = multiply_add(q, static_cast<float>(number), scores[i]);
    }
  }
  for (size_t i = 0; i < n_positions; ++i) scores[i] *= key_scales[i];
  softmax_step(page, query, n_positions, scores);
  for (size_t i = 0; i < n_positions; ++i) {
    const float factor = scores[i] * value_scales[i];
    for (size_t d = 0; d < head_dim; ++d) {
      const int number = values[value_byte_at(d, i, head_dim)] - kZeroByte;
      out[d] = multiply_add(factor, static_cast<float>(number), out[d]);
    }
  }
}

inline void attend_byte_page(const AttentionPage& page) noexcept {
  for (size_t query = 0; query < page.n_queries; ++query) attend_byte_query(page, query);
}

template <class Element>
void attend_page(const AttentionPage& page) noexcept {
  for (size_t query = 0; query < page.n_queries; ++query) attend_query<Element>(page, query);
}

}  // namespace
}  // namespace belle

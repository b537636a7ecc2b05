// Attention of some queries over one page of cached positions, with plain loops.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
  for (size_t i = 0; i < n_positions; ++i) {
    const Element* value = values + i * page.head_dim;
    for (size_t d = 0; d < page.head_dim; ++d) out[d] = multiply_add(scores[i], to_float(value[d]), out[d]);
  }
}

template <class Element>
void attend_page(const AttentionPage& page) noexcept {
  for (size_t query = 0; query < page.n_queries; ++query) attend_query<Element>(page, query);
}

}  // namespace
}  // namespace belle

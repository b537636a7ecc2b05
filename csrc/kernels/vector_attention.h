// Attention of some queries over one page of cached positions, written once for every vector width and for f32 and f16
// caches. Include after avx2_vector.h or avx512_vector.h; like them it stays inside the including file's anonymous
// namespace.
//
// A query's result is the same, bit for bit, in every tile: its sums run over the same elements in the same order.
#pragma once

#include "kernels/table.h"
#include "kernels/vector_rows.h"

namespace belle {
namespace {

constexpr size_t kValueVectors = 4;  // vectors of the output that a tile of queries holds in registers

template <class Element>
inline const Element* position(const void* cache, size_t index, size_t head_dim) noexcept {
  return static_cast<const Element*>(cache) + index * head_dim;
}

// scores of kScoreQueries queries and kLanes / kScoreQueries positions, or of one query and kLanes positions: kLanes
// sums over head_dim, one vector of partial sums each. Positions past the last are the last again, and not stored.
template <size_t queries, class Element>
inline void score_tile(const AttentionPage& page, size_t first_query, size_t first,
                       float (*scores)[kPageTokens]) noexcept {
  constexpr size_t positions = kLanes / queries;
  const size_t left = page.n_positions - first, last = page.n_positions - 1;
  const float* q = page.q + first_query * page.q_stride;
  const Element* keys[positions];
  for (size_t p = 0; p < positions; ++p) {
    keys[p] = position<Element>(page.keys, first + p < last ? first + p : last, page.head_dim);
  }
  Vector sums[queries * positions];
  for (Vector& sum : sums) sum = zeros();
  for_each_vector(page.head_dim, [&](size_t d, auto lanes) noexcept {
    Vector query[queries];
    for (size_t i = 0; i < queries; ++i) query[i] = load(q + i * page.q_stride + d, lanes);
    for (size_t p = 0; p < positions; ++p) {
      const Vector key = load(keys[p] + d, lanes);
      for (size_t i = 0; i < queries; ++i) {
        sums[i * positions + p] = multiply_add(query[i], key, sums[i * positions + p]);
      }
    }
  });
  float tile[kLanes];
  store(tile, sum_each(sums), AllLanes{});
  for (size_t i = 0; i < queries; ++i) {
    memcpy(scores[first_query + i] + first, tile + i * positions,
           (left < positions ? left : positions) * sizeof(float));
  }
}

template <class Element>
inline void score_queries(const AttentionPage& page, float (*scores)[kPageTokens]) noexcept {
  size_t query = 0;
  for (; query + kScoreQueries <= page.n_queries; query += kScoreQueries) {
    for (size_t first = 0; first < page.n_positions; first += kLanes / kScoreQueries) {
      score_tile<kScoreQueries, Element>(page, query, first, scores);
    }
  }
  for (; query < page.n_queries; ++query) {
    for (size_t first = 0; first < page.n_positions; first += kLanes) {
      score_tile<1, Element>(page, query, first, scores);
    }
  }
}

// Scale and bias, then the step of the online softmax: the scores become exp(score - running maximum).
inline void softmax_step(const AttentionPage& page, size_t query, float* scores) noexcept {
  const Vector scale = broadcast(page.scale), slope = broadcast(page.slope);
  const Vector distance = add(broadcast(page.first_distance - static_cast<float>(query)), lane_numbers());
  Vector highest = broadcast(-INFINITY);
  for_each_vector(page.n_positions, [&](size_t i, auto lanes) noexcept {
    const Vector away = add(distance, broadcast(static_cast<float>(i)));
    const Vector biased = add(multiply(load(scores + i, lanes), scale), multiply(slope, away));
    store(scores + i, biased, lanes);
    highest = larger(keep_or(biased, lanes, -INFINITY), highest);
  });
  const float page_max = largest_lane(highest);
  if (page_max > page.running_max[query]) {
    const float correction = expf(page.running_max[query] - page_max);  // exp(-inf) = 0 on the first page
    page.denominators[query] *= correction;
    float* out = page.out + query * page.out_stride;
    for_each_vector(page.head_dim, [&](size_t d, auto lanes) noexcept {
      store(out + d, multiply(load(out + d, lanes), broadcast(correction)), lanes);
    });
    page.running_max[query] = page_max;
  }
  page.denominators[query] += exp_and_sum(scores, page.n_positions, page.running_max[query]);
}

// out += probabilities * values for some vectors of the output over all positions, in their order.
template <size_t queries, size_t vectors, class Element, class Lanes>
inline void value_tile(const AttentionPage& page, size_t first_query, size_t d, Lanes lanes,
                       const float (*probs)[kPageTokens]) noexcept {
  float* out = page.out + first_query * page.out_stride + d;
  Vector sums[queries][vectors];
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) sums[i][v] = load(out + i * page.out_stride + v * kLanes, lanes);
  }
  const Element* values = static_cast<const Element*>(page.values) + d;
  for (size_t p = 0; p < page.n_positions; ++p, values += page.head_dim) {
    Vector value[vectors];
    for (size_t v = 0; v < vectors; ++v) value[v] = load(values + v * kLanes, lanes);
    for (size_t i = 0; i < queries; ++i) {
      const Vector prob = broadcast(probs[first_query + i][p]);
      for (size_t v = 0; v < vectors; ++v) sums[i][v] = multiply_add(prob, value[v], sums[i][v]);
    }
  }
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) store(out + i * page.out_stride + v * kLanes, sums[i][v], lanes);
  }
}

template <size_t queries, class Element>
inline void add_values(const AttentionPage& page, size_t first_query, const float (*probs)[kPageTokens]) noexcept {
  size_t d = 0;
  if constexpr (queries == 1) {  // more of the output at once hides the latency of the multiply-add
    for (; d + 2 * kValueVectors * kLanes <= page.head_dim; d += 2 * kValueVectors * kLanes) {
      value_tile<1, 2 * kValueVectors, Element>(page, first_query, d, AllLanes{}, probs);
    }
  }
  for (; d + kValueVectors * kLanes <= page.head_dim; d += kValueVectors * kLanes) {
    value_tile<queries, kValueVectors, Element>(page, first_query, d, AllLanes{}, probs);
  }
  for_each_vector(page.head_dim - d, [&](size_t rest, auto lanes) noexcept {
    value_tile<queries, 1, Element>(page, first_query, d + rest, lanes, probs);
  });
}

template <class Element>
void attend_page(const AttentionPage& page) noexcept {
  float scores[kMaxQueries][kPageTokens];
  score_queries<Element>(page, scores);
  for (size_t query = 0; query < page.n_queries; ++query) softmax_step(page, query, scores[query]);
  size_t query = 0;
  for (; query + kScoreQueries <= page.n_queries; query += kScoreQueries) {
    add_values<kScoreQueries, Element>(page, query, scores);
  }
  for (; query < page.n_queries; ++query) add_values<1, Element>(page, query, scores);
}

}  // namespace
}  // namespace belle

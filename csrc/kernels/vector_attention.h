// Attention of some queries over one page of cached positions, written once for every vector width and for f32 and f16
// caches. Include after avx2_vector.h or avx512_vector.h; like them it stays inside the including file's anonymous
// namespace.
//
// A query's result is the same, bit for bit, in every tile: its sums run over the same elements in the same order.
#pragma once

#include "kernels/compiler.h"
#include "kernels/table.h"
#include "kernels/vector_rows.h"

namespace belle {
namespace {

constexpr size_t kScoreVectors = 2;  // of positions, in a tile of several queries
constexpr size_t kPageVectors = kPageTokens / kLanes;

// Asks for some bytes of what is needed next. Pages lie far apart, so no processor does that by itself.
template <size_t bytes>
inline void prefetch_bytes(uintptr_t from) noexcept {  // no pointer: may pass the buffer's end
  for (size_t at = 0; at < bytes; at += 64) _mm_prefetch(reinterpret_cast<const char*>(from + at), _MM_HINT_T0);
}

// Scores of some queries and vectors * kLanes positions: q . key, element by element. Slots past the page's last
// position may hold anything: their scores count for nothing.
template <size_t queries, size_t vectors, class Element>
inline void score_tile(const AttentionPage& page, size_t first_query, size_t first,
                       float (*scores)[kPageTokens]) noexcept {
  constexpr size_t kRowBytes = kPageTokens * sizeof(Element);
  const uintptr_t values = reinterpret_cast<uintptr_t>(page.values);
  const bool ahead = first_query == 0 && first == 0;
  const float* q = page.q + first_query * page.q_stride;
  const Element* keys = static_cast<const Element*>(page.keys) + first;
  Vector sums[queries][vectors];
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) sums[i][v] = zeros();
  }
  for (size_t d = 0; d < page.head_dim; ++d, keys += kPageTokens) {
    if (ahead) prefetch_bytes<kRowBytes>(values + d * kRowBytes);
    Vector key[vectors];
    for (size_t v = 0; v < vectors; ++v) key[v] = load(keys + v * kLanes, AllLanes{});
    for (size_t i = 0; i < queries; ++i) {
      const Vector query = broadcast(q[i * page.q_stride + d]);
      for (size_t v = 0; v < vectors; ++v) sums[i][v] = multiply_add(query, key[v], sums[i][v]);
    }
  }
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) store(scores[first_query + i] + first + v * kLanes, sums[i][v], AllLanes{});
  }
}

inline size_t positions_of(const AttentionPage& page, size_t query) noexcept {
  return page.n_positions + query * page.more;
}

// v for the positions of its lanes below n, `rest` for the others.
inline Vector below(size_t n, Vector v, size_t first, float rest) noexcept {
  if (n >= first + kLanes) return v;
  return n > first ? keep_or(v, FirstLanes{n - first}, rest) : broadcast(rest);
}

// Scale and bias, then the step of the online softmax: the scores become exp(score - running maximum), 0 for positions
// that the query does not see. A page's scores stay in registers from the first load to the last store.
inline void softmax_step(const AttentionPage& page, size_t query, float* scores) noexcept {
  const size_t n_positions = positions_of(page, query);
  const Vector scale = broadcast(page.scale), slope = broadcast(page.slope);
  const Vector distance = add(broadcast(page.first_distance - static_cast<float>(query)), lane_numbers());
  Vector biased[kPageVectors], highest = broadcast(-INFINITY);
  BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
    const Vector away = add(distance, broadcast(static_cast<float>(v * kLanes)));
    const Vector scaled = multiply(load(scores + v * kLanes, AllLanes{}), scale);
    biased[v] = multiply_add(slope, away, scaled);
    if (n_positions < kPageTokens) biased[v] = below(n_positions, biased[v], v * kLanes, -INFINITY);
    highest = larger(biased[v], highest);
  }
  if (any_above(highest, page.running_max[query])) {
    const float page_max = largest_lane(highest);
    const float correction = expf(page.running_max[query] - page_max);  // exp(-inf) = 0 on the first page
    page.denominators[query] *= correction;
    float* out = page.out + query * page.out_stride;
    for_each_vector(page.head_dim, [&](size_t d, auto lanes) noexcept {
      store(out + d, multiply(load(out + d, lanes), broadcast(correction)), lanes);
    });
    page.running_max[query] = page_max;
  }
  const Vector maximum = broadcast(page.running_max[query]);
  BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
    biased[v] = exponential(subtract(biased[v], maximum));
    store(scores + v * kLanes, biased[v], AllLanes{});
  }
  for (size_t n = kPageVectors; n > 1; n /= 2) {
    for (size_t v = 0; v < n / 2; ++v) biased[v] = add(biased[v], biased[v + n / 2]);
  }
  page.denominators[query] += sum_lanes(biased[0]);
}

// Positions [begin, end) of a page.
struct Positions {
  size_t begin, end;
};

// out += probabilities * values for some vectors of the output over some positions, in their order.
template <size_t queries, size_t vectors, class Element, class Lanes>
inline void value_tile(const AttentionPage& page, size_t first_query, Positions positions, size_t d, Lanes lanes,
                       const float (*probs)[kPageTokens]) noexcept {
  float* out = page.out + first_query * page.out_stride + d;
  Vector sums[queries][vectors];
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) sums[i][v] = load(out + i * page.out_stride + v * kLanes, lanes);
  }
  const size_t first = positions.begin * page.head_dim + d;
  const Element* values = static_cast<const Element*>(page.values) + first;
  uintptr_t next = reinterpret_cast<uintptr_t>(page.next_keys) + first * sizeof(Element);
  const bool ahead = first_query == 0 && page.next_keys != nullptr;
  for (size_t p = positions.begin; p < positions.end; ++p, values += page.head_dim) {
    if (ahead) prefetch_bytes<vectors * kLanes * sizeof(Element)>(next);
    next += page.head_dim * sizeof(Element);
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

template <size_t queries, size_t vectors, class Element>
inline void add_values(const AttentionPage& page, size_t first_query, Positions positions,
                       const float (*probs)[kPageTokens]) noexcept {
  size_t d = 0;
  for (; d + vectors * kLanes <= page.head_dim; d += vectors * kLanes) {
    value_tile<queries, vectors, Element>(page, first_query, positions, d, AllLanes{}, probs);
  }
  for_each_vector(page.head_dim - d, [&](size_t rest, auto lanes) noexcept {
    value_tile<queries, 1, Element>(page, first_query, positions, d + rest, lanes, probs);
  });
}

template <class Element>
void attend_page(const AttentionPage& page) noexcept {
  float scores[kMaxQueries][kPageTokens];
  size_t query = 0;
  for (; query + kScoreQueries <= page.n_queries; query += kScoreQueries) {
    const size_t n_positions = positions_of(page, query + kScoreQueries - 1);
    for (size_t first = 0; first < n_positions; first += kScoreVectors * kLanes) {
      score_tile<kScoreQueries, kScoreVectors, Element>(page, query, first, scores);
    }
  }
  for (; query < page.n_queries; ++query) score_tile<1, kPageVectors, Element>(page, query, 0, scores);

  for (query = 0; query < page.n_queries; ++query) softmax_step(page, query, scores[query]);

  // The positions that all queries of a tile see, then those that only its later ones do.
  constexpr size_t kAlone = 8;  // vectors of one query, which hide the latency
  for (query = 0; query + kValueQueries <= page.n_queries; query += kValueQueries) {
    const size_t common = positions_of(page, query);
    add_values<kValueQueries, kValueVectors, Element>(page, query, {0, common}, scores);
    for (size_t i = 1; i < kValueQueries && page.more > 0; ++i) {
      add_values<1, kAlone, Element>(page, query + i, {common, positions_of(page, query + i)}, scores);
    }
  }
  for (; query < page.n_queries; ++query) {
    add_values<1, kAlone, Element>(page, query, {0, positions_of(page, query)}, scores);
  }
}

}  // namespace
}  // namespace belle

// Attention of some queries over one page of cached positions, for any width of vectors and for f32 and f16 caches.
//
// A query's result is the same, bit for bit, in every tile: its sums run over the same elements in the same order.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/compiler.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/prefetch.h"
#include "kernels/generic/rows.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kScoreVectors = 2;  // of positions, in a tile of several queries
template <class Tier>
constexpr size_t kPageVectors = kPageTokens / Tier::kLanes;

// Asks for some bytes of what is needed next. Pages lie far apart, so no processor does that by itself.
template <size_t bytes>
inline void prefetch_bytes(uintptr_t from) noexcept {
  for (size_t at = 0; at < bytes; at += kLineBytes) prefetch_line(from + at);
}

// Scores of some queries and vectors * kLanes positions: q . key, element by element. Slots past the page's last
// position may hold anything: their scores count for nothing.
template <class Tier, size_t queries, size_t vectors, class Element>
inline void score_tile(const AttentionPage& page, size_t first_query, size_t first,
                       float (*scores)[kPageTokens]) noexcept {
  constexpr size_t kRowBytes = kPageTokens * sizeof(Element);
  const uintptr_t values = reinterpret_cast<uintptr_t>(page.values);
  const bool ahead = first_query == 0 && first == 0;
  const float* q = page.q + first_query * page.q_stride;
  const Element* keys = static_cast<const Element*>(page.keys) + first;
  VectorOf<Tier> sums[queries][vectors];
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) sums[i][v] = Tier::zeros();
  }
  for (size_t d = 0; d < page.head_dim; ++d, keys += kPageTokens) {
    if (ahead) prefetch_bytes<kRowBytes>(values + d * kRowBytes);
    VectorOf<Tier> key[vectors];
    for (size_t v = 0; v < vectors; ++v) key[v] = Tier::load(keys + v * Tier::kLanes, AllLanes{});
    for (size_t i = 0; i < queries; ++i) {
      const auto query = Tier::broadcast(q[i * page.q_stride + d]);
      for (size_t v = 0; v < vectors; ++v) sums[i][v] = Tier::multiply_add(query, key[v], sums[i][v]);
    }
  }
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) {
      Tier::store(scores[first_query + i] + first + v * Tier::kLanes, sums[i][v], AllLanes{});
    }
  }
}

inline size_t positions_of(const AttentionPage& page, size_t query) noexcept {
  return page.n_positions + query * page.more;
}

// v for the positions of its lanes below n, `rest` for the others.
template <class Tier>
inline VectorOf<Tier> below(size_t n, VectorOf<Tier> v, size_t first, float rest) noexcept {
  if (n >= first + Tier::kLanes) return v;
  return n > first ? Tier::keep_or(v, FirstLanes{n - first}, rest) : Tier::broadcast(rest);
}

// Scale and bias, then the step of the online softmax: the scores become exp(score - running maximum), 0 for positions
// that the query does not see. A page's scores stay in registers from the first load to the last store.
template <class Tier>
inline void softmax_step(const AttentionPage& page, size_t query, float* scores) noexcept {
  const size_t n_positions = positions_of(page, query);
  const auto scale = Tier::broadcast(page.scale), slope = Tier::broadcast(page.slope);
  const auto distance =
      Tier::add(Tier::broadcast(page.first_distance - static_cast<float>(query)), Tier::lane_numbers());
  VectorOf<Tier> biased[kPageVectors<Tier>], highest = Tier::broadcast(-INFINITY);
  BELLE_UNROLL for (size_t v = 0; v < kPageVectors<Tier>; ++v) {
    const auto away = Tier::add(distance, Tier::broadcast(static_cast<float>(v * Tier::kLanes)));
    const auto scaled = Tier::multiply(Tier::load(scores + v * Tier::kLanes, AllLanes{}), scale);
    biased[v] = Tier::multiply_add(slope, away, scaled);
    if (n_positions < kPageTokens) biased[v] = below<Tier>(n_positions, biased[v], v * Tier::kLanes, -INFINITY);
    highest = Tier::larger(biased[v], highest);
  }
  if (Tier::any_above(highest, page.running_max[query])) {
    const float page_max = Tier::largest_lane(highest);
    const float correction = expf(page.running_max[query] - page_max);  // exp(-inf) = 0 on the first page
    page.denominators[query] *= correction;
    float* out = page.out + query * page.out_stride;
    for_each_vector<Tier>(page.head_dim, [&](size_t d, auto lanes) noexcept {
      Tier::store(out + d, Tier::multiply(Tier::load(out + d, lanes), Tier::broadcast(correction)), lanes);
    });
    page.running_max[query] = page_max;
  }
  const auto maximum = Tier::broadcast(page.running_max[query]);
  BELLE_UNROLL for (size_t v = 0; v < kPageVectors<Tier>; ++v) {
    biased[v] = exponential<Tier>(Tier::subtract(biased[v], maximum));
    Tier::store(scores + v * Tier::kLanes, biased[v], AllLanes{});
  }
  for (size_t n = kPageVectors<Tier>; n > 1; n /= 2) {
    for (size_t v = 0; v < n / 2; ++v) biased[v] = Tier::add(biased[v], biased[v + n / 2]);
  }
  page.denominators[query] += Tier::sum_lanes(biased[0]);
}

// Positions [begin, end) of a page.
struct Positions {
  size_t begin, end;
};

// out += probabilities * values for some vectors of the output over some positions, in their order.
template <class Tier, size_t queries, size_t vectors, class Element, class Lanes>
inline void value_tile(const AttentionPage& page, size_t first_query, Positions positions, size_t d, Lanes lanes,
                       const float (*probs)[kPageTokens]) noexcept {
  float* out = page.out + first_query * page.out_stride + d;
  VectorOf<Tier> sums[queries][vectors];
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) sums[i][v] = Tier::load(out + i * page.out_stride + v * Tier::kLanes, lanes);
  }
  const size_t first = positions.begin * page.head_dim + d;
  const Element* values = static_cast<const Element*>(page.values) + first;
  uintptr_t next = reinterpret_cast<uintptr_t>(page.next_keys) + first * sizeof(Element);
  const bool ahead = first_query == 0 && page.next_keys != nullptr;
  for (size_t p = positions.begin; p < positions.end; ++p, values += page.head_dim) {
    if (ahead) prefetch_bytes<vectors * Tier::kLanes * sizeof(Element)>(next);
    next += page.head_dim * sizeof(Element);
    VectorOf<Tier> value[vectors];
    for (size_t v = 0; v < vectors; ++v) value[v] = Tier::load(values + v * Tier::kLanes, lanes);
    for (size_t i = 0; i < queries; ++i) {
      const auto prob = Tier::broadcast(probs[first_query + i][p]);
      for (size_t v = 0; v < vectors; ++v) sums[i][v] = Tier::multiply_add(prob, value[v], sums[i][v]);
    }
  }
  for (size_t i = 0; i < queries; ++i) {
    for (size_t v = 0; v < vectors; ++v) Tier::store(out + i * page.out_stride + v * Tier::kLanes, sums[i][v], lanes);
  }
}

template <class Tier, size_t queries, size_t vectors, class Element>
inline void add_values(const AttentionPage& page, size_t first_query, Positions positions,
                       const float (*probs)[kPageTokens]) noexcept {
  size_t d = 0;
  for (; d + vectors * Tier::kLanes <= page.head_dim; d += vectors * Tier::kLanes) {
    value_tile<Tier, queries, vectors, Element>(page, first_query, positions, d, AllLanes{}, probs);
  }
  for_each_vector<Tier>(page.head_dim - d, [&](size_t rest, auto lanes) noexcept {
    value_tile<Tier, queries, 1, Element>(page, first_query, positions, d + rest, lanes, probs);
  });
}

template <class Tier, class Element>
void attend_page(const AttentionPage& page) noexcept {
  float scores[kMaxQueries][kPageTokens];
  size_t query = 0;
  for (; query + Tier::kScoreQueries <= page.n_queries; query += Tier::kScoreQueries) {
    const size_t n_positions = positions_of(page, query + Tier::kScoreQueries - 1);
    for (size_t first = 0; first < n_positions; first += kScoreVectors * Tier::kLanes) {
      score_tile<Tier, Tier::kScoreQueries, kScoreVectors, Element>(page, query, first, scores);
    }
  }
  for (; query < page.n_queries; ++query) score_tile<Tier, 1, kPageVectors<Tier>, Element>(page, query, 0, scores);

  for (query = 0; query < page.n_queries; ++query) softmax_step<Tier>(page, query, scores[query]);

  // The positions that all queries of a tile see, then those that only its later ones do.
  constexpr size_t kAlone = 8;  // vectors of one query, which hide the latency
  for (query = 0; query + Tier::kValueQueries <= page.n_queries; query += Tier::kValueQueries) {
    const size_t common = positions_of(page, query);
    add_values<Tier, Tier::kValueQueries, Tier::kValueVectors, Element>(page, query, {0, common}, scores);
    for (size_t i = 1; i < Tier::kValueQueries && page.more > 0; ++i) {
      add_values<Tier, 1, kAlone, Element>(page, query + i, {common, positions_of(page, query + i)}, scores);
    }
  }
  for (; query < page.n_queries; ++query) {
    add_values<Tier, 1, kAlone, Element>(page, query, {0, positions_of(page, query)}, scores);
  }
}

}  // namespace
}  // namespace belle

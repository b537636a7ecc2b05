// Attention of some queries over one page of a q8 cache, in whole numbers, for any width of vectors.
//
// The bytes meet factors of 15 bits: the query's elements, and the probabilities times the scales of their values. A
// tier multiplies four bytes with four factors in each lane (byte_factors.h). The factors' steps are 1/128 of the
// bytes'. Sums of integers have no order, so the bits cannot depend on the tile, and a factor of zero hides any byte.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/byte_page.h"
#include "kernels/compiler.h"
#include "kernels/generic/attention.h"
#include "kernels/generic/byte_factors.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/prefetch.h"
#include "kernels/generic/rows.h"
#include "kernels/generic/sizes.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kChunkElements = 1024;  // of a query at once: 1024 * 127 * kLargestFactor < 2^31
constexpr size_t kChunkGroups = kChunkElements / kGroupBytes;
constexpr size_t kByteVectors = 2;  // in a tile of several queries

// Queries of a tile: 8 sums for the tiers with 16 registers, 16 for those with 32.
template <class Tier>
constexpr size_t kByteQueries = Tier::kLanes / (kByteVectors * Tier::kByteSums);
// Vectors of one query's output, which hide the latency.
template <class Tier>
constexpr size_t kLoneVectors = Tier::kLanes / 2;

/// Factors of a product: whole numbers times `unit`.
template <class Tier, size_t groups>
struct Factors {
  int8_t first[groups * kGroupBytes], second[groups * kGroupBytes];  // as the tier wants them
  int32_t start[Tier::kByteSums];                                    // what takes kZeroByte out of the sums
  float unit;                                                        // NaN if a factor is not finite

  /// n factors, load(i, lanes) giving those from i on; zeros fill up the last group.
  template <class Load>
  void pack(size_t n, Load load) noexcept {
    int16_t numbers[groups * kGroupBytes + Tier::kLanes];
    auto largest = Tier::zeros(), nothing = Tier::zeros();
    for_each_vector<Tier>(n, [&](size_t i, auto lanes) noexcept {
      const auto x = load(i, lanes);
      largest = Tier::larger(Tier::magnitude(x), largest);
      nothing = Tier::multiply_add(x, Tier::zeros(), nothing);
    });
    const float peak = Tier::largest_lane(largest);
    const float up = peak > kNegligibleFactor ? kLargestFactor / peak : 0.0f;
    unit = (peak > kNegligibleFactor ? peak / kLargestFactor : 0.0f) + Tier::sum_lanes(nothing);
    for_each_vector<Tier>(n, [&](size_t i, auto lanes) noexcept {
      const auto scaled = Tier::multiply(load(i, lanes), Tier::broadcast(up));
      Tier::store_int16s(reinterpret_cast<uint8_t*>(numbers + i), scaled);
    });
    const size_t n_groups = quotient_up(n, kGroupBytes);
    for (size_t i = n; i < n_groups * kGroupBytes; ++i) numbers[i] = 0;
    Tier::pack_factors(numbers, n_groups, first, second, start);
  }
};

template <class Tier, size_t queries, size_t vectors>
using ByteSums = typename Tier::Sums32[queries][vectors][Tier::kByteSums];

template <class Tier, size_t queries, size_t vectors, size_t groups>
inline void start_sums(const Factors<Tier, groups>* factors, ByteSums<Tier, queries, vectors>& sums) noexcept {
  BELLE_UNROLL for (size_t i = 0; i < queries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < vectors; ++v) {
      BELLE_UNROLL for (size_t s = 0; s < Tier::kByteSums; ++s) sums[i][v][s] = Tier::fill_sums(factors[i].start[s]);
    }
  }
}

// One group of bytes of some vectors, with one group of factors of some queries.
template <class Tier, size_t queries, size_t vectors, size_t groups>
inline void add_group(const uint8_t* bytes, const Factors<Tier, groups>* factors, size_t group,
                      ByteSums<Tier, queries, vectors>& sums) noexcept {
  BELLE_UNROLL for (size_t v = 0; v < vectors; ++v) {
    const auto operand = Tier::byte_operand(Tier::load_bytes(bytes + v * Tier::kLanes * kGroupBytes));
    BELLE_UNROLL for (size_t i = 0; i < queries; ++i) {
      Tier::add_bytes(sums[i][v], operand, factors[i].first + group * kGroupBytes,
                      factors[i].second + group * kGroupBytes);
    }
  }
}

// scores += the query's elements [first_element, ..) . keys, in units of the keys' scales.
template <class Tier, size_t queries, size_t vectors>
inline void score_bytes(const AttentionPage& page, const Factors<Tier, kChunkGroups>* factors, size_t first_group,
                        size_t end_group, size_t first, bool ahead, float (*scores)[kPageTokens]) noexcept {
  constexpr size_t kRowBytes = kPageTokens * kGroupBytes;
  const uintptr_t values = reinterpret_cast<uintptr_t>(page.values);
  const uint8_t* keys = static_cast<const uint8_t*>(page.keys) + first * kGroupBytes;
  ByteSums<Tier, queries, vectors> sums;
  start_sums<Tier, queries, vectors>(factors, sums);
  for (size_t group = first_group; group < end_group; ++group) {
    if (ahead) prefetch_bytes<kRowBytes>(values + group * kRowBytes);
    add_group<Tier, queries, vectors>(keys + group * kRowBytes, factors, group - first_group, sums);
  }
  BELLE_UNROLL for (size_t i = 0; i < queries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < vectors; ++v) {
      float* row = scores[i] + first + v * Tier::kLanes;
      const auto before = first_group == 0 ? Tier::zeros() : Tier::load(row, AllLanes{});
      Tier::store(row, Tier::multiply_add(Tier::byte_sums(sums[i][v]), Tier::broadcast(factors[i].unit), before),
                  AllLanes{});
    }
  }
}

// The scores of some queries; what lies behind n_positions counts for nothing.
template <class Tier, size_t queries, size_t vectors>
inline void score_byte_tile(const AttentionPage& page, size_t first_query, size_t n_positions,
                            float (*scores)[kPageTokens]) noexcept {
  const size_t n_groups = element_groups(page.head_dim);
  Factors<Tier, kChunkGroups> factors[queries];
  for (size_t begin = 0; begin < n_groups; begin += kChunkGroups) {
    const size_t end = smaller(begin + kChunkGroups, n_groups), first_element = begin * kGroupBytes;
    for (size_t i = 0; i < queries; ++i) {
      const float* q = page.q + (first_query + i) * page.q_stride + first_element;
      factors[i].pack(smaller(kChunkElements, page.head_dim - first_element),
                      [q](size_t at, auto lanes) noexcept { return Tier::load(q + at, lanes); });
    }
    for (size_t first = 0; first < n_positions; first += vectors * Tier::kLanes) {
      score_bytes<Tier, queries, vectors>(page, factors, begin, end, first, first_query == 0 && first == 0,
                                          scores + first_query);
    }
  }
  const float* scales =
      reinterpret_cast<const float*>(static_cast<const uint8_t*>(page.keys) + key_scales_at(page.head_dim));
  for (size_t i = first_query; i < first_query + queries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors<Tier>; ++v) {
      float* row = scores[i] + v * Tier::kLanes;
      Tier::store(row, Tier::multiply(Tier::load(row, AllLanes{}), Tier::load(scales + v * Tier::kLanes, AllLanes{})),
                  AllLanes{});
    }
  }
}

template <class Tier>
using PageFactors = Factors<Tier, kPositionGroups>;

// A query's probabilities times the scales of the values that it sees; zeros for the others.
template <class Tier>
inline void weigh_bytes(const AttentionPage& page, size_t query, const float* probs,
                        PageFactors<Tier>& factors) noexcept {
  const float* scales =
      reinterpret_cast<const float*>(static_cast<const uint8_t*>(page.values) + value_scales_at(page.head_dim));
  const size_t n_positions = positions_of(page, query);
  factors.pack(kPageTokens, [&](size_t first, auto) noexcept {
    const auto weighted = Tier::multiply(Tier::load(probs + first, AllLanes{}), Tier::load(scales + first, AllLanes{}));
    return below<Tier>(n_positions, weighted, first, 0.0f);
  });
}

// out += probabilities * values for some vectors of the output. A row's last vector may read into the next row's bytes,
// or into the scales.
template <class Tier, size_t queries, size_t vectors, class Lanes>
inline void value_byte_tile(const AttentionPage& page, size_t first_query, size_t n_groups, size_t d, Lanes lanes,
                            const PageFactors<Tier>* factors) noexcept {
  const size_t row_bytes = page.head_dim * kGroupBytes;
  const uint8_t* values = static_cast<const uint8_t*>(page.values) + d * kGroupBytes;
  uintptr_t next = reinterpret_cast<uintptr_t>(page.next_keys) + d * kGroupBytes;
  const bool ahead = first_query == 0 && page.next_keys != nullptr;
  ByteSums<Tier, queries, vectors> sums;
  start_sums<Tier, queries, vectors>(factors, sums);
  for (size_t group = 0; group < n_groups; ++group, values += row_bytes, next += row_bytes) {
    if (ahead) prefetch_bytes<vectors * Tier::kLanes * kGroupBytes>(next);
    add_group<Tier, queries, vectors>(values, factors, group, sums);
  }
  BELLE_UNROLL for (size_t i = 0; i < queries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < vectors; ++v) {
      float* out = page.out + (first_query + i) * page.out_stride + d + v * Tier::kLanes;
      const auto unit = Tier::broadcast(factors[i].unit);
      Tier::store(out, Tier::multiply_add(Tier::byte_sums(sums[i][v]), unit, Tier::load(out, lanes)), lanes);
    }
  }
}

template <class Tier, size_t queries, size_t vectors>
inline void add_byte_values(const AttentionPage& page, size_t first_query, const float (*probs)[kPageTokens]) noexcept {
  PageFactors<Tier> factors[queries];
  for (size_t i = 0; i < queries; ++i) weigh_bytes<Tier>(page, first_query + i, probs[first_query + i], factors[i]);
  const size_t n_groups = quotient_up(positions_of(page, first_query + queries - 1), kGroupBytes);
  size_t d = 0;
  for (; d + vectors * Tier::kLanes <= page.head_dim; d += vectors * Tier::kLanes) {
    value_byte_tile<Tier, queries, vectors>(page, first_query, n_groups, d, AllLanes{}, factors);
  }
  for_each_vector<Tier>(page.head_dim - d, [&](size_t rest, auto lanes) noexcept {
    value_byte_tile<Tier, queries, 1>(page, first_query, n_groups, d + rest, lanes, factors);
  });
}

template <class Tier>
void attend_byte_page(const AttentionPage& page) noexcept {
  constexpr size_t kQueries = kByteQueries<Tier>;
  float scores[kMaxQueries][kPageTokens];
  prefetch_bytes<kScalesBytes>(reinterpret_cast<uintptr_t>(page.values) + value_scales_at(page.head_dim));
  size_t query = 0;
  for (; query + kQueries <= page.n_queries; query += kQueries) {
    score_byte_tile<Tier, kQueries, kByteVectors>(page, query, positions_of(page, query + kQueries - 1), scores);
  }
  for (; query < page.n_queries; ++query) {
    score_byte_tile<Tier, 1, kPageVectors<Tier>>(page, query, kPageTokens, scores);
  }

  if (page.next_keys != nullptr) {
    prefetch_bytes<kScalesBytes>(reinterpret_cast<uintptr_t>(page.next_keys) + key_scales_at(page.head_dim));
  }
  for (query = 0; query < page.n_queries; ++query) softmax_step<Tier>(page, query, scores[query]);

  for (query = 0; query + kQueries <= page.n_queries; query += kQueries) {
    add_byte_values<Tier, kQueries, kByteVectors>(page, query, scores);
  }
  for (; query < page.n_queries; ++query) add_byte_values<Tier, 1, kLoneVectors<Tier>>(page, query, scores);
}

}  // namespace
}  // namespace belle

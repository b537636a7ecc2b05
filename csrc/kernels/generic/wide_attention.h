// What the kernels for attention of prompts share, whatever computes their products: pages as a call sees them, and the
// online softmax over the queries of a call.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/byte_page.h"
#include "kernels/compiler.h"
#include "kernels/generic/attention.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/rows.h"
#include "kernels/generic/sizes.h"
#include "kernels/table.h"

namespace belle {
namespace {

/// A page as a call sees it. Element: uint16_t, float16; float, what a q8 page becomes.
template <class Element>
struct WidePage {
  size_t first;           // its first position
  const Element* keys;    // [head_dim][kPageTokens]
  const Element* values;  // [kPageTokens][head_dim]
  size_t n_seen;          // positions that any query of the call sees
};

inline size_t positions_seen(const WideAttention& args, size_t query, size_t first) noexcept {
  const size_t position = args.first_position + query;
  return position < first ? 0 : smaller(kPageTokens, position + 1 - first);
}

// A vector of the columns from `column` on of a row of n; zeros behind its end.
template <class Tier, class Element>
inline VectorOf<Tier> load_columns(const Element* row, size_t column, size_t n) noexcept {
  if (column + Tier::kLanes <= n) return Tier::load(row + column, AllLanes{});
  return column < n ? Tier::load(row + column, FirstLanes{n - column}) : Tier::zeros();
}

/// What the online softmax knows of a call's queries, in scratch memory: over the positions seen so far.
template <class Tier>
struct WideSums {
  using Vector = VectorOf<Tier>;

  size_t n_columns;                     // at least head_dim; whole vectors
  float* sums;                          // [n_rows][n_columns], of exp(score - running maximum) * value
  float (*denominators)[Tier::kLanes];  // [n_rows], of exp(score - running maximum) in the positions of each lane
  float* running_max;                   // [n_rows]

  void start(size_t n_rows) const noexcept {
    memset(sums, 0, n_rows * n_columns * sizeof(float));
    memset(denominators, 0, n_rows * sizeof *denominators);
    for (size_t query = 0; query < n_rows; ++query) running_max[query] = -INFINITY;
  }

  // The largest score has risen: what was summed up so far counts for less.
  BELLE_ALONE void rescale(size_t query, float highest) const noexcept {
    const auto correction =
        exponential<Tier>(Tier::broadcast(running_max[query] - highest));  // exp(-inf) = 0 on the first page
    running_max[query] = highest;
    Tier::store(denominators[query], Tier::multiply(Tier::load(denominators[query], AllLanes{}), correction),
                AllLanes{});
    float* row = sums + query * n_columns;
    for (size_t d = 0; d < n_columns; d += Tier::kLanes) {
      Tier::store(row + d, Tier::multiply(Tier::load(row + d, AllLanes{}), correction), AllLanes{});
    }
  }

  // A page's scaled scores of a query that sees n_seen of its positions -> exp(score + bias - running maximum), 0 where
  // it sees nothing.
  void softmax_step(const WideAttention& args, size_t first_position, size_t query, size_t n_seen,
                    Vector (&scores)[kPageVectors<Tier>]) const noexcept {
    const float distance = static_cast<float>(first_position) - static_cast<float>(args.first_position + query);
    Vector highest = Tier::broadcast(-INFINITY);
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors<Tier>; ++v) {
      const auto away =
          Tier::add(Tier::broadcast(distance + static_cast<float>(v * Tier::kLanes)), Tier::lane_numbers());
      scores[v] = Tier::multiply_add(Tier::broadcast(args.slope), away, scores[v]);
      if (n_seen < kPageTokens) scores[v] = below<Tier>(n_seen, scores[v], v * Tier::kLanes, -INFINITY);
      highest = Tier::larger(scores[v], highest);
    }
    if (Tier::any_above(highest, running_max[query])) rescale(query, Tier::largest_lane(highest));
    const auto maximum = Tier::broadcast(running_max[query]);
    Vector sum = Tier::load(denominators[query], AllLanes{});
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors<Tier>; ++v) {
      scores[v] = exponential<Tier>(Tier::subtract(scores[v], maximum));
      sum = Tier::add(sum, scores[v]);
    }
    Tier::store(denominators[query], sum, AllLanes{});
  }

  // Values that are not finite count as zeros in the products, where queries that do not see them meet them too: NaN
  // for those that do.
  template <class Element>
  void spread_not_finite(const WideAttention& args, const WidePage<Element>& page, size_t query) const noexcept {
    float* row = sums + query * n_columns;
    for (size_t i = 0; i < positions_seen(args, query, page.first); ++i) {
      for (size_t d = 0; d < args.head_dim; d += Tier::kLanes) {
        const auto value = load_columns<Tier>(page.values + i * args.head_dim, d, args.head_dim);
        Tier::store(row + d, Tier::multiply_add(value, Tier::zeros(), Tier::load(row + d, AllLanes{})), AllLanes{});
      }
    }
  }

  // The sign of a zero may come from positions that the query does not see: adding zero takes it away.
  void write(const WideAttention& args, size_t query) const noexcept {
    const auto denominator = Tier::broadcast(Tier::sum_lanes(Tier::load(denominators[query], AllLanes{})));
    const float* row = sums + query * n_columns;
    float* out = args.out + query * args.out_stride;
    for_each_vector<Tier>(args.head_dim, [&](size_t d, auto lanes) noexcept {
      Tier::store(out + d, Tier::add(Tier::divide(Tier::load(row + d, lanes), denominator), Tier::zeros()), lanes);
    });
  }
};

/// The pages of an f16 cache, as they lie there.
template <class Tier>
struct HalfPages {
  static WidePage<uint16_t> page(const WideAttention& args, size_t first, size_t n_seen, uint8_t*) noexcept {
    const uint8_t* memory = args.pages[first / kPageTokens];
    return {first, reinterpret_cast<const uint16_t*>(memory + args.keys_offset),
            reinterpret_cast<const uint16_t*>(memory + args.values_offset), n_seen};
  }
};

/// Those of a q8 cache, as floats in scratch memory. Slots that no query sees become anything.
template <class Tier>
struct BytePages {
  static WidePage<float> page(const WideAttention& args, size_t first, size_t n_seen, uint8_t* scratch) noexcept {
    const uint8_t* memory = args.pages[first / kPageTokens];
    float* keys = reinterpret_cast<float*>(scratch);
    float* values = keys + element_groups(args.head_dim) * kGroupBytes * kPageTokens;
    widen_keys(memory + args.keys_offset, args.head_dim, keys);
    widen_values(memory + args.values_offset, args.head_dim, quotient_up(n_seen, kGroupBytes), values);
    return {first, keys, values, n_seen};
  }

  static size_t scratch_bytes(size_t head_dim) noexcept {
    return (element_groups(head_dim) * kGroupBytes + head_dim) * kPageTokens * sizeof(float);
  }

 private:
  static VectorOf<Tier> number(typename Tier::Bytes bytes, size_t byte, VectorOf<Tier> scale) noexcept {
    const auto zero = Tier::broadcast(static_cast<float>(kZeroByte));
    return Tier::multiply(Tier::subtract(Tier::unsigned_byte_as_floats(bytes, byte), zero), scale);
  }

  static void widen_keys(const uint8_t* bytes, size_t head_dim, float* keys) noexcept {
    const float* scales = reinterpret_cast<const float*>(bytes + key_scales_at(head_dim));
    for (size_t group = 0; group < element_groups(head_dim); ++group) {
      for (size_t at = 0; at < kPageTokens; at += Tier::kLanes, bytes += Tier::kLanes * kGroupBytes) {
        const auto four = Tier::load_bytes(bytes);
        const auto scale = Tier::load(scales + at, AllLanes{});
        BELLE_UNROLL for (size_t i = 0; i < kGroupBytes; ++i) {
          Tier::store(keys + (group * kGroupBytes + i) * kPageTokens + at, number(four, i, scale), AllLanes{});
        }
      }
    }
  }

  // A row's last vector may read into the next row's bytes, or into the scales.
  static void widen_values(const uint8_t* bytes, size_t head_dim, size_t n_groups, float* values) noexcept {
    const float* scales = reinterpret_cast<const float*>(bytes + value_scales_at(head_dim));
    for (size_t group = 0; group < n_groups; ++group) {
      const size_t first = group * kGroupBytes;
      for_each_vector<Tier>(head_dim, [&](size_t d, auto lanes) noexcept {
        const auto four = Tier::load_bytes(bytes + (group * head_dim + d) * kGroupBytes);
        BELLE_UNROLL for (size_t i = 0; i < kGroupBytes; ++i) {
          Tier::store(values + (first + i) * head_dim + d, number(four, i, Tier::broadcast(scales[first + i])), lanes);
        }
      });
    }
  }
};

/// A call, page by page. kernel.pack_page(page) prepares one for all queries of the call and says whether its values
/// are finite; kernel.attend_block(first position, query) does Kernel::kBlockQueries of them, or the rest. Pages:
/// HalfPages or BytePages, which get kernel.page_scratch().
template <template <class> class Pages, class Tier, class Kernel>
inline void attend_pages(const WideAttention& args, const Kernel& kernel, const WideSums<Tier>& sums) noexcept {
  constexpr size_t kBlock = Kernel::kBlockQueries;
  const size_t n_positions = args.first_position + args.n_queries;
  for (size_t first = 0; first < n_positions; first += kPageTokens) {
    const size_t n_seen = smaller(kPageTokens, n_positions - first);
    const auto page = Pages<Tier>::page(args, first, n_seen, kernel.page_scratch());
    const bool finite = kernel.pack_page(page);
    const size_t first_query = first > args.first_position ? first - args.first_position : 0;  // that sees any of it
    for (size_t query = first_query / kBlock * kBlock; query < args.n_queries; query += kBlock) {
      kernel.attend_block(first, query);
      const size_t end = smaller(query + kBlock, args.n_queries);
      for (size_t i = query; i < end && !finite; ++i) sums.spread_not_finite(args, page, i);
    }
  }
  for (size_t query = 0; query < args.n_queries; ++query) sums.write(args, query);
}

}  // namespace
}  // namespace belle

// Attention of prompts in whole numbers of 16 bits, over a cache of float16 or q8: a VNNI instruction sums twice as
// many of their products as a fused multiply-add does of floats. The online softmax is that of wide_attention.h.
//
// Each factor of a sum of products has a scale of its own, and is as large as 32 bits allow for the sum:
//  - A score is the sum over head_dim. |q . k| <= |q| |k|, so that norms of 65,500 for a query and 32,767 for a key are
//    safe.
//  - An output's part of a page is the sum over 32 positions. The values of each position are at most 8,191. Their
//    scales go into the probabilities, which are then scaled, for each query, to at most 8,191 as well.
// That costs less than the cache's float16 has cost.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/compiler.h"
#include "kernels/generic/int16_products.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/rows.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/wide_attention.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr float kLargestInt16 = 32767.0f, kQueryNorm = 65500.0f, kKeyNorm = 32767.0f;
constexpr float kLargestValue = 8191.0f;  // 32 * 8191^2 < 2^31; of probabilities as well
constexpr float kNegligible = 1e-30f;     // smaller queries and weighted probabilities count as zeros
constexpr size_t kMaxInt16HeadDim = 256;

template <class Tier>
class Int16Attention {
 public:
  static constexpr size_t kBlockQueries = 2 * Tier::kInt16Queries;

  explicit Int16Attention(const WideAttention& args) noexcept
      : args_(args),
        n_columns_(columns_of(args.head_dim)),
        n_pairs_(quotient_up(args.head_dim, 2)),
        fixed_(reinterpret_cast<Fixed*>(args.scratch)),
        sums_{n_columns_, reinterpret_cast<float*>(args.scratch + sizeof(Fixed)), fixed_->denominators,
              fixed_->running_max},
        queries_(args.scratch + sizeof(Fixed) + n_columns_ * kSumBytes),
        keys_(queries_ + n_columns_ * kQueryBytes),
        values_(keys_ + n_columns_ * kPageBytes) {}

  static size_t scratch_bytes(size_t head_dim) noexcept {
    return sizeof(Fixed) + columns_of(head_dim) * (kSumBytes + kQueryBytes + 2 * kPageBytes) +
           BytePages<Tier>::scratch_bytes(head_dim);
  }

  template <template <class> class Pages>
  static void attend(const WideAttention& args) noexcept {
    const Int16Attention kernel(args);
    kernel.pack_queries();
    kernel.sums_.start(quotient_up(args.n_queries, Tier::kInt16Queries) * Tier::kInt16Queries);
    attend_pages<Pages, Tier>(args, kernel, kernel.sums_);
  }

  // For attend_pages().
  uint8_t* page_scratch() const noexcept { return values_ + n_columns_ * kPageBytes; }

  template <class Element>
  bool pack_page(const WidePage<Element>& page) const noexcept {
    pack_keys(page);
    return pack_values(page);
  }

  void attend_block(size_t first_position, size_t first_query) const noexcept {
    const size_t end = smaller(first_query + kBlockQueries, args_.n_queries);
    for (size_t tile = first_query; tile < end; tile += Tier::kInt16Queries) {
      int32_t* scores = fixed_->scores[tile - first_query];
      for (size_t column = 0; column < kPageTokens; column += kTileColumns) {
        score_int16<Tier>({queries_ + tile * query_bytes(), query_bytes(), keys_ + column * kPairBytes,
                           kPageTokens * kPairBytes, n_pairs_},
                          scores + column);
      }
    }
    for (size_t tile = first_query; tile < end; tile += Tier::kInt16Queries) {
      for (size_t i = tile - first_query; i < tile - first_query + Tier::kInt16Queries; ++i) {
        const size_t query = first_query + i;
        const size_t n_seen = query < end ? positions_seen(args_, query, first_position) : 0;
        fixed_->factors[i] =
            n_seen > 0 ? weigh(first_position, query, n_seen, fixed_->scores[i], fixed_->probabilities[i]) : 0.0f;
      }
    }
    for (size_t tile = first_query; tile < end; tile += Tier::kInt16Queries) {
      for (size_t column = 0; column < n_columns_; column += kTileColumns) {
        add_weighted_int16<Tier>({fixed_->probabilities[tile - first_query], kPageTokens * kInt16Bytes,
                                  values_ + column * kPairBytes, n_columns_ * kPairBytes, kPageTokens / 2},
                                 fixed_->factors + (tile - first_query), sums_.sums + tile * n_columns_ + column,
                                 n_columns_);
      }
    }
  }

 private:
  using Vector = VectorOf<Tier>;

  static constexpr size_t kPageVectors = belle::kPageVectors<Tier>;
  static constexpr size_t kTileColumns = Tier::kInt16Vectors * Tier::kLanes;
  static constexpr size_t kMaxRows = quotient_up(kMaxWideQueries, Tier::kInt16Queries) * Tier::kInt16Queries;
  static_assert(kPageTokens % kTileColumns == 0, "a page is whole tiles of scores");

  struct alignas(64) Fixed {
    int32_t scores[kBlockQueries][kPageTokens];
    uint8_t probabilities[kBlockQueries][kPageTokens * kInt16Bytes];
    float factors[kBlockQueries];  // of what the probabilities and values give
    float query_scales[kMaxRows];
    float key_scales[kPageTokens];
    float value_scales[kPageTokens];
    float denominators[kMaxRows][Tier::kLanes];
    float running_max[kMaxRows];
  };

  // Bytes per column.
  static constexpr size_t kSumBytes = kMaxRows * sizeof(float), kQueryBytes = kMaxRows * kInt16Bytes;
  static constexpr size_t kPageBytes = kPageTokens * kInt16Bytes;

  static size_t columns_of(size_t head_dim) noexcept { return quotient_up(head_dim, kTileColumns) * kTileColumns; }
  size_t query_bytes() const noexcept { return n_columns_ * kInt16Bytes; }

  void pack_queries() const noexcept {
    for (size_t query = 0; query < args_.n_queries; ++query) {
      const float* q = args_.q + query * args_.q_stride;
      Vector largest = Tier::zeros();
      for_each_vector<Tier>(args_.head_dim, [&](size_t d, auto lanes) noexcept {
        largest = Tier::larger(Tier::magnitude(Tier::load(q + d, lanes)), largest);
      });
      const float peak = Tier::largest_lane(largest), inverse = peak > kNegligible ? 1.0f / peak : 0.0f;
      const float squares = sum_of<Tier>(q, args_.head_dim, [inverse](auto x) noexcept {
        const auto part = Tier::multiply(x, Tier::broadcast(inverse));
        return Tier::multiply(part, part);
      });
      const float by_norm = kQueryNorm / sqrtf(squares), factor = by_norm < kLargestInt16 ? by_norm : kLargestInt16;
      fixed_->query_scales[query] = args_.scale * peak / factor + squares * 0.0f;  // NaN if an element is not finite
      uint8_t* row = queries_ + query * query_bytes();
      for (size_t d = 0; d < n_columns_; d += Tier::kLanes) {
        Tier::store_int16s(row + d * kInt16Bytes,
                           Tier::multiply(load_columns<Tier>(q, d, args_.head_dim), Tier::broadcast(factor * inverse)));
      }
    }
  }

  // visit(pair, vector of positions, its even elements, its odd ones)
  template <class Element, class Visit>
  void for_each_key_pair(const WidePage<Element>& page, Visit visit) const noexcept {
    const Element* keys = page.keys;
    const size_t n_whole = args_.head_dim / 2;
    for (size_t j = 0; j < n_whole; ++j, keys += 2 * kPageTokens) {
      BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
        visit(j, v, Tier::load(keys + v * Tier::kLanes, AllLanes{}),
              Tier::load(keys + kPageTokens + v * Tier::kLanes, AllLanes{}));
      }
    }
    if (n_whole == n_pairs_) return;
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      visit(n_whole, v, Tier::load(keys + v * Tier::kLanes, AllLanes{}), Tier::zeros());
    }
  }

  // Slots that no query sees are packed as well: their scores count for nothing.
  template <class Element>
  void pack_keys(const WidePage<Element>& page) const noexcept {
    Vector even[kPageVectors], odd[kPageVectors], factors[kPageVectors];
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) even[v] = odd[v] = Tier::zeros();
    for_each_key_pair(page, [&](size_t, size_t v, Vector first, Vector second) noexcept {
      even[v] = Tier::multiply_add(first, first, even[v]);
      odd[v] = Tier::multiply_add(second, second, odd[v]);
    });
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      const auto squares = Tier::add(even[v], odd[v]);
      const auto norm = Tier::square_root(squares);
      factors[v] = Tier::divide(Tier::broadcast(kKeyNorm), norm);
      const auto scale = Tier::multiply(norm, Tier::broadcast(1.0f / kKeyNorm));
      Tier::store(fixed_->key_scales + v * Tier::kLanes, Tier::multiply_add(squares, Tier::zeros(), scale),
                  AllLanes{});  // NaN as above
    }
    uint8_t* out = keys_;
    for_each_key_pair(page, [&](size_t j, size_t v, Vector first, Vector second) noexcept {
      const auto pairs = Tier::int16_pairs(Tier::multiply(first, factors[v]), Tier::multiply(second, factors[v]));
      Tier::store_bytes(out + (j * kPageTokens + v * Tier::kLanes) * kPairBytes, pairs);
    });
  }

  // Zeros for what is not finite and for slots that no query sees: a probability of zero would not hide them. Returns
  // whether all is finite.
  template <class Element>
  bool pack_values(const WidePage<Element>& page) const noexcept {
    const bool finite = pack_values(page, [](auto value) noexcept { return value; });
    if (!finite) pack_values(page, [](auto value) noexcept { return Tier::finite_or_zero(value); });
    return finite;
  }

  template <class Element, class Clean>
  bool pack_values(const WidePage<Element>& page, Clean clean) const noexcept {
    const size_t head_dim = args_.head_dim, n_columns = n_columns_;
    float factors[kPageTokens] = {};
    Vector not_finite = Tier::zeros();
    for (size_t position = 0; position < page.n_seen; ++position) {
      Vector largest = Tier::zeros(), nothing = Tier::zeros();
      for_each_vector<Tier>(head_dim, [&, row = page.values + position * head_dim](size_t d, auto lanes) noexcept {
        const auto value = Tier::load(row + d, lanes);
        nothing = Tier::multiply_add(value, Tier::zeros(), nothing);
        largest = Tier::larger(Tier::magnitude(clean(value)), largest);
      });
      not_finite = Tier::add(not_finite, nothing);
      factors[position] = Tier::largest_lane(largest);
    }
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      const auto largest = Tier::load(factors + v * Tier::kLanes, AllLanes{});
      Tier::store(factors + v * Tier::kLanes, Tier::divide(Tier::broadcast(kLargestValue), largest), AllLanes{});
      Tier::store(fixed_->value_scales + v * Tier::kLanes,
                  Tier::multiply(largest, Tier::broadcast(1.0f / kLargestValue)), AllLanes{});
    }
    uint8_t* out = values_;
    memset(out, 0, kPageTokens * n_columns * kInt16Bytes);
    for (size_t position = 0; position + 1 < page.n_seen; position += 2, out += n_columns * kPairBytes) {
      const auto factor = Tier::broadcast(factors[position]), next_factor = Tier::broadcast(factors[position + 1]);
      for_each_vector<Tier>(head_dim, [&, row = page.values + position * head_dim](size_t d, auto lanes) noexcept {
        const auto first = Tier::multiply(clean(Tier::load(row + d, lanes)), factor);
        const auto second = Tier::multiply(clean(Tier::load(row + head_dim + d, lanes)), next_factor);
        Tier::store_bytes(out + d * kPairBytes, Tier::int16_pairs(first, second));
      });
    }
    if (page.n_seen % 2 != 0) {
      for_each_vector<Tier>(head_dim, [&, row = page.values + (page.n_seen - 1) * head_dim](size_t d,
                                                                                            auto lanes) noexcept {
        const auto last = Tier::multiply(clean(Tier::load(row + d, lanes)), Tier::broadcast(factors[page.n_seen - 1]));
        Tier::store_bytes(out + d * kPairBytes, Tier::int16_pairs(last, Tier::zeros()));
      });
    }
    return Tier::sum_lanes(not_finite) == 0.0f;
  }

  // The scores of a query that sees n_seen positions of a page -> its row of probabilities. Returns the factor of what
  // they give.
  float weigh(size_t first_position, size_t query, size_t n_seen, const int32_t* scores, uint8_t* row) const noexcept {
    Vector probs[kPageVectors], largest = Tier::zeros();
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      const auto scale = Tier::multiply(Tier::load(fixed_->key_scales + v * Tier::kLanes, AllLanes{}),
                                        Tier::broadcast(fixed_->query_scales[query]));
      probs[v] = Tier::multiply(Tier::to_floats(Tier::load_sums(scores + v * Tier::kLanes)), scale);
    }
    sums_.softmax_step(args_, first_position, query, n_seen, probs);
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      probs[v] = Tier::multiply(probs[v], Tier::load(fixed_->value_scales + v * Tier::kLanes, AllLanes{}));
      largest = Tier::larger(probs[v], largest);
    }
    const float peak = Tier::largest_lane(largest), up = peak > kNegligible ? kLargestValue / peak : 0.0f;
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      Tier::store_int16s(row + v * Tier::kLanes * kInt16Bytes, Tier::multiply(probs[v], Tier::broadcast(up)));
    }
    return peak > kNegligible ? peak / kLargestValue : 0.0f;
  }

  const WideAttention& args_;
  const size_t n_columns_, n_pairs_;
  Fixed* const fixed_;
  const WideSums<Tier> sums_;
  uint8_t* const queries_;  // [n_queries][n_columns_] numbers
  uint8_t* const keys_;     // of a page: [n_pairs_][kPageTokens] pairs of elements
  uint8_t* const values_;   // of a page: [kPageTokens / 2][n_columns_] pairs of positions
};

template <class Tier>
constexpr WideAttentionKernel kInt16Attention = {"int16", kMaxInt16HeadDim, Int16Attention<Tier>::scratch_bytes,
                                                 Int16Attention<Tier>::template attend<HalfPages>,
                                                 Int16Attention<Tier>::template attend<BytePages>};

}  // namespace
}  // namespace belle

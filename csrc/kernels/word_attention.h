// Attention of prompts in whole numbers of 16 bits, over a cache of float16: a VNNI instruction sums twice as many of
// their products as a fused multiply-add does of floats. The online softmax is that of wide_attention.h.
//
// Each factor of a sum of products has a scale of its own, and is as large as 32 bits allow for the sum:
//  - A score is the sum over head_dim. |q . k| <= |q| |k|, so that norms of 65,500 for a query and 32,767 for a key are
//    safe.
//  - An output's part of a page is the sum over 32 positions. The values of each position are at most 8,191. Their
//    scales go into the probabilities, which are then scaled, for each query, to at most 8,191 as well.
// That costs less than the cache's float16 has cost.
//
// The including file says how wide vectors are and how many queries, kWordQueries, and vectors, kWordVectors, a tile
// of sums has. Include after wide_attention.h; everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kWord = sizeof(int16_t), kPair = 2 * kWord;
constexpr float kLargestWord = 32767.0f, kQueryNorm = 65500.0f, kKeyNorm = 32767.0f;
constexpr float kLargestValue = 8191.0f;  // 32 * 8191^2 < 2^31; of probabilities as well
constexpr float kNegligible = 1e-30f;     // smaller queries and weighted probabilities count as zeros
constexpr size_t kMaxWordHeadDim = 256;
constexpr size_t kTileColumns = kWordVectors * kLanes;
constexpr size_t kMaxWordRows = quotient_up(kMaxWideQueries, kWordQueries) * kWordQueries;
static_assert(kPageTokens % kTileColumns == 0, "a page is whole tiles of scores");

/// Rows of words against pairs of rows of words: sums[i][c] += left[i][2j] * right[j][c][0] + left[i][2j + 1] *
/// right[j][c][1] over the pairs j.
struct WordProduct {
  const uint8_t* left;   // [kWordQueries] rows of words
  size_t left_stride;    // bytes
  const uint8_t* right;  // [n_pairs] rows of pairs
  size_t right_stride;   // bytes
  size_t n_pairs;
};

using WordSums = Sums32[kWordQueries][kWordVectors];

inline void multiply_words(const WordProduct& product, WordSums& sums) noexcept {
  const uint8_t *left = product.left, *right = product.right;
  BELLE_UNROLL for (size_t i = 0; i < kWordQueries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < kWordVectors; ++v) sums[i][v] = Sums32{};
  }
  for (size_t j = 0; j < product.n_pairs; ++j, left += kPair, right += product.right_stride) {
    Bytes columns[kWordVectors];
    BELLE_UNROLL for (size_t v = 0; v < kWordVectors; ++v) columns[v] = load_bytes(right + v * sizeof(Bytes));
    BELLE_UNROLL for (size_t i = 0; i < kWordQueries; ++i) {
      const Bytes row = broadcast_group(reinterpret_cast<const int8_t*>(left + i * product.left_stride));
      BELLE_UNROLL for (size_t v = 0; v < kWordVectors; ++v) {
        sums[i][v] = add_word_products(sums[i][v], row, columns[v]);
      }
    }
  }
}

// scores [kWordQueries][kPageTokens]
BELLE_ALONE inline void score_words(const WordProduct& product, int32_t* scores) noexcept {
  WordSums sums;
  multiply_words(product, sums);
  BELLE_UNROLL for (size_t i = 0; i < kWordQueries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < kWordVectors; ++v) {
      store_sums(scores + i * kPageTokens + v * kLanes, sums[i][v]);
    }
  }
}

// out [kWordQueries][stride] += factors[i] * the products
BELLE_ALONE inline void add_weighted_words(const WordProduct& product, const float* factors, float* out,
                                           size_t stride) noexcept {
  WordSums sums;
  multiply_words(product, sums);
  BELLE_UNROLL for (size_t i = 0; i < kWordQueries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < kWordVectors; ++v) {
      float* row = out + i * stride + v * kLanes;
      store(row, multiply_add(to_floats(sums[i][v]), broadcast(factors[i]), load(row, AllLanes{})), AllLanes{});
    }
  }
}

class WordAttention {
 public:
  static constexpr size_t kBlockQueries = 2 * kWordQueries;

  explicit WordAttention(const WideAttention& args) noexcept
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
    return sizeof(Fixed) + columns_of(head_dim) * (kSumBytes + kQueryBytes + 2 * kPageBytes);
  }

  static void attend(const WideAttention& args) noexcept {
    const WordAttention kernel(args);
    kernel.pack_queries();
    kernel.sums_.start(quotient_up(args.n_queries, kWordQueries) * kWordQueries);
    attend_pages(args, kernel, kernel.sums_);
  }

  // For attend_pages().
  bool pack_page(const WidePage& page) const noexcept {
    pack_keys(page);
    return pack_values(page);
  }

  void attend_block(const WidePage& page, size_t first_query) const noexcept {
    const size_t end = smaller(first_query + kBlockQueries, args_.n_queries);
    for (size_t tile = first_query; tile < end; tile += kWordQueries) {
      int32_t* scores = fixed_->scores[tile - first_query];
      for (size_t column = 0; column < kPageTokens; column += kTileColumns) {
        score_words(
            {queries_ + tile * query_bytes(), query_bytes(), keys_ + column * kPair, kPageTokens * kPair, n_pairs_},
            scores + column);
      }
    }
    for (size_t tile = first_query; tile < end; tile += kWordQueries) {
      for (size_t i = tile - first_query; i < tile - first_query + kWordQueries; ++i) {
        const size_t query = first_query + i;
        const size_t n_seen = query < end ? positions_seen(args_, query, page.first) : 0;
        fixed_->factors[i] =
            n_seen > 0 ? weigh(page, query, n_seen, fixed_->scores[i], fixed_->probabilities[i]) : 0.0f;
      }
    }
    for (size_t tile = first_query; tile < end; tile += kWordQueries) {
      for (size_t column = 0; column < n_columns_; column += kTileColumns) {
        add_weighted_words({fixed_->probabilities[tile - first_query], kPageTokens * kWord, values_ + column * kPair,
                            n_columns_ * kPair, kPageTokens / 2},
                           fixed_->factors + (tile - first_query), sums_.sums + tile * n_columns_ + column, n_columns_);
      }
    }
  }

 private:
  struct alignas(64) Fixed {
    int32_t scores[kBlockQueries][kPageTokens];
    uint8_t probabilities[kBlockQueries][kPageTokens * kWord];
    float factors[kBlockQueries];  // of what the probabilities and values give
    float query_scales[kMaxWordRows];
    float key_scales[kPageTokens];
    float value_scales[kPageTokens];
    float denominators[kMaxWordRows][kLanes];
    float running_max[kMaxWordRows];
  };

  // Bytes per column.
  static constexpr size_t kSumBytes = kMaxWordRows * sizeof(float), kQueryBytes = kMaxWordRows * kWord;
  static constexpr size_t kPageBytes = kPageTokens * kWord;

  static size_t columns_of(size_t head_dim) noexcept { return quotient_up(head_dim, kTileColumns) * kTileColumns; }
  size_t query_bytes() const noexcept { return n_columns_ * kWord; }

  void pack_queries() const noexcept {
    for (size_t query = 0; query < args_.n_queries; ++query) {
      const float* q = args_.q + query * args_.q_stride;
      Vector largest = zeros();
      for_each_vector(args_.head_dim,
                      [&](size_t d, auto lanes) noexcept { largest = larger(magnitude(load(q + d, lanes)), largest); });
      const float peak = largest_lane(largest), inverse = peak > kNegligible ? 1.0f / peak : 0.0f;
      const float squares = sum_of(q, args_.head_dim, [inverse](Vector x) noexcept {
        const Vector part = multiply(x, broadcast(inverse));
        return multiply(part, part);
      });
      const float by_norm = kQueryNorm / sqrtf(squares), factor = by_norm < kLargestWord ? by_norm : kLargestWord;
      fixed_->query_scales[query] = args_.scale * peak / factor + squares * 0.0f;  // NaN if an element is not finite
      uint8_t* row = queries_ + query * query_bytes();
      for (size_t d = 0; d < n_columns_; d += kLanes) {
        store_words(row + d * kWord, multiply(load_columns(q, d, args_.head_dim), broadcast(factor * inverse)));
      }
    }
  }

  // visit(pair, vector of positions, its even elements, its odd ones)
  template <class Visit>
  void for_each_key_pair(const WidePage& page, Visit visit) const noexcept {
    const uint16_t* keys = page.keys;
    const size_t n_whole = args_.head_dim / 2;
    for (size_t j = 0; j < n_whole; ++j, keys += 2 * kPageTokens) {
      BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
        visit(j, v, load(keys + v * kLanes, AllLanes{}), load(keys + kPageTokens + v * kLanes, AllLanes{}));
      }
    }
    if (n_whole == n_pairs_) return;
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      visit(n_whole, v, load(keys + v * kLanes, AllLanes{}), zeros());
    }
  }

  // Slots that no query sees are packed as well: their scores count for nothing.
  void pack_keys(const WidePage& page) const noexcept {
    Vector even[kPageVectors], odd[kPageVectors], factors[kPageVectors];
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) even[v] = odd[v] = zeros();
    for_each_key_pair(page, [&](size_t, size_t v, Vector first, Vector second) noexcept {
      even[v] = multiply_add(first, first, even[v]);
      odd[v] = multiply_add(second, second, odd[v]);
    });
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      const Vector squares = add(even[v], odd[v]);
      const Vector norm = square_root(squares);
      factors[v] = divide(broadcast(kKeyNorm), norm);
      const Vector scale = multiply(norm, broadcast(1.0f / kKeyNorm));
      store(fixed_->key_scales + v * kLanes, multiply_add(squares, zeros(), scale), AllLanes{});  // NaN as above
    }
    uint8_t* out = keys_;
    for_each_key_pair(page, [&](size_t j, size_t v, Vector first, Vector second) noexcept {
      const Bytes pairs = word_pairs(multiply(first, factors[v]), multiply(second, factors[v]));
      store_bytes(out + (j * kPageTokens + v * kLanes) * kPair, pairs);
    });
  }

  // Zeros for what is not finite and for slots that no query sees: a probability of zero would not hide them. Returns
  // whether all is finite.
  bool pack_values(const WidePage& page) const noexcept {
    const bool finite = pack_values(page, [](Vector value) noexcept { return value; });
    if (!finite) pack_values(page, [](Vector value) noexcept { return finite_or_zero(value); });
    return finite;
  }

  template <class Clean>
  bool pack_values(const WidePage& page, Clean clean) const noexcept {
    const size_t head_dim = args_.head_dim, n_columns = n_columns_;
    float factors[kPageTokens] = {};
    Vector not_finite = zeros();
    for (size_t position = 0; position < page.n_seen; ++position) {
      Vector largest = zeros(), nothing = zeros();
      for_each_vector(head_dim, [&, row = page.values + position * head_dim](size_t d, auto lanes) noexcept {
        const Vector value = load(row + d, lanes);
        nothing = multiply_add(value, zeros(), nothing);
        largest = larger(magnitude(clean(value)), largest);
      });
      not_finite = add(not_finite, nothing);
      factors[position] = largest_lane(largest);
    }
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      const Vector largest = load(factors + v * kLanes, AllLanes{});
      store(factors + v * kLanes, divide(broadcast(kLargestValue), largest), AllLanes{});
      store(fixed_->value_scales + v * kLanes, multiply(largest, broadcast(1.0f / kLargestValue)), AllLanes{});
    }
    uint8_t* out = values_;
    memset(out, 0, kPageTokens * n_columns * kWord);
    for (size_t position = 0; position + 1 < page.n_seen; position += 2, out += n_columns * kPair) {
      const Vector factor = broadcast(factors[position]), next_factor = broadcast(factors[position + 1]);
      for_each_vector(head_dim, [&, row = page.values + position * head_dim](size_t d, auto lanes) noexcept {
        const Vector first = multiply(clean(load(row + d, lanes)), factor);
        const Vector second = multiply(clean(load(row + head_dim + d, lanes)), next_factor);
        store_bytes(out + d * kPair, word_pairs(first, second));
      });
    }
    if (page.n_seen % 2 != 0) {
      for_each_vector(head_dim, [&, row = page.values + (page.n_seen - 1) * head_dim](size_t d, auto lanes) noexcept {
        const Vector last = multiply(clean(load(row + d, lanes)), broadcast(factors[page.n_seen - 1]));
        store_bytes(out + d * kPair, word_pairs(last, zeros()));
      });
    }
    return sum_lanes(not_finite) == 0.0f;
  }

  // The scores of a query that sees n_seen positions of a page -> its row of probabilities. Returns the factor of what
  // they give.
  float weigh(const WidePage& page, size_t query, size_t n_seen, const int32_t* scores, uint8_t* row) const noexcept {
    Vector probs[kPageVectors], largest = zeros();
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      const Vector scale =
          multiply(load(fixed_->key_scales + v * kLanes, AllLanes{}), broadcast(fixed_->query_scales[query]));
      probs[v] = multiply(to_floats(load_sums(scores + v * kLanes)), scale);
    }
    sums_.softmax_step(args_, page, query, n_seen, probs);
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      probs[v] = multiply(probs[v], load(fixed_->value_scales + v * kLanes, AllLanes{}));
      largest = larger(probs[v], largest);
    }
    const float peak = largest_lane(largest), up = peak > kNegligible ? kLargestValue / peak : 0.0f;
    BELLE_UNROLL for (size_t v = 0; v < kPageVectors; ++v) {
      store_words(row + v * kLanes * kWord, multiply(probs[v], broadcast(up)));
    }
    return peak > kNegligible ? peak / kLargestValue : 0.0f;
  }

  const WideAttention& args_;
  const size_t n_columns_, n_pairs_;
  Fixed* const fixed_;
  const WideSums sums_;
  uint8_t* const queries_;  // [n_queries][n_columns_] words
  uint8_t* const keys_;     // of a page: [n_pairs_][kPageTokens] pairs of elements
  uint8_t* const values_;   // of a page: [kPageTokens / 2][n_columns_] pairs of positions
};

constexpr WideAttentionKernel kWideAttention = {"int16", kMaxWordHeadDim, WordAttention::scratch_bytes,
                                                WordAttention::attend};

}  // namespace
}  // namespace belle

// Attention of prompts on tile registers, over a cache of float16 or q8, with both products in bfloat16. The online
// softmax is that of generic/wide_attention.h.
//
// A bfloat16 has 8 bits. So each operand is split in two, x = high + low with high = bf16(x) and low = bf16(x - high),
// and three products are summed: high * low + high * high + low * high. Keys and values of a float16 cache have 11
// bits and are split exactly, all else to 2^-17. In a tile of 32 columns the columns j and j + 16 stand side by side,
// in both operands.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/amx/tiles.h"
#include "kernels/avx2/intrinsics.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/wide_attention.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kStepColumns = kTileRowBytes / sizeof(uint16_t);
constexpr size_t kSplitBytes = 2 * kTileBytes;  // a tile of high parts and one of low parts
constexpr size_t kBlockTiles = 2;
constexpr size_t kWideQueryTiles = kMaxWideQueries / kTileRows;
constexpr size_t kMaxWideHeadDim = 256;
static_assert(kPageTokens == kStepColumns && kPageTokens == 2 * kTileRows, "a page is one step of the values' product");

// ---- operands

// One row of a split tile: 16 pairs.
template <class Tier>
inline void store_split(uint8_t* row, VectorOf<Tier> first, VectorOf<Tier> second) noexcept {
  const __m512i high = Tier::column_pair(first, second);
  const auto first_high = _mm512_castsi512_ps(_mm512_slli_epi32(high, 16));
  const auto second_high = _mm512_castsi512_ps(_mm512_and_si512(high, _mm512_set1_epi32(-0x10000)));
  Tier::store_bytes(row, high);
  Tier::store_bytes(row + kTileBytes,
                    Tier::column_pair(Tier::subtract(first, first_high), Tier::subtract(second, second_high)));
}

// A split tile of keys or values: row(i) gives 16 columns of row i of 32.
template <class Tier, class Row>
inline void pack_pairs(uint8_t* tile, Row row) noexcept {
  for (size_t j = 0; j < kTileRows; ++j) store_split<Tier>(tile + j * kTileRowBytes, row(j), row(j + kTileRows));
}

inline __mmask16 not_finite(__m512 v) noexcept {
  return _mm512_fpclass_ps_mask(v, 0x01 | 0x08 | 0x10 | 0x80);  // NaN and infinities
}

// Adds one step of 32 columns: the three products, with 8 loads for 12 products of tiles.
template <class Tier, int query_tiles>
inline void multiply_split(const uint8_t* left, size_t left_stride, const uint8_t* right,
                           size_t right_stride) noexcept {
  load_tiles<Tier, kActivationTile, query_tiles>(left, left_stride);
  load_tiles<Tier, kWeightTile, 2>(right + kTileBytes, right_stride);
  multiply_loaded<Bf16Dot<Tier>, query_tiles, 2>();  // high * low
  load_tiles<Tier, kWeightTile, 2>(right, right_stride);
  multiply_loaded<Bf16Dot<Tier>, query_tiles, 2>();  // high * high
  load_tiles<Tier, kActivationTile, query_tiles>(left + kTileBytes, left_stride);
  multiply_loaded<Bf16Dot<Tier>, query_tiles, 2>();  // low * high
}

template <class Tier>
class TileAttention {
 public:
  static constexpr size_t kBlockQueries = kBlockTiles * kTileRows;

  explicit TileAttention(const WideAttention& args) noexcept
      : args_(args),
        n_steps_(quotient_up(args.head_dim, kStepColumns)),
        fixed_(reinterpret_cast<Fixed*>(args.scratch)),
        sums_{n_steps_ * kStepColumns, reinterpret_cast<float*>(args.scratch + sizeof(Fixed)), fixed_->denominators,
              fixed_->running_max},
        queries_(args.scratch + sizeof(Fixed) + n_steps_ * kSumBytes),
        keys_(queries_ + n_steps_ * kQueryBytes),
        values_(keys_ + n_steps_ * kPageBytes) {}

  static size_t scratch_bytes(size_t head_dim) noexcept {
    return sizeof(Fixed) + quotient_up(head_dim, kStepColumns) * (kSumBytes + kQueryBytes + 2 * kPageBytes) +
           BytePages<Tier>::scratch_bytes(head_dim);
  }

  template <template <class> class Pages>
  static void attend(const WideAttention& args) noexcept {
    const TileAttention kernel(args);
    const TileSession<Tier> session;
    kernel.pack_queries();
    kernel.sums_.start(quotient_up(args.n_queries, kTileRows) * kTileRows);
    attend_pages<Pages, Tier>(args, kernel, kernel.sums_);
  }

  // For attend_pages().
  uint8_t* page_scratch() const noexcept { return values_ + n_steps_ * kPageBytes; }

  template <class Element>
  bool pack_page(const WidePage<Element>& page) const noexcept {
    pack_keys(page);
    return pack_values(page);
  }

  void attend_block(size_t first_position, size_t first_query) const noexcept {
    if (args_.n_queries - first_query > kTileRows) attend_tiles<2>(first_position, first_query);
    else attend_tiles<1>(first_position, first_query);
  }

 private:
  static constexpr size_t kPageVectors = belle::kPageVectors<Tier>;

  struct alignas(64) Fixed {
    float scores[kBlockQueries][kPageTokens];
    uint8_t probabilities[kBlockTiles][kSplitBytes];  // [query tile] of a block
    float denominators[kMaxWideQueries][Tier::kLanes];
    float running_max[kMaxWideQueries];
  };

  // typename Tier::Bytes per step of 32 columns.
  static constexpr size_t kSumBytes = kMaxWideQueries * kStepColumns * sizeof(float);
  static constexpr size_t kQueryBytes = kWideQueryTiles * kSplitBytes;
  static constexpr size_t kPageBytes = 2 * kSplitBytes;  // two tiles of positions, or of the values' columns

  void pack_queries() const noexcept {
    const size_t n_rows = quotient_up(args_.n_queries, kTileRows) * kTileRows;
    for (size_t query = 0; query < n_rows; ++query) {
      const float* q = args_.q + query * args_.q_stride;
      const size_t n = query < args_.n_queries ? args_.head_dim : 0;
      uint8_t* row = queries_ + query / kTileRows * n_steps_ * kSplitBytes;
      row += query % kTileRows * kTileRowBytes;
      for (size_t step = 0; step < n_steps_; ++step) {
        const size_t column = step * kStepColumns;
        store_split<Tier>(row + step * kSplitBytes, load_columns<Tier>(q, column, n),
                          load_columns<Tier>(q, column + Tier::kLanes, n));
      }
    }
  }

  // Slots that no query sees are packed as well: their scores are never read.
  template <class Element>
  void pack_keys(const WidePage<Element>& page) const noexcept {
    for (size_t step = 0; step < n_steps_; ++step) {
      for (size_t tile = 0; tile < 2; ++tile) {
        pack_pairs<Tier>(keys_ + (tile * n_steps_ + step) * kSplitBytes, [&](size_t i) noexcept {
          const size_t d = step * kStepColumns + i;
          return d < args_.head_dim ? Tier::load(page.keys + d * kPageTokens + tile * Tier::kLanes, AllLanes{})
                                    : Tier::zeros();
        });
      }
    }
  }

  // Zeros for what is not finite and for slots that no query sees: a probability of zero would not hide them. Returns
  // whether all is finite.
  template <class Element>
  bool pack_values(const WidePage<Element>& page) const noexcept {
    __mmask16 bad = 0;
    for (size_t tile = 0; tile < 2 * n_steps_; ++tile) {
      pack_pairs<Tier>(values_ + tile * kSplitBytes, [&](size_t i) noexcept {
        if (i >= page.n_seen) return Tier::zeros();
        const auto value = load_columns<Tier>(page.values + i * args_.head_dim, tile * Tier::kLanes, args_.head_dim);
        const __mmask16 here = not_finite(value);
        bad = static_cast<__mmask16>(bad | here);
        return _mm512_mask_mov_ps(value, here, Tier::zeros());
      });
    }
    return bad == 0;
  }

  template <int query_tiles>
  void attend_tiles(size_t first_position, size_t first_query) const noexcept {
    score_block<query_tiles>(first_query);
    for (size_t i = 0; i < query_tiles * kTileRows; ++i) {
      const size_t query = first_query + i;
      const size_t n_seen = query < args_.n_queries ? positions_seen(args_, query, first_position) : 0;
      uint8_t* row = fixed_->probabilities[i / kTileRows] + i % kTileRows * kTileRowBytes;
      VectorOf<Tier> probs[kPageVectors] = {Tier::zeros(), Tier::zeros()};
      if (n_seen > 0) {
        const auto scale = Tier::broadcast(args_.scale);
        for (size_t v = 0; v < kPageVectors; ++v) {
          probs[v] = Tier::multiply(Tier::load(fixed_->scores[i] + v * Tier::kLanes, AllLanes{}), scale);
        }
        sums_.softmax_step(args_, first_position, query, n_seen, probs);
      }
      store_split<Tier>(row, probs[0], probs[1]);
    }
    add_values<query_tiles>(first_query);
  }

  template <int query_tiles>
  void score_block(size_t first_query) const noexcept {
    const size_t stride = n_steps_ * kSplitBytes;
    const uint8_t* queries = queries_ + first_query / kTileRows * stride;
    zero_sums<Tier, query_tiles, 2>();
    for (size_t step = 0; step < n_steps_; ++step) {
      multiply_split<Tier, query_tiles>(queries + step * kSplitBytes, stride, keys_ + step * kSplitBytes, stride);
    }
    store_sums<Tier, query_tiles, 2>(
        reinterpret_cast<uint8_t*>(fixed_->scores),
        {kTileRows * kPageTokens * sizeof(float), kTileRows * sizeof(float), kPageTokens * sizeof(float)});
  }

  // sums += probabilities * values
  template <int query_tiles>
  void add_values(size_t first_query) const noexcept {
    const size_t row_bytes = sums_.n_columns * sizeof(float);
    const SumLayout layout = {kTileRows * row_bytes, kTileRows * sizeof(float), row_bytes};
    for (size_t step = 0; step < n_steps_; ++step) {
      uint8_t* sums = reinterpret_cast<uint8_t*>(sums_.sums + first_query * sums_.n_columns + step * kStepColumns);
      load_sums<Tier, query_tiles, 2>(sums, layout);
      multiply_split<Tier, query_tiles>(fixed_->probabilities[0], kSplitBytes, values_ + 2 * step * kSplitBytes,
                                        kSplitBytes);
      store_sums<Tier, query_tiles, 2>(sums, layout);
    }
  }

  const WideAttention& args_;
  const size_t n_steps_;
  Fixed* const fixed_;
  const WideSums<Tier> sums_;
  uint8_t* const queries_;  // [query tile][step]
  uint8_t* const keys_;     // [tile of 16 positions][step], of one page
  uint8_t* const values_;   // [tile of 16 columns], of one page
};

template <class Tier>
constexpr WideAttentionKernel kTileAttention = {"bf16", kMaxWideHeadDim, TileAttention<Tier>::scratch_bytes,
                                                TileAttention<Tier>::template attend<HalfPages>,
                                                TileAttention<Tier>::template attend<BytePages>};

}  // namespace
}  // namespace belle

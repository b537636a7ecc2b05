// Attention of prompts on tile registers, over a cache of float16: the online softmax of vector_attention.h, with both
// products in bfloat16.
//
// A bfloat16 has 8 bits. So each operand is split in two, x = high + low with high = bf16(x) and low = bf16(x - high),
// and three products are summed: high * low + high * high + low * high. Keys and values have 11 bits and are split
// exactly, queries and probabilities to 2^-17. In a tile of 32 columns the columns j and j + 16 stand side by side, in
// both operands.
//
// Include after amx_expand.h; everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kStepColumns = kTileRowBytes / sizeof(uint16_t);
constexpr size_t kSplitBytes = 2 * kTileBytes;  // a tile of high parts and one of low parts
constexpr size_t kBlockTiles = 2, kBlockQueries = kBlockTiles * kTileRows;
constexpr size_t kWideQueryTiles = kMaxWideQueries / kTileRows;
constexpr size_t kMaxWideHeadDim = 256;
static_assert(kPageTokens == kStepColumns && kPageTokens == 2 * kLanes, "a page is one step of the values' product");

/// The scratch of a call. Its second half depends on head_dim, in steps of 32 columns.
struct AttentionScratch {
  struct alignas(64) Fixed {
    float scores[kBlockQueries][kPageTokens];
    uint8_t probabilities[kBlockTiles][kSplitBytes];  // [query tile] of a block
    float denominators[kMaxWideQueries][kLanes];      // sums over the positions of each lane
    float running_max[kMaxWideQueries];
  };
  static constexpr size_t kSumBytes = kMaxWideQueries * kStepColumns * sizeof(float);  // of a step, as below
  static constexpr size_t kQueryBytes = kWideQueryTiles * kSplitBytes;
  static constexpr size_t kPageBytes = 2 * kSplitBytes;  // two tiles of positions, or of the values' columns

  AttentionScratch(uint8_t* memory, size_t head_dim) noexcept
      : n_steps(quotient_up(head_dim, kStepColumns)),
        fixed(reinterpret_cast<Fixed*>(memory)),
        sums(reinterpret_cast<float*>(memory + sizeof(Fixed))),
        queries(memory + sizeof(Fixed) + n_steps * kSumBytes),
        keys(queries + n_steps * kQueryBytes),
        values(keys + n_steps * kPageBytes) {}

  static size_t bytes(size_t head_dim) noexcept {
    return sizeof(Fixed) + quotient_up(head_dim, kStepColumns) * (kSumBytes + kQueryBytes + 2 * kPageBytes);
  }

  size_t n_columns() const noexcept { return n_steps * kStepColumns; }

  size_t n_steps;
  Fixed* fixed;
  float* sums;       // [kMaxWideQueries][n_columns()]: sums of exp(score - running maximum) * value
  uint8_t* queries;  // [query tile][step]
  uint8_t* keys;     // [tile of 16 positions][step], of one page
  uint8_t* values;   // [tile of 16 columns], of one page
};

/// A page as a call sees it.
struct WidePage {
  size_t first;            // its first position
  const uint16_t* keys;    // [head_dim][kPageTokens]
  const uint16_t* values;  // [kPageTokens][head_dim]
  size_t n_seen;           // positions that any query of the call sees
  bool finite;             // whether all their values are
};

inline size_t positions_seen(const WideAttention& args, size_t query, size_t first) noexcept {
  const size_t position = args.first_position + query;
  return position < first ? 0 : smaller(kPageTokens, position + 1 - first);
}

// ---- operands

// One row of a split tile: 16 pairs.
inline void store_split(uint8_t* row, Vector first, Vector second) noexcept {
  const __m512i high = column_pair(first, second);
  const Vector first_high = _mm512_castsi512_ps(_mm512_slli_epi32(high, 16));
  const Vector second_high = _mm512_castsi512_ps(_mm512_and_si512(high, _mm512_set1_epi32(-0x10000)));
  store_bytes(row, high);
  store_bytes(row + kTileBytes, column_pair(subtract(first, first_high), subtract(second, second_high)));
}

// The 16 columns from `column` on of a row of n; zeros behind its end.
template <class Element>
inline Vector load_columns(const Element* row, size_t column, size_t n) noexcept {
  if (column + kLanes <= n) return load(row + column, AllLanes{});
  return column < n ? load(row + column, FirstLanes{n - column}) : zeros();
}

inline void pack_queries(const WideAttention& args, const AttentionScratch& scratch) noexcept {
  const size_t n_rows = quotient_up(args.n_queries, kTileRows) * kTileRows;
  for (size_t query = 0; query < n_rows; ++query) {
    const float* q = args.q + query * args.q_stride;
    const size_t n = query < args.n_queries ? args.head_dim : 0;
    uint8_t* row = scratch.queries + query / kTileRows * scratch.n_steps * kSplitBytes;
    row += query % kTileRows * kTileRowBytes;
    for (size_t step = 0; step < scratch.n_steps; ++step) {
      const size_t column = step * kStepColumns;
      store_split(row + step * kSplitBytes, load_columns(q, column, n), load_columns(q, column + kLanes, n));
    }
  }
}

// A split tile of keys or values: row(i) gives 16 columns of row i of 32.
template <class Row>
inline void pack_pairs(uint8_t* tile, Row row) noexcept {
  for (size_t j = 0; j < kTileRows; ++j) store_split(tile + j * kTileRowBytes, row(j), row(j + kTileRows));
}

// Slots that no query sees are packed as well: their scores are never read.
inline void pack_keys(const WideAttention& args, const AttentionScratch& scratch, const WidePage& page) noexcept {
  for (size_t step = 0; step < scratch.n_steps; ++step) {
    for (size_t tile = 0; tile < 2; ++tile) {
      pack_pairs(scratch.keys + (tile * scratch.n_steps + step) * kSplitBytes, [&](size_t i) noexcept {
        const size_t d = step * kStepColumns + i;
        return d < args.head_dim ? load(page.keys + d * kPageTokens + tile * kLanes, AllLanes{}) : zeros();
      });
    }
  }
}

inline __mmask16 not_finite(Vector v) noexcept {
  return _mm512_fpclass_ps_mask(v, 0x01 | 0x08 | 0x10 | 0x80);  // NaN and infinities
}

// Zeros for what is not finite and for slots that no query sees: a probability of zero would not hide it. Returns
// whether all is finite.
inline bool pack_values(const WideAttention& args, const AttentionScratch& scratch, const WidePage& page) noexcept {
  __mmask16 bad = 0;
  for (size_t tile = 0; tile < 2 * scratch.n_steps; ++tile) {
    pack_pairs(scratch.values + tile * kSplitBytes, [&](size_t i) noexcept {
      if (i >= page.n_seen) return zeros();
      const Vector value = load_columns(page.values + i * args.head_dim, tile * kLanes, args.head_dim);
      const __mmask16 here = not_finite(value);
      bad = static_cast<__mmask16>(bad | here);
      return _mm512_mask_mov_ps(value, here, zeros());
    });
  }
  return bad == 0;
}

// ---- one page and a block of queries

// Adds one step of 32 columns: the three products, with 8 loads for 12 products of tiles.
template <int query_tiles>
inline void multiply_split(const uint8_t* left, size_t left_stride, const uint8_t* right,
                           size_t right_stride) noexcept {
  load_tiles<kActivationTile, query_tiles>(left, left_stride);
  load_tiles<kWeightTile, 2>(right + kTileBytes, right_stride);
  multiply_loaded<Bf16Dot, query_tiles, 2>();  // high * low
  load_tiles<kWeightTile, 2>(right, right_stride);
  multiply_loaded<Bf16Dot, query_tiles, 2>();  // high * high
  load_tiles<kActivationTile, query_tiles>(left + kTileBytes, left_stride);
  multiply_loaded<Bf16Dot, query_tiles, 2>();  // low * high
}

template <int query_tiles>
inline void score_block(const AttentionScratch& scratch, size_t first_query) noexcept {
  const size_t stride = scratch.n_steps * kSplitBytes;
  const uint8_t* queries = scratch.queries + first_query / kTileRows * stride;
  zero_sums<query_tiles, 2>();
  for (size_t step = 0; step < scratch.n_steps; ++step) {
    multiply_split<query_tiles>(queries + step * kSplitBytes, stride, scratch.keys + step * kSplitBytes, stride);
  }
  store_sums<query_tiles, 2>(
      reinterpret_cast<uint8_t*>(scratch.fixed->scores),
      {kTileRows * kPageTokens * sizeof(float), kTileRows * sizeof(float), kPageTokens * sizeof(float)});
}

// sums += probabilities * values
template <int query_tiles>
inline void add_wide_values(const AttentionScratch& scratch, size_t first_query) noexcept {
  const size_t row_bytes = scratch.n_columns() * sizeof(float);
  const SumLayout layout = {kTileRows * row_bytes, kTileRows * sizeof(float), row_bytes};
  for (size_t step = 0; step < scratch.n_steps; ++step) {
    float* sums = scratch.sums + first_query * scratch.n_columns() + step * kStepColumns;
    load_sums<query_tiles, 2>(reinterpret_cast<uint8_t*>(sums), layout);
    multiply_split<query_tiles>(scratch.fixed->probabilities[0], kSplitBytes, scratch.values + 2 * step * kSplitBytes,
                                kSplitBytes);
    store_sums<query_tiles, 2>(reinterpret_cast<uint8_t*>(sums), layout);
  }
}

// The largest score has risen: what was summed up so far counts for less.
inline void rescale(const AttentionScratch& scratch, size_t query, float highest) noexcept {
  float& running_max = scratch.fixed->running_max[query];
  const Vector correction = exponential(broadcast(running_max - highest));  // exp(-inf) = 0 on the first page
  running_max = highest;
  float* denominators = scratch.fixed->denominators[query];
  store(denominators, multiply(load(denominators, AllLanes{}), correction), AllLanes{});
  float* sums = scratch.sums + query * scratch.n_columns();
  for (size_t d = 0; d < scratch.n_columns(); d += kLanes) {
    store(sums + d, multiply(load(sums + d, AllLanes{}), correction), AllLanes{});
  }
}

// The scores of a query that sees n_seen positions of the page -> a row of its tile of probabilities.
inline void softmax_row(const WideAttention& args, const AttentionScratch& scratch, const WidePage& page, size_t query,
                        size_t n_seen, uint8_t* row) noexcept {
  const float* scores = scratch.fixed->scores[query % kBlockQueries];
  const uint32_t seen = n_seen < kPageTokens ? (uint32_t{1} << n_seen) - 1 : ~uint32_t{0};
  const float distance = static_cast<float>(page.first) - static_cast<float>(args.first_position + query);
  const auto score = [&](size_t first) noexcept {
    const Vector away = add(broadcast(distance + static_cast<float>(first)), lane_numbers());
    const Vector bias = multiply(broadcast(args.slope), away);
    const Vector biased = multiply_add(load(scores + first, AllLanes{}), broadcast(args.scale), bias);
    return _mm512_mask_mov_ps(broadcast(-INFINITY), static_cast<__mmask16>(seen >> first), biased);
  };
  const Vector first = score(0), second = score(kLanes), highest = larger(first, second);
  const float running_max = scratch.fixed->running_max[query];
  if (_mm512_cmp_ps_mask(highest, broadcast(running_max), _CMP_GT_OQ) != 0) {
    rescale(scratch, query, largest_lane(highest));
  }
  const Vector shift = broadcast(scratch.fixed->running_max[query]);
  const Vector first_prob = exponential(subtract(first, shift)), second_prob = exponential(subtract(second, shift));
  float* denominators = scratch.fixed->denominators[query];
  store(denominators, add(load(denominators, AllLanes{}), add(first_prob, second_prob)), AllLanes{});
  store_split(row, first_prob, second_prob);
}

// Values that are not finite are zeros in their tiles, where other queries would meet them too: NaN for those that see
// them.
inline void spread_not_finite(const WideAttention& args, const AttentionScratch& scratch, const WidePage& page,
                              size_t query) noexcept {
  float* sums = scratch.sums + query * scratch.n_columns();
  for (size_t i = 0; i < positions_seen(args, query, page.first); ++i) {
    for (size_t d = 0; d < args.head_dim; d += kLanes) {
      const __mmask16 bad = not_finite(load_columns(page.values + i * args.head_dim, d, args.head_dim));
      store(sums + d, _mm512_mask_mov_ps(load(sums + d, AllLanes{}), bad, broadcast(NAN)), AllLanes{});
    }
  }
}

template <int query_tiles>
inline void attend_block(const WideAttention& args, const AttentionScratch& scratch, const WidePage& page,
                         size_t first_query) noexcept {
  score_block<query_tiles>(scratch, first_query);
  for (size_t i = 0; i < query_tiles * kTileRows; ++i) {
    const size_t query = first_query + i;
    const size_t n_seen = query < args.n_queries ? positions_seen(args, query, page.first) : 0;
    uint8_t* row = scratch.fixed->probabilities[i / kTileRows] + i % kTileRows * kTileRowBytes;
    if (n_seen > 0) softmax_row(args, scratch, page, query, n_seen, row);
    else store_split(row, zeros(), zeros());
  }
  add_wide_values<query_tiles>(scratch, first_query);
  if (page.finite) return;
  const size_t end = smaller(first_query + kBlockQueries, args.n_queries);
  for (size_t query = first_query; query < end; ++query) spread_not_finite(args, scratch, page, query);
}

// ---- a call

// The sign of a zero may come from positions that the query does not see: adding zero takes it away.
inline void write_attended(const WideAttention& args, const AttentionScratch& scratch, size_t query) noexcept {
  const Vector denominator = broadcast(sum_lanes(load(scratch.fixed->denominators[query], AllLanes{})));
  const float* sums = scratch.sums + query * scratch.n_columns();
  float* out = args.out + query * args.out_stride;
  for_each_vector(args.head_dim, [&](size_t d, auto lanes) noexcept {
    store(out + d, add(divide(load(sums + d, lanes), denominator), zeros()), lanes);
  });
}

void attend_wide(const WideAttention& args) noexcept {
  const AttentionScratch scratch(args.scratch, args.head_dim);
  const TileSession session;
  pack_queries(args, scratch);
  const size_t n_rows = quotient_up(args.n_queries, kTileRows) * kTileRows;
  memset(scratch.sums, 0, n_rows * scratch.n_columns() * sizeof(float));
  memset(scratch.fixed->denominators, 0, sizeof scratch.fixed->denominators);
  for (float& running_max : scratch.fixed->running_max) running_max = -INFINITY;

  const size_t n_positions = args.first_position + args.n_queries;
  for (size_t first = 0; first < n_positions; first += kPageTokens) {
    const uint8_t* memory = args.pages[first / kPageTokens];
    WidePage page = {first, reinterpret_cast<const uint16_t*>(memory + args.keys_offset),
                     reinterpret_cast<const uint16_t*>(memory + args.values_offset),
                     smaller(kPageTokens, n_positions - first), true};
    pack_keys(args, scratch, page);
    page.finite = pack_values(args, scratch, page);
    const size_t first_query = first > args.first_position ? first - args.first_position : 0;  // that sees any of it
    for (size_t query = first_query / kBlockQueries * kBlockQueries; query < args.n_queries; query += kBlockQueries) {
      if (args.n_queries - query > kTileRows) attend_block<2>(args, scratch, page, query);
      else attend_block<1>(args, scratch, page, query);
    }
  }
  for (size_t query = 0; query < args.n_queries; ++query) write_attended(args, scratch, query);
}

constexpr WideAttentionKernel kWideAttention = {kMaxWideHeadDim, AttentionScratch::bytes, attend_wide};

}  // namespace
}  // namespace belle

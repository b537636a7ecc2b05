// Attention over cached positions, written once for every vector width and for f32 and f16 caches. Include after
// vector_rows.h; everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kScoreTile = 4;  // positions at once: independent sums hide the latency of the multiply-add
constexpr size_t kValueTile = 8;  // vectors of the output held in registers

// A position's score is the same sum whatever the tile: one vector of partial sums over head_dim.
template <size_t tile, class Element>
inline void score_tile(const float* q, const Element* keys, size_t head_dim, size_t position_stride,
                       float* scores) noexcept {
  Vector sums[tile];
  for (size_t p = 0; p < tile; ++p) sums[p] = zeros();
  for_each_vector(head_dim, [&](size_t d, auto lanes) noexcept {
    const Vector query = load(q + d, lanes);
    for (size_t p = 0; p < tile; ++p) {
      sums[p] = multiply_add(query, load(keys + p * position_stride + d, lanes), sums[p]);
    }
  });
  for (size_t p = 0; p < tile; ++p) scores[p] = sum_lanes(sums[p]);
}

template <class Element>
void attention_scores(const float* q, const Element* keys, size_t n_positions, size_t head_dim, size_t position_stride,
                      float* scores) noexcept {
  size_t i = 0;
  for (; i + kScoreTile <= n_positions; i += kScoreTile) {
    score_tile<kScoreTile>(q, keys + i * position_stride, head_dim, position_stride, scores + i);
  }
  for (; i < n_positions; ++i) {
    score_tile<1>(q, keys + i * position_stride, head_dim, position_stride, scores + i);
  }
}

// tile * kLanes elements of the output over all positions; the sum continues from `out`, so that splitting the
// positions over several calls changes no bit.
template <size_t tile, class Element, class Lanes>
inline void value_tile(const float* probs, const Element* values, size_t n_positions, size_t position_stride,
                       Lanes lanes, float* out) noexcept {
  Vector sums[tile];
  for (size_t v = 0; v < tile; ++v) sums[v] = load(out + v * kLanes, lanes);
  for (size_t i = 0; i < n_positions; ++i) {
    const Vector prob = broadcast(probs[i]);
    const Element* value = values + i * position_stride;
    for (size_t v = 0; v < tile; ++v) sums[v] = multiply_add(prob, load(value + v * kLanes, lanes), sums[v]);
  }
  for (size_t v = 0; v < tile; ++v) store(out + v * kLanes, sums[v], lanes);
}

template <class Element>
void attention_values(const float* probs, const Element* values, size_t n_positions, size_t head_dim,
                      size_t position_stride, float* out) noexcept {
  size_t d = 0;
  for (; d + kValueTile * kLanes <= head_dim; d += kValueTile * kLanes) {
    value_tile<kValueTile>(probs, values + d, n_positions, position_stride, AllLanes{}, out + d);
  }
  for (; d + 4 * kLanes <= head_dim; d += 4 * kLanes) {
    value_tile<4>(probs, values + d, n_positions, position_stride, AllLanes{}, out + d);
  }
  for_each_vector(head_dim - d, [&](size_t rest, auto lanes) noexcept {
    value_tile<1>(probs, values + d + rest, n_positions, position_stride, lanes, out + d + rest);
  });
}

}  // namespace
}  // namespace belle

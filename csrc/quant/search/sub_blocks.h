// The weights of a super-block as the searches read them: eight sub-blocks in the lanes, in a range where squares are
// ordinary floats, with what each weight's error counts.
#pragma once

#include "core/half.h"
#include "quant/blocks.h"
#include "quant/search/lanes.h"

namespace belle {
namespace {

/// How much the square of a weight's error counts, beside the column's importance; m is the mean square of its
/// sub-block. Why large weights count more: docs/design/conversion.md.
enum class ErrorWeight {
  kMagnitude,   // sqrt(m) + |x| / 4
  kHalfSquare,  // m + x^2 / 2
  kSquare,      // m + x^2
};

template <ErrorWeight kind>
Lanes error_weight(Lanes x, Lanes mean_square, Lanes root_mean_square) noexcept {
  if (kind == ErrorWeight::kMagnitude) return root_mean_square + magnitude(x) * Lanes(0.25f);
  return mean_square + (x * x) * Lanes(kind == ErrorWeight::kSquare ? 1.0f : 0.5f);
}

/// A power of two by which weights are divided, so that the largest of them lies in [1, 2). Weights from 2^28 on are
/// more than any type can hold; they count as that.
struct Unit {
  float up;    // the unit
  float down;  // 1 / unit; 0 where every weight is too small for a binary16 scale

  static Unit of(float largest) noexcept {
    constexpr int kBias = 127, kLargest = 27, kSmallest = -26;  // half of the smallest binary16 is 2^-25
    int exponent = static_cast<int>(float_to_bits(largest) >> 23) - kBias;
    if (exponent < kSmallest) return {1.0f, 0.0f};
    if (exponent > kLargest) exponent = kLargest;
    const float up = bits_to_float(static_cast<uint32_t>(exponent + kBias) << 23);
    return {up, 1.0f / up};
  }
};

/// A scale as the file holds it, and what it is among weights over `unit`.
struct HalfScale {
  uint16_t bits;
  float value;

  /// Not 0 unless d is, and never infinite.
  static HalfScale nearest(float d, Unit unit) noexcept {
    constexpr float kLargest = 65504.0f;
    const float whole = d * unit.up;
    uint16_t bits = float_to_half(whole > kLargest ? kLargest : (whole < -kLargest ? -kLargest : whole));
    if ((bits & 0x7fffu) == 0 && d != 0.0f) bits = static_cast<uint16_t>(bits | 1u);
    return {bits, half_to_float(bits) * unit.down};
  }
};

/// n_groups times eight sub-blocks of n_weights weights.
template <size_t n_weights, size_t n_groups>
struct SubBlocks {
  Unit units[n_groups * kLanes];                               // of each sub-block
  Lanes x[n_groups][n_weights];                                // weights over their unit
  Lanes weight[n_groups][n_weights];                           // what the square of the error counts
  Lanes sum_w[n_groups], sum_wx[n_groups], sum_wxx[n_groups];  // over a sub-block
  Lanes lowest[n_groups], highest[n_groups];
};

/// The largest magnitude of n floats.
inline float largest_magnitude(const float* x, size_t n) noexcept {
  float largest = 0.0f;
  for (size_t i = 0; i < n; ++i) {
    const float value = x[i] < 0.0f ? -x[i] : x[i];
    largest = value > largest ? value : largest;
  }
  return largest;
}

/// Fills the lanes of x * factors[sub-block], which are limited to [-2, 2].
template <size_t n_weights, size_t n_groups>
void to_lanes(const float* x, const float* factors, Lanes (*lanes)[n_weights]) noexcept {
  float turned[kLanes * n_weights];
  for (size_t g = 0; g < n_groups; ++g) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const size_t s = g * kLanes + lane;
      for (size_t i = 0; i < n_weights; ++i) turned[i * kLanes + lane] = x[s * n_weights + i] * factors[s];
    }
    for (size_t i = 0; i < n_weights; ++i) lanes[g][i] = limit(Lanes::load(turned + i * kLanes), -2.0f, 2.0f);
  }
}

/// The error weights of one group, whose lanes hold importances if `has_importance`, and the sums.
template <ErrorWeight kind, size_t n_weights, size_t n_groups>
void weigh(SubBlocks<n_weights, n_groups>& blocks, size_t g, bool has_importance) noexcept {
  const Lanes* x = blocks.x[g];
  Lanes squares(0.0f);
  for (size_t i = 0; i < n_weights; ++i) squares = squares + x[i] * x[i];
  const Lanes mean = squares * Lanes(1.0f / static_cast<float>(n_weights)), root_mean = square_root(mean);
  Lanes w_sum(0.0f), wx_sum(0.0f), wxx_sum(0.0f), lowest = x[0], highest = x[0];
  for (size_t i = 0; i < n_weights; ++i) {
    Lanes w = error_weight<kind>(x[i], mean, root_mean);
    if (has_importance) w = w * blocks.weight[g][i];
    w = w + Lanes(1e-12f);  // sums of weights are divisors
    blocks.weight[g][i] = w;
    w_sum = w_sum + w;
    wx_sum = wx_sum + w * x[i];
    wxx_sum = wxx_sum + (w * x[i]) * x[i];
    lowest = smaller(lowest, x[i]);
    highest = larger(highest, x[i]);
  }
  blocks.sum_w[g] = w_sum;
  blocks.sum_wx[g] = wx_sum;
  blocks.sum_wxx[g] = wxx_sum;
  blocks.lowest[g] = lowest;
  blocks.highest[g] = highest;
}

/// x, importance: [n_groups * 8 * n_weights], a null importance counts all columns alike. one_unit: the sub-blocks
/// share a scale, and so their unit.
template <ErrorWeight kind, size_t n_weights, size_t n_groups>
void fill(SubBlocks<n_weights, n_groups>& blocks, const float* x, const float* importance, bool one_unit) noexcept {
  constexpr size_t kSubBlocks = n_groups * kLanes;
  float down[kSubBlocks], equal[kSubBlocks];
  const Unit whole = Unit::of(largest_magnitude(x, kSubBlocks * n_weights));
  for (size_t s = 0; s < kSubBlocks; ++s) {
    blocks.units[s] = one_unit ? whole : Unit::of(largest_magnitude(x + s * n_weights, n_weights));
    down[s] = blocks.units[s].down;
  }
  to_lanes<n_weights, n_groups>(x, down, blocks.x);
  const float most = importance == nullptr ? 0.0f : largest_magnitude(importance, kSubBlocks * n_weights);
  const bool has_importance = most > 1e-30f;  // its inverse is a number
  if (has_importance) {
    for (float& factor : equal) factor = 1.0f / most;
    to_lanes<n_weights, n_groups>(importance, equal, blocks.weight);
  }
  for (size_t g = 0; g < n_groups; ++g) weigh<kind>(blocks, g, has_importance);
}

}  // namespace
}  // namespace belle

// Codes of a sub-block with a scale s alone: the weight is s * value(code). All functions work lane by lane.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/search/lanes.h"

namespace belle {
namespace {

/// A scale of either sign with its error; sums of w * value^2 and w * value * x over the nearest values.
struct ScaleFit {
  Lanes s, error, vv, vx;

  /// Of zeros; wxx is the sum of w * x^2.
  static ScaleFit nothing(Lanes wxx) noexcept {
    const Lanes zero(0.0f);
    return {zero, wxx, zero, zero};
  }

  /// Takes each lane of `other` that has the smaller error.
  void improve(const ScaleFit& other) noexcept {
    const LaneMask better = other.error < error;
    s = select(better, other.s, s);
    error = select(better, other.error, error);
    vv = select(better, other.vv, vv);
    vx = select(better, other.vx, vx);
  }
};

/// The nearest values with the scale s, given its inverse, and the error.
template <class Values, size_t n_weights>
ScaleFit fit_values(const Lanes* x, const Lanes* weight, Lanes wxx, Lanes s, Lanes inverse) noexcept {
  Lanes vv(0.0f), vx(0.0f);
  for (size_t i = 0; i < n_weights; ++i) {
    const Lanes value = Values::nearest(x[i] * inverse), weighted = weight[i] * value;
    vv = vv + weighted * value;
    vx = vx + weighted * x[i];
  }
  return {s, wxx + s * (s * vv - Lanes(2.0f) * vx), vv, vx};
}

/// Least squares: the scale that suits the values of a fit best.
inline ScaleFit refit_scale(const ScaleFit& fit, Lanes wxx) noexcept {
  const Lanes s = fit.vx * inverse_or_zero(fit.vv);
  return {s, wxx - fit.vx * s, fit.vv, fit.vx};
}

/// The best of the scales that make the largest weight about the lowest or the highest value, after least squares.
template <class Values, size_t n_weights>
ScaleFit search_scale_fit(const Lanes* x, const Lanes* weight, Lanes wxx, Lanes lowest, Lanes highest) noexcept {
  const Lanes zero(0.0f);
  const Lanes largest = select(zero - lowest < highest, highest, lowest);
  const Lanes inverse = inverse_or_zero(largest);
  ScaleFit best = ScaleFit::nothing(wxx);
  const auto try_inverse = [&](Lanes tried) noexcept {
    best.improve(refit_scale(fit_values<Values, n_weights>(x, weight, wxx, zero, tried), wxx));
  };
  for (int k = 0; k < Values::kSteps; ++k) {
    const float beyond = Values::kFirst + Values::kStep * static_cast<float>(k);
    try_inverse(Lanes(Values::kLowest - beyond) * inverse);
    try_inverse(Lanes(Values::kHighest + beyond) * inverse);
  }
  try_inverse(inverse_or_zero(best.s));
  return best;
}

/// The nearest codes with the scale s of each sub-block, [sub-block][n_weights].
template <class Values, size_t n_weights>
void codes_of_group(const Lanes* x, Lanes s, uint8_t* out) noexcept {
  const Lanes inverse = inverse_or_zero(s);
  for (size_t i = 0; i < n_weights; ++i) {
    float lanes[kLanes];
    Values::code(x[i] * inverse).store(lanes);
    for (size_t lane = 0; lane < kLanes; ++lane) out[lane * n_weights + i] = static_cast<uint8_t>(lanes[lane]);
  }
}

}  // namespace
}  // namespace belle

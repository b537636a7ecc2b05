// Codes of a sub-block with a scale s and a minimum m: the weight is s * code - m. All functions work lane by lane.
// `smallest` is the least m that the file can hold: 0, or kAnyMinimum.
#pragma once

#include <cstddef>

#include "quant/search/lanes.h"

namespace belle {
namespace {

constexpr float kAnyMinimum = -1e30f;

/// The nearest code from 0 to `largest`; inverse is 1 / s.
inline Lanes affine_code(Lanes x, Lanes inverse, Lanes m, float largest) noexcept {
  return round_even(limit((x + m) * inverse, 0.0f, largest));
}

/// What the error is a function of, once the codes are fixed: sums of w * code, w * code^2, w * code * x.
struct AffineSums {
  Lanes c, cc, cx;
};

/// Of the weights alone: sums of w, w * x, w * x^2.
struct WeightSums {
  Lanes w, wx, wxx;
};

/// The sums over the nearest codes.
template <size_t n_weights>
AffineSums affine_sums(const Lanes* x, const Lanes* weight, Lanes s, Lanes m, float largest) noexcept {
  const Lanes inverse = inverse_or_zero(s);
  AffineSums sums{Lanes(0.0f), Lanes(0.0f), Lanes(0.0f)};
  for (size_t i = 0; i < n_weights; ++i) {
    const Lanes code = affine_code(x[i], inverse, m, largest);
    const Lanes weighted = weight[i] * code;
    sums.c = sums.c + weighted;
    sums.cc = sums.cc + weighted * code;
    sums.cx = sums.cx + weighted * x[i];
  }
  return sums;
}

/// The sum of w * (x - s * code + m)^2.
inline Lanes affine_error(const AffineSums& sums, const WeightSums& all, Lanes s, Lanes m) noexcept {
  const Lanes two(2.0f);
  return all.wxx + s * (s * sums.cc - two * sums.cx) + m * (m * all.w + two * (all.wx - s * sums.c));
}

/// A scale and a minimum, with the codes' sums and the error.
struct AffineFit {
  Lanes s, m, error;
  AffineSums sums;

  /// Of zeros for codes, scale and minimum.
  static AffineFit nothing(const WeightSums& all) noexcept {
    const Lanes zero(0.0f);
    return {zero, zero, all.wxx, {zero, zero, zero}};
  }

  /// Takes each lane of `other` that has the smaller error.
  void improve(const AffineFit& other) noexcept {
    const LaneMask better = other.error < error;
    s = select(better, other.s, s);
    m = select(better, other.m, m);
    error = select(better, other.error, error);
    sums.c = select(better, other.sums.c, sums.c);
    sums.cc = select(better, other.sums.cc, sums.cc);
    sums.cx = select(better, other.sums.cx, sums.cx);
  }
};

/// The minimum that suits codes and s best.
inline Lanes best_minimum(const AffineSums& sums, const WeightSums& all, Lanes s, float smallest = 0.0f) noexcept {
  return larger((s * sums.c - all.wx) / all.w, Lanes(smallest));
}

/// Least squares: the scale and the minimum that suit the codes best. `s` is that of codes that are all equal.
inline AffineFit fit_affine(const AffineSums& sums, const WeightSums& all, Lanes s, float smallest) noexcept {
  const Lanes zero(0.0f);
  const Lanes product = all.w * sums.cc;
  const Lanes determinant = product - sums.c * sums.c;
  const LaneMask is_solvable = Lanes(1e-6f) * product < determinant;
  s = select(is_solvable, (all.w * sums.cx - all.wx * sums.c) / select(is_solvable, determinant, Lanes(1.0f)), s);
  const LaneMask has_no_minimum = (s * sums.c - all.wx) / all.w < Lanes(smallest);
  s = larger(select(has_no_minimum, sums.cx * inverse_or_zero(sums.cc), s), zero);
  const Lanes m = best_minimum(sums, all, s, smallest);
  return {s, m, affine_error(sums, all, s, m), sums};
}

/// The best of some scales and minima around those that span the weights: the codes of each, and least squares.
template <size_t n_weights>
AffineFit search_affine_fit(const Lanes* x, const Lanes* weight, const WeightSums& all, Lanes lowest, Lanes highest,
                            float largest, float smallest = 0.0f) noexcept {
  constexpr int kSteps = 10;
  const float first = largest > 3.0f ? largest - 2.0f : 2.0f, step = largest > 3.0f ? 0.3f : 0.2f;
  if (smallest == 0.0f) lowest = smaller(lowest, Lanes(0.0f));
  const Lanes span = highest - lowest;
  AffineFit best = AffineFit::nothing(all);
  for (int k = 0; k <= kSteps; ++k) {
    const Lanes s = span * Lanes(1.0f / (first + step * static_cast<float>(k)));
    for (int half_steps = 0; half_steps < 2; ++half_steps) {
      const Lanes m = Lanes(0.0f) - lowest - s * Lanes(0.5f * static_cast<float>(half_steps));
      best.improve(fit_affine(affine_sums<n_weights>(x, weight, s, m, largest), all, s, smallest));
    }
  }
  best.improve(fit_affine(affine_sums<n_weights>(x, weight, best.s, best.m, largest), all, best.s, smallest));
  return best;
}

}  // namespace
}  // namespace belle

// The types with a scale for each sub-block and no minimum, the scales whole multiples of the super-block's d: q3_k,
// q6_k, iq4_xs.
#pragma once

#include <cstddef>

#include "quant/search/candidates.h"
#include "quant/search/scale_fit.h"
#include "quant/search/sub_blocks.h"

namespace belle {
namespace {

/// A super-block's scales as the file holds them.
template <size_t n_groups>
struct WholeScales {
  HalfScale d;
  Lanes scale[n_groups];  // whole numbers, of each sub-block
  float error;
};

/// lowest_scale, highest_scale: the range of the whole multiples.
template <class Values, size_t n_weights, size_t n_groups, int lowest_scale, int highest_scale>
class ScaleSearch {
  using Blocks = SubBlocks<n_weights, n_groups>;
  using Scales = WholeScales<n_groups>;
  static constexpr float kLowestScale = lowest_scale, kHighestScale = highest_scale;

 public:
  explicit ScaleSearch(const Blocks& blocks) noexcept : blocks_(blocks), unit_(blocks.units[0]) {
    for (size_t g = 0; g < n_groups; ++g) {
      fits_[g] = search_scale_fit<Values, n_weights>(blocks.x[g], blocks.weight[g], blocks.sum_wxx[g], blocks.lowest[g],
                                                     blocks.highest[g]);
    }
  }

  Scales run() const noexcept {
    Scales best{{0, 0.0f}, {}, 0.0f};
    for (size_t g = 0; g < n_groups; ++g) {
      best.scale[g] = Lanes(0.0f);
      best.error += sum_of(blocks_.sum_wxx[g]);
    }
    const auto scales = candidates_of_d();
    for (size_t i = 0; i < scales.size(); ++i) refine(scales[i], best);
    return best;
  }

  /// The codes of every weight, [sub-block][n_weights].
  void codes(const Scales& scales, uint8_t* out) const noexcept {
    for (size_t g = 0; g < n_groups; ++g) {
      codes_of_group<Values, n_weights>(blocks_.x[g], scales.scale[g] * Lanes(scales.d.value),
                                        out + g * kLanes * n_weights);
    }
  }

 private:
  static Lanes whole(Lanes s, Lanes inverse) noexcept {
    return round_even(limit(s * inverse, kLowestScale, kHighestScale));
  }

  // Those of both signs that round the sub-blocks' scales with the least harm, if the codes stay.
  Candidates<2> candidates_of_d() const noexcept {
    float above = 0.0f, below = 0.0f;
    for (const ScaleFit& fit : fits_) {
      above = larger_of(above, largest_of(fit.s));
      below = larger_of(below, largest_of(Lanes(0.0f) - fit.s));
    }
    // The smallest d whose multiples reach both ends.
    const float positive = larger_of(above / kHighestScale, below / -kLowestScale);
    const float negative = -larger_of(below / kHighestScale, above / -kLowestScale);
    Candidates<2> candidates;
    for (int divisor = highest_scale; divisor > highest_scale - kDivisors; --divisor) {
      const float larger_by = kHighestScale / static_cast<float>(divisor);
      add_candidate(positive * larger_by, candidates);
      add_candidate(negative * larger_by, candidates);
    }
    return candidates;
  }

  void add_candidate(float exact_d, Candidates<2>& candidates) const noexcept {
    const HalfScale d = HalfScale::nearest(exact_d, unit_);
    const Lanes inverse = inverse_or_zero(Lanes(d.value));
    Lanes harm(0.0f);
    for (const ScaleFit& fit : fits_) {
      const Lanes off = fit.s - whole(fit.s, inverse) * Lanes(d.value);
      harm = harm + (off * off) * fit.vv;
    }
    candidates.add(d, sum_of(harm));
  }

  // Alternates between the best whole scales for d, and the best d for these.
  void refine(HalfScale d, Scales& best) const noexcept {
    ScaleFit fits[n_groups];
    for (size_t g = 0; g < n_groups; ++g) fits[g] = fits_[g];
    for (int round = 0; round < kRounds; ++round) {
      Scales now{d, {}, 0.0f};
      for (size_t g = 0; g < n_groups; ++g) {
        choose_whole(g, d, fits[g], now.scale[g]);
        now.error += sum_of(fits[g].error);
      }
      if (now.error < best.error) best = now;
      if (!refit(now, fits, d)) return;
      const Lanes change(d.value / now.d.value);
      for (ScaleFit& fit : fits) fit.s = fit.s * change;
    }
  }

  // The whole scale among the neighbours of fit's that has the smallest error with codes of its own. `fit` becomes
  // what was chosen.
  void choose_whole(size_t g, HalfScale d, ScaleFit& fit, Lanes& chosen) const noexcept {
    const Lanes nearest = whole(fit.s, inverse_or_zero(Lanes(d.value)));
    ScaleFit best = ScaleFit::nothing(blocks_.sum_wxx[g]);
    chosen = Lanes(0.0f);
    for (const float step : kNeighbours) {
      const Lanes scale = limit(nearest + Lanes(step), kLowestScale, kHighestScale), s = scale * Lanes(d.value);
      const ScaleFit tried =
          fit_values<Values, n_weights>(blocks_.x[g], blocks_.weight[g], blocks_.sum_wxx[g], s, inverse_or_zero(s));
      chosen = select(tried.error < best.error, scale, chosen);
      best.improve(tried);
    }
    fit = best;
  }

  // Least squares over the super-block. False if nothing changes.
  bool refit(const Scales& now, const ScaleFit* fits, HalfScale& d) const noexcept {
    Lanes squares(0.0f), products(0.0f);
    for (size_t g = 0; g < n_groups; ++g) {
      squares = squares + now.scale[g] * now.scale[g] * fits[g].vv;
      products = products + now.scale[g] * fits[g].vx;
    }
    const float square = sum_of(squares);
    if (!(square > 0.0f)) return false;
    d = HalfScale::nearest(sum_of(products) / square, unit_);
    return d.bits != now.d.bits && (d.bits & 0x7fffu) != 0;
  }

  const Blocks& blocks_;
  const Unit unit_;
  ScaleFit fits_[n_groups];  // with scales of any value
};

}  // namespace
}  // namespace belle

// The types with a scale and a minimum for each sub-block, both whole multiples of the super-block's d and dmin: q2_k,
// q4_k, q5_k.
#pragma once

#include <cstddef>

#include "quant/search/affine_fit.h"
#include "quant/search/candidates.h"
#include "quant/search/sub_blocks.h"

namespace belle {
namespace {

/// A super-block's scales as the file holds them.
template <size_t n_groups>
struct AffineScales {
  HalfScale d, dmin;
  Lanes scale[n_groups], minimum[n_groups];  // whole numbers, of each sub-block
  float error;
};

template <size_t n_weights, size_t n_groups, int largest_code, int largest_scale>
class AffineSearch {
  using Blocks = SubBlocks<n_weights, n_groups>;
  using Scales = AffineScales<n_groups>;
  static constexpr float kLargestCode = largest_code, kLargestScale = largest_scale;

 public:
  explicit AffineSearch(const Blocks& blocks) noexcept : blocks_(blocks), unit_(blocks.units[0]) {
    for (size_t g = 0; g < n_groups; ++g) {
      all_[g] = {blocks.sum_w[g], blocks.sum_wx[g], blocks.sum_wxx[g]};
      fits_[g] = search_affine_fit<n_weights>(blocks.x[g], blocks.weight[g], all_[g], blocks.lowest[g],
                                              blocks.highest[g], kLargestCode);
    }
  }

  Scales run() const noexcept {
    Scales best = nothing();
    const auto scales = candidates_of_d();
    const HalfScale dmin = likely_dmin();
    for (size_t i = 0; i < scales.size(); ++i) refine(scales[i], dmin, best);
    return best;
  }

  /// The codes of every weight, [sub-block][n_weights].
  void codes(const Scales& scales, uint8_t* out) const noexcept {
    for (size_t g = 0; g < n_groups; ++g) {
      const Lanes inverse = inverse_or_zero(scales.scale[g] * Lanes(scales.d.value));
      const Lanes m = scales.minimum[g] * Lanes(scales.dmin.value);
      for (size_t i = 0; i < n_weights; ++i) {
        float lanes[kLanes];
        affine_code(blocks_.x[g][i], inverse, m, kLargestCode).store(lanes);
        for (size_t lane = 0; lane < kLanes; ++lane) {
          out[(g * kLanes + lane) * n_weights + i] = static_cast<uint8_t>(lanes[lane]);
        }
      }
    }
  }

 private:
  static Lanes whole(Lanes value, Lanes inverse) noexcept {
    return round_even(limit(value * inverse, 0.0f, kLargestScale));
  }

  Scales nothing() const noexcept {
    Scales scales{{0, 0.0f}, {0, 0.0f}, {}, {}, 0.0f};
    for (size_t g = 0; g < n_groups; ++g) {
      scales.scale[g] = scales.minimum[g] = Lanes(0.0f);
      scales.error += sum_of(all_[g].wxx);
    }
    return scales;
  }

  // Those that round the sub-blocks' numbers with the least harm, if the codes stay. harm(group, what rounding takes
  // off) is in units of the error.
  template <size_t n, class Harm>
  Candidates<n> candidates_for(Lanes AffineFit::*number, Harm harm) const noexcept {
    float largest = 0.0f;
    for (const AffineFit& fit : fits_) largest = larger_of(largest, largest_of(fit.*number));
    Candidates<n> candidates;
    for (int divisor = largest_scale; divisor > 0 && divisor > largest_scale - kDivisors; --divisor) {
      const HalfScale unit = HalfScale::nearest(largest / static_cast<float>(divisor), unit_);
      const Lanes inverse = inverse_or_zero(Lanes(unit.value));
      Lanes total(0.0f);
      for (size_t g = 0; g < n_groups; ++g) {
        const Lanes exact = fits_[g].*number;
        total = total + harm(g, exact - whole(exact, inverse) * Lanes(unit.value));
      }
      candidates.add(unit, sum_of(total));
    }
    return candidates;
  }

  Candidates<4> candidates_of_d() const noexcept {
    return candidates_for<4>(&AffineFit::s, [&](size_t g, Lanes off) noexcept {
      const AffineSums& sums = fits_[g].sums;
      return (off * off) * (sums.cc - sums.c * sums.c / all_[g].w);
    });
  }

  HalfScale likely_dmin() const noexcept {
    return candidates_for<1>(&AffineFit::m, [&](size_t g, Lanes off) noexcept { return (off * off) * all_[g].w; })[0];
  }

  // Alternates between the best whole scales for d and dmin, and the best d and dmin for these.
  void refine(HalfScale d, HalfScale dmin, Scales& best) const noexcept {
    AffineFit fits[n_groups];
    for (size_t g = 0; g < n_groups; ++g) fits[g] = fits_[g];
    for (int round = 0; round < kRounds; ++round) {
      Scales now{d, dmin, {}, {}, 0.0f};
      for (size_t g = 0; g < n_groups; ++g) {
        choose_whole(g, d, dmin, fits[g], now);
        now.error += sum_of(fits[g].error);
      }
      if (now.error < best.error) best = now;
      if (!refit(now, fits, d, dmin)) return;
      const Lanes change(d.value / now.d.value);
      for (AffineFit& fit : fits) fit.s = fit.s * change;
    }
  }

  // The whole scale among the neighbours of fit's, with its best minimum, that has the smallest error with codes of its
  // own. `fit` becomes what was chosen.
  void choose_whole(size_t g, HalfScale d, HalfScale dmin, AffineFit& fit, Scales& now) const noexcept {
    const Lanes nearest = whole(fit.s, inverse_or_zero(Lanes(d.value)));
    const Lanes inverse_dmin = inverse_or_zero(Lanes(dmin.value));
    AffineFit best = AffineFit::nothing(all_[g]);
    now.scale[g] = now.minimum[g] = Lanes(0.0f);
    for (const float step : kNeighbours) {
      const Lanes scale = limit(nearest + Lanes(step), 0.0f, kLargestScale), s = scale * Lanes(d.value);
      const Lanes minimum = whole(best_minimum(fit.sums, all_[g], s), inverse_dmin), m = minimum * Lanes(dmin.value);
      const AffineSums sums = affine_sums<n_weights>(blocks_.x[g], blocks_.weight[g], s, m, kLargestCode);
      const AffineFit tried{s, m, affine_error(sums, all_[g], s, m), sums};
      const LaneMask better = tried.error < best.error;
      now.scale[g] = select(better, scale, now.scale[g]);
      now.minimum[g] = select(better, minimum, now.minimum[g]);
      best.improve(tried);
    }
    fit = best;
  }

  // Least squares over the super-block. False if nothing changes.
  bool refit(const Scales& now, const AffineFit* fits, HalfScale& d, HalfScale& dmin) const noexcept {
    Lanes ss(0.0f), sm(0.0f), mm(0.0f), sx(0.0f), mx(0.0f);
    for (size_t g = 0; g < n_groups; ++g) {
      const Lanes scale = now.scale[g], minimum = now.minimum[g];
      ss = ss + scale * scale * fits[g].sums.cc;
      sm = sm + scale * minimum * fits[g].sums.c;
      mm = mm + minimum * minimum * all_[g].w;
      sx = sx + scale * fits[g].sums.cx;
      mx = mx + minimum * all_[g].wx;
    }
    const float a = sum_of(ss), b = sum_of(sm), c = sum_of(mm), p = sum_of(sx), q = sum_of(mx);
    const float product = a * c, determinant = product - b * b;
    float new_d = 0.0f, new_dmin = 0.0f;
    if (determinant > 1e-6f * product) {
      new_d = (p * c - q * b) / determinant;
      new_dmin = (p * b - q * a) / determinant;
    }
    if (new_dmin <= 0.0f) {
      new_d = a > 0.0f ? p / a : 0.0f;
      new_dmin = 0.0f;
    }
    if (!(new_d > 0.0f)) return false;
    d = HalfScale::nearest(new_d, unit_);
    dmin = HalfScale::nearest(new_dmin, unit_);
    return d.bits != now.d.bits || dmin.bits != now.dmin.bits;
  }

  const Blocks& blocks_;
  const Unit unit_;
  WeightSums all_[n_groups];
  AffineFit fits_[n_groups];  // with scales and minima of any value
};

}  // namespace
}  // namespace belle

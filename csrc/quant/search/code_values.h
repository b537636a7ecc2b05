// The values that a code can stand for, in the types without a minimum: the weight is s * value.
#pragma once

#include <cstddef>

#include "quant/blocks.h"
#include "quant/search/lanes.h"

namespace belle {
namespace {

/// Whole numbers from -below to above: q3_k, q6_k.
template <int below, int above>
struct WholeValues {
  static constexpr float kLowest = -below, kHighest = above;
  // Scales are tried that make the largest weight kFirst beyond the lowest or highest value, and so on in steps.
  static constexpr int kSteps = below > 4 ? 9 : 3;
  static constexpr float kFirst = below > 4 ? -2.4f : -0.8f, kStep = below > 4 ? 0.5f : 0.6f;

  static Lanes nearest(Lanes x) noexcept { return round_even(limit(x, kLowest, kHighest)); }
  /// What the file holds for the nearest value.
  static Lanes code(Lanes x) noexcept { return nearest(x) - Lanes(kLowest); }
};

constexpr float iq4_value(size_t i) noexcept { return kIQ4Values[i]; }
/// Between value i - 1 and value i.
constexpr float iq4_border(size_t i) noexcept { return 0.5f * (iq4_value(i - 1) + iq4_value(i)); }

/// The sixteen values of iq4_nl and iq4_xs.
struct Iq4Values {
  static constexpr float kLowest = kIQ4Values[0], kHighest = kIQ4Values[15];
  static constexpr int kSteps = 11;
  static constexpr float kFirst = -20.0f, kStep = 3.0f;

  static Lanes nearest(Lanes x) noexcept {
    constexpr float kLow[8] = {iq4_value(0), iq4_value(1), iq4_value(2), iq4_value(3),
                               iq4_value(4), iq4_value(5), iq4_value(6), iq4_value(7)};
    constexpr float kHigh[8] = {iq4_value(8),  iq4_value(9),  iq4_value(10), iq4_value(11),
                                iq4_value(12), iq4_value(13), iq4_value(14), iq4_value(15)};
    const Lanes index = code(x), seven(7.0f);
    const LaneMask is_high = seven < index;
    const Lanes in_half = select(is_high, index - Lanes(8.0f), index);
    return select(is_high, look_up(kHigh, in_half), look_up(kLow, in_half));
  }

  /// The index of the nearest value: four comparisons with borders between values, each halving what is left.
  static Lanes code(Lanes x) noexcept {
    constexpr float kFourths[8] = {iq4_border(2), iq4_border(6), iq4_border(10), iq4_border(14)};
    constexpr float kEighths[8] = {iq4_border(1), iq4_border(3),  iq4_border(5),  iq4_border(7),
                                   iq4_border(9), iq4_border(11), iq4_border(13), iq4_border(15)};
    const LaneMask low_half = x < Lanes(iq4_border(8));
    Lanes index = select(low_half, Lanes(0.0f), Lanes(1.0f));
    index = next(index, x < select(low_half, Lanes(iq4_border(4)), Lanes(iq4_border(12))));
    index = next(index, x < look_up(kFourths, index));
    return next(index, x < look_up(kEighths, index));
  }

 private:
  static Lanes next(Lanes index, LaneMask is_below) noexcept {
    const Lanes twice = index + index;
    return select(is_below, twice, twice + Lanes(1.0f));
  }
};

}  // namespace
}  // namespace belle

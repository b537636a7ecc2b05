// A block of 32 columns of a panel, expanded into registers for one token after the other.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/compiler.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/unit.h"
#include "kernels/table.h"

namespace belle {
namespace {

/// A block of one part's rows, ready for the tokens.
template <class Tier, class Format>
struct ExpandedBlock {
  using Vector = typename Tier::Vector;
  using Dots = typename Tier::template Dots<Format>;
  static constexpr size_t kSteps = kGroups / 2;  // of the products with one token
  static constexpr size_t kScales = kBlockScales<Format>, kScaleGroups = Format::kScaleColumns / kGroupColumns;
  typename Tier::Bytes codes[kGroups];
  Vector d[kScales], m[kScales];  // m: formats with a minimum only

  /// Block b of the unit with these scales.
  ExpandedBlock(const uint8_t* block, const typename Format::template Scales<Tier>& scales, size_t b,
                size_t part) noexcept {
    BELLE_UNROLL for (size_t g = 0; g < kGroups; ++g) {
      codes[g] = Dots::operand(Format::template codes<Tier>(block, g, part));
    }
    BELLE_UNROLL for (size_t s = 0; s < kScales; ++s) {
      d[s] = scales.d(b * kScales + s, part);
      if constexpr (Format::kHasMinimum) m[s] = scales.m(b * kScales + s, part);
    }
  }

  /// sum + the products with one token's 32 activations. Those of columns that share a scale are exact; two chains
  /// halve the latency. ahead.before(first_step + i) is called before step i of kSteps.
  template <class Ahead>
  Vector add_to(Vector sum, const ActivationBlock& token, const Ahead& ahead, size_t first_step) const noexcept {
    BELLE_UNROLL for (size_t s = 0; s < kScales; ++s) {
      auto even = Dots::start(token, s), odd = typename Dots::Register{};
      BELLE_UNROLL for (size_t g = s * kScaleGroups; g < (s + 1) * kScaleGroups; g += 2) {
        ahead.before(first_step + g / 2);
        even = Dots::add(even, codes[g], Tier::broadcast_group(token.values + 4 * g));
        odd = Dots::add(odd, codes[g + 1], Tier::broadcast_group(token.values + 4 * g + 4));
      }
      const Vector scale = Tier::multiply(d[s], Tier::broadcast(token.scale));
      sum = Tier::multiply_add(Dots::floats(Dots::join(even, odd, token, s)), scale, sum);
    }
    if constexpr (Format::kHasMinimum) {
      BELLE_UNROLL for (size_t s = 0; s < kScales; ++s) {
        const Vector values = Tier::to_floats(Tier::weighted_sums(token.sums, sum_weights<Format>(1, s)));
        sum = Tier::multiply_add(m[s], Tier::multiply(values, Tier::broadcast(token.scale)), sum);
      }
    }
    return sum;
  }
};

}  // namespace
}  // namespace belle

// The integer products of some columns with one token, on tiers whose instruction sums the products of four
// unsigned and four signed bytes into 32 bits. The codes are the unsigned side, signed ones plus 128; what the code of
// zero adds is taken out at the start, with the sum of the activations.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/unit.h"
#include "kernels/table.h"

namespace belle {
namespace {

template <class Tier, class Format>
struct UnsignedDots {
  using Bytes = typename Tier::Bytes;
  using Register = typename Tier::Sums32;
  static constexpr int kZeroCode = Format::kZeroCode + (kSignedCodes<Format> ? 128 : 0);

  static Bytes operand(Bytes codes) noexcept {
    if constexpr (kSignedCodes<Format>) return Tier::flip_sign_bits(codes);
    else return codes;
  }
  /// For the columns that share scale s of the block.
  static Register start(const ActivationBlock& token, size_t s) noexcept {
    if constexpr (kZeroCode == 0) return Register{};
    else return Tier::weighted_sums(token.sums, sum_weights<Format>(-kZeroCode, s));
  }
  static Register add(Register dots, Bytes codes, Bytes columns) noexcept {
    return Tier::add_products(dots, codes, columns);
  }
  static Register join(Register even, Register odd, const ActivationBlock&, size_t) noexcept {
    return Tier::add_sums(even, odd);
  }
  static typename Tier::Vector floats(Register dots) noexcept { return Tier::to_floats(dots); }
};

}  // namespace
}  // namespace belle

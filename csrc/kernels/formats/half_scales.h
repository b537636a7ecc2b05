// The scales of a unit of 32 columns: half-precision numbers of the 16 rows, d and, where the format has one, m.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"

namespace belle {
namespace {

/// Half-precision numbers of one part's rows, of [16 rows].
template <class Tier>
inline typename Tier::Vector half_rows(const uint8_t* numbers, size_t part) noexcept {
  return Tier::load(reinterpret_cast<const uint16_t*>(numbers) + part * Tier::kLanes, AllLanes{});
}

/// They lie scales_at bytes behind the unit's start. Everything is read where it is asked for.
template <class Tier, size_t scales_at>
class HalfScales {
 public:
  using Vector = typename Tier::Vector;
  explicit HalfScales(const uint8_t* unit) noexcept : scales_(unit + scales_at) {}

  Vector d(size_t, size_t part) const noexcept { return half_rows<Tier>(scales_, part); }
  Vector m(size_t, size_t part) const noexcept { return half_rows<Tier>(scales_ + kScaleBytes, part); }

 private:
  const uint8_t* scales_;
};

}  // namespace
}  // namespace belle

// The float types: a unit is one column, an element for each of a panel's 16 rows.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/generic/lanes.h"
#include "quant/panels.h"

namespace belle {
namespace {

struct F32 {
  static constexpr WeightType kType = WeightType::kF32;
  static constexpr size_t kBytes = 4;
  template <class Tier>
  static typename Tier::Vector rows(const uint8_t* elements) noexcept {
    return Tier::load(reinterpret_cast<const float*>(elements), AllLanes{});
  }
};

struct F16 {
  static constexpr WeightType kType = WeightType::kF16;
  static constexpr size_t kBytes = 2;
  template <class Tier>
  static typename Tier::Vector rows(const uint8_t* elements) noexcept {
    return Tier::load(reinterpret_cast<const uint16_t*>(elements), AllLanes{});
  }
};

struct Bf16 {
  static constexpr WeightType kType = WeightType::kBf16;
  static constexpr size_t kBytes = 2;
  template <class Tier>
  static typename Tier::Vector rows(const uint8_t* elements) noexcept {
    return Tier::load_bf16(reinterpret_cast<const uint16_t*>(elements));
  }
};

}  // namespace
}  // namespace belle

// The portable tier's "vectors": one float. Compilers turn plain loops over them into what the CPU has.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/half.h"
#include "kernels/generic/lanes.h"
#include "kernels/scalar/numbers.h"

namespace belle {
namespace {

struct ScalarVector {
  using Vector = float;
  static constexpr size_t kLanes = 1;

  static Vector load(const float* from, AllLanes) noexcept { return *from; }
  static Vector load(const uint16_t* from, AllLanes) noexcept { return half_value(*from); }
  static Vector int8_rows(const int8_t* from) noexcept { return static_cast<float>(*from); }
  static Vector multiply(Vector a, Vector b) noexcept { return a * b; }
  static Vector load_bf16(const uint16_t* from) noexcept { return bf16_to_float(*from); }
};

}  // namespace
}  // namespace belle

// The portable tier's "vectors": one float. Compilers turn plain loops over them into what the CPU has.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/half.h"
#include "kernels/generic/lanes.h"

namespace belle {
namespace {

struct ScalarVector {
  using Vector = float;
  static constexpr size_t kLanes = 1;

  static Vector load(const float* from, AllLanes) noexcept { return *from; }

  // half_to_float's values without its branches, so that loops over it become vectors: the bits at float's place are
  // the value times 2^-112 (subnormals included), and what reaches 2^16 was infinity or NaN.
  static Vector load(const uint16_t* from, AllLanes) noexcept {
    const uint16_t half = *from;
    const float magnitude = bits_to_float((half & 0x7fffu) << 13) * 5.192296858534828e33f;  // 2^112
    const uint32_t sign = (half & 0x8000u) << 16;
    const uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
    return bits_to_float(float_to_bits(magnitude) | special | sign);
  }
  static Vector load_bf16(const uint16_t* from) noexcept { return bf16_to_float(*from); }

  // A product of floats is exact in double, so this rounds like a fused multiply-add (but for rare double
  // roundings) and needs no FMA unit.
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept {
    return static_cast<float>(static_cast<double>(a) * b + c);
  }
};

}  // namespace
}  // namespace belle

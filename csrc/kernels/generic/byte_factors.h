// Whole numbers of 15 bits that are multiplied with unsigned bytes: what a tier must have for byte_attention.h.
//
//   kByteSums      registers of 32-bit sums for each vector of results
//   byte_operand   a register of bytes as add_bytes wants it
//   pack_factors   numbers within +-kLargestFactor -> two rows of bytes, 4 of each for 4 numbers; and the sums' start,
//                  which takes out what kZeroByte adds to each byte
//   add_bytes      sums + four bytes times four factors in each lane
//   byte_sums      the sums as floats
//
// SplitFactors is that for tiers which multiply bytes: a factor is 128 * high + low.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/byte_page.h"

namespace belle {
namespace {

constexpr int kHighFactor = 128;
constexpr float kLargestFactor = 127.0f * kHighFactor;
constexpr float kNegligibleFactor = 1e-30f;  // if the largest one is smaller, all count as zeros

template <class Vectors, class Products>
struct SplitFactors {
  static constexpr size_t kByteSums = 2;

  static typename Products::Bytes byte_operand(typename Products::Bytes bytes) noexcept { return bytes; }

  static void pack_factors(const int16_t* numbers, size_t n_groups, int8_t* high, int8_t* low,
                           int32_t (&start)[kByteSums]) noexcept {
    int32_t high_sum = 0, low_sum = 0;
    for (size_t i = 0; i < n_groups * kGroupBytes; ++i) {
      const int upper = (numbers[i] + kHighFactor / 2) >> 7;
      const int lower = numbers[i] - kHighFactor * upper;
      high[i] = static_cast<int8_t>(upper);
      low[i] = static_cast<int8_t>(lower);
      high_sum += upper;
      low_sum += lower;
    }
    start[0] = -kZeroByte * high_sum;
    start[1] = -kZeroByte * low_sum;
  }

  static void add_bytes(typename Products::Sums32 (&sums)[kByteSums], typename Products::Bytes bytes,
                        const int8_t* high, const int8_t* low) noexcept {
    sums[0] = Products::add_products(sums[0], bytes, Products::broadcast_group(high));
    sums[1] = Products::add_products(sums[1], bytes, Products::broadcast_group(low));
  }

  static typename Vectors::Vector byte_sums(const typename Products::Sums32 (&sums)[kByteSums]) noexcept {
    const auto upper = Products::to_floats(sums[0]), lower = Products::to_floats(sums[1]);
    return Vectors::multiply_add(upper, Vectors::broadcast(static_cast<float>(kHighFactor)), lower);
  }
};

}  // namespace
}  // namespace belle

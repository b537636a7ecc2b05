// The products of int16_attention.h: tiles of sums of 16-bit products. A tier says how many queries, kInt16Queries, and
// vectors, kInt16Vectors, a tile of sums has.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/compiler.h"
#include "kernels/generic/lanes.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kInt16Bytes = sizeof(int16_t), kPairBytes = 2 * kInt16Bytes;

/// Rows of 16-bit numbers against pairs of rows of them: sums[i][c] += left[i][2j] * right[j][c][0] + left[i][2j + 1] *
/// right[j][c][1] over the pairs j.
struct Int16Product {
  const uint8_t* left;   // [kInt16Queries] rows of numbers
  size_t left_stride;    // bytes
  const uint8_t* right;  // [n_pairs] rows of pairs
  size_t right_stride;   // bytes
  size_t n_pairs;
};

template <class Tier>
using Int16Sums = typename Tier::Sums32[Tier::kInt16Queries][Tier::kInt16Vectors];

template <class Tier>
inline void multiply_int16(const Int16Product& product, Int16Sums<Tier>& sums) noexcept {
  const uint8_t *left = product.left, *right = product.right;
  BELLE_UNROLL for (size_t i = 0; i < Tier::kInt16Queries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < Tier::kInt16Vectors; ++v) sums[i][v] = typename Tier::Sums32{};
  }
  for (size_t j = 0; j < product.n_pairs; ++j, left += kPairBytes, right += product.right_stride) {
    typename Tier::Bytes columns[Tier::kInt16Vectors];
    BELLE_UNROLL for (size_t v = 0; v < Tier::kInt16Vectors; ++v) {
      columns[v] = Tier::load_bytes(right + v * sizeof columns[v]);
    }
    BELLE_UNROLL for (size_t i = 0; i < Tier::kInt16Queries; ++i) {
      const auto row = Tier::broadcast_group(reinterpret_cast<const int8_t*>(left + i * product.left_stride));
      BELLE_UNROLL for (size_t v = 0; v < Tier::kInt16Vectors; ++v) {
        sums[i][v] = Tier::add_int16_products(sums[i][v], row, columns[v]);
      }
    }
  }
}

// scores [kInt16Queries][kPageTokens]
template <class Tier>
BELLE_ALONE inline void score_int16(const Int16Product& product, int32_t* scores) noexcept {
  Int16Sums<Tier> sums;
  multiply_int16<Tier>(product, sums);
  BELLE_UNROLL for (size_t i = 0; i < Tier::kInt16Queries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < Tier::kInt16Vectors; ++v) {
      Tier::store_sums(scores + i * kPageTokens + v * Tier::kLanes, sums[i][v]);
    }
  }
}

// out [kInt16Queries][stride] += factors[i] * the products
template <class Tier>
BELLE_ALONE inline void add_weighted_int16(const Int16Product& product, const float* factors, float* out,
                                           size_t stride) noexcept {
  Int16Sums<Tier> sums;
  multiply_int16<Tier>(product, sums);
  BELLE_UNROLL for (size_t i = 0; i < Tier::kInt16Queries; ++i) {
    BELLE_UNROLL for (size_t v = 0; v < Tier::kInt16Vectors; ++v) {
      float* row = out + i * stride + v * Tier::kLanes;
      Tier::store(
          row,
          Tier::multiply_add(Tier::to_floats(sums[i][v]), Tier::broadcast(factors[i]), Tier::load(row, AllLanes{})),
          AllLanes{});
    }
  }
}

}  // namespace
}  // namespace belle

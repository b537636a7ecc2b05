// The AVX-VNNI tier: what its vectors can do, and the sizes of its tiles.
#pragma once

#include "kernels/avx2/quantizing.h"
#include "kernels/avx2/vector.h"
#include "kernels/avxvnni/products.h"

namespace belle {
namespace {

struct AvxVnni : Avx2Vector, AvxVnniProducts, Avx2Quantizing {
  // Attention's tiles: 4 queries x 2 vectors of scores, 4 queries x 2 vectors of the output.
  static constexpr size_t kScoreQueries = 4, kValueQueries = 4, kValueVectors = 2;
  // Those of attention in 16-bit integers: 12 sums, 2 vectors of keys or values.
  static constexpr size_t kInt16Queries = 6, kInt16Vectors = 2;
};

}  // namespace
}  // namespace belle

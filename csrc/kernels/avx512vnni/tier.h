// The AVX-512 VNNI tier: what its vectors can do, and the sizes of its tiles.
#pragma once

#include "kernels/avx512vnni/products.h"
#include "kernels/avx512vnni/quantizing.h"
#include "kernels/avx512vnni/vector.h"

namespace belle {
namespace {

struct Avx512Vnni : Avx512Vector, Avx512VnniProducts, Avx512Quantizing {
  // Attention's tiles: 8 queries x 2 vectors of scores, 4 queries x 4 vectors of the output.
  static constexpr size_t kScoreQueries = 8, kValueQueries = 4, kValueVectors = 4;
  // Those of attention in 16-bit integers: 16 sums, 2 vectors of keys or values.
  static constexpr size_t kInt16Queries = 8, kInt16Vectors = 2;
};

}  // namespace
}  // namespace belle

// The AVX-512 VNNI tier: what its vectors can do, and the sizes of its tiles.
#pragma once

#include <stddef.h>

#include "kernels/avx512vnni/products.h"
#include "kernels/avx512vnni/quantizing.h"
#include "kernels/avx512vnni/vector.h"
#include "kernels/generic/byte_factors.h"
#include "kernels/generic/unsigned_dots.h"

namespace belle {
namespace {

struct Avx512Vnni : Avx512Vector, Avx512VnniProducts, SplitFactors<Avx512Vector, Avx512VnniProducts>, Avx512Quantizing {
  // Attention's tiles: 8 queries x 2 vectors of scores, 4 queries x 4 vectors of the output.
  static constexpr size_t kScoreQueries = 8, kValueQueries = 4, kValueVectors = 4;
  // Those of attention in 16-bit integers: 16 sums, 2 vectors of keys or values.
  static constexpr size_t kInt16Queries = 8, kInt16Vectors = 2;
  // Tokens of a tile: of the quantized types (16 sums, 8 vectors of codes, some temporaries), and of the float types
  // (sums of even and of odd columns). No chunks: a tile has all 16 tokens of a group.
  static constexpr size_t kMatmulTokens = 16, kFloatTokens = 8, kChunkTokens = 0;
  // A tile of slabs: 24 sums, 4 vectors of weights, activations; and of codes: 12 sums of a scale, 12 of all scales.
  static constexpr size_t kSlabTokens = 6, kSlabVectors = 4, kCodeVectors = 2;

  template <class Format>
  using Dots = UnsignedDots<Avx512Vnni, Format>;
};

}  // namespace
}  // namespace belle

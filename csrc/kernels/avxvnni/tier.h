// The AVX-VNNI tier: what its vectors can do, and the sizes of its tiles.
#pragma once

#include <stddef.h>

#include "kernels/avx2/quantizing.h"
#include "kernels/avx2/vector.h"
#include "kernels/avxvnni/products.h"
#include "kernels/generic/byte_factors.h"
#include "kernels/generic/unsigned_dots.h"

namespace belle {
namespace {

struct AvxVnni : Avx2Vector, AvxVnniProducts, SplitFactors<Avx2Vector, AvxVnniProducts>, Avx2Quantizing {
  // Attention's tiles: 4 queries x 2 vectors of scores, 4 queries x 2 vectors of the output.
  static constexpr size_t kScoreQueries = 4, kValueQueries = 4, kValueVectors = 2;
  // Those of attention in 16-bit integers: 12 sums, 2 vectors of keys or values.
  static constexpr size_t kInt16Queries = 6, kInt16Vectors = 2;
  // Tokens of a tile: as in avx2/tier.h.
  static constexpr size_t kMatmulTokens = 4, kFloatTokens = 3, kChunkTokens = 4;
  // A tile of slabs: 12 sums, 2 vectors of weights, activations; and of codes, whose sums over all scales lie in
  // memory.
  static constexpr size_t kSlabTokens = 6, kSlabVectors = 2, kCodeVectors = 2;

  template <class Format>
  using Dots = UnsignedDots<AvxVnni, Format>;
};

}  // namespace
}  // namespace belle

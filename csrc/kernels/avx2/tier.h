// The AVX2 tier: what its vectors can do, and the sizes of its tiles.
#pragma once

#include "kernels/avx2/products.h"
#include "kernels/avx2/quantizing.h"
#include "kernels/avx2/vector.h"

namespace belle {
namespace {

struct Avx2 : Avx2Vector, Avx2Products, Avx2Quantizing {
  // Attention's tiles: 4 queries x 2 vectors of scores, 4 queries x 2 vectors of the output.
  static constexpr size_t kScoreQueries = 4, kValueQueries = 4, kValueVectors = 2;
  // Tokens of a tile: of the quantized types straight from the panels, of the float types (two parts, even and odd
  // columns: 12 of the 16 registers), and of a chunk of a panel.
  static constexpr size_t kMatmulTokens = 4, kFloatTokens = 3, kChunkTokens = 4;
};

}  // namespace
}  // namespace belle

// The AVX-512 VNNI tier: what its vectors can do, and the sizes of its tiles.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/avx2/intrinsics.h"
#include "kernels/avx512vnni/products.h"
#include "kernels/avx512vnni/quantizing.h"
#include "kernels/avx512vnni/vector.h"
#include "kernels/generic/byte_factors.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/unsigned_dots.h"
#include "kernels/table.h"

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
  // A tile of slabs: 16 sums, 4 vectors of weights, activations.
  static constexpr size_t kSlabTokens = 4, kSlabVectors = 4;

  /// n columns of the tokens of a tile of slabs -> [group of 4 columns][token][4], plus 128; n is a multiple of 32.
  static void pack_groups(const int8_t (*values)[kSlabColumns], size_t n, uint8_t* out) noexcept {
    const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (size_t at = 0; at < n; at += 16) {
      const auto token = [&](size_t i) noexcept {
        return _mm_load_si128(reinterpret_cast<const __m128i*>(values[i] + at));
      };
      const __m256i first = _mm256_inserti128_si256(_mm256_castsi128_si256(token(0)), token(1), 1);
      const __m256i second = _mm256_inserti128_si256(_mm256_castsi128_si256(token(2)), token(3), 1);
      const __m512i all = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
      store_bytes(out + at * kSlabTokens, flip_sign_bits(_mm512_permutexvar_epi32(in_order, all)));
    }
  }

  template <class Format>
  using Dots = UnsignedDots<Avx512Vnni, Format>;
};

}  // namespace
}  // namespace belle

// The kernels' transpose in squares of 8 by 8 floats, for instruction sets that have AVX2.
#pragma once

#include <immintrin.h>

#include "dense/tile.h"

namespace belle {
namespace {

/// out[p * kColumns + j] = rows[j * stride + p] for p and j below 8 (128-bit halves, then pairs, then quadruples)
template <size_t kColumns>
inline void transpose_square(const float* rows, size_t stride, float* out) noexcept {
  __m256 quads[8], pairs[8];
  for (size_t j = 0; j < 4; ++j) {
    const float *low = rows + j * stride, *high = rows + (j + 4) * stride;
    for (size_t half = 0; half < 2; ++half) {
      const __m256 first = _mm256_castps128_ps256(_mm_loadu_ps(low + 4 * half));
      quads[4 * half + j] = _mm256_insertf128_ps(first, _mm_loadu_ps(high + 4 * half), 1);
    }
  }
  for (size_t half = 0; half < 8; half += 4) {
    pairs[half] = _mm256_unpacklo_ps(quads[half], quads[half + 1]);
    pairs[half + 1] = _mm256_unpackhi_ps(quads[half], quads[half + 1]);
    pairs[half + 2] = _mm256_unpacklo_ps(quads[half + 2], quads[half + 3]);
    pairs[half + 3] = _mm256_unpackhi_ps(quads[half + 2], quads[half + 3]);
    float* to = out + half * kColumns;
    _mm256_storeu_ps(to, _mm256_shuffle_ps(pairs[half], pairs[half + 2], 0x44));
    _mm256_storeu_ps(to + kColumns, _mm256_shuffle_ps(pairs[half], pairs[half + 2], 0xee));
    _mm256_storeu_ps(to + 2 * kColumns, _mm256_shuffle_ps(pairs[half + 1], pairs[half + 3], 0x44));
    _mm256_storeu_ps(to + 3 * kColumns, _mm256_shuffle_ps(pairs[half + 1], pairs[half + 3], 0xee));
  }
}

/// Whole squares; what is left goes float by float.
template <size_t kColumns>
void transpose_squares(const float* rows, size_t stride, size_t n_rows, size_t depth, float* out) noexcept {
  constexpr size_t kSteps = 16;  // a line of each row
  const size_t whole = n_rows == kColumns ? depth / kSteps * kSteps : 0;
  for (size_t begin = 0; begin < whole; begin += kSteps) {
    for (size_t j = 0; j < kColumns; j += 8) {
      for (size_t p = begin; p < begin + kSteps; p += 8) {
        transpose_square<kColumns>(rows + j * stride + p, stride, out + p * kColumns + j);
      }
    }
  }
  transpose<kColumns>(rows + whole, stride, n_rows, depth - whole, out + whole * kColumns);
}

}  // namespace
}  // namespace belle

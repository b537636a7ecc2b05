// A tile of outputs that stays in registers: kRows rows by kVectors vectors of columns. Vector brings the arithmetic.
//
// Everything here is in the file's anonymous namespace: an object with flags of its own leaves one symbol.
#pragma once

#include <cstddef>
#include <cstring>

#include "core/half.h"
#include "dense/dense_kernels.h"
#include "kernels/compiler.h"
#include "kernels/generic/prefetch.h"

namespace belle {
namespace {

/// kRowStride, kStepStride: floats from a(i, p) to a(i + 1, p) and to a(i, p + 1).
template <class Vector, size_t kRows, size_t kVectors, size_t kRowStride, size_t kStepStride>
void add_tile(size_t depth, const float* a, const float* b, float* c, size_t ldc, uintptr_t next) noexcept {
  static_assert(kRows * kVectors * Vector::kLanes <= kMaxTile, "edges are computed in a tile of this size");
  constexpr size_t kColumns = kVectors * Vector::kLanes;
  Vector sums[kRows][kVectors];
  BELLE_UNROLL
  for (size_t i = 0; i < kRows; ++i) {
    BELLE_UNROLL
    for (size_t v = 0; v < kVectors; ++v) sums[i][v] = Vector::load(c + i * ldc + v * Vector::kLanes);
  }
  for (size_t p = 0; p < depth; ++p, a += kStepStride, b += kColumns) {
    if (p < kRows) {  // a row at each step: all at once would wait for each other
      for (size_t byte = 0; byte < kColumns * sizeof(float); byte += kLineBytes) prefetch_line(next + byte);
      prefetch_line(next + kColumns * sizeof(float) - 1);
      next += ldc * sizeof(float);
    }
    Vector right[kVectors];
    BELLE_UNROLL
    for (size_t v = 0; v < kVectors; ++v) right[v] = Vector::load(b + v * Vector::kLanes);
    BELLE_UNROLL
    for (size_t i = 0; i < kRows; ++i) {
      const Vector left = Vector::all(a[i * kRowStride]);
      BELLE_UNROLL
      for (size_t v = 0; v < kVectors; ++v) sums[i][v] = fused(left, right[v], sums[i][v]);
    }
  }
  BELLE_UNROLL
  for (size_t i = 0; i < kRows; ++i) {
    BELLE_UNROLL
    for (size_t v = 0; v < kVectors; ++v) sums[i][v].store(c + i * ldc + v * Vector::kLanes);
  }
}

/// The kernels' pack_steps and pack_columns. Step by step over all tiles: a step lies in lines that follow each other,
/// while those of a tile's steps may all belong to the same few places of a cache.
template <size_t kWidth>
void copy_steps(const float* x, size_t stride, size_t n, size_t depth, float* out) noexcept {
  for (size_t p = 0; p < depth; ++p, x += stride, out += kWidth) {
    size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) std::memcpy(out + i * kPackedDepth, x + i, kWidth * sizeof(float));
    if (i == n) continue;
    float* last = out + i * kPackedDepth;
    for (size_t lane = 0; lane < kWidth; ++lane) last[lane] = i + lane < n ? x[i + lane] : 0.0f;
  }
}

/// The kernels' function of this name, 16 steps at a time: their lines are in the cache for the next column.
template <size_t kColumns>
void transpose(const float* rows, size_t stride, size_t n_rows, size_t depth, float* out) noexcept {
  constexpr size_t kSteps = 16;
  for (size_t begin = 0; begin < depth; begin += kSteps) {
    const size_t n = depth - begin < kSteps ? depth - begin : kSteps;
    for (size_t j = 0; j < kColumns; ++j) {
      float* column = out + begin * kColumns + j;
      if (j >= n_rows) {
        for (size_t p = 0; p < n; ++p) column[p * kColumns] = 0.0f;
        continue;
      }
      const float* row = rows + j * stride + begin;
      for (size_t p = 0; p < n; ++p) column[p * kColumns] = row[p];
    }
  }
}

void widen_bf16(const uint16_t* x, size_t n, float* out) noexcept {
  for (size_t i = 0; i < n; ++i) out[i] = bf16_to_float(x[i]);
}

}  // namespace
}  // namespace belle

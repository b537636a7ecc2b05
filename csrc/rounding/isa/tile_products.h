// Products of a few rows of one matrix with a tile, in one order of operations.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/generic/prefetch.h"
#include "rounding/isa/row_lanes.h"
#include "rounding/kernels.h"

namespace belle {
namespace {

constexpr size_t kLineFloats = 16;   // of a cache line
constexpr size_t kDepthChunk = 128;  // of a tile, which stays in the first cache
// Of a tile's vectors; with six rows the sums fill most registers.
constexpr size_t kVectors = RowLanes::kCount == 16 ? 4 : 2;
constexpr size_t kChunkWidth = kVectors * RowLanes::kCount;
static_assert(kTileRows % kChunkWidth == 0, "whole chunks");

/// next: the rows of `a` that come after these, which are asked for meanwhile.
template <size_t n_rows>
void multiply_add_rows(size_t depth, const float* a, size_t a_stride, const float* next, const float* b, float* c,
                       size_t c_stride) noexcept {
  RowLanes sums[n_rows][kVectors];
  for (size_t i = 0; i < n_rows; ++i) {
    for (size_t v = 0; v < kVectors; ++v) sums[i][v] = RowLanes::load(c + i * c_stride + v * RowLanes::kCount);
  }
  for (size_t t = 0; t < depth; t += kLineFloats) {
    for (size_t i = 0; i < n_rows; ++i) prefetch_line(reinterpret_cast<uintptr_t>(next + i * a_stride + t));
    const size_t end = depth - t < kLineFloats ? depth : t + kLineFloats;
    for (size_t s = t; s < end; ++s) {
      RowLanes column[kVectors];
      for (size_t v = 0; v < kVectors; ++v) column[v] = RowLanes::load(b + s * kTileRows + v * RowLanes::kCount);
      for (size_t i = 0; i < n_rows; ++i) {
        const RowLanes factor(a[i * a_stride + s]);
        for (size_t v = 0; v < kVectors; ++v) sums[i][v] = fused(factor, column[v], sums[i][v]);
      }
    }
  }
  for (size_t i = 0; i < n_rows; ++i) {
    for (size_t v = 0; v < kVectors; ++v) sums[i][v].store(c + i * c_stride + v * RowLanes::kCount);
  }
}

inline void multiply_add(size_t n, size_t depth, const float* a, size_t a_stride, const float* b, float* c,
                         size_t c_stride) noexcept {
  for (size_t t = 0; t < depth; t += kDepthChunk) {
    const size_t here = depth - t < kDepthChunk ? depth - t : kDepthChunk;
    for (size_t j = 0; j < kTileRows; j += kChunkWidth) {
      const float *tile = b + t * kTileRows + j, *rows = a + t;
      size_t i = 0;
      for (; i + 6 <= n; i += 6, rows += 6 * a_stride) {
        const float* next =
            i + 12 <= n ? rows + 6 * a_stride : (t + 2 * kDepthChunk <= depth ? a + t + kDepthChunk : rows);
        multiply_add_rows<6>(here, rows, a_stride, next, tile, c + i * c_stride + j, c_stride);
      }
      for (; i + 2 <= n; i += 2, rows += 2 * a_stride) {
        multiply_add_rows<2>(here, rows, a_stride, rows, tile, c + i * c_stride + j, c_stride);
      }
      for (; i < n; ++i, rows += a_stride) {
        multiply_add_rows<1>(here, rows, a_stride, rows, tile, c + i * c_stride + j, c_stride);
      }
    }
  }
}

}  // namespace
}  // namespace belle

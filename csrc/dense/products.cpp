#include "dense/products.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

namespace belle {
namespace {

constexpr size_t kBlockColumns = 1024;  // of the right side that are packed at a time: with kPackedDepth 1.5 MB
constexpr size_t kBlockRows = 112;      // about as many of the left side

/// The left side: a(i, p) is data[i * stride + p], or with steps data[p * stride + i].
struct Left {
  const float* data;
  size_t stride;
  bool by_steps;
};

/// The right side: b(p, j) is data[p * stride + j], or with rows data[j * stride + p].
struct Right {
  const void* data;
  size_t stride;
  FloatType type;  // kF32 where it is not given by rows
  bool by_rows;
};

/// n rows, m columns, depth k; of row i the columns up to i + diagonal are computed.
struct Extent {
  size_t n, m, k;
  size_t diagonal = std::numeric_limits<size_t>::max() / 2;

  size_t columns_of(size_t i) const noexcept { return std::min(m, i + diagonal + 1); }
};

// Packed sides, kept for the thread's next call.
struct Packed {
  static constexpr size_t kRightFloats = kPackedDepth * kBlockColumns;
  static constexpr size_t kLeftFloats = kPackedRow * kBlockRows;
  static constexpr size_t kWideFloats = kPackedDepth * 32;  // a panel's rows as floats
  static constexpr size_t kLineFloats = 16;

  float *right, *left, *wide;

  Packed() : memory_(new float[kRightFloats + kLeftFloats + kWideFloats + kLineFloats]) {
    const size_t address = reinterpret_cast<uintptr_t>(memory_.get()) / sizeof(float);
    right = memory_.get() + (kLineFloats - address % kLineFloats) % kLineFloats;
    left = right + kRightFloats;
    wide = left + kLeftFloats;
  }

 private:
  std::unique_ptr<float[]> memory_;
};

Packed& packed_of_thread() {
  static thread_local Packed packed;
  return packed;
}

/// Rows [first, first + n) of the left side, steps [begin, begin + depth): tiles as the kernels read them.
void pack_left(const DenseKernels& kernels, const Left& a, size_t first, size_t n, size_t begin, size_t depth,
               float* out) noexcept {
  if (a.by_steps) return kernels.pack_steps(a.data + begin * a.stride + first, a.stride, n, depth, out);
  const size_t rows = kernels.tile_rows, padded = (n + rows - 1) / rows * rows;
  for (size_t i = 0; i < padded; ++i) {
    if (i < n) std::memcpy(out + i * kPackedRow, a.data + (first + i) * a.stride + begin, depth * sizeof(float));
    else std::memset(out + i * kPackedRow, 0, depth * sizeof(float));
  }
}

/// A panel of n <= tile_columns columns of a right side that is given by rows, from `first` on: [depth, tile_columns].
void pack_panel(const DenseKernels& kernels, const Right& b, size_t first, size_t n, size_t begin, size_t depth,
                float* wide, float* out) noexcept {
  if (b.type == FloatType::kF32) {
    const float* from = static_cast<const float*>(b.data) + first * b.stride + begin;
    return kernels.transpose(from, b.stride, n, depth, out);
  }
  const auto widen = b.type == FloatType::kF16 ? kernels.widen_f16 : kernels.widen_bf16;
  const uint16_t* from = static_cast<const uint16_t*>(b.data) + first * b.stride + begin;
  for (size_t j = 0; j < n; ++j) widen(from + j * b.stride, depth, wide + j * kPackedDepth);
  kernels.transpose(wide, kPackedDepth, n, depth, out);
}

/// m columns of the right side from `first` on, in panels.
void pack_right(const DenseKernels& kernels, const Right& b, size_t first, size_t m, size_t begin, size_t depth,
                const Packed& packed) noexcept {
  if (!b.by_rows) {
    const float* from = static_cast<const float*>(b.data) + begin * b.stride + first;
    return kernels.pack_columns(from, b.stride, m, depth, packed.right);
  }
  for (size_t panel = 0; panel < m; panel += kernels.tile_columns) {
    const size_t n = std::min(kernels.tile_columns, m - panel);
    pack_panel(kernels, b, first + panel, n, begin, depth, packed.wide, packed.right + panel * kPackedDepth);
  }
}

/// The tile at row i, column j that reaches over an edge: its outputs inside are copied out and back.
void add_edge(const DenseKernels& kernels, TileFn add, const Extent& extent, size_t i, size_t j, size_t depth,
              const float* a, const float* b, float* c, size_t ldc) noexcept {
  float tile[kMaxTile] = {};
  const size_t rows = std::min(kernels.tile_rows, extent.n - i), columns = kernels.tile_columns;
  const auto width = [&](size_t r) {
    return std::min(std::max(extent.columns_of(i + r), j) - j, columns) * sizeof(float);
  };
  for (size_t r = 0; r < rows; ++r) std::memcpy(tile + r * columns, c + (i + r) * ldc + j, width(r));
  add(depth, a, b, tile, columns, reinterpret_cast<uintptr_t>(tile));
  for (size_t r = 0; r < rows; ++r) std::memcpy(c + (i + r) * ldc + j, tile + r * columns, width(r));
}

/// Packed rows [first, first + n) by packed columns [first_column, first_column + m).
void add_block(const DenseKernels& kernels, const Extent& extent, size_t first, size_t n, size_t first_column, size_t m,
               size_t depth, bool by_steps, const Packed& packed, float* c, size_t ldc) noexcept {
  const size_t rows = kernels.tile_rows, columns = kernels.tile_columns;
  const TileFn add = by_steps ? kernels.tile_by_steps : kernels.tile_by_rows;
  const size_t row_floats = by_steps ? kPackedDepth : kPackedRow;
  for (size_t panel = 0; panel < m; panel += columns) {
    const float* b = packed.right + panel * kPackedDepth;
    const size_t j = first_column + panel;
    for (size_t tile = 0; tile < n; tile += rows) {
      const size_t i = first + tile;
      const float* a = packed.left + tile * row_floats;
      const uintptr_t next = reinterpret_cast<uintptr_t>(c) + ((i + rows) * ldc + j) * sizeof(float);
      if (i + rows <= extent.n && j + columns <= extent.columns_of(i)) add(depth, a, b, c + i * ldc + j, ldc, next);
      else if (j < extent.columns_of(std::min(i + rows, extent.n) - 1))
        add_edge(kernels, add, extent, i, j, depth, a, b, c, ldc);
    }
  }
}

/// c [n, m] += a b. Depth goes in blocks of kPackedDepth, whose sums go on from what c holds.
void add_product(const DenseKernels& kernels, const Extent& extent, const Left& a, const Right& b, float* c,
                 size_t ldc) noexcept {
  const size_t block_rows = kBlockRows / kernels.tile_rows * kernels.tile_rows;
  Packed& packed = packed_of_thread();
  for (size_t j = 0; j < extent.m; j += kBlockColumns) {
    const size_t m = std::min(kBlockColumns, extent.m - j);
    for (size_t begin = 0; begin < extent.k; begin += kPackedDepth) {
      const size_t depth = std::min(kPackedDepth, extent.k - begin);
      pack_right(kernels, b, j, m, begin, depth, packed);
      for (size_t i = 0; i < extent.n; i += block_rows) {
        const size_t n = std::min(block_rows, extent.n - i);
        if (j >= extent.columns_of(i + n - 1)) continue;
        pack_left(kernels, a, i, n, begin, depth, packed.left);
        add_block(kernels, extent, i, n, j, m, depth, a.by_steps, packed, c, ldc);
      }
    }
  }
}

const void* skip_rows(const FloatRows& rows, size_t n) noexcept {
  const size_t value_bytes = rows.type == FloatType::kF32 ? sizeof(float) : sizeof(uint16_t);
  return static_cast<const uint8_t*>(rows.data) + n * rows.n_columns * value_bytes;
}

/// A rectangle of outputs for one thread at a time.
struct Part {
  size_t row, column, n, m;
};

/// n rows and m columns of outputs cut into parts, the last ones first; lower: without those right of the diagonal.
/// Large parts pack less for each output, so they are only made smaller while threads would have nothing to do.
std::vector<Part> parts_of(size_t n, size_t m, size_t n_threads, bool lower) {
  constexpr size_t kLeastParts = 4;  // for each thread
  size_t rows = 36 * kBlockRows, columns = kBlockColumns;
  const auto count = [&] { return ((n + rows - 1) / rows) * ((m + columns - 1) / columns) / (lower ? 2 : 1); };
  while (n_threads > 1 && count() < kLeastParts * n_threads && (rows > kBlockRows || columns > 128)) {
    if (columns > rows || rows == kBlockRows) columns /= 2;
    else rows /= 2;
  }
  std::vector<Part> parts;
  for (size_t row = 0; row < n; row += rows) {
    for (size_t column = 0; column < (lower ? std::min(row + rows, m) : m); column += columns) {
      parts.push_back({row, column, std::min(rows, n - row), std::min(columns, m - column)});
    }
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

void multiply_add(const DenseKernels& kernels, size_t n, size_t m, size_t k, const float* a, size_t lda, const float* b,
                  size_t ldb, float* c, size_t ldc) noexcept {
  add_product(kernels, {n, m, k}, {a, lda, false}, {b, ldb, FloatType::kF32, false}, c, ldc);
}

void multiply_rows_add(const DenseKernels& kernels, size_t n, size_t m, size_t k, const float* a, size_t lda,
                       const float* b, size_t ldb, float* c, size_t ldc) noexcept {
  add_product(kernels, {n, m, k}, {a, lda, false}, {b, ldb, FloatType::kF32, true}, c, ldc);
}

void project_rows(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, const FloatRows& rows,
                  float* y) {
  const std::vector<Part> parts = parts_of(n, rows.n_rows, pool.size(), false);
  pool.parallel_for(parts.size(), [&](size_t begin, size_t end) {
    for (size_t index = begin; index < end; ++index) {
      const Part& part = parts[index];
      float* out = y + part.row * rows.n_rows + part.column;
      for (size_t i = 0; i < part.n; ++i) std::fill_n(out + i * rows.n_rows, part.m, 0.0f);
      add_product(kernels, {part.n, part.m, rows.n_columns}, {x + part.row * rows.n_columns, rows.n_columns, false},
                  {skip_rows(rows, part.column), rows.n_columns, rows.type, true}, out, rows.n_rows);
    }
  });
}

void add_moments(const DenseKernels& kernels, ThreadPool& pool, const float* x, size_t n, size_t k, float* moments) {
  const std::vector<Part> parts = parts_of(k, k, pool.size(), true);
  pool.parallel_for(parts.size(), [&](size_t begin, size_t end) {
    for (size_t index = begin; index < end; ++index) {
      const Part& part = parts[index];
      // where the part begins right of the diagonal, its first rows have nothing: `diagonal` must not be negative
      const size_t skipped = part.column > part.row ? part.column - part.row : 0;
      const size_t row = part.row + skipped;
      add_product(kernels, {part.n - skipped, part.m, n, row - part.column}, {x + row, k, true},
                  {x + part.column, k, FloatType::kF32, false}, moments + row * k + part.column, k);
    }
  });
}

}  // namespace belle

// The rows of a matrix that are rounded side by side, and what one thread needs for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/memory.h"
#include "quant/types.h"
#include "rounding/block_scales.h"
#include "rounding/factor.h"
#include "rounding/kernels.h"

namespace belle {

/// Rows of floats as a checkpoint stores them: f32, f16 or bf16.
struct RowsOfFloats {
  WeightType type;
  const uint8_t* data;  // [n_rows, n_columns]
  size_t n_rows;
};

/// An array of columns: [n_columns][kTileRows].
class Tile {
 public:
  Tile(size_t n_columns, WeightType type);

  size_t n_rows() const noexcept { return n_rows_; }
  const CodeGrid& grid() const noexcept { return grid_; }

  /// Takes up to kTileRows rows from `first` on. Returns n_rows(), or the index in the tile of one that is not finite.
  size_t load(const RowsOfFloats& rows, size_t first) noexcept;
  /// Scales by search, weighted with the columns' energies.
  void search_scales(const RoundingKernels& kernels, const float* energies) noexcept;
  /// Codes by error feedback.
  void feed_back(const RoundingKernels& kernels, const Factor& factor) noexcept;
  /// After feed_back: scales and codes again, each the best for the others. moments: [n_columns, n_columns].
  void refine(const RoundingKernels& kernels, const Factor& factor, const float* moments, size_t passes) noexcept;
  /// The rows' blocks; out: [n_rows, row_bytes].
  void write(uint8_t* out) noexcept;

  /// Errors of rows that are given as blocks, in the columns' own order.
  void take_errors(const uint8_t* data) noexcept;
  /// error * moments * error of each row, [kTileRows]; moments: [n_columns, n_columns].
  void weighted_errors(const RoundingKernels& kernels, const float* moments, double* out) noexcept;

 private:
  const TypeTraits& traits() const noexcept { return traits_of(type_); }
  size_t blocks_per_row() const noexcept { return n_columns_ / traits().block_size; }
  void take_scales(size_t row, size_t block, const BlockScales& scales) noexcept;
  BlockScales scales_of(size_t row, size_t block) const noexcept;
  void restore_order(const Factor& factor) noexcept;
  void refine_block(const RoundingKernels& kernels, const float* moments, float added, size_t first, size_t n) noexcept;

  const size_t n_columns_;
  const WeightType type_;
  const CodeGrid grid_;
  size_t n_rows_ = 0;
  FloatBuffer rows_;                         // [kTileRows][n_columns], the weights
  FloatBuffer d_, dmin_;                     // [block][kTileRows], halves
  FloatBuffer whole_scales_, whole_minima_;  // [sub-block][kTileRows]
  std::vector<uint8_t> blocks_;              // of one row, as the search writes them
  std::vector<uint8_t> row_codes_;           // of one row
  FloatBuffer steps_, inverses_, minima_;    // [sub-block][kTileRows]: scale, 1 / scale, and what is added
  FloatBuffer weights_, errors_;             // [n_columns][kTileRows], in the order of rounding
  FloatBuffer block_;                        // [kFeedbackColumns][kTileRows]
  FloatBuffer own_moments_, scratch_;        // of the columns that are refined
  std::vector<uint8_t> codes_;               // [n_columns][kTileRows], in the columns' own order
};

}  // namespace belle

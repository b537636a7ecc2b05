#include "rounding/row_tile.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/half.h"
#include "quant/finite.h"
#include "quant/quantize.h"

namespace belle {
namespace {

constexpr size_t kFeedbackColumns = 128;  // between two products with all errors so far

constexpr size_t kRefinements = 2;       // of a block's scales and codes, one after the other
constexpr size_t kRefinedColumns = 256;  // whose scales and codes are refined with one set of gradients

}  // namespace

Tile::Tile(size_t n_columns, WeightType type)
    : n_columns_(n_columns),
      type_(type),
      grid_(code_grid_of(type)),
      blocks_(row_bytes(traits(), n_columns)),
      row_codes_(n_columns),
      codes_(n_columns * kTileRows) {
  rows_.fit(kTileRows * n_columns);
  for (FloatBuffer* numbers : {&steps_, &inverses_, &minima_, &whole_scales_, &whole_minima_})
    numbers->fit(n_columns / grid_.sub_block * kTileRows);
  for (FloatBuffer* numbers : {&d_, &dmin_}) numbers->fit(blocks_per_row() * kTileRows);
  for (FloatBuffer* columns : {&weights_, &errors_}) columns->fit(n_columns * kTileRows);
  block_.fit(std::max(kFeedbackColumns, kRefinedColumns) * kTileRows);
  own_moments_.fit(kRefinedColumns * kRefinedColumns);
  scratch_.fit(3 * kRefinedColumns * kTileRows);
}

size_t Tile::load(const RowsOfFloats& rows, size_t first) noexcept {
  n_rows_ = std::min(kTileRows, rows.n_rows - first);
  const size_t bytes = row_bytes(traits_of(rows.type), n_columns_);
  for (size_t r = 0; r < n_rows_; ++r) {
    const uint8_t* row = rows.data + (first + r) * bytes;
    if (!all_finite(rows.type, row, n_columns_)) return r;
    dequantize_row(rows.type, row, n_columns_, rows_.data() + r * n_columns_);
  }
  std::fill_n(rows_.data() + n_rows_ * n_columns_, (kTileRows - n_rows_) * n_columns_, 0.0f);
  return n_rows_;
}

void Tile::search_scales(const RoundingKernels& kernels, const float* energies) noexcept {
  for (size_t r = 0; r < n_rows_; ++r) {
    kernels.search(type_, rows_.data() + r * n_columns_, energies, n_columns_, blocks_.data());
    for (size_t b = 0; b < blocks_per_row(); ++b) {
      take_scales(r, b, read_scales(type_, blocks_.data() + b * traits().block_bytes));
    }
  }
}

// As dequantizing has them: a scale is a product rounded once, and so is a minimum.
void Tile::take_scales(size_t row, size_t block, const BlockScales& scales) noexcept {
  const size_t per_block = traits().block_size / grid_.sub_block;
  const float d = half_to_float(scales.d), dmin = half_to_float(scales.dmin);
  d_.data()[block * kTileRows + row] = d;
  dmin_.data()[block * kTileRows + row] = dmin;
  for (size_t s = 0; s < per_block; ++s) {
    const size_t at = (block * per_block + s) * kTileRows + row;
    whole_scales_.data()[at] = static_cast<float>(scales.scales[s]);
    whole_minima_.data()[at] = static_cast<float>(scales.minima[s]);
    const float step = d * whole_scales_.data()[at];
    steps_.data()[at] = step;
    inverses_.data()[at] = step != 0.0f ? 1.0f / step : 0.0f;
    minima_.data()[at] = 0.0f - dmin * whole_minima_.data()[at];
  }
}

BlockScales Tile::scales_of(size_t row, size_t block) const noexcept {
  const size_t per_block = traits().block_size / grid_.sub_block;
  BlockScales scales{};
  scales.d = float_to_half(d_.data()[block * kTileRows + row]);
  scales.dmin = float_to_half(dmin_.data()[block * kTileRows + row]);
  for (size_t s = 0; s < per_block; ++s) {
    const size_t at = (block * per_block + s) * kTileRows + row;
    scales.scales[s] = static_cast<int16_t>(whole_scales_.data()[at]);
    scales.minima[s] = static_cast<int16_t>(whole_minima_.data()[at]);
  }
  return scales;
}

void Tile::feed_back(const RoundingKernels& kernels, const Factor& factor) noexcept {
  float *weights = weights_.data(), *errors = errors_.data(), *targets = block_.data();
  const uint32_t* order = factor.order().data();
  for (size_t k = 0; k < n_columns_; ++k) {
    for (size_t r = 0; r < kTileRows; ++r) weights[k * kTileRows + r] = rows_.data()[r * n_columns_ + order[k]];
  }
  uint32_t sub_blocks[kFeedbackColumns];
  uint8_t codes[kFeedbackColumns * kTileRows];
  for (size_t first = 0; first < n_columns_; first += kFeedbackColumns) {
    const size_t n = std::min(kFeedbackColumns, n_columns_ - first);
    const size_t at = first * kTileRows;
    for (size_t i = 0; i < n; ++i) sub_blocks[i] = order[first + i] / static_cast<uint32_t>(grid_.sub_block);
    std::copy_n(weights + at, n * kTileRows, targets);
    kernels.multiply_add(n, first, factor.row(first), n_columns_, errors, targets, kTileRows);
    kernels.feed_back({n, factor.row(first) + first, n_columns_, sub_blocks, steps_.data(), inverses_.data(),
                       minima_.data(), grid_.values, weights + at, targets, errors + at, codes});
    for (size_t i = 0; i < n; ++i) {
      std::memcpy(codes_.data() + order[first + i] * kTileRows, codes + i * kTileRows, kTileRows);
    }
  }
}

// Errors and weights leave the order of rounding.
void Tile::restore_order(const Factor& factor) noexcept {
  float *errors = weights_.data(), *weights = errors_.data();
  for (size_t k = 0; k < n_columns_; ++k) {
    std::copy_n(errors_.data() + k * kTileRows, kTileRows, errors + factor.order()[k] * kTileRows);
  }
  for (size_t i = 0; i < n_columns_; ++i) {
    for (size_t r = 0; r < kTileRows; ++r) weights[i * kTileRows + r] = rows_.data()[r * n_columns_ + i];
  }
  std::swap(weights_, errors_);
}

void Tile::refine(const RoundingKernels& kernels, const Factor& factor, const float* moments, size_t passes) noexcept {
  restore_order(factor);
  for (size_t pass = 0; pass < passes; ++pass) {
    for (size_t first = 0; first < n_columns_; first += kRefinedColumns) {
      refine_block(kernels, moments, factor.added(), first, std::min(kRefinedColumns, n_columns_ - first));
    }
  }
}

// Columns [first, first + n), whole blocks.
void Tile::refine_block(const RoundingKernels& kernels, const float* moments, float added, size_t first,
                        size_t n) noexcept {
  float *gradients = block_.data(), *errors = errors_.data() + first * kTileRows, *own = own_moments_.data();
  for (size_t i = 0; i < n * kTileRows; ++i) gradients[i] = added * errors[i];
  kernels.multiply_add(n, n_columns_, moments + first * n_columns_, n_columns_, errors_.data(), gradients, kTileRows);
  for (size_t i = 0; i < n; ++i) {
    std::copy_n(moments + (first + i) * n_columns_ + first, n, own + i * n);
    own[i * n + i] += added;
  }
  const size_t at = first / grid_.sub_block * kTileRows, block_at = first / traits().block_size * kTileRows;
  const RefinedBlock block{n,
                           traits().block_size,
                           grid_.sub_block,
                           grid_.values,
                           grid_.range,
                           own,
                           weights_.data() + first * kTileRows,
                           gradients,
                           errors,
                           codes_.data() + first * kTileRows,
                           d_.data() + block_at,
                           dmin_.data() + block_at,
                           whole_scales_.data() + at,
                           whole_minima_.data() + at,
                           steps_.data() + at,
                           inverses_.data() + at,
                           minima_.data() + at,
                           scratch_.data()};
  for (size_t repeat = 0; repeat < kRefinements; ++repeat) {
    kernels.refine_scales(block);
    kernels.refine_codes(block);
  }
}

void Tile::write(uint8_t* out) noexcept {
  for (size_t r = 0; r < n_rows_; ++r) {
    for (size_t i = 0; i < n_columns_; ++i) row_codes_[i] = codes_[i * kTileRows + r];
    for (size_t b = 0; b < blocks_per_row(); ++b, out += traits().block_bytes) {
      write_block(type_, scales_of(r, b), row_codes_.data() + b * traits().block_size, out);
    }
  }
}

void Tile::take_errors(const uint8_t* data) noexcept {
  float* errors = errors_.data();
  std::fill_n(errors, n_columns_ * kTileRows, 0.0f);
  for (size_t r = 0; r < n_rows_; ++r, data += blocks_.size()) {
    float* row = rows_.data() + r * n_columns_;
    dequantize_row(type_, data, n_columns_, weights_.data());
    for (size_t i = 0; i < n_columns_; ++i) errors[i * kTileRows + r] = row[i] - weights_.data()[i];
  }
}

void Tile::weighted_errors(const RoundingKernels& kernels, const float* moments, double* out) noexcept {
  std::fill_n(out, kTileRows, 0.0);
  float *errors = errors_.data(), *products = block_.data();
  for (size_t first = 0; first < n_columns_; first += kFeedbackColumns) {
    const size_t n = std::min(kFeedbackColumns, n_columns_ - first);
    std::fill_n(products, n * kTileRows, 0.0f);
    kernels.multiply_add(n, n_columns_, moments + first * n_columns_, n_columns_, errors, products, kTileRows);
    for (size_t i = 0; i < n; ++i) {
      const float* error = errors + (first + i) * kTileRows;
      for (size_t r = 0; r < kTileRows; ++r) {
        out[r] += static_cast<double>(error[r]) * static_cast<double>(products[i * kTileRows + r]);
      }
    }
  }
}

}  // namespace belle

// Least squares over scales and minima, with the second moments of all columns.
#pragma once

#include <cstddef>
#include <cstring>

#include "core/half.h"
#include "rounding/isa/nearest_codes.h"
#include "rounding/isa/row_lanes.h"
#include "rounding/isa/tile_products.h"
#include "rounding/kernels.h"

namespace belle {
namespace {

/// A change of a row's weights along two directions, u and v: by `along_u` times u and `along_v` times v.
struct RowChange {
  float along_u, along_v;
};

/// What the error of a row is, as a function of such a change: gu, gv are gradient * u and v, the others are
/// u * moments * u and so on.
struct RowError {
  float gu, gv, uu, uv, vv;

  /// The least one.
  RowChange best() const noexcept {
    const float product = uu * vv, determinant = product - uv * uv;
    if (determinant > 1e-6f * product) return {(gu * vv - gv * uv) / determinant, (gv * uu - gu * uv) / determinant};
    return {uu > 0.0f ? gu / uu : 0.0f, 0.0f};
  }
  /// The least one for this change along u.
  float best_v(float along_u) const noexcept { return vv > 0.0f ? (gv - along_u * uv) / vv : 0.0f; }
  bool falls(RowChange change) const noexcept {
    const float a = change.along_u, b = change.along_v;
    const float squares = a * a * uu + 2.0f * a * b * uv + b * b * vv;
    return squares < 2.0f * (a * gu + b * gv);
  }
};

inline float nearest_half(float x) noexcept {
  constexpr float kLargest = 65504.0f;
  return half_to_float(float_to_half(x > kLargest ? kLargest : (x < -kLargest ? -kLargest : x)));
}

inline float nearest_whole_number(float x, float lowest, float highest) noexcept {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23, where floats are whole numbers
  const float limited = x < highest ? (x > lowest ? x : lowest) : highest;
  return (limited + kMagic) - kMagic;
}

/// Some neighbouring columns of a block, and two directions in which their weights can change.
class RefinedColumns {
 public:
  RefinedColumns(const RefinedBlock& block, size_t first, size_t n) noexcept
      : block_(block),
        first_(first),
        n_(n),
        u_(block.scratch),
        v_(u_ + block.n_columns * kTileRows),
        products_(v_ + block.n_columns * kTileRows) {}

  /// u: what codes stand for; v: ones.
  void point_along_sub_block() noexcept {
    for (size_t i = 0; i < n_ * kTileRows; i += kWidth) {
      const RowLanes code = RowLanes::load_bytes(block_.codes + first_ * kTileRows + i);
      value_of_code(code, block_.values).store(u_ + i);
      RowLanes(1.0f).store(v_ + i);
    }
  }

  /// u: what codes stand for, times the whole scale; v: minus the whole minimum.
  void point_along_super_block() noexcept {
    point_along_sub_block();
    for (size_t i = 0; i < n_ * kTileRows; i += kWidth) {
      const size_t at = (first_ + i / kTileRows) / block_.sub_block * kTileRows + i % kTileRows;
      (RowLanes::load(u_ + i) * RowLanes::load(block_.whole_scales + at)).store(u_ + i);
      (RowLanes(0.0f) - RowLanes::load(block_.whole_minima + at)).store(v_ + i);
    }
  }

  void weigh(RowError* errors) noexcept {
    std::memset(errors, 0, kTileRows * sizeof *errors);
    const float* gradients = block_.gradients + first_ * kTileRows;
    multiply(u_);
    for (size_t i = 0; i < n_; ++i) {
      for (size_t r = 0; r < kTileRows; ++r) {
        const size_t at = i * kTileRows + r;
        errors[r].gu += gradients[at] * u_[at];
        errors[r].uu += products_[at] * u_[at];
        errors[r].uv += products_[at] * v_[at];
      }
    }
    if (!block_.range.has_minimum) return;
    multiply(v_);
    for (size_t i = 0; i < n_; ++i) {
      for (size_t r = 0; r < kTileRows; ++r) {
        const size_t at = i * kTileRows + r;
        errors[r].gv += gradients[at] * v_[at];
        errors[r].vv += products_[at] * v_[at];
      }
    }
  }

  /// Errors and gradients with the scales and minima as they are now.
  void apply() noexcept {
    for (size_t i = 0; i < n_ * kTileRows; i += kWidth) {
      const size_t at = first_ * kTileRows + i;
      const size_t scale_at = (first_ + i / kTileRows) / block_.sub_block * kTileRows + i % kTileRows;
      const RowLanes value = value_of_code(RowLanes::load_bytes(block_.codes + at), block_.values);
      const RowLanes rounded =
          value * RowLanes::load(block_.scales + scale_at) + RowLanes::load(block_.minima + scale_at);
      const RowLanes error = RowLanes::load(block_.weights + at) - rounded;
      (error - RowLanes::load(block_.errors + at)).store(u_ + i);
      error.store(block_.errors + at);
    }
    multiply_add(block_.n_columns, n_, block_.moments + first_, block_.n_columns, u_, block_.gradients, kTileRows);
  }

 private:
  static constexpr size_t kWidth = RowLanes::kCount;

  void multiply(const float* tile) noexcept {
    std::memset(products_, 0, n_ * kTileRows * sizeof(float));
    multiply_add(n_, n_, block_.moments + first_ * block_.n_columns + first_, block_.n_columns, tile, products_,
                 kTileRows);
  }

  const RefinedBlock& block_;
  const size_t first_, n_;
  float *u_, *v_, *products_;  // [n][kTileRows]
};

inline void set_scale(const RefinedBlock& block, size_t at, float scale, float minimum) noexcept {
  block.scales[at] = scale;
  block.inverses[at] = scale != 0.0f ? 1.0f / scale : 0.0f;
  block.minima[at] = minimum;
}

/// A scale and a minimum that are halves of their own. at: of the row's sub-block.
inline void choose_halves(const RefinedBlock& block, const RowError& error, size_t at) noexcept {
  const float scale = nearest_half(block.scales[at] + error.best().along_u);
  RowChange change{scale - block.scales[at], 0.0f};
  const float minimum = block.range.has_minimum ? nearest_half(block.minima[at] + error.best_v(change.along_u)) : 0.0f;
  change.along_v = minimum - block.minima[at];
  if (!error.falls(change)) return;
  block.d[at] = scale;
  if (block.range.has_minimum) block.dmin[at] = minimum;
  set_scale(block, at, scale, minimum);
}

/// Whole multiples of the super-block's d and dmin.
inline void choose_whole_numbers(const RefinedBlock& block, const RowError& error, size_t at, float d,
                                 float dmin) noexcept {
  const ScaleRange& range = block.range;
  if (d == 0.0f) return;
  const float wanted = block.scales[at] + error.best().along_u;
  const float whole_scale = nearest_whole_number(wanted / d, range.lowest_scale, range.highest_scale);
  const float scale = d * whole_scale;
  RowChange change{scale - block.scales[at], 0.0f};
  float whole_minimum = block.whole_minima[at];
  if (dmin != 0.0f) {
    const float wanted_minimum = block.minima[at] + error.best_v(change.along_u);
    whole_minimum = nearest_whole_number((0.0f - wanted_minimum) / dmin, 0.0f, range.highest_scale);
  }
  const float minimum = 0.0f - dmin * whole_minimum;
  change.along_v = minimum - block.minima[at];
  if (!error.falls(change)) return;
  block.whole_scales[at] = whole_scale;
  block.whole_minima[at] = whole_minimum;
  set_scale(block, at, scale, minimum);
}

/// d and dmin of a super-block. at: of the row's block.
inline void choose_units(const RefinedBlock& block, const RowError& error, size_t at) noexcept {
  const float d = nearest_half(block.d[at] + error.best().along_u);
  RowChange change{d - block.d[at], 0.0f};
  const float dmin = block.range.has_minimum ? nearest_half(block.dmin[at] + error.best_v(change.along_u)) : 0.0f;
  change.along_v = block.range.has_minimum ? dmin - block.dmin[at] : 0.0f;
  if (!error.falls(change)) return;
  block.d[at] = d;
  if (block.range.has_minimum) block.dmin[at] = dmin;
  const size_t n_sub_blocks = block.block_size / block.sub_block, row = at % kTileRows;
  for (size_t s = at / kTileRows * n_sub_blocks; s < (at / kTileRows + 1) * n_sub_blocks; ++s) {
    const size_t scale_at = s * kTileRows + row;
    set_scale(block, scale_at, d * block.whole_scales[scale_at], 0.0f - block.dmin[at] * block.whole_minima[scale_at]);
  }
}

inline void refine_scales(const RefinedBlock& block) noexcept {
  RowError errors[kTileRows];
  for (size_t first = 0; first < block.n_columns; first += block.sub_block) {
    RefinedColumns columns(block, first, block.sub_block);
    columns.point_along_sub_block();
    columns.weigh(errors);
    const size_t scale_at = first / block.sub_block * kTileRows, at = first / block.block_size * kTileRows;
    for (size_t r = 0; r < kTileRows; ++r) {
      if (block.range.has_super_blocks) {
        choose_whole_numbers(block, errors[r], scale_at + r, block.d[at + r], block.dmin[at + r]);
      } else {
        choose_halves(block, errors[r], scale_at + r);
      }
    }
    columns.apply();
  }
  if (!block.range.has_super_blocks) return;
  for (size_t first = 0; first < block.n_columns; first += block.block_size) {
    RefinedColumns columns(block, first, block.block_size);
    columns.point_along_super_block();
    columns.weigh(errors);
    for (size_t r = 0; r < kTileRows; ++r) choose_units(block, errors[r], first / block.block_size * kTileRows + r);
    columns.apply();
  }
}

}  // namespace
}  // namespace belle

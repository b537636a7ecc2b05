// The inner loops of rounding with second moments, one set for each kind of processor; all compute the same bits.
//
// A tile is kTileRows rows of a matrix side by side: an array [column][kTileRows].
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/search_row.h"

namespace belle {

constexpr size_t kTileRows = 64;

/// What a code stands for: value(code) * scale + minimum, where value(code) is code - zero_code, or an iq4 value.
struct CodeValues {
  bool even;  // whole numbers in steps of 1
  float lowest, highest;
};

/// A block of columns in the order in which they are rounded.
struct FeedbackBlock {
  size_t n_columns;
  const float* factor;         // [n_columns][factor_stride]; column j of row i holds U[j][i]; j < i counts
  size_t factor_stride;        // floats
  const uint32_t* sub_blocks;  // [n_columns]: where the scales of a column are
  const float* scales;         // [sub-block][kTileRows]
  const float* inverses;       // 1 / scale, or 0
  const float* minima;
  CodeValues values;
  const float* weights;  // [n_columns][kTileRows]
  float* targets;        // in: the weights and the errors of columns before the block
  float* errors;         // out: weight - rounded weight
  uint8_t* codes;        // out
};

/// What the scales of a type may be. A weight is value(code) * d * scale - dmin * minimum.
struct ScaleRange {
  bool has_super_blocks;  // else scale is 1, and minimum -1 or 0
  bool has_minimum;
  float lowest_scale, highest_scale;  // whole numbers of super-blocks; minima go from 0 to the highest
};

/// Neighbouring columns, whole blocks, whose scales and codes are changed so that error * moments * error falls.
struct RefinedBlock {
  size_t n_columns, block_size, sub_block;
  CodeValues values;
  ScaleRange range;
  const float* moments;  // [n_columns][n_columns]
  const float* weights;  // [n_columns][kTileRows]
  float* gradients;      // moments * error, over all columns of the matrix
  float* errors;         // weight - rounded weight
  uint8_t* codes;
  float *d, *dmin;                     // [block][kTileRows], halves
  float *whole_scales, *whole_minima;  // [sub-block][kTileRows]
  float *scales, *inverses, *minima;   // [sub-block][kTileRows]: as in FeedbackBlock
  float* scratch;                      // [3][n_columns][kTileRows]
};

struct RoundingKernels {
  const char* name;
  SearchRowFn search;

  /// c[i][j] += sum over t of a[i][t] * b[t][j], in ascending t, each step rounded once. a: [n, depth], b: [depth,
  /// kTileRows] without gaps, c: [n, kTileRows]; strides in floats.
  void (*multiply_add)(size_t n, size_t depth, const float* a, size_t a_stride, const float* b, float* c,
                       size_t c_stride) noexcept;
  /// Column after column: the code nearest to the target, whose error goes into the targets of those behind it.
  void (*feed_back)(const FeedbackBlock& block) noexcept;
  /// Scale after scale, the best one for the codes as they are: least squares, as the file can hold it.
  void (*refine_scales)(const RefinedBlock& block) noexcept;
  /// Column after column, the best code for the others as they are.
  void (*refine_codes)(const RefinedBlock& block) noexcept;
};

const RoundingKernels* rounding_plain() noexcept;
#if defined(__x86_64__) || defined(_M_X64)
#define BELLE_HAS_X86_ROUNDING 1
const RoundingKernels* rounding_avx2() noexcept;    // AVX2 and FMA
const RoundingKernels* rounding_avx512() noexcept;  // and AVX512F
#endif

}  // namespace belle

// The table of an instruction set's dense kernels, from its vector and the size of its tile.
//
// Everything here is in the file's anonymous namespace: an object with flags of its own leaves one symbol.
#pragma once

#include "dense/row_functions.h"
#include "dense/tile.h"

namespace belle {
namespace {

template <class Vector, size_t kRows, size_t kVectors>
constexpr DenseKernels dense_kernels(const char* name, decltype(DenseKernels::transpose) transpose_rows,
                                     decltype(DenseKernels::widen_f16) widen_halves) noexcept {
  constexpr size_t kColumns = kVectors * Vector::kLanes;
  return {name,
          kRows,
          kColumns,
          add_tile<Vector, kRows, kVectors, kPackedRow, 1>,
          add_tile<Vector, kRows, kVectors, 1, kRows>,
          copy_steps<kRows>,
          copy_steps<kColumns>,
          transpose_rows,
          widen_halves,
          widen_bf16,
          rms_norm,
          layer_norm,
          silu_product,
          gelu,
          softmax};
}

}  // namespace
}  // namespace belle

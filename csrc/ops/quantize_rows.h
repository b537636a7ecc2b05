// Conversion of whole matrices between float formats and GGUF types, in parallel: the converter's work.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/thread_pool.h"
#include "kernels/table.h"
#include "quant/types.h"

namespace belle {

/// A row-major matrix of plain floats as a checkpoint stores it.
struct SourceRows {
  WeightType type;      // kF32, kF16 or kBf16
  const uint8_t* data;  // [n_rows, n_cols]
  size_t n_rows;
  size_t n_cols;  // a multiple of the target type's block size
};

/// Writes GGUF rows [n_rows, row_bytes]. Returns n_rows, or the index of a row that holds a NaN or an infinity
/// (the output is then incomplete). importance: as in quant/search_row.h, for quantized types.
size_t quantize_rows(const KernelTable& kernels, ThreadPool& pool, const SourceRows& source, WeightType target,
                     const float* importance, uint8_t* out);

/// GGUF rows [n_rows, row_bytes] to floats [n_rows, n_cols].
void dequantize_rows(ThreadPool& pool, WeightType type, const uint8_t* data, size_t n_rows, size_t n_cols, float* out);

}  // namespace belle

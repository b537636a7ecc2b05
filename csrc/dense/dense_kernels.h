// What an instruction set provides for dense float32 arithmetic: tiles of products, packing, functions of rows.
//
// Every instruction set computes the same bits. Each output of a product is one chain of fused multiply-adds over the
// depth, from 0 upwards; vectors run over outputs. Sums over a row have kRowSums chains. (docs/design/reference.md)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace belle {

constexpr size_t kPackedDepth = 384;              // of what is packed at a time
constexpr size_t kPackedRow = kPackedDepth + 16;  // floats from a packed row to the next: not a power of two
constexpr size_t kMaxTile = 14 * 32;              // outputs of a tile
constexpr size_t kRowSums = 16;                   // column i of a row belongs to sum i % kRowSums

/// c[i * ldc + j] += sum over p < depth of a(i, p) * b[p * tile_columns + j], for a whole tile. next: the address of
/// the c of the tile after it, which is asked for meanwhile; any number will do.
using TileFn = void (*)(size_t depth, const float* a, const float* b, float* c, size_t ldc, uintptr_t next) noexcept;

struct DenseKernels {
  const char* name;
  size_t tile_rows, tile_columns;
  TileFn tile_by_rows;   // a(i, p) is a[i * kPackedRow + p]
  TileFn tile_by_steps;  // a(i, p) is a[p * tile_rows + i]
  /// For w = tile_rows, out[(i / w) * kPackedDepth * w + p * w + i % w] = x[p * stride + i] for i < n and p < depth,
  /// and 0 for what fills the last tile up
  void (*pack_steps)(const float* x, size_t stride, size_t n, size_t depth, float* out) noexcept;
  /// The same for w = tile_columns
  void (*pack_columns)(const float* x, size_t stride, size_t n, size_t depth, float* out) noexcept;
  /// out[p * tile_columns + j] = rows[j * stride + p], 0 for j >= n_rows; n_rows is at most tile_columns
  void (*transpose)(const float* rows, size_t stride, size_t n_rows, size_t depth, float* out) noexcept;
  void (*widen_f16)(const uint16_t* x, size_t n, float* out) noexcept;
  void (*widen_bf16)(const uint16_t* x, size_t n, float* out) noexcept;

  // Functions of a row x [n]; y may be x.
  /// y = x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019)
  void (*rms_norm)(const float* x, const float* weight, float eps, size_t n, float* y) noexcept;
  /// y = (x - mean) / sqrt(variance + eps) * weight + bias (Ba et al. 2016)
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, size_t n, float* y) noexcept;
  /// y = gate / (1 + exp(-gate)) * up (Shazeer 2020)
  void (*silu_product)(const float* gate, const float* up, size_t n, float* y) noexcept;
  /// y = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), which is x / (1 + exp(-2 ...)) (as BLOOM has it)
  void (*gelu)(const float* x, size_t n, float* y) noexcept;
  /// y = softmax of x[j] * scale + slope * (j - (n - 1)), for n of at least 1
  void (*softmax)(const float* x, float scale, float slope, size_t n, float* y) noexcept;
};

/// An instruction set as this build and this CPU have it.
struct DenseIsa {
  const char* name;
  std::vector<std::string> missing_features;
  const DenseKernels* kernels;  // null where this build has none

  bool supported() const { return kernels != nullptr && missing_features.empty(); }
};

/// Best first; "plain" is the last one and always supported.
const std::vector<DenseIsa>& dense_isas();

/// Those of an instruction set by name, "" = the best one here. Throws std::invalid_argument that lists the choices.
const DenseKernels& dense_kernels_for(const std::string& isa);

const DenseKernels* dense_plain() noexcept;
#if defined(__x86_64__) || defined(_M_X64)
#define BELLE_HAS_X86_DENSE 1
const DenseKernels* dense_avx2() noexcept;
const DenseKernels* dense_avx512() noexcept;
#endif

}  // namespace belle

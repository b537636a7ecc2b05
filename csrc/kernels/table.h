// What an ISA tier provides: one table of plain functions, chosen once at start (registry.cpp).
//
// Kernels are noexcept, check nothing and allocate nothing; ops/ checks shapes and splits work over threads.
// Invariance contract: the result for one activation row depends on that row and the weights alone, bit for bit,
// whatever n_tokens, n_panels or the other rows are. It holds for each matmul and each wide matmul by itself; the two
// differ by the rounding of their activations. Likewise for attention by pages and wide attention.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/panels.h"
#include "quant/search_row.h"
#include "quant/types.h"

namespace belle {

/// 32 neighbouring columns of one token's activations for the quantized weight types. All that a product needs of them
/// lies together, so that a kernel for many tokens gets along with one pointer for each.
struct ActivationBlock {
  int8_t values[kBlockSize];  // |value| <= 127
  float scale;
  int16_t sums[2];  // of the first and of the last 16 values
};

/// y[t, r] = sum over k of x[t, k] * weight[r, k] for the rows of some consecutive panels.
struct PanelMatmul {
  const uint8_t* panels;          // layout in quant/panels.h; at least 32-byte aligned
  size_t n_rows;                  // rows to write; the last panel may hold fewer than 16 real ones
  size_t k;                       // columns; a multiple of 32 for the quantized types, any number for the float types
  const float* x;                 // [n_tokens, k], float types only
  const ActivationBlock* blocks;  // [n_tokens, k / 32] as activation_order.h puts them, quantized types only
  size_t n_tokens;
  float* y;  // [n_tokens, y_stride]; y[0] belongs to row 0 of the first panel
  size_t y_stride;
  size_t read_ahead;  // bytes: how far in front of what it multiplies a kernel asks for panels; any number is safe
};

constexpr size_t kPageTokens = 32;  // positions per KV page; also the fixed split of the softmax
constexpr size_t kMaxQueries = 32;  // per call of attend_page

/// Some queries of one head and sequence, at consecutive positions, over the first positions of one page that they may
/// see: one step of the online softmax (Milakov & Gimelshein 2018). With s = scale * q . key + slope * (key's
/// position - query's position), the running maximum, the sum of exp(s - maximum) and the sum of exp(s - maximum) *
/// value go on from what the earlier pages left. A query's bits do not depend on the other queries.
struct AttentionPage {
  const float* q;  // [n_queries, head_dim], rows q_stride apart
  size_t q_stride;
  size_t n_queries;       // 1 .. kMaxQueries
  const void* keys;       // [head_dim, kPageTokens], the positions side by side; all readable; q8: byte_page.h
  const void* values;     // [n_positions, head_dim]; q8: byte_page.h
  const void* next_keys;  // what the next call reads, which is asked for meanwhile; null if there is none
  size_t n_positions;     // that the first query sees: 1 .. kPageTokens
  size_t more;  // that each query sees beyond the one before it: 1 where their own positions lie in the page, or 0
  size_t head_dim;
  float scale;
  float slope;           // ALiBi's; 0 without
  float first_distance;  // the page's first position - the first query's position
  float* out;            // [n_queries, head_dim], rows out_stride apart
  size_t out_stride;
  float* running_max;   // [n_queries], -infinity before the first page
  float* denominators;  // [n_queries], 0 before the first page
};

using PanelMatmulFn = void (*)(const PanelMatmul& args) noexcept;

/// How activations meet quantized weights. Every tier has kBlock32; the others are for the many rows of prefill, on
/// tiers whose instructions want coarser scales.
enum class ActivationForm : uint8_t {
  kBlock32,  // int8, a scale per token and block of 32 columns
  kSlab256,  // int8, a scale per token and slab of 256 columns; the weights with one scale per row and slab:
             // requantized to int8, or (AVX2) their codes as they are with scales rounded to 12 or 13 bits
  kBf16,     // bfloat16, the weights dequantized to bfloat16
};
constexpr size_t kActivationFormCount = 3;

constexpr size_t kWidePanels = 4;     // a share of the work starts at a multiple of this many panels
constexpr size_t kSlabColumns = 256;  // that share a scale in kSlab256
constexpr size_t kMaxOutliers = 32;   // of one matrix

/// Columns whose activations are so much larger than the others that they would make the scale of their slab too
/// coarse. Their products are summed in float, one after the other and before the slabs; the slabs hold zeros for them.
/// For the tiers' kSlab256 only.
struct Outliers {
  const uint32_t* columns;  // ascending, below k
  size_t n;                 // 0 .. kMaxOutliers
  const float* values;      // [n_tokens, n]
};

/// Packs the tiles [first_tile, end_tile) of WideKernels::tile_tokens tokens each; tokens past the last one become
/// zeros.
struct WidePack {
  const float* x;  // [n_tokens, k]
  size_t n_tokens;
  size_t k;  // a multiple of 32
  size_t first_tile, end_tile;
  uint8_t* packed;  // of all tokens; 64-byte aligned
  Outliers outliers;
};

/// As PanelMatmul, with activations in a wide form.
struct WideMatmul {
  const uint8_t* panels;
  size_t n_rows;
  size_t k;
  const uint8_t* packed;
  size_t n_tokens;
  float* y;  // [n_tokens, y_stride]
  size_t y_stride;
  uint8_t* scratch;   // scratch_bytes of this thread's own; 64-byte aligned
  Outliers outliers;  // those of the packed activations
};

using WideMatmulFn = void (*)(const WideMatmul& args) noexcept;

/// The kernels of one activation form. The layout of the packed activations is the tier's own.
struct WideKernels {
  size_t tile_tokens;  // activations are packed in tiles of this many tokens
  size_t (*packed_bytes)(size_t n_tokens, size_t k) noexcept;
  void (*pack)(const WidePack& args) noexcept;
  WideMatmulFn matmul[kWeightTypeCount];  // null for the float types and for those that the tier leaves to block32
  size_t scratch_bytes;
};

constexpr size_t kMaxWideQueries = 256;  // per call of WideAttentionKernel::attend

/// Some queries of one head and sequence, at consecutive positions, over all positions of an f16 or q8 cache that they
/// see: query i sits at first_position + i and sees the positions up to its own. As AttentionPage, page by page, but
/// the output is already divided. What lies in slots that no query sees may be anything. A value that is not finite
/// gives NaN in the queries that see it. A query's bits do not depend on the other queries of the call.
struct WideAttention {
  const float* q;  // [n_queries, head_dim], rows q_stride apart
  size_t q_stride;
  size_t n_queries;  // 1 .. kMaxWideQueries
  size_t first_position;
  const uint8_t* const* pages;        // of the sequence; kPageTokens positions each
  size_t keys_offset, values_offset;  // bytes: in a page, keys [head_dim, kPageTokens], values [kPageTokens, head_dim];
                                      // q8: byte_page.h
  size_t head_dim;                    // 1 .. WideAttentionKernel::max_head_dim
  float scale;
  float slope;  // ALiBi's; 0 without
  float* out;   // [n_queries, head_dim], rows out_stride apart
  size_t out_stride;
  uint8_t* scratch;  // scratch_bytes(head_dim) of this thread's own; 64-byte aligned
};

struct WideAttentionKernel {
  const char* numbers;  // that its products multiply: "bf16", two for each factor, or "int16"
  size_t max_head_dim;
  size_t (*scratch_bytes)(size_t head_dim) noexcept;
  void (*attend_f16)(const WideAttention& args) noexcept;
  void (*attend_q8)(const WideAttention& args) noexcept;
};

struct KernelTable {
  const char* name;

  PanelMatmulFn matmul[kWeightTypeCount];  // indexed by WeightType
  bool reads_ahead;                        // whether they heed PanelMatmul::read_ahead

  /// n_blocks blocks of 32, each `stride` behind the one before: scale = absmax / 127, value =
  /// round-to-nearest-even(x / scale) (0 for an all-zero block).
  void (*quantize_activations)(const float* x, size_t n_blocks, ActivationBlock* blocks, size_t stride) noexcept;
  /// n floats, a multiple of 32, in the same way but with one scale, which it returns: NaN if one is not finite.
  float (*quantize_row)(const float* x, size_t n, int8_t* values) noexcept;

  /// Attention over one page of an f32, f16 or q8 cache.
  void (*attend_page_f32)(const AttentionPage& page) noexcept;
  void (*attend_page_f16)(const AttentionPage& page) noexcept;
  void (*attend_page_q8)(const AttentionPage& page) noexcept;
  /// x[i] = exp(x[i] - shift); returns the sum of the results. -inf gives 0.
  float (*exp_and_sum)(float* x, size_t n, float shift) noexcept;

  // Row operations over n floats. `out` may be `x`.
  /// out = (x - mean) / sqrt(variance + eps) * weight + bias (Ba et al. 2016, eq. 3-4)
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, size_t n, float* out) noexcept;
  /// out = x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019, eq. 4)
  void (*rms_norm)(const float* x, const float* weight, float eps, size_t n, float* out) noexcept;
  /// x = x / 2 * (1 + tanh(0.79788456 * x * (1 + 0.044715 x^2))), BLOOM's GELU
  void (*gelu)(float* x, size_t n) noexcept;
  /// out = gate / (1 + exp(-gate)) * up (SwiGLU's product, Shazeer 2020, eq. 5)
  void (*silu_multiply)(const float* gate, const float* up, size_t n, float* out) noexcept;
  /// x += y
  void (*add)(float* x, const float* y, size_t n) noexcept;
  /// Pairs (x[2i], x[2i+1]) turned by the angle with cosines[i], sines[i] (Su et al. 2021, eq. 34)
  void (*rotate_pairs)(float* x, const float* cosines, const float* sines, size_t n_pairs) noexcept;
  /// f32 -> binary16 bits, round to nearest even
  void (*to_half)(const float* x, size_t n, uint16_t* out) noexcept;

  /// n values of a checkpoint (kF32, kF16 or kBf16, any alignment) as floats; false if one of them is not finite.
  bool (*widen)(WeightType type, const uint8_t* data, size_t n, float* out) noexcept;
  /// n finite values, a multiple of 32, to GGUF blocks with the bits of quantize_row; null for the types that it or
  /// `search` writes as fast.
  void (*quantize[kWeightTypeCount])(const float* x, size_t n, uint8_t* out) noexcept;
  /// The same for the types whose scales are searched for.
  SearchRowFn search;

  /// The tier's integer multiply, n_rounds times over registers alone: what the quantized products could reach at most.
  /// Returns how many multiplications and additions that were; *sink takes a result that no compiler may leave out.
  uint64_t (*integer_peak)(size_t n_rounds, int32_t* sink) noexcept;

  /// By ActivationForm; null where the tier has none. Those of kBlock32 give the bits of `matmul`, faster for many
  /// tokens.
  const WideKernels* wide[kActivationFormCount] = {};
  /// Attention of prompts over an f16 or q8 cache; null where attend_page_f16 and attend_page_q8 do it.
  const WideAttentionKernel* wide_attention = nullptr;
};

}  // namespace belle

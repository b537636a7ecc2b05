// The table of a vector tier, once its kernels are defined under the names below. Include last; like the others it
// stays inside the including file's anonymous namespace.
#pragma once

#include "kernels/integer_peak.h"
#include "kernels/vector_quantize.h"

namespace belle {
namespace {

/// Every entry but the formats of the quantized types, the peak of their multiply and the wide kernels has the same
/// name in every tier.
template <class Q4_0, class Q4_1, class Q8_0, class Multiply>
constexpr KernelTable table_of(const char* name, const WideKernels* slab256 = nullptr,
                               const WideKernels* bf16 = nullptr,
                               const WideAttentionKernel* wide_attention = nullptr) noexcept {
  return {
      name,
      {float_matmul<F32Element>, float_matmul<F16Element>, float_matmul<Bf16Element>, quantized_matmul<Q4_0>,
       quantized_matmul<Q4_1>, quantized_matmul<Q8_0>},
      true,
      quantize_activations,
      attend_page<float>,
      attend_page<uint16_t>,
      exp_and_sum,
      layer_norm,
      rms_norm,
      gelu,
      silu_multiply,
      add_rows,
      rotate_pairs,
      to_half,
      widen,
      {nullptr, nullptr, nullptr, quantize_q4_0, quantize_q4_1, quantize_q8_0},
      integer_peak<Multiply>,
      {nullptr, slab256, bf16},
      wide_attention,
  };
}

}  // namespace
}  // namespace belle

// The portable tier: plain loops that any CPU runs. Every other tier is checked against the same formulas.
#include "kernels/isa.h"
#include "kernels/scalar/attention.h"
#include "kernels/scalar/products.h"
#include "kernels/scalar/quantizing.h"
#include "kernels/scalar/rows.h"

namespace belle {
namespace {

constexpr size_t index_of(WeightType type) noexcept { return static_cast<size_t>(type); }

constexpr KernelTable scalar_table() noexcept {
  KernelTable table{};
  table.name = "scalar";
  table.matmul[index_of(WeightType::kF32)] = float_matmul<F32Element>;
  table.matmul[index_of(WeightType::kF16)] = float_matmul<F16Element>;
  table.matmul[index_of(WeightType::kBf16)] = float_matmul<Bf16Element>;
  table.matmul[index_of(WeightType::kQ4_0)] = quantized_matmul<Q4_0Format>;
  table.matmul[index_of(WeightType::kQ4_1)] = quantized_matmul<Q4_1Format>;
  table.matmul[index_of(WeightType::kQ8_0)] = quantized_matmul<Q8_0Format>;
  table.reads_ahead = false;
  table.integer_peak = integer_peak;
  table.quantize_activations = quantize_activations;
  table.attend_page_f32 = attend_page<float>;
  table.attend_page_f16 = attend_page<uint16_t>;
  table.exp_and_sum = exp_and_sum;
  table.layer_norm = layer_norm;
  table.rms_norm = rms_norm;
  table.gelu = gelu;
  table.silu_multiply = silu_multiply;
  table.add = add_rows;
  table.rotate_pairs = rotate_pairs;
  table.to_half = to_half;
  table.widen = widen;
  table.quantize[index_of(WeightType::kQ4_0)] = quantize<WeightType::kQ4_0>;
  table.quantize[index_of(WeightType::kQ4_1)] = quantize<WeightType::kQ4_1>;
  table.quantize[index_of(WeightType::kQ8_0)] = quantize<WeightType::kQ8_0>;
  return table;
}

constexpr KernelTable kTable = scalar_table();

}  // namespace

const KernelTable* scalar_kernels() noexcept { return &kTable; }

}  // namespace belle

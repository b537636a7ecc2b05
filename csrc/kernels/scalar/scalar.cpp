// The portable tier: plain loops that any CPU runs. Every other tier is checked against the same formulas.
#include "kernels/formats/formats.h"
#include "kernels/isa.h"
#include "kernels/scalar/attention.h"
#include "kernels/scalar/matmul.h"
#include "kernels/scalar/quantizing.h"
#include "kernels/scalar/rows.h"
#include "quant/search_row.h"

namespace belle {
namespace {

constexpr KernelTable scalar_table() noexcept {
  KernelTable table{};
  table.name = "scalar";
  set_products(table);
  table.quantize_activations = quantize_activations;
  table.quantize_row = quantize_row;
  table.attend_page_f32 = attend_page<float>;
  table.attend_page_f16 = attend_page<uint16_t>;
  table.attend_page_q8 = attend_byte_page;
  table.exp_and_sum = exp_and_sum;
  table.layer_norm = layer_norm;
  table.rms_norm = rms_norm;
  table.gelu = gelu;
  table.silu_multiply = silu_multiply;
  table.add = add_rows;
  table.rotate_pairs = rotate_pairs;
  table.to_half = to_half;
  table.widen = widen;
  table.search = search_row;
  for_each_format(QuantizingFormats{}, [&](auto format) {
    using Format = decltype(format);
    table.quantize[kIndexOf<Format>] = quantize<Format::kType>;
  });
  return table;
}

constexpr KernelTable kTable = scalar_table();

}  // namespace

const KernelTable* scalar_kernels() noexcept { return &kTable; }

}  // namespace belle

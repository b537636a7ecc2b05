// The AVX-512 VNNI tier: four byte products of 16 rows summed into 32 bits by one instruction.
#include "kernels/avx512vnni/tier.h"
#include "kernels/generic/code_products.h"
#include "kernels/generic/int16_attention.h"
#include "kernels/generic/products_table.h"
#include "kernels/generic/rows_table.h"
#include "kernels/isa.h"

namespace belle {
namespace {

constexpr KernelTable avx512vnni_table() noexcept {
  KernelTable table = {};
  table.name = "avx512vnni";
  set_rows<Avx512Vnni>(table);
  set_products<Avx512Vnni>(table);
  wide_of(table, ActivationForm::kBlock32) = &kBlock32Codes<Avx512Vnni>;
  wide_of(table, ActivationForm::kSlab256) = &kSlab256Codes<Avx512Vnni>;
  table.wide_attention = &kInt16Attention<Avx512Vnni>;
  return table;
}

constexpr KernelTable kTable = avx512vnni_table();

}  // namespace

const KernelTable* avx512vnni_kernels() noexcept { return &kTable; }

}  // namespace belle

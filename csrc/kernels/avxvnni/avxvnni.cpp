// The AVX-VNNI tier: 256-bit vectors, four byte products summed into 32 bits by one instruction.
#include "kernels/avxvnni/tier.h"
#include "kernels/generic/code_products.h"
#include "kernels/generic/int16_attention.h"
#include "kernels/generic/products_table.h"
#include "kernels/generic/rows_table.h"
#include "kernels/isa.h"

namespace belle {
namespace {

constexpr KernelTable avxvnni_table() noexcept {
  KernelTable table = {};
  table.name = "avxvnni";
  set_rows<AvxVnni>(table);
  set_products<AvxVnni>(table);
  wide_of(table, ActivationForm::kBlock32) = &kBlock32Codes<AvxVnni>;
  wide_of(table, ActivationForm::kSlab256) = &kSlab256Codes<AvxVnni>;
  table.wide_attention = &kInt16Attention<AvxVnni>;
  return table;
}

constexpr KernelTable kTable = avxvnni_table();

}  // namespace

const KernelTable* avxvnni_kernels() noexcept { return &kTable; }

}  // namespace belle

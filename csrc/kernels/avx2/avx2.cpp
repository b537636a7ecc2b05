// The AVX2 tier: bytes are multiplied in pairs (maddubs) and summed in 16 bits as far as a block allows.
#include "kernels/avx2/tier.h"
#include "kernels/avx2/wide_products.h"
#include "kernels/generic/products_table.h"
#include "kernels/generic/rows_table.h"
#include "kernels/isa.h"

namespace belle {
namespace {

constexpr KernelTable avx2_table() noexcept {
  KernelTable table = {};
  table.name = "avx2";
  set_rows<Avx2>(table);
  set_products<Avx2>(table);
  wide_of(table, ActivationForm::kBlock32) = &kBlock32Kernels;
  wide_of(table, ActivationForm::kSlab256) = &kSlab256Kernels;
  return table;
}

constexpr KernelTable kTable = avx2_table();

}  // namespace

const KernelTable* avx2_kernels() noexcept { return &kTable; }

}  // namespace belle

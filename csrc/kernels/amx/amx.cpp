// The AMX tier: prefill in tiles of 16 x 16 sums, everything else as on AVX-512 VNNI.
#include "kernels/amx_tier.h"

namespace belle {
namespace {

constexpr KernelTable kTable = amx_table("amx");

}  // namespace

const KernelTable* amx_kernels() noexcept { return &kTable; }

}  // namespace belle

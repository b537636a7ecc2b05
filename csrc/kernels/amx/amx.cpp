// The AMX tier: prompts in tiles of 16 x 16 sums, everything else as on AVX-512 VNNI.
#include "kernels/amx/native_tiles.h"
#include "kernels/amx/table.h"
#include "kernels/amx/tier.h"
#include "kernels/isa.h"

namespace belle {
namespace {

constexpr KernelTable kTable = amx_table<AmxTier<NativeTiles>>("amx");

}  // namespace

const KernelTable* amx_kernels() noexcept { return &kTable; }

}  // namespace belle

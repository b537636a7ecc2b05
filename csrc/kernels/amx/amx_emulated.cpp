// The AMX tier with software in place of the tile instructions: the same kernels, testable on any AVX-512 machine.
// Slow, built for tests only, and never chosen unless it is named.
#include "kernels/amx/emulated_tiles.h"
#include "kernels/amx/table.h"
#include "kernels/amx/tier.h"
#include "kernels/isa.h"

namespace belle {
namespace {

constexpr KernelTable kTable = amx_table<AmxTier<EmulatedTiles>>("amx-emulated");

}  // namespace

const KernelTable* amx_emulated_kernels() noexcept { return &kTable; }

}  // namespace belle

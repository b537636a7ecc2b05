// The AMX tier with software in place of the tile instructions: the same kernels, testable on any AVX-512 machine.
// Slow, built for tests only, and never chosen unless it is named.
#define BELLE_EMULATED_TILES
#include "kernels/amx_tier.h"

namespace belle {
namespace {

constexpr KernelTable kTable = amx_table("amx-emulated");

}  // namespace

const KernelTable* amx_emulated_kernels() noexcept { return &kTable; }

}  // namespace belle

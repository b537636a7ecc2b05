// The AMX tier: tile registers for prompts and attention, and all that the AVX-512 VNNI tier has.
#pragma once

#include "kernels/amx/products.h"
#include "kernels/avx512vnni/tier.h"

namespace belle {
namespace {

/// Tiles: NativeTiles (native_tiles.h) or EmulatedTiles (emulated_tiles.h).
template <class Tiles>
struct AmxTier : Avx512Vnni, AmxProducts, Tiles {};

}  // namespace
}  // namespace belle

// Activations in bfloat16, in slabs and tiles like those of slab_pack.h:
//
//   kBf16      bf16  [slab][token tile][step of 32 columns][16 tokens][32]
//
// Include after slab_pack.h; everything stays inside the including file's anonymous namespace.
#pragma once

#include "kernels/amx_tiles.h"

namespace belle {
namespace {

using Bf16Tiles = PackedTiles<32>;

// ---- bfloat16, rounded to nearest even

// [32 bf16]: low, then high
inline __m512i to_bf16(Vector low, Vector high) noexcept {
  const __m512bh rounded = _mm512_cvtne2ps_pbh(high, low);
  __m512i bits;
  memcpy(&bits, &rounded, sizeof bits);
  return bits;
}

size_t bf16_packed_bytes(size_t n_tokens, size_t k) noexcept { return Bf16Tiles(n_tokens, k).bytes(); }

void pack_bf16(const WidePack& args) noexcept {
  const Bf16Tiles tiles(args.n_tokens, args.k);
  for (size_t tile = args.first_tile; tile < args.end_tile; ++tile) {
    for (size_t slab = 0; slab < tiles.n_slabs(); ++slab) {
      uint8_t* out = args.packed + tiles.offset_of(slab, tile);
      for (size_t row = 0; row < kTileRows; ++row) {
        const size_t token = tile * kTileRows + row;
        for (size_t step = 0; step < tiles.steps_of(slab); ++step) {
          __m512i values = _mm512_setzero_si512();
          if (token < args.n_tokens) {
            const float* x = args.x + token * args.k + slab * kSlabColumns + step * kBlockSize;
            values = to_bf16(_mm512_loadu_ps(x), _mm512_loadu_ps(x + kLanes));
          }
          _mm512_storeu_si512(out + step * kTileBytes + row * kTileRowBytes, values);
        }
      }
    }
  }
}

}  // namespace
}  // namespace belle

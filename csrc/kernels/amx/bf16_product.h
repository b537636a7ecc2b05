// The wide product of bfloat16 on tile registers, 2 x 2 tiles of sums. The block's sums are loaded into the tiles,
// added to, and stored.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/amx/bf16_weights.h"
#include "kernels/amx/few_tokens.h"
#include "kernels/amx/packed_activations.h"
#include "kernels/amx/tiles.h"
#include "kernels/formats/formats.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/wide_matmul.h"
#include "kernels/table.h"

namespace belle {
namespace {

// Calls body.run<token_tiles, row_tiles>(token tile, panel) for the block's 2 x 2 tiles, and what is left at the edges.
template <class Body>
inline void for_each_tile_block(const Block& block, Body& body) noexcept {
  for (size_t t = 0; t < block.n_token_tiles; t += 2) {
    const bool two_tokens = t + 1 < block.n_token_tiles;
    for (size_t r = 0; r < block.n_panels; r += 2) {
      const bool two_rows = r + 1 < block.n_panels;
      if (two_tokens && two_rows) body.template run<2, 2>(t, r);
      else if (two_tokens) body.template run<2, 1>(t, r);
      else if (two_rows) body.template run<1, 2>(t, r);
      else body.template run<1, 1>(t, r);
    }
  }
}

template <class Tier>
class Bf16Chunk {
 public:
  using Format = Bf16Format;
  using Session = TileSession<Tier>;
  static constexpr size_t kColumns = kSlabColumns, kTileTokens = kTileRows;

  Bf16Chunk(const Format& format, const Block& block, size_t chunk, Prefetch& prefetch) noexcept
      : format_(format),
        block_(block),
        prefetch_(prefetch),
        tiles_(block.args->n_tokens, block.args->k),
        slab_(chunk) {}

  static void finish(const Block& block) noexcept { write_tokens<Tier>(block, 0); }

  static size_t steps_of(const Block& block) noexcept {
    return Bf16Tiles::kSlabSteps * quotient_up(block.n_token_tiles, 2) * quotient_up(block.n_panels, 2);
  }

  void expand() noexcept {
    for (size_t p = 0; p < block_.n_panels; ++p) {
      format_.expand(block_.units_of(format_, p, slab_), 0, tiles_.steps_of(slab_),
                     block_.scratch->weights + p * kPanelTileBytes);
    }
  }

  template <int token_tiles, int row_tiles>
  void run(size_t t, size_t r) noexcept {
    constexpr SumLayout kLayout = {kTileRows * kBlockRows * sizeof(float), kTileRows * sizeof(float),
                                   kBlockRows * sizeof(float)};
    const size_t n_steps = tiles_.steps_of(slab_);
    const uint8_t* activations = block_.args->packed + tiles_.offset_of(slab_, block_.first_token_tile + t);
    const uint8_t* weights = block_.scratch->weights + r * kPanelTileBytes;
    uint8_t* sums = reinterpret_cast<uint8_t*>(block_.scratch->sums[t * kTileRows] + r * kTileRows);
    if (slab_ == 0) zero_sums<Tier, token_tiles, row_tiles>();
    else load_sums<Tier, token_tiles, row_tiles>(sums, kLayout);
    for (size_t step = 0; step < n_steps; ++step) {
      multiply_step<Bf16Dot<Tier>, token_tiles, row_tiles>(activations + step * kTileBytes, n_steps * kTileBytes,
                                                           weights + step * kTileBytes, kPanelTileBytes);
      prefetch_.advance();
    }
    store_sums<Tier, token_tiles, row_tiles>(sums, kLayout);
  }

  void multiply_block() noexcept { for_each_tile_block(block_, *this); }

 private:
  static constexpr size_t kPanelTileBytes = Bf16Tiles::kSlabSteps * kTileBytes;

  const Format& format_;
  const Block& block_;
  Prefetch& prefetch_;
  const Bf16Tiles tiles_;
  const size_t slab_;
};

template <class Tier, class Format>
void multiply_bf16(const WideMatmul& args) noexcept {
  constexpr const Bf16Format& kFormat = kBf16Format<Tier, Format>;
  if (args.n_tokens > kFewTokens) wide_matmul<Tier, Bf16Chunk<Tier>>(kFormat, args);
  else multiply_few_bf16<Tier>(kFormat, args);
}

static_assert(sizeof(FewScratch) <= sizeof(Scratch), "one scratch for both");

template <class Tier>
constexpr WideKernels kBf16Kernels =
    wide_kernels(kTileRows, bf16_packed_bytes, pack_bf16<Tier>, sizeof(Scratch),
                 [](auto format) noexcept -> WideMatmulFn { return multiply_bf16<Tier, decltype(format)>; });

}  // namespace
}  // namespace belle

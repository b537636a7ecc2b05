// The wide product of bfloat16 on tile registers, 2 x 2 tiles of sums. Include after amx_few.h;
// everything stays inside the including file's anonymous namespace.
#pragma once

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

// ---- bfloat16: the block's sums are loaded into the tiles, added to, and stored

template <class Format>
class Bf16Chunk {
 public:
  using Session = TileSession;
  static constexpr size_t kColumns = kSlabColumns, kTileTokens = kTileRows;

  Bf16Chunk(const Block& block, size_t chunk, Prefetch& prefetch) noexcept
      : block_(block), prefetch_(prefetch), tiles_(block.args->n_tokens, block.args->k), slab_(chunk) {}

  static void run(const Block& block) noexcept { run_chunks<Bf16Chunk, Format>(block); }
  static void finish(const Block& block) noexcept { write_tokens(block, 0); }

  static size_t steps_of(const Block& block) noexcept {
    return Bf16Tiles::kSlabSteps * quotient_up(block.n_token_tiles, 2) * quotient_up(block.n_panels, 2);
  }

  void expand() noexcept {
    const size_t first_unit = slab_ * kSlabColumns / kBlockSize;
    for (size_t p = 0; p < block_.n_panels; ++p) {
      const uint8_t* units = block_.panels + p * block_.panel_bytes + first_unit * Format::kUnitBytes;
      expand_bf16<Format>(units, tiles_.steps_of(slab_), block_.scratch->weights + p * kPanelTileBytes);
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
    if (slab_ == 0) zero_sums<token_tiles, row_tiles>();
    else load_sums<token_tiles, row_tiles>(sums, kLayout);
    for (size_t step = 0; step < n_steps; ++step) {
      multiply_step<Bf16Dot, token_tiles, row_tiles>(activations + step * kTileBytes, n_steps * kTileBytes,
                                                     weights + step * kTileBytes, kPanelTileBytes);
      prefetch_.advance();
    }
    store_sums<token_tiles, row_tiles>(sums, kLayout);
  }

  void multiply_block() noexcept { for_each_tile_block(block_, *this); }

 private:
  static constexpr size_t kPanelTileBytes = Bf16Tiles::kSlabSteps * kTileBytes;

  const Block& block_;
  Prefetch& prefetch_;
  const Bf16Tiles tiles_;
  const size_t slab_;
};

template <class Format>
void multiply_bf16(const WideMatmul& args) noexcept {
  if (args.n_tokens > kFewTokens) return wide_matmul<Bf16Chunk, Format>(args);
  const TileSession session;
  multiply_few_bf16<Format>(args);
}

static_assert(sizeof(FewScratch) <= sizeof(Scratch), "one scratch for both");

constexpr WideKernels kBf16Kernels = {
    kTileRows,
    bf16_packed_bytes,
    pack_bf16,
    {nullptr, nullptr, nullptr, multiply_bf16<WideQ4_0>, multiply_bf16<WideQ4_1>, multiply_bf16<WideQ8_0>},
    sizeof(Scratch)};

}  // namespace
}  // namespace belle

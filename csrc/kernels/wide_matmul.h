// The loops of the wide matrix products. A block of 64 rows meets a group of up to 512 tokens, chunk by chunk along the
// columns: the chunk's weights are expanded to tiles once (32 KB, which the first-level cache holds), then 2 x 2 tiles
// of 16 tokens by 16 rows are summed for all tokens, and the sums of the block wait in scratch until the last chunk. An
// output's sum has one order, whatever the tokens, the rows and the threads: columns ascending.
//
// A Chunk (amx_chunks.h, avx512_slab.h) expands and multiplies. Include after slab_expand.h; everything stays inside
// the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kGroupTokens = 512;
constexpr size_t kBlockPanels = 4;
constexpr size_t kBlockRows = kBlockPanels * kPanelRows;
constexpr size_t kChunkBytes = 32 * 1024;  // expanded weights: two slabs of int8, or one of bf16

struct alignas(64) Scratch {
  float sums[kGroupTokens][kBlockRows];
  uint8_t weights[kChunkBytes];                     // [slab][panel][step] tiles
  float weight_scales[2][kBlockPanels][kTileRows];  // [slab][panel][row], int8
  int32_t starts[2][kBlockPanels][kTileRows];       // [slab][panel][row], where sums of unsigned activations start
  int32_t spilled[2][4][kTileRows * kTileRows];  // two blocks of int8 sums: one is scaled while the other is computed
};

/// A group of tokens and a block of panels within one call.
struct Block {
  const WideMatmul* args;
  Scratch* scratch;
  size_t first_token_tile, n_token_tiles;
  const uint8_t* panels;  // of the block
  size_t n_panels;        // 1 .. kBlockPanels
  size_t panel_bytes;
  const uint8_t* next_panels;  // of the block that follows, null if none
};

// Asks for the weights of the next chunk, a few cache lines with every step.
class Prefetch {
 public:
  Prefetch(const uint8_t* first, size_t panel_stride, size_t n_panels, size_t bytes, size_t n_calls) noexcept
      : line_(first),
        panel_stride_(panel_stride),
        lines_per_panel_(quotient_up(bytes, 64)),
        lines_left_(first == nullptr ? 0 : n_panels * lines_per_panel_),
        lines_per_call_(quotient_up(lines_left_, n_calls)),
        panel_left_(lines_per_panel_) {}

  void advance() noexcept {
    for (size_t i = 0; i < lines_per_call_ && lines_left_ > 0; ++i, --lines_left_) {
      _mm_prefetch(reinterpret_cast<const char*>(line_), _MM_HINT_T1);
      line_ += 64;
      if (--panel_left_ > 0) continue;
      panel_left_ = lines_per_panel_;
      line_ += panel_stride_ - lines_per_panel_ * 64;
    }
  }

 private:
  const uint8_t* line_;
  size_t panel_stride_, lines_per_panel_, lines_left_, lines_per_call_, panel_left_;
};

/// What the Chunks of int8 slabs share: two slabs of the block's weights in scratch.
template <class Format>
class SlabWeights {
 public:
  static constexpr size_t kSlabs = 2;
  static constexpr size_t kColumns = kSlabs * kSlabColumns;

  SlabWeights(const Block& block, size_t chunk, Prefetch& prefetch) noexcept
      : block_(block),
        prefetch_(prefetch),
        tiles_(block.args->n_tokens, block.args->k),
        first_slab_(chunk * kSlabs),
        n_slabs_(smaller(kSlabs, tiles_.n_slabs() - first_slab_)) {}

  void expand() noexcept {
    for (size_t s = 0; s < n_slabs_; ++s) {
      const size_t first_unit = (first_slab_ + s) * kSlabColumns / kBlockSize;
      const size_t n_units = smaller(kSlabColumns / kBlockSize, block_.args->k / kBlockSize - first_unit);
      for (size_t p = 0; p < block_.n_panels; ++p) {
        const uint8_t* units = block_.panels + p * block_.panel_bytes + first_unit * Format::kUnitBytes;
        expand_int8<Format>(units, n_units, weights_of(s, p), block_.scratch->weight_scales[s][p]);
      }
    }
  }

 protected:
  static constexpr size_t kPanelTileBytes = Int8Tiles::kSlabSteps * kTileBytes;

  uint8_t* weights_of(size_t slab, size_t panel) const noexcept {
    return block_.scratch->weights + (slab * kBlockPanels + panel) * kPanelTileBytes;
  }

  const Block& block_;
  Prefetch& prefetch_;
  const Int8Tiles tiles_;
  const size_t first_slab_, n_slabs_;
};

// Calls body<token_tiles, row_tiles>(token tile, row tile) for the block's 2 x 2 tiles, and what is left at the edges.
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

inline void write_block(const Block& block, size_t first_row) noexcept {
  const WideMatmul& args = *block.args;
  const size_t first_token = block.first_token_tile * kTileRows;
  const size_t n_tokens = smaller(block.n_token_tiles * kTileRows, args.n_tokens - first_token);
  const size_t n_rows = smaller(block.n_panels * kPanelRows, args.n_rows - first_row);
  for (size_t t = 0; t < n_tokens; ++t) {
    float* y = args.y + (first_token + t) * args.y_stride + first_row;
    for_each_vector(
        n_rows, [&](size_t i, auto lanes) noexcept { store(y + i, load(block.scratch->sums[t] + i, lanes), lanes); });
  }
}

template <class Chunk, class Format>
inline void run_block(const Block& block) noexcept {
  const size_t n_chunks = quotient_up(block.args->k, Chunk::kColumns);
  constexpr size_t kChunkUnitBytes = Chunk::kColumns / kBlockSize * Format::kUnitBytes;
  for (size_t chunk = 0; chunk < n_chunks; ++chunk) {
    const bool last = chunk + 1 == n_chunks;
    const uint8_t* next = last ? block.next_panels : block.panels + (chunk + 1) * kChunkUnitBytes;
    const size_t next_bytes = last ? smaller(kChunkUnitBytes, block.panel_bytes)
                                   : smaller(kChunkUnitBytes, block.panel_bytes - (chunk + 1) * kChunkUnitBytes);
    Prefetch prefetch(next, block.panel_bytes, block.n_panels, next_bytes, Chunk::steps_of(block));
    Chunk work(block, chunk, prefetch);
    work.expand();
    for_each_tile_block(block, work);
    work.finish();
  }
}

template <template <class> class Chunk, class Format>
void wide_matmul(const WideMatmul& args) noexcept {
  static_assert(kGroupTokens % kTileRows == 0, "groups are whole tiles");
  [[maybe_unused]] const typename Chunk<Format>::Session session;
  const size_t n_panels = quotient_up(args.n_rows, kPanelRows), n_token_tiles = token_tiles_of(args.n_tokens);
  const size_t panel_bytes = args.k / kBlockSize * Format::kUnitBytes;
  constexpr size_t kGroupTiles = kGroupTokens / kTileRows;
  for (size_t tile = 0; tile < n_token_tiles; tile += kGroupTiles) {
    for (size_t panel = 0; panel < n_panels; panel += kBlockPanels) {
      Block block{};
      block.args = &args;
      block.scratch = reinterpret_cast<Scratch*>(args.scratch);
      block.first_token_tile = tile;
      block.n_token_tiles = smaller(kGroupTiles, n_token_tiles - tile);
      block.panels = args.panels + panel * panel_bytes;
      block.n_panels = smaller(kBlockPanels, n_panels - panel);
      block.panel_bytes = panel_bytes;
      block.next_panels = panel + kBlockPanels < n_panels ? block.panels + kBlockPanels * panel_bytes : nullptr;
      run_block<Chunk<Format>, Format>(block);
      write_block(block, panel * kPanelRows);
    }
  }
}

template <template <class> class Chunk>
constexpr WideKernels wide_kernels(size_t (*packed_bytes)(size_t, size_t) noexcept,
                                   void (*pack)(const WidePack&) noexcept) noexcept {
  return {packed_bytes,
          pack,
          {nullptr, nullptr, nullptr, wide_matmul<Chunk, WideQ4_0>, wide_matmul<Chunk, WideQ4_1>,
           wide_matmul<Chunk, WideQ8_0>},
          sizeof(Scratch)};
}

}  // namespace
}  // namespace belle

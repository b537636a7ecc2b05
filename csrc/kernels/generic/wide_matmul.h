// The loops of the wide matrix products. A block of 64 rows meets a group of up to 528 tokens, chunk by chunk along the
// columns: the chunk's weights are expanded once (16 or 32 KB, which the first-level cache holds) and multiplied with
// tiles of a few tokens each, and the sums of the block wait in scratch until the last chunk. An output's sum has one
// order, whatever the tokens, the rows and the threads: outliers first, then the other columns, each ascending.
//
// A Chunk (int8_slabs.h, avx2/wide_products.h, amx/bf16_product.h) expands and multiplies. Of a format it knows what
// its Chunk::Format says (wide_format.h).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/compiler.h"
#include "kernels/formats/formats.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/outliers.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/prefetch.h"
#include "kernels/generic/rows.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/wide_format.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kGroupTokens = 528;                           // whole tiles of 3, 4, 6 and 16 tokens
constexpr size_t kChunkBytes = 32 * 1024;                      // expanded weights: two slabs of int8, or one of bf16
constexpr size_t kPanelSlabBytes = kSlabColumns * kPanelRows;  // of int8

struct alignas(64) Scratch {
  float sums[kGroupTokens][kBlockRows];
  uint8_t weights[kChunkBytes];     // [slab][panel], int8, or [panel], bf16
  float weight_scales[kBlockRows];  // int8
  int32_t starts[kBlockRows];       // where the sums of unsigned activations start
};

/// A group of tokens and a block of panels within one call.
struct Block {
  const WideMatmul* args;
  Scratch* scratch;
  size_t first_token_tile, n_token_tiles;
  size_t first_token, n_tokens;  // of y
  size_t first_row, n_rows;      // of y
  const uint8_t* panels;         // of the block
  size_t n_panels;               // 1 .. kBlockPanels
  size_t panel_bytes;
  const uint8_t* next_panels;  // of the block that follows, null if none

  size_t columns_of(size_t slab) const noexcept { return smaller(kSlabColumns, args->k - slab * kSlabColumns); }
  /// Where a slab of one of its panels starts.
  const uint8_t* units_of(const WideFormat& format, size_t panel, size_t slab) const noexcept {
    return panels + panel * panel_bytes + format.bytes_of(slab * kSlabColumns);
  }
  /// Whether the sums in scratch hold nothing that the products with a slab are added to.
  bool starts_with(size_t slab) const noexcept { return slab == 0 && args->outliers.n == 0; }
};

// Asks for the weights of the next chunk, a few cache lines with every step.
class Prefetch {
 public:
  Prefetch(const uint8_t* first, size_t panel_stride, size_t n_panels, size_t bytes, size_t n_calls) noexcept
      : line_(reinterpret_cast<uintptr_t>(first)),
        panel_stride_(panel_stride),
        lines_per_panel_(quotient_up(bytes, kLineBytes)),
        lines_left_(first == nullptr ? 0 : n_panels * lines_per_panel_),
        lines_per_call_(quotient_up(lines_left_, n_calls)),
        panel_left_(lines_per_panel_) {}

  void advance() noexcept {
    for (size_t i = 0; i < lines_per_call_ && lines_left_ > 0; ++i, --lines_left_) {
      prefetch_line_l2(line_);
      line_ += kLineBytes;
      if (--panel_left_ > 0) continue;
      panel_left_ = lines_per_panel_;
      line_ += panel_stride_ - lines_per_panel_ * kLineBytes;
    }
  }

 private:
  uintptr_t line_;
  size_t panel_stride_, lines_per_panel_, lines_left_, lines_per_call_, panel_left_;
};

// The block's sums of its tokens from `first` on, to y. Tokens lie a row of y apart, each on a page of its own: asked
// for in time.
template <class Tier>
inline void write_tokens(const Block& block, size_t first) noexcept {
  constexpr size_t kAhead = 16;
  const WideMatmul& args = *block.args;
  for (size_t t = first; t < block.n_tokens; ++t) {
    float* y = args.y + (block.first_token + t) * args.y_stride + block.first_row;
    const float* later = y + (t + kAhead < block.n_tokens ? kAhead * args.y_stride : 0);
    for (size_t i = 0; i < block.n_rows; i += Tier::kLanes) prefetch_line(reinterpret_cast<uintptr_t>(later + i));
    for_each_vector<Tier>(block.n_rows, [&](size_t i, auto lanes) noexcept {
      Tier::store(y + i, Tier::load(block.scratch->sums[t] + i, lanes), lanes);
    });
  }
}

// Where the sums of tiles of a few tokens go that registers hold: behind the last chunk straight to y, unless the tile
// or the block is not whole, else to scratch.
template <class Tier, size_t tile_tokens>
struct TileSums {
  float* rows;    // [tile_tokens][rows of the block]
  size_t stride;  // from token to token

  static size_t whole_tiles(const Block& block) noexcept {
    return block.n_rows == block.n_panels * kPanelRows ? block.n_tokens / tile_tokens : 0;
  }

  static TileSums of(const Block& block, size_t tile, bool last_chunk) noexcept {
    if (!last_chunk || tile >= whole_tiles(block)) return {block.scratch->sums[tile * tile_tokens], kBlockRows};
    const WideMatmul& args = *block.args;
    const size_t token = (block.first_token_tile + tile) * tile_tokens;
    return {args.y + token * args.y_stride + block.first_row, args.y_stride};
  }

  /// Writes what the tiles have left in scratch.
  static void finish(const Block& block) noexcept { write_tokens<Tier>(block, whole_tiles(block) * tile_tokens); }
};

constexpr float kNothing[kBlockRows] = {};  // the sums before the first chunk

// The sums that the first chunk's are added to, where there are outliers.
template <class Tier>
inline void start_sums(const WideFormat& format, const Block& block, size_t tile_tokens) noexcept {
  const Outliers& outliers = block.args->outliers;
  if (outliers.n == 0) return;
  float(*sums)[kBlockRows] = block.scratch->sums;
  sum_outliers<Tier>(format, outliers, block.first_token, block.n_tokens, block.panels, block.n_panels,
                     block.panel_bytes, sums);
  const size_t n_missing = block.n_token_tiles * tile_tokens - block.n_tokens;  // of the last tile
  memset(sums + block.n_tokens, 0, n_missing * sizeof *sums);
}

// Chunk by chunk: expand, then multiply.
template <class Chunk>
inline void run_chunks(const typename Chunk::Format& format, const Block& block) noexcept {
  const size_t n_chunks = quotient_up(block.args->k, Chunk::kColumns), chunk_bytes = format.bytes_of(Chunk::kColumns);
  for (size_t chunk = 0; chunk < n_chunks; ++chunk) {
    const bool last = chunk + 1 == n_chunks;
    const uint8_t* next = last ? block.next_panels : block.panels + (chunk + 1) * chunk_bytes;
    const size_t next_bytes = smaller(chunk_bytes, block.panel_bytes - (last ? 0 : (chunk + 1) * chunk_bytes));
    Prefetch prefetch(next, block.panel_bytes, block.n_panels, next_bytes, Chunk::steps_of(block));
    Chunk work(format, block, chunk, prefetch);
    work.expand();
    work.multiply_block();
  }
}

template <class Tier, class Chunk>
BELLE_ONCE void wide_matmul(const typename Chunk::Format& format, const WideMatmul& args) noexcept {
  constexpr size_t kTileTokens = Chunk::kTileTokens, kGroupTiles = kGroupTokens / kTileTokens;
  static_assert(kGroupTokens % kTileTokens == 0, "groups are whole tiles");
  [[maybe_unused]] const typename Chunk::Session session;
  const size_t n_panels = quotient_up(args.n_rows, kPanelRows);
  const size_t n_token_tiles = quotient_up(args.n_tokens, kTileTokens);
  const size_t group_tiles =
      quotient_up(n_token_tiles, quotient_up(n_token_tiles, kGroupTiles));  // about the same each
  const size_t panel_bytes = format.bytes_of(args.k);
  for (size_t tile = 0; tile < n_token_tiles; tile += group_tiles) {
    for (size_t panel = 0; panel < n_panels; panel += kBlockPanels) {
      Block block{};
      block.args = &args;
      block.scratch = reinterpret_cast<Scratch*>(args.scratch);
      block.first_token_tile = tile;
      block.n_token_tiles = smaller(group_tiles, n_token_tiles - tile);
      block.first_token = tile * kTileTokens;
      block.n_tokens = smaller(block.n_token_tiles * kTileTokens, args.n_tokens - block.first_token);
      block.first_row = panel * kPanelRows;
      block.n_rows = smaller(kBlockRows, args.n_rows - block.first_row);
      block.panels = args.panels + panel * panel_bytes;
      block.n_panels = smaller(kBlockPanels, n_panels - panel);
      block.panel_bytes = panel_bytes;
      block.next_panels = panel + kBlockPanels < n_panels ? block.panels + kBlockPanels * panel_bytes : nullptr;
      start_sums<Tier>(format, block, kTileTokens);
      run_chunks<Chunk>(format, block);
      Chunk::finish(block);
    }
  }
}

/// The entry of a form: product(Format{}) is the function that multiplies a format's weights, null where there is none.
template <class Product>
constexpr WideKernels wide_kernels(size_t tile_tokens, size_t (*packed_bytes)(size_t, size_t) noexcept,
                                   void (*pack)(const WidePack&) noexcept, size_t scratch_bytes,
                                   Product product) noexcept {
  WideKernels kernels = {};
  kernels.tile_tokens = tile_tokens;
  kernels.packed_bytes = packed_bytes;
  kernels.pack = pack;
  kernels.scratch_bytes = scratch_bytes;
  for_each_format(QuantizedFormats{},
                  [&](auto format) { kernels.matmul[kIndexOf<decltype(format)>] = product(format); });
  return kernels;
}

}  // namespace
}  // namespace belle

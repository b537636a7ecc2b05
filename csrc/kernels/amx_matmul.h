// The wide matrix products. A block of 64 rows meets a group of up to 512 tokens, chunk by chunk along the columns: the
// chunk's weights are expanded to tiles once (32 KB, which the first-level cache holds), then 2 x 2 tiles of 16 tokens
// by 16 rows are summed for all tokens, and the sums of the block wait in scratch until the last chunk. An output's sum
// has one order, whatever the tokens, the rows and the threads: columns ascending.
//
// Include after amx_expand.h; everything stays inside the including file's anonymous namespace.
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

// ---- int8: sums of a slab in integers, then scaled and added to the block's sums

/// Integer sums of 2 x 2 tiles that wait for their scales.
struct Pending {
  const int32_t* spilled;      // [2 token tiles][2 row tiles][16][16]
  const float* token_scales;   // [16 * token_tiles]
  const float* weight_scales;  // [16 * row_tiles]
  float* sums;                 // [16 * token_tiles][kBlockRows]
  size_t token_tiles, row_tiles;
  bool first;  // the first slab: the sums hold nothing yet
};

// Scales a quarter of what is pending, so that it can be spread over the steps of the next tiles. The quarter's tokens
// are neighbours in one tile.
template <size_t row_tiles>
inline void scale_tokens(const Pending& pending, size_t quarter) noexcept {
  constexpr size_t kTileSums = kTileRows * kTileRows;
  const size_t n_tokens = 4 * pending.token_tiles, first = quarter * n_tokens;
  const int32_t* spilled = pending.spilled + first / kTileRows * 2 * kTileSums + first % kTileRows * kTileRows;
  const float* token_scales = pending.token_scales + first;
  float* sums = pending.sums + first * kBlockRows;
  const __mmask16 added = pending.first ? 0 : 0xffff;
  Vector weight_scales[row_tiles];
  for (size_t r = 0; r < row_tiles; ++r) weight_scales[r] = _mm512_loadu_ps(pending.weight_scales + r * kTileRows);
  for (size_t token = 0; token < n_tokens; ++token) {
    const Vector token_scale = broadcast(token_scales[token]);
    for (size_t r = 0; r < row_tiles; ++r) {
      const Vector dots = _mm512_cvtepi32_ps(_mm512_loadu_si512(spilled + token * kTileRows + r * kTileSums));
      float* sum = sums + token * kBlockRows + r * kTileRows;
      const Vector before = _mm512_maskz_loadu_ps(added, sum);
      _mm512_storeu_ps(sum, multiply_add(dots, multiply(token_scale, weight_scales[r]), before));
    }
  }
}

inline void scale_quarter(const Pending& pending, size_t quarter) noexcept {
  if (pending.row_tiles == 2) scale_tokens<2>(pending, quarter);
  else scale_tokens<1>(pending, quarter);
}

template <class Format>
class Int8Chunk {
 public:
  static constexpr size_t kSlabs = 2;
  static constexpr size_t kColumns = kSlabs * kSlabColumns;

  Int8Chunk(const Block& block, size_t chunk, Prefetch& prefetch) noexcept
      : block_(block),
        prefetch_(prefetch),
        tiles_(block.args->n_tokens, block.args->k),
        first_slab_(chunk * kSlabs),
        n_slabs_(smaller(kSlabs, tiles_.n_slabs() - first_slab_)) {}

  static size_t steps_of(const Block& block) noexcept { return kSlabs * Int8Tiles::kSlabSteps * tile_blocks_of(block); }

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

  template <int token_tiles, int row_tiles>
  void run(size_t t, size_t r) noexcept {
    for (size_t s = 0; s < n_slabs_; ++s) {
      const size_t slab = first_slab_ + s, n_steps = tiles_.steps_of(slab), tile = block_.first_token_tile + t;
      const uint8_t* activations = block_.args->packed + tiles_.offset_of(slab, tile);
      const uint8_t* weights = weights_of(s, r);
      zero_sums<token_tiles, row_tiles>();
      for (size_t step = 0; step < Int8Tiles::kSlabSteps; ++step) {
        if (step < n_steps) {
          multiply_step<Int8Dot, token_tiles, row_tiles>(activations + step * kTileBytes, n_steps * kTileBytes,
                                                         weights + step * kTileBytes, kPanelTileBytes);
        }
        if (pending_.spilled != nullptr) scale_quarter(pending_, step);
        prefetch_.advance();
      }
      int32_t* spilled = block_.scratch->spilled[next_spill_][0];
      store_sums<token_tiles, row_tiles>(reinterpret_cast<uint8_t*>(spilled),
                                         {2 * kTileBytes, kTileBytes, kTileRowBytes});
      pending_ = {spilled,
                  int8_scales(block_.args->packed, tiles_, slab) + tile * kTileRows,
                  block_.scratch->weight_scales[s][r],
                  block_.scratch->sums[t * kTileRows] + r * kTileRows,
                  token_tiles,
                  row_tiles,
                  slab == 0};
      next_spill_ = 1 - next_spill_;
    }
  }

  void finish() noexcept {
    for (size_t quarter = 0; quarter < 4; ++quarter) scale_quarter(pending_, quarter);
  }

 private:
  static constexpr size_t kPanelTileBytes = Int8Tiles::kSlabSteps * kTileBytes;

  uint8_t* weights_of(size_t slab, size_t panel) const noexcept {
    return block_.scratch->weights + (slab * kBlockPanels + panel) * kPanelTileBytes;
  }
  static size_t tile_blocks_of(const Block& block) noexcept {
    return quotient_up(block.n_token_tiles, 2) * quotient_up(block.n_panels, 2);
  }

  const Block& block_;
  Prefetch& prefetch_;
  const Int8Tiles tiles_;
  const size_t first_slab_, n_slabs_;
  Pending pending_ = {};
  size_t next_spill_ = 0;
};

// ---- bfloat16: the block's sums are loaded into the tiles, added to, and stored

template <class Format>
class Bf16Chunk {
 public:
  static constexpr size_t kColumns = kSlabColumns;

  Bf16Chunk(const Block& block, size_t chunk, Prefetch& prefetch) noexcept
      : block_(block), prefetch_(prefetch), tiles_(block.args->n_tokens, block.args->k), slab_(chunk) {}

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

  void finish() noexcept {}

 private:
  static constexpr size_t kPanelTileBytes = Bf16Tiles::kSlabSteps * kTileBytes;

  const Block& block_;
  Prefetch& prefetch_;
  const Bf16Tiles tiles_;
  const size_t slab_;
};

// ---- the loops around both

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
  const TileSession tiles;
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

constexpr WideKernels kSlab256Kernels = wide_kernels<Int8Chunk>(int8_packed_bytes, pack_int8);
constexpr WideKernels kBf16Kernels = wide_kernels<Bf16Chunk>(bf16_packed_bytes, pack_bf16);

}  // namespace
}  // namespace belle

// The wide products on tile registers, 2 x 2 tiles of sums. Include after wide_matmul.h and amx_expand.h; everything
// stays inside the including file's anonymous namespace.
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

// ---- int8: sums of a slab in integers, then scaled and added to the block's sums

/// Integer sums of 2 x 2 tiles that wait for their scales.
struct Pending {
  const int32_t* spilled;      // [2 token tiles][2 row tiles][16][16]
  const float* token_scales;   // [16 * token_tiles]
  const float* weight_scales;  // [16 * row_tiles]
  float* sums;                 // [16 * token_tiles][kBlockRows]
  size_t token_tiles, row_tiles;
  bool first;  // the sums hold nothing yet
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

/// Expands a slab of a block's weights in pieces of one unit, so that it can be spread over the steps of the products
/// with the slab before it: tiles and vectors are different units of a processor. The weights of two slabs and the
/// scales of three exist at a time; a slab behind the last has no pieces.
template <class Format>
class SlabExpansion {
 public:
  SlabExpansion(const Block& block, size_t slab, size_t n_calls) noexcept
      : units_(block, smaller(slab, last_slab(block))),
        weights_(weights_of(block, slab)),
        scales_(scales_of(block, slab)),
        panels_left_(slab > last_slab(block) ? 0 : block.n_panels),
        units_per_call_(quotient_up(block.n_panels * units_.n, n_calls)) {}

  static uint8_t* weights_of(const Block& block, size_t slab) noexcept {
    return block.scratch->weights + slab % 2 * kBlockPanels * kPanelSlabBytes;
  }
  static float* scales_of(const Block& block, size_t slab) noexcept { return block.scratch->weight_scales[slab % 3]; }

  void advance() noexcept {
    for (size_t i = 0; i < units_per_call_ && panels_left_ > 0; ++i) expand_unit();
  }

 private:
  static size_t last_slab(const Block& block) noexcept { return (block.args->k - 1) / kSlabColumns; }

  BELLE_ALONE void expand_unit() noexcept {
    const size_t panel = units_.block.n_panels - panels_left_;
    const uint8_t* units = units_.of(panel);
    if (unit_ == 0) inverse_ = slab_scales<Format>(units, units_.n, 0, scales_ + panel * kPanelRows);
    Format::requantize(units + unit_ * Format::kUnitBytes, 0, inverse_,
                       weights_ + panel * kPanelSlabBytes + unit_ * kUnitWeights);
    if (++unit_ < units_.n) return;
    unit_ = 0;
    --panels_left_;
  }

  const SlabUnits<Format> units_;
  uint8_t* const weights_;
  float* const scales_;
  size_t panels_left_;
  const size_t units_per_call_;
  size_t unit_ = 0;
  Vector inverse_ = zeros();
};

template <class Format>
class Int8Chunk {
 public:
  using Session = TileSession;
  static constexpr size_t kTileTokens = kTileRows;

  static void finish(const Block& block) noexcept { write_tokens(block, 0); }

  static void run(const Block& block) noexcept {
    const size_t n_slabs = quotient_up(block.args->k, kSlabColumns);
    const size_t n_steps = Int8Tiles::kSlabSteps * quotient_up(block.n_token_tiles, 2) * quotient_up(block.n_panels, 2);
    SlabExpansion<Format>(block, 0, 1).advance();
    Int8Chunk chunk(block);
    for (chunk.slab_ = 0; chunk.slab_ < n_slabs; ++chunk.slab_) {
      Prefetch prefetch = prefetch_of(block, chunk.slab_ + 2, n_slabs, n_steps);
      SlabExpansion<Format> next(block, chunk.slab_ + 1, n_steps);
      chunk.prefetch_ = &prefetch;
      chunk.next_ = &next;
      for_each_tile_block(block, chunk);
    }
    for (size_t quarter = 0; quarter < 4; ++quarter) scale_quarter(chunk.pending_, quarter);
  }

  template <int token_tiles, int row_tiles>
  void run(size_t t, size_t r) noexcept {
    const size_t n_steps = tiles_.steps_of(slab_), tile = block_.first_token_tile + t;
    const uint8_t* activations = block_.args->packed + tiles_.offset_of(slab_, tile);
    const uint8_t* weights = SlabExpansion<Format>::weights_of(block_, slab_) + r * kPanelSlabBytes;
    zero_sums<token_tiles, row_tiles>();
    for (size_t step = 0; step < Int8Tiles::kSlabSteps; ++step) {
      if (step < n_steps) {
        multiply_step<Int8Dot, token_tiles, row_tiles>(activations + step * kTileBytes, n_steps * kTileBytes,
                                                       weights + step * kTileBytes, kPanelSlabBytes);
      }
      if (pending_.spilled != nullptr) scale_quarter(pending_, step);
      next_->advance();
      prefetch_->advance();
    }
    int32_t* spilled = block_.scratch->spilled[next_spill_][0];
    store_sums<token_tiles, row_tiles>(reinterpret_cast<uint8_t*>(spilled),
                                       {2 * kTileBytes, kTileBytes, kTileRowBytes});
    pending_ = {spilled,
                int8_scales(block_.args->packed, tiles_, slab_) + tile * kTileRows,
                SlabExpansion<Format>::scales_of(block_, slab_) + r * kPanelRows,
                block_.scratch->sums[t * kTileRows] + r * kTileRows,
                token_tiles,
                row_tiles,
                block_.starts_with(slab_)};
    next_spill_ = 1 - next_spill_;
  }

 private:
  explicit Int8Chunk(const Block& block) noexcept : block_(block), tiles_(block.args->n_tokens, block.args->k) {}

  // The units of a slab two ahead: the one between is being expanded. Behind the last, those of the next block.
  static Prefetch prefetch_of(const Block& block, size_t slab, size_t n_slabs, size_t n_calls) noexcept {
    constexpr size_t kBytes = kSlabColumns / kBlockSize * Format::kUnitBytes;
    const uint8_t* panels = slab < n_slabs ? block.panels : block.next_panels;
    const size_t at = (slab < n_slabs ? slab : smaller(slab - n_slabs, n_slabs - 1)) * kBytes;
    return {panels == nullptr ? nullptr : panels + at, block.panel_bytes, block.n_panels,
            smaller(kBytes, block.panel_bytes - at), n_calls};
  }

  const Block& block_;
  const Int8Tiles tiles_;
  size_t slab_ = 0;
  Prefetch* prefetch_ = nullptr;
  SlabExpansion<Format>* next_ = nullptr;
  Pending pending_ = {};
  size_t next_spill_ = 0;
};

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

constexpr WideKernels kSlab256Kernels =
    wide_kernels<Int8Chunk, WideQ4_0, WideQ4_1, WideQ8_0>(int8_packed_bytes, pack_int8);
constexpr WideKernels kBf16Kernels =
    wide_kernels<Bf16Chunk, WideQ4_0, WideQ4_1, WideQ8_0>(bf16_packed_bytes, pack_bf16);

}  // namespace
}  // namespace belle

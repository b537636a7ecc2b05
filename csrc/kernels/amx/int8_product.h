// The product of int8 slabs on tile registers.
//
// The third-level cache gives a core 8 bytes per cycle or so, a sixth of what the second level does. So a piece of the
// weights, 256 rows by up to 16 slabs of columns, is expanded to int8 into the second level, and the activations pass
// by it once, in the order in which they lie. A pair of token tiles meets 64 rows of the piece slab by slab, 2 x 2
// tiles at a time, so that its float sums stay in the first level. The integer sums of 2 x 2 tiles leave the registers
// during the first products of the next ones and are scaled between the others: tiles and vectors are different units
// of a processor.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/amx/few_tokens.h"
#include "kernels/amx/packed_activations.h"
#include "kernels/amx/tiles.h"
#include "kernels/compiler.h"
#include "kernels/formats/formats.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/outliers.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/requantize.h"
#include "kernels/generic/rows.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/wide_matmul.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kPieceBlocks = 4, kPiecePanels = kPieceBlocks * kBlockPanels;
constexpr size_t kPieceSlabs = 16;
constexpr size_t kPairTokens = 2 * kTileRows;

struct alignas(64) SlabScratch {
  uint8_t weights[kPieceBlocks][kPieceSlabs][kBlockPanels][kPanelSlabBytes];  // int8 tiles
  float weight_scales[kPieceBlocks][kPieceSlabs][kBlockRows];
  float sums[kPieceBlocks][kGroupTokens][kBlockRows];              // between pieces of the same rows
  float pair_sums[kBlockPanels / 2][kPairTokens][2 * kPanelRows];  // between slabs; those of 2 x 2 tiles together
  int32_t spilled[4][kTileRows * kTileRows];
};

/// What is expanded together, and the tokens that meet it.
struct Piece {
  size_t first_tile, n_tiles;    // of tokens
  size_t first_panel, n_panels;  // 1 .. kPiecePanels
  size_t first_slab, n_slabs;    // 1 .. kPieceSlabs

  size_t blocks() const noexcept { return quotient_up(n_panels, kBlockPanels); }
  size_t panels_of(size_t block) const noexcept { return smaller(kBlockPanels, n_panels - block * kBlockPanels); }
};

/// Where the integer sums of 2 x 2 tiles go, and their scales.
struct TileScales {
  const float* tokens[2];  // of each token tile; the second may not exist
  const float* rows;       // of both row tiles
  float* sums;             // [kPairTokens][2 * kPanelRows]
};

// Scales a quarter of 2 x 2 tiles, so that it can be spread over the steps of the next ones.
template <class Tier, size_t quarter>
inline void scale_quarter(const TileScales& to, const int32_t (*spilled)[kTileRows * kTileRows]) noexcept {
  constexpr size_t kTokens = kPairTokens / 4, kTile = quarter / 2, kFirst = quarter % 2 * kTokens;
  using Vector = typename Tier::Vector;
  const Vector row_scales[2] = {Tier::load(to.rows, AllLanes{}), Tier::load(to.rows + kPanelRows, AllLanes{})};
  BELLE_UNROLL
  for (size_t i = 0; i < kTokens; ++i) {
    const Vector token_scale = Tier::broadcast(to.tokens[kTile][kFirst + i]);
    BELLE_UNROLL
    for (size_t r = 0; r < 2; ++r) {
      float* sum = to.sums + ((kTile * kTileRows + kFirst + i) * 2 + r) * kPanelRows;
      const Vector dots = Tier::to_floats(Tier::load_sums(spilled[2 * kTile + r] + (kFirst + i) * kTileRows));
      Tier::store(sum,
                  Tier::multiply_add(dots, Tier::multiply(token_scale, row_scales[r]), Tier::load(sum, AllLanes{})),
                  AllLanes{});
    }
  }
}

/// The products of one call.
template <class Tier>
class SlabProduct {
 public:
  SlabProduct(const SlabFormat& format, const WideMatmul& args) noexcept
      : format_(format),
        args_(args),
        scratch_(*reinterpret_cast<SlabScratch*>(args.scratch)),
        tiles_(args.n_tokens, args.k),
        tile_stride_(tiles_.offset_of(0, 1)) {}

  void run() noexcept {
    const size_t n_panels = quotient_up(args_.n_rows, kPanelRows), n_tiles = tiles_.n_token_tiles;
    const size_t group_tiles = 2 * even_share(quotient_up(n_tiles, 2), kGroupTokens / kPairTokens);
    const size_t piece_slabs = even_share(tiles_.n_slabs(), kPieceSlabs);
    for (size_t tile = 0; tile < n_tiles; tile += group_tiles) {
      for (size_t panel = 0; panel < n_panels; panel += kPiecePanels) {
        for (size_t slab = 0; slab < tiles_.n_slabs(); slab += piece_slabs) {
          piece_ = {tile, smaller(group_tiles, n_tiles - tile),         panel, smaller(kPiecePanels, n_panels - panel),
                    slab, smaller(piece_slabs, tiles_.n_slabs() - slab)};
          if (slab == 0 && args_.outliers.n > 0) start_sums();
          expand();
          multiply();
        }
      }
    }
  }

 private:
  // The size of as few shares of n as hold at most `most` each.
  static size_t even_share(size_t n, size_t most) noexcept { return quotient_up(n, quotient_up(n, most)); }

  size_t panel_bytes() const noexcept { return format_.bytes_of(args_.k); }

  void start_sums() noexcept {
    const size_t first_token = piece_.first_tile * kTileRows;
    const size_t n_tokens = smaller(piece_.n_tiles * kTileRows, args_.n_tokens - first_token);
    for (size_t block = 0; block < piece_.blocks(); ++block) {
      const uint8_t* panels = args_.panels + (piece_.first_panel + block * kBlockPanels) * panel_bytes();
      sum_outliers<Tier>(format_, args_.outliers, first_token, n_tokens, panels, piece_.panels_of(block), panel_bytes(),
                         scratch_.sums[block]);
    }
  }

  BELLE_ALONE void expand() noexcept {
    const size_t first_column = piece_.first_slab * kSlabColumns, slab_bytes = format_.bytes_of(kSlabColumns);
    for (size_t p = 0; p < piece_.n_panels; ++p) {
      const size_t block = p / kBlockPanels, panel = p % kBlockPanels;
      const uint8_t* units = args_.panels + (piece_.first_panel + p) * panel_bytes() + format_.bytes_of(first_column);
      for (size_t slab = 0; slab < piece_.n_slabs; ++slab, units += slab_bytes) {
        format_.expand(units, smaller(kSlabColumns, args_.k - first_column - slab * kSlabColumns),
                       scratch_.weights[block][slab][panel], scratch_.weight_scales[block][slab] + panel * kPanelRows);
      }
    }
  }

  void multiply() noexcept {
    for (tile_ = 0; tile_ < piece_.n_tiles; tile_ += 2) {
      for (block_ = 0; block_ < piece_.blocks(); ++block_) {
        Prefetch prefetch = prefetch_next();
        prefetch_ = &prefetch;
        if (tile_ + 1 < piece_.n_tiles) multiply_pair<2>();
        else multiply_pair<1>();
      }
    }
  }

  bool last_columns() const noexcept { return piece_.first_slab + piece_.n_slabs == tiles_.n_slabs(); }

  // Of y, where the next pair of tiles or rows is written: tokens lie far apart.
  Prefetch prefetch_next() const noexcept {
    size_t tile = tile_, block = block_ + 1;
    if (block == piece_.blocks()) {
      block = 0;
      tile += 2;
    }
    if (!last_columns() || tile >= piece_.n_tiles) return {nullptr, 0, 0, 0, 1};
    const size_t token = (piece_.first_tile + tile) * kTileRows;
    const size_t row = (piece_.first_panel + block * kBlockPanels) * kPanelRows;
    const size_t n_rows = smaller(piece_.panels_of(block) * kPanelRows, args_.n_rows - row);
    return {reinterpret_cast<const uint8_t*>(args_.y + token * args_.y_stride + row), args_.y_stride * sizeof(float),
            smaller(kPairTokens, args_.n_tokens - token), n_rows * sizeof(float),
            Int8Tiles::kSlabSteps * piece_.n_slabs * quotient_up(piece_.panels_of(block_), 2)};
  }

  // A tile or two of tokens, 64 rows and all columns of the piece. The sums of 2 x 2 tiles leave the registers with the
  // first step of the next ones. Of panels that the block lacks the sums are anything; nobody reads them.
  template <int token_tiles>
  void multiply_pair() noexcept {
    const size_t n_panels = piece_.panels_of(block_), first_tile = piece_.first_tile + tile_;
    read_sums();
    TileScales held = {};
    for (size_t slab = 0; slab < piece_.n_slabs; ++slab) {
      const size_t slab_of_all = piece_.first_slab + slab, n_steps = tiles_.steps_of(slab_of_all);
      const uint8_t* activations = args_.packed + tiles_.offset_of(slab_of_all, first_tile);
      const float* token_scales = int8_scales(args_.packed, tiles_, slab_of_all, first_tile);
      for (size_t panel = 0; panel < n_panels; panel += 2) {
        const uint8_t* weights = scratch_.weights[block_][slab][panel];
        const auto multiply_next = [&](size_t step) noexcept {
          if (step >= n_steps) return;
          multiply_step<Int8Dot<Tier>, token_tiles, 2>(activations + step * kTileBytes, tile_stride_,
                                                       weights + step * kTileBytes, kPanelSlabBytes);
        };
        if (slab == 0 && panel == 0) {
          zero_sums<Tier, token_tiles, 2>();
          for (size_t step = 0; step < n_steps; ++step) multiply_next(step);
        } else {
          multiply_first_step<Int8Dot<Tier>, token_tiles, 2>(activations, tile_stride_, weights, kPanelSlabBytes,
                                                             scratch_.spilled);
          scale<token_tiles, 0>(held);
          multiply_next(1);
          scale<token_tiles, 1>(held);
          multiply_next(2);
          scale<token_tiles, 2>(held);
          multiply_next(3);
          scale<token_tiles, 3>(held);
        }
        held.tokens[0] = token_scales;
        held.tokens[1] = token_scales + tiles_.n_slabs() * kTileRows;
        held.rows = scratch_.weight_scales[block_][slab] + panel * kPanelRows;
        held.sums = scratch_.pair_sums[panel / 2][0];
      }
    }
    store_sums<Tier, token_tiles, 2>(reinterpret_cast<uint8_t*>(scratch_.spilled),
                                     {2 * kTileBytes, kTileBytes, kTileRowBytes});
    scale<token_tiles, 0>(held);
    scale<token_tiles, 1>(held);
    scale<token_tiles, 2>(held);
    scale<token_tiles, 3>(held);
    write_sums();
  }

  template <int token_tiles, size_t quarter>
  void scale(const TileScales& to) noexcept {
    if constexpr (quarter / 2 < token_tiles) scale_quarter<Tier, quarter>(to, scratch_.spilled);
    prefetch_->advance();
  }

  // The sums of the columns before the piece.
  void read_sums() noexcept {
    const float* sums = scratch_.sums[block_][tile_ * kTileRows];
    const bool none = piece_.first_slab == 0 && args_.outliers.n == 0;
    for (size_t token = 0; token < kPairTokens; ++token, sums += kBlockRows) {
      for (size_t row = 0; row < kBlockRows; row += kPanelRows) {
        float* to = scratch_.pair_sums[row / (2 * kPanelRows)][token] + row % (2 * kPanelRows);
        Tier::store(to, none ? Tier::zeros() : Tier::load(sums + row, AllLanes{}), AllLanes{});
      }
    }
  }

  // To y behind the last columns.
  void write_sums() noexcept {
    const size_t tile = piece_.first_tile + tile_, row = (piece_.first_panel + block_ * kBlockPanels) * kPanelRows;
    const bool last = last_columns();
    float* to = last ? args_.y + tile * kTileRows * args_.y_stride + row : scratch_.sums[block_][tile_ * kTileRows];
    const size_t stride = last ? args_.y_stride : kBlockRows;
    const size_t n_tokens = last ? smaller(kPairTokens, args_.n_tokens - tile * kTileRows) : kPairTokens;
    const size_t n_rows = last ? smaller(kBlockRows, args_.n_rows - row) : kBlockRows;
    for (size_t token = 0; token < n_tokens; ++token, to += stride) {
      for_each_vector<Tier>(n_rows, [&](size_t i, auto lanes) noexcept {
        const float* sums = scratch_.pair_sums[i / (2 * kPanelRows)][token] + i % (2 * kPanelRows);
        Tier::store(to + i, Tier::load(sums, AllLanes{}), lanes);
      });
    }
  }

  const SlabFormat& format_;
  const WideMatmul& args_;
  SlabScratch& scratch_;
  const Int8Tiles tiles_;
  const size_t tile_stride_;
  Prefetch* prefetch_ = nullptr;
  Piece piece_ = {};
  size_t tile_ = 0, block_ = 0;  // of the piece
};

template <class Tier>
BELLE_ONCE void multiply_slabs(const SlabFormat& format, const WideMatmul& args) noexcept {
  const TileSession<Tier> session;
  if (args.n_tokens <= kFewTokens) FewSlabs<Tier>(format, args).run();
  else SlabProduct<Tier>(format, args).run();
}

template <class Tier, class Format>
constexpr SlabFormat kTileFormat = {kWideFormat<Tier, Format>, expand_int8<Tier, Format, true>};

template <class Tier, class Format>
void multiply_slabs_of(const WideMatmul& args) noexcept {
  multiply_slabs<Tier>(kTileFormat<Tier, Format>, args);
}

static_assert(sizeof(FewScratch) <= sizeof(SlabScratch), "one scratch for both");

template <class Tier>
constexpr WideKernels kSlab256Kernels =
    wide_kernels(kTileRows, int8_packed_bytes, pack_int8<Tier>, sizeof(SlabScratch),
                 [](auto format) noexcept -> WideMatmulFn { return multiply_slabs_of<Tier, decltype(format)>; });

}  // namespace
}  // namespace belle

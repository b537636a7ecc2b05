// The wide products on tile registers for up to 16 tokens, one tile: what takes time then is to read and expand the
// weights, each of which is needed once. So they are expanded a slab of a panel (bf16: a tile) at a time, in the order
// of memory, into a part of the first-level cache, and multiplied while the next one is expanded. Same order of sums,
// and so the same bits, as in int8_product.h and bf16_product.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/amx/bf16_weights.h"
#include "kernels/amx/packed_activations.h"
#include "kernels/amx/tiles.h"
#include "kernels/compiler.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/outliers.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/requantize.h"
#include "kernels/generic/rows.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/wide_format.h"
#include "kernels/generic/wide_matmul.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kFewTokens = kTileRows;

struct alignas(64) FewScratch {
  uint8_t weights[2][kPanelSlabBytes];  // of this slab and the one before; or of two steps
  int32_t spilled[2][kTileRows * kTileRows];
  float weight_scales[3][kPanelRows];
  float sums[kFewTokens][kPanelRows];
  float outlier_sums[kFewTokens][kBlockRows];
};

// A panel's sums of all tokens, to y from `row` on.
template <class Tier>
inline void write_few(const WideMatmul& args, size_t row, const float (*sums)[kPanelRows]) noexcept {
  const size_t n_rows = smaller(kPanelRows, args.n_rows - row);
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for_each_vector<Tier>(n_rows, [&](size_t i, auto lanes) noexcept {
      Tier::store(args.y + t * args.y_stride + row + i, Tier::load(sums[t], AllLanes{}), lanes);
    });
  }
}

/// Of int8 slabs.
template <class Tier>
class FewSlabs {
  using Vector = typename Tier::Vector;

 public:
  FewSlabs(const SlabFormat& format, const WideMatmul& args) noexcept
      : format_(format),
        args_(args),
        scratch_(*reinterpret_cast<FewScratch*>(args.scratch)),
        tiles_(args.n_tokens, args.k) {}

  void run() noexcept {
    const size_t panel_bytes = format_.bytes_of(args_.k), n_panels = quotient_up(args_.n_rows, kPanelRows);
    for (size_t panel = 0; panel < n_panels; ++panel) {
      const uint8_t* units = args_.panels + panel * panel_bytes;
      if (args_.outliers.n > 0 && panel % kBlockPanels == 0) {
        sum_outliers<Tier>(format_, args_.outliers, 0, args_.n_tokens, units, smaller(kBlockPanels, n_panels - panel),
                           panel_bytes, scratch_.outlier_sums);
      }
      start_sums(panel % kBlockPanels);
      multiply_panel(units);
      write_few<Tier>(args_, panel * kPanelRows, scratch_.sums);
    }
  }

 private:
  void start_sums(size_t panel_of_block) noexcept {
    for (size_t t = 0; t < args_.n_tokens; ++t) {
      const float* from = scratch_.outlier_sums[t] + panel_of_block * kPanelRows;
      Tier::store(scratch_.sums[t], args_.outliers.n > 0 ? Tier::load(from, AllLanes{}) : Tier::zeros(), AllLanes{});
    }
  }

  // A slab is multiplied while the next one is expanded, and its sums leave the registers and are scaled meanwhile.
  // Slabs take turns in two pairs of tiles, a slab's steps in the tiles of a pair.
  BELLE_ALONE void multiply_panel(const uint8_t* units) noexcept {
    const size_t n_slabs = tiles_.n_slabs();
    for (size_t slab = 0; slab < n_slabs + 2; ++slab) {
      if (slab < n_slabs) {
        format_.expand(units + format_.bytes_of(slab * kSlabColumns),
                       smaller(kSlabColumns, args_.k - slab * kSlabColumns), scratch_.weights[slab % 2],
                       scratch_.weight_scales[slab % 3]);
      }
      if (slab > 0 && slab - 1 < n_slabs) {
        if (slab % 2 == 1) multiply<0>(slab - 1);
        else multiply<1>(slab - 1);
      }
      if (slab > 1) scale(slab - 2);
    }
  }

  template <int pair>
  void multiply(size_t slab) noexcept {
    const uint8_t* activations = args_.packed + tiles_.offset_of(slab, 0);
    const uint8_t* weights = scratch_.weights[pair];
    Tier::zero_tile(Tile<2 * pair>{});
    Tier::zero_tile(Tile<2 * pair + 1>{});
    for (size_t step = 0; step < tiles_.steps_of(slab); ++step) {
      if (step % 2 == 0) multiply_step_of<pair, 0>(activations + step * kTileBytes, weights + step * kTileBytes);
      else multiply_step_of<pair, 1>(activations + step * kTileBytes, weights + step * kTileBytes);
    }
  }

  template <int pair, int tile>
  static void multiply_step_of(const uint8_t* activations, const uint8_t* weights) noexcept {
    Tier::load_tile(Tile<kActivationTile + pair>{}, activations, kTileRowBytes);
    Tier::load_tile(Tile<kWeightTile + tile>{}, weights, kTileRowBytes);
    Int8Dot<Tier>::template run<pair, tile>();
  }

  template <int pair>
  void spill() noexcept {
    Tier::store_tile(Tile<2 * pair>{}, scratch_.spilled[0], kTileRowBytes);
    Tier::store_tile(Tile<2 * pair + 1>{}, scratch_.spilled[1], kTileRowBytes);
  }

  void scale(size_t slab) noexcept {
    if (slab % 2 == 0) spill<0>();
    else spill<1>();
    const float* token_scales = int8_scales(args_.packed, tiles_, slab, 0);
    const Vector row_scales = Tier::load(scratch_.weight_scales[slab % 3], AllLanes{});
    for (size_t t = 0; t < args_.n_tokens; ++t) {
      const auto even = Tier::load_sums(scratch_.spilled[0] + t * kTileRows);
      const auto odd = Tier::load_sums(scratch_.spilled[1] + t * kTileRows);
      const Vector dots = Tier::to_floats(Tier::add_sums(even, odd));
      const Vector scales = Tier::multiply(Tier::broadcast(token_scales[t]), row_scales);
      Tier::store(scratch_.sums[t], Tier::multiply_add(dots, scales, Tier::load(scratch_.sums[t], AllLanes{})),
                  AllLanes{});
    }
  }

  const SlabFormat& format_;
  const WideMatmul& args_;
  FewScratch& scratch_;
  const Int8Tiles tiles_;
};

/// Of bfloat16: one chain of sums along all columns.
template <class Tier>
BELLE_ONCE void multiply_few_bf16(const Bf16Format& format, const WideMatmul& args) noexcept {
  const TileSession<Tier> session;
  FewScratch& scratch = *reinterpret_cast<FewScratch*>(args.scratch);
  const size_t n_panels = quotient_up(args.n_rows, kPanelRows), n_steps = args.k / kBlockSize;
  const auto multiply_step_of = [&](size_t step) noexcept {
    Tier::load_tile(Tile<kActivationTile>{}, args.packed + step * kTileBytes, kTileRowBytes);
    Tier::load_tile(Tile<kWeightTile>{}, scratch.weights[step % 2], kTileRowBytes);
    Bf16Dot<Tier>::template run<0, 0>();
  };
  const uint8_t* units = args.panels;
  for (size_t panel = 0; panel < n_panels; ++panel, units += format.bytes_of(args.k)) {
    Tier::zero_tile(Tile<0>{});
    for (size_t step = 0; step < n_steps; ++step) {
      prefetch_block(format, units, step + kSlabColumns / kBlockSize);
      format.expand(units, step, 1, scratch.weights[step % 2]);
      if (step > 0) multiply_step_of(step - 1);
    }
    multiply_step_of(n_steps - 1);
    Tier::store_tile(Tile<0>{}, scratch.sums, kTileRowBytes);
    write_few<Tier>(args, panel * kPanelRows, scratch.sums);
  }
}

}  // namespace
}  // namespace belle

// The wide products on tile registers for up to 16 tokens, one tile: what takes time then is to read and expand the
// weights, each of which is needed once. So they are expanded a tile at a time, in the order of memory, into a few
// lines of the first-level cache, and a step is multiplied while the next one is expanded. Same order of sums, and so
// the same bits, as in int8_product.h and bf16_product.h.
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
#include "kernels/generic/token_tiles.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kFewTokens = kTileRows;
constexpr size_t kExpandAhead = 8;  // units that weights are asked for ahead of their expansion: one slab

template <class Tier, class Format>
inline void expand_unit(const uint8_t* unit, typename Tier::Vector inverse, uint8_t* tile) noexcept {
  prefetch_unit<Format::kUnitBytes>(unit, kExpandAhead * Format::kUnitBytes);
  const typename Format::template Scales<Tier> scales(unit);
  Format::template requantize<Tier>(unit, scales, 0, 0, inverse, tile);
}

struct alignas(64) FewScratch {
  uint8_t weights[2][kTileBytes];  // of this step and the one before
  int32_t spilled[2][kTileRows * kTileRows];
  float weight_scales[2][kPanelRows];
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
template <class Tier, class Format>
class FewSlabs {
  using Vector = typename Tier::Vector;

 public:
  explicit FewSlabs(const WideMatmul& args) noexcept
      : args_(args), scratch_(*reinterpret_cast<FewScratch*>(args.scratch)), tiles_(args.n_tokens, args.k) {}

  void run() noexcept {
    const size_t panel_bytes = args_.k / kBlockSize * Format::kUnitBytes;
    const size_t n_panels = quotient_up(args_.n_rows, kPanelRows);
    for (size_t panel = 0; panel < n_panels; ++panel) {
      const uint8_t* units = args_.panels + panel * panel_bytes;
      if (args_.outliers.n > 0 && panel % kBlockPanels == 0) {
        sum_outliers<Tier, Format>(args_.outliers, 0, args_.n_tokens, units, smaller(kBlockPanels, n_panels - panel),
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

  // Slabs take turns in two tiles of sums. Those of a slab leave the registers when the first step of the next one is
  // multiplied, and are scaled once that slab is expanded.
  BELLE_ALONE void multiply_panel(const uint8_t* unit) noexcept {
    constexpr size_t kStepUnits = 2, kSlabUnits = kSlabColumns / kBlockSize;
    const size_t n_slabs = tiles_.n_slabs(), n_units = args_.k / kBlockSize;
    const uint8_t* activations = args_.packed;
    size_t step_of_all = 0;
    for (size_t slab = 0; slab < n_slabs; ++slab) {
      const size_t n_steps = tiles_.steps_of(slab), units_left = n_units - slab * kSlabUnits;
      const Vector inverse =
          slab_scales<Tier, Format>(unit, smaller(kSlabUnits, units_left), 0, scratch_.weight_scales[slab % 2]);
      for (size_t step = 0; step < n_steps; ++step, ++step_of_all) {
        uint8_t* tile = scratch_.weights[step_of_all % 2];
        expand_unit<Tier, Format>(unit, inverse, tile);
        unit += Format::kUnitBytes;
        if (step * kStepUnits + 1 < units_left) {
          expand_unit<Tier, Format>(unit, inverse, tile + kUnitWeights);
          unit += Format::kUnitBytes;
        }
        if (step_of_all == 0) continue;
        const size_t slab_before = step == 0 ? slab - 1 : slab,
                     step_before = (step == 0 ? Int8Tiles::kSlabSteps : step) - 1;
        multiply(activations, step_of_all - 1, slab_before, step_before == 0);
        activations += kTileBytes;
        if (step == 0) spill(slab_before);
      }
      if (slab > 0) scale(slab - 1);
    }
    multiply(activations, step_of_all - 1, n_slabs - 1, tiles_.steps_of(n_slabs - 1) == 1);
    spill(n_slabs - 1);
    scale(n_slabs - 1);
  }

  void multiply(const uint8_t* activations, size_t step_of_all, size_t slab, bool first) noexcept {
    const uint8_t* weights = scratch_.weights[step_of_all % 2];
    if (slab % 2 == 0) {
      Tier::load_tile(Tile<kActivationTile>{}, activations, kTileRowBytes);
      Tier::load_tile(Tile<kWeightTile>{}, weights, kTileRowBytes);
      if (first) Tier::zero_tile(Tile<0>{});
      Int8Dot<Tier>::template run<0, 0>();
    } else {
      Tier::load_tile(Tile<kActivationTile + 1>{}, activations, kTileRowBytes);
      Tier::load_tile(Tile<kWeightTile + 1>{}, weights, kTileRowBytes);
      if (first) Tier::zero_tile(Tile<3>{});
      Int8Dot<Tier>::template run<1, 1>();
    }
  }

  void spill(size_t slab) noexcept {
    if (slab % 2 == 0) Tier::store_tile(Tile<0>{}, scratch_.spilled[0], kTileRowBytes);
    else Tier::store_tile(Tile<3>{}, scratch_.spilled[1], kTileRowBytes);
  }

  void scale(size_t slab) noexcept {
    const float* token_scales = int8_scales(args_.packed, tiles_, slab, 0);
    const Vector row_scales = Tier::load(scratch_.weight_scales[slab % 2], AllLanes{});
    for (size_t t = 0; t < args_.n_tokens; ++t) {
      const Vector dots = Tier::to_floats(Tier::load_sums(scratch_.spilled[slab % 2] + t * kTileRows));
      const Vector scales = Tier::multiply(Tier::broadcast(token_scales[t]), row_scales);
      Tier::store(scratch_.sums[t], Tier::multiply_add(dots, scales, Tier::load(scratch_.sums[t], AllLanes{})),
                  AllLanes{});
    }
  }

  const WideMatmul& args_;
  FewScratch& scratch_;
  const Int8Tiles tiles_;
};

/// Of bfloat16: one chain of sums along all columns.
template <class Tier, class Format>
BELLE_ALONE void multiply_few_bf16(const WideMatmul& args) noexcept {
  FewScratch& scratch = *reinterpret_cast<FewScratch*>(args.scratch);
  const size_t n_panels = quotient_up(args.n_rows, kPanelRows), n_steps = args.k / kBlockSize;
  const auto multiply_step_of = [&](size_t step) noexcept {
    Tier::load_tile(Tile<kActivationTile>{}, args.packed + step * kTileBytes, kTileRowBytes);
    Tier::load_tile(Tile<kWeightTile>{}, scratch.weights[step % 2], kTileRowBytes);
    Bf16Dot<Tier>::template run<0, 0>();
  };
  const uint8_t* unit = args.panels;
  for (size_t panel = 0; panel < n_panels; ++panel) {
    Tier::zero_tile(Tile<0>{});
    for (size_t step = 0; step < n_steps; ++step, unit += Format::kUnitBytes) {
      prefetch_unit<Format::kUnitBytes>(unit, kExpandAhead * Format::kUnitBytes);
      expand_bf16<Tier, Format>(unit, 1, scratch.weights[step % 2]);
      if (step > 0) multiply_step_of(step - 1);
    }
    multiply_step_of(n_steps - 1);
    Tier::store_tile(Tile<0>{}, scratch.sums, kTileRowBytes);
    write_few<Tier>(args, panel * kPanelRows, scratch.sums);
  }
}

}  // namespace
}  // namespace belle

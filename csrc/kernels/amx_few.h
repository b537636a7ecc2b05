// The wide products on tile registers for up to 16 tokens, one tile: what takes time then is to read and expand the
// weights, each of which is needed once. So they are expanded a tile at a time, in the order of memory, into a few
// lines of the first-level cache, and a step is multiplied while the next one is expanded. Same order of sums, and so
// the same bits, as in amx_slabs.h and amx_chunks.h.
//
// Include after wide_matmul.h and amx_expand.h; everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kFewTokens = kTileRows;
constexpr size_t kExpandAhead = 8;  // units that weights are asked for ahead of their expansion: one slab

template <class Format>
inline void expand_unit(const uint8_t* unit, Vector inverse, uint8_t* tile) noexcept {
  prefetch_unit<Format::kUnitBytes>(unit, kExpandAhead * Format::kUnitBytes);
  Format::requantize(unit, 0, inverse, tile);
}

struct alignas(64) FewScratch {
  uint8_t weights[2][kTileBytes];  // of this step and the one before
  int32_t spilled[2][kTileRows * kTileRows];
  float weight_scales[2][kPanelRows];
  float sums[kFewTokens][kPanelRows];
  float outlier_sums[kFewTokens][kBlockRows];
};

// A panel's sums of all tokens, to y from `row` on.
inline void write_few(const WideMatmul& args, size_t row, const float (*sums)[kPanelRows]) noexcept {
  const size_t n_rows = smaller(kPanelRows, args.n_rows - row);
  for (size_t t = 0; t < args.n_tokens; ++t) {
    for_each_vector(n_rows, [&](size_t i, auto lanes) noexcept {
      store(args.y + t * args.y_stride + row + i, _mm512_loadu_ps(sums[t]), lanes);
    });
  }
}

/// Of int8 slabs.
template <class Format>
class FewSlabs {
 public:
  explicit FewSlabs(const WideMatmul& args) noexcept
      : args_(args), scratch_(*reinterpret_cast<FewScratch*>(args.scratch)), tiles_(args.n_tokens, args.k) {}

  void run() noexcept {
    const size_t panel_bytes = args_.k / kBlockSize * Format::kUnitBytes;
    const size_t n_panels = quotient_up(args_.n_rows, kPanelRows);
    for (size_t panel = 0; panel < n_panels; ++panel) {
      const uint8_t* units = args_.panels + panel * panel_bytes;
      if (args_.outliers.n > 0 && panel % kBlockPanels == 0) {
        sum_outliers<Format>(args_.outliers, 0, args_.n_tokens, units, smaller(kBlockPanels, n_panels - panel),
                             panel_bytes, scratch_.outlier_sums);
      }
      start_sums(panel % kBlockPanels);
      multiply_panel(units);
      write_few(args_, panel * kPanelRows, scratch_.sums);
    }
  }

 private:
  void start_sums(size_t panel_of_block) noexcept {
    for (size_t t = 0; t < args_.n_tokens; ++t) {
      const float* from = scratch_.outlier_sums[t] + panel_of_block * kPanelRows;
      _mm512_storeu_ps(scratch_.sums[t], args_.outliers.n > 0 ? _mm512_loadu_ps(from) : zeros());
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
          slab_scales<Format>(unit, smaller(kSlabUnits, units_left), 0, scratch_.weight_scales[slab % 2]);
      for (size_t step = 0; step < n_steps; ++step, ++step_of_all) {
        uint8_t* tile = scratch_.weights[step_of_all % 2];
        expand_unit<Format>(unit, inverse, tile);
        unit += Format::kUnitBytes;
        if (step * kStepUnits + 1 < units_left) {
          expand_unit<Format>(unit, inverse, tile + kUnitWeights);
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
      tile_load<kActivationTile>(activations, kTileRowBytes);
      tile_load<kWeightTile>(weights, kTileRowBytes);
      if (first) tile_zero<0>();
      Int8Dot::run<0, 0>();
    } else {
      tile_load<kActivationTile + 1>(activations, kTileRowBytes);
      tile_load<kWeightTile + 1>(weights, kTileRowBytes);
      if (first) tile_zero<3>();
      Int8Dot::run<1, 1>();
    }
  }

  void spill(size_t slab) noexcept {
    if (slab % 2 == 0) tile_store<0>(scratch_.spilled[0], kTileRowBytes);
    else tile_store<3>(scratch_.spilled[1], kTileRowBytes);
  }

  void scale(size_t slab) noexcept {
    const float* token_scales = int8_scales(args_.packed, tiles_, slab, 0);
    const Vector row_scales = _mm512_loadu_ps(scratch_.weight_scales[slab % 2]);
    for (size_t t = 0; t < args_.n_tokens; ++t) {
      const Vector dots = _mm512_cvtepi32_ps(_mm512_loadu_si512(scratch_.spilled[slab % 2] + t * kTileRows));
      const Vector scales = belle::multiply(broadcast(token_scales[t]), row_scales);
      _mm512_storeu_ps(scratch_.sums[t], multiply_add(dots, scales, _mm512_loadu_ps(scratch_.sums[t])));
    }
  }

  const WideMatmul& args_;
  FewScratch& scratch_;
  const Int8Tiles tiles_;
};

/// Of bfloat16: one chain of sums along all columns.
template <class Format>
BELLE_ALONE void multiply_few_bf16(const WideMatmul& args) noexcept {
  FewScratch& scratch = *reinterpret_cast<FewScratch*>(args.scratch);
  const size_t n_panels = quotient_up(args.n_rows, kPanelRows), n_steps = args.k / kBlockSize;
  const auto multiply_step_of = [&](size_t step) noexcept {
    tile_load<kActivationTile>(args.packed + step * kTileBytes, kTileRowBytes);
    tile_load<kWeightTile>(scratch.weights[step % 2], kTileRowBytes);
    Bf16Dot::run<0, 0>();
  };
  const uint8_t* unit = args.panels;
  for (size_t panel = 0; panel < n_panels; ++panel) {
    tile_zero<0>();
    for (size_t step = 0; step < n_steps; ++step, unit += Format::kUnitBytes) {
      prefetch_unit<Format::kUnitBytes>(unit, kExpandAhead * Format::kUnitBytes);
      expand_bf16<Format>(unit, 1, scratch.weights[step % 2]);
      if (step > 0) multiply_step_of(step - 1);
    }
    multiply_step_of(n_steps - 1);
    tile_store<0>(scratch.sums, kTileRowBytes);
    write_few(args, panel * kPanelRows, scratch.sums);
  }
}

}  // namespace
}  // namespace belle

// Panels of floats times some tokens.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/compiler.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/token_tiles.h"
#include "kernels/table.h"

namespace belle {
namespace {

// Two sums per row, over the even and the odd columns, for every tile size: one alone would wait for its latency.
template <class Tier, class Element>
struct Float {
  using Vector = typename Tier::Vector;
  static constexpr size_t kParts = kPanelVectors<Tier>;

  template <size_t tokens>
  struct Tile {
    // sums[t] += x[t * k] * (16 rows of one column)
    static inline void add_column(const uint8_t* column, const float* x, size_t k, Vector (*sums)[kParts]) noexcept {
      Vector weights[kParts];
      BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
        weights[part] = Element::template rows<Tier>(column + part * Tier::kLanes * Element::kBytes);
      }
      BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
        const Vector activation = Tier::broadcast(x[t * k]);
        BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
          sums[t][part] = Tier::multiply_add(weights[part], activation, sums[t][part]);
        }
      }
    }

    static void run(const TileArgs& args) noexcept {
      constexpr size_t kColumnBytes = kPanelRows * Element::kBytes;
      const size_t k = args.matmul->k;
      const float* x = args.matmul->x + args.first_token * k;  // [tokens, k]
      Vector even[tokens][kParts], odd[tokens][kParts];
      BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
        BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) even[t][part] = odd[t][part] = Tier::zeros();
      }
      size_t col = 0;
      for (; col + 2 <= k; col += 2) {
        const uint8_t* column = args.panel + col * kColumnBytes;
        prefetch_unit<2 * kColumnBytes>(column, args.matmul->read_ahead);
        add_column(column, x + col, k, even);
        add_column(column + kColumnBytes, x + col + 1, k, odd);
      }
      if (col < k) add_column(args.panel + col * kColumnBytes, x + col, k, even);
      BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
        BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
          even[t][part] = Tier::add(even[t][part], odd[t][part]);
        }
      }
      store_tile<Tier, tokens>(args, even);
    }
  };
};

template <class Tier, class Element>
void float_matmul(const PanelMatmul& args) noexcept {
  const size_t panel_stride_bytes = args.k * kPanelRows * Element::kBytes;
  run_matmul<Float<Tier, Element>::template Tile, Tier::kFloatTokens>(args, panel_stride_bytes, args.k * sizeof(float));
}

}  // namespace
}  // namespace belle

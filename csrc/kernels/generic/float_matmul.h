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
    // The 16 rows of one column.
    static inline void load_column(const uint8_t* column, Vector (&weights)[kParts]) noexcept {
      BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
        weights[part] = Element::template rows<Tier>(column + part * Tier::kLanes * Element::kBytes);
      }
    }

    // sums += x * (a column)
    static inline void add_column(const Vector (&weights)[kParts], float x, Vector (&sums)[kParts]) noexcept {
      const Vector activation = Tier::broadcast(x);
      BELLE_UNROLL for (size_t part = 0; part < kParts; ++part) {
        sums[part] = Tier::multiply_add(weights[part], activation, sums[part]);
      }
    }

    // Side by side where the registers suffice for both: that needs fewer addresses of activations.
    static inline void add_two_columns(const uint8_t* column, const float* x, size_t k, size_t col,
                                       Vector (*even)[kParts], Vector (*odd)[kParts]) noexcept {
      const uint8_t* next_column = column + kPanelRows * Element::kBytes;
      Vector weights[kParts], next_weights[kParts];
      load_column(column, weights);
      if constexpr (kParts == 1) {
        load_column(next_column, next_weights);
        BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
          add_column(weights, x[t * k + col], even[t]);
          add_column(next_weights, x[t * k + col + 1], odd[t]);
        }
      } else {
        BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) add_column(weights, x[t * k + col], even[t]);
        load_column(next_column, next_weights);
        BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) add_column(next_weights, x[t * k + col + 1], odd[t]);
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
        add_two_columns(column, x, k, col, even, odd);
      }
      if (col < k) {
        Vector weights[kParts];
        load_column(args.panel + col * kColumnBytes, weights);
        BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) add_column(weights, x[t * k + col], even[t]);
      }
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

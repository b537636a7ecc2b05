// Quantized panels times a few tokens with one piece of code for any number of them, for the many formats: each block
// of a panel is expanded once, then meets the tokens one after the other. Their sums wait in the first-level cache.
//
// What happens to one row and token, and in which order, is the same as in quantized_matmul.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/activation_order.h"
#include "kernels/generic/expanded_block.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/token_tiles.h"
#include "kernels/generic/unit.h"
#include "kernels/table.h"

namespace belle {
namespace {

template <class Tier, class Format>
void stream_panel(const TileArgs& args, size_t n_tokens) noexcept {
  using Vector = typename Tier::Vector;
  constexpr size_t kParts = kPanelVectors<Tier>, kSteps = ExpandedBlock<Tier, Format>::kSteps;
  const PanelMatmul& matmul = *args.matmul;
  const ActivationRow row = activation_row(matmul.n_tokens, matmul.k / kBlockSize, args.first_token);
  const ActivationBlock* activations = matmul.blocks + row.first;
  Vector sums[kTokenGroup][kParts];
  for (size_t t = 0; t < n_tokens; ++t) {
    for (size_t part = 0; part < kParts; ++part) sums[t][part] = Tier::zeros();
  }
  const uint8_t* end = args.panel + quantized_panel_bytes<Format>(matmul.k);
  for (const uint8_t* unit = args.panel; unit < end; unit += Format::kUnitBytes) {
    const typename Format::template Scales<Tier> scales(unit);
    for (size_t b = 0; b < kUnitBlocks<Format>; ++b, activations += row.stride) {
      const ReadAhead<Format, kParts * kSteps> ahead(unit, b, matmul.read_ahead);
      for (size_t part = 0; part < kParts; ++part) {
        const ExpandedBlock<Tier, Format> block(unit + b * Format::kBlockBytes, scales, b, part);
        sums[0][part] = block.add_to(sums[0][part], activations[0], ahead, part * kSteps);
        for (size_t t = 1; t < n_tokens; ++t) {
          sums[t][part] = block.add_to(sums[t][part], activations[t], NothingAhead{}, 0);
        }
      }
    }
  }
  for (size_t t = 0; t < n_tokens; ++t) {
    store_rows<Tier>(matmul.y + (args.first_token + t) * matmul.y_stride + args.first_row, args.n_rows, sums[t]);
  }
}

/// Every panel with a group of tokens whose activations stay in the second-level cache, then the next group.
template <class Tier, class Format>
void streamed_matmul(const PanelMatmul& matmul) noexcept {
  const size_t group = (kCachedTokenBytes / (matmul.k * kTokenGroup + 1) + 1) * kTokenGroup;
  for (size_t first = 0; first < matmul.n_tokens; first += group) {
    const size_t end = first + smaller(group, matmul.n_tokens - first);
    const uint8_t* panel = matmul.panels;
    for (size_t row = 0; row < matmul.n_rows; row += kPanelRows, panel += quantized_panel_bytes<Format>(matmul.k)) {
      for (size_t token = first; token < end; token += kTokenGroup) {
        const TileArgs args{panel, &matmul, token, row, smaller(kPanelRows, matmul.n_rows - row)};
        stream_panel<Tier, Format>(args, smaller(kTokenGroup, end - token));
      }
    }
  }
}

}  // namespace
}  // namespace belle

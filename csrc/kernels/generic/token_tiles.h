// Walks a matrix product in tiles of several tokens, so that one expansion of the weights serves all of a tile.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/compiler.h"
#include "kernels/generic/lanes.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/prefetch.h"
#include "kernels/generic/sizes.h"
#include "kernels/generic/unit.h"
#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kCachedTokenBytes = 256 * 1024;  // activations that stay in L2 while all panels pass by

// Asks for the `bytes` that lie read_ahead bytes behind a unit's start. A line that two units share is asked for with
// the second one alone: units start at multiples of 32 bytes.
template <size_t bytes>
inline void prefetch_unit(const uint8_t* unit, size_t read_ahead) noexcept {
  constexpr size_t kWholeLines = bytes / kLineBytes * kLineBytes;
  const uintptr_t ahead = reinterpret_cast<uintptr_t>(unit) + read_ahead;  // no pointer: may pass the buffer's end
  for (size_t at = 0; at < kWholeLines; at += kLineBytes) prefetch_line(ahead + at);
  if (kWholeLines < bytes && ahead % kLineBytes != 0) prefetch_line(ahead + kWholeLines);
}

/// Asks for what lies read_ahead bytes behind a block's share of its unit, a line at a time between the block's
/// products: requests in a row take all line buffers from the loads that are next. The products are made in `steps`
/// steps.
template <class Format, size_t steps>
class ReadAhead {
 public:
  ReadAhead(const uint8_t* unit, size_t b, size_t read_ahead) noexcept
      : share_(reinterpret_cast<uintptr_t>(unit) + read_ahead + b * kShare) {}

  /// Before step i.
  void before(size_t i) const noexcept {
    BELLE_UNROLL for (size_t line = 0; line < kLines; ++line) {
      if (line * steps / kLines == i) prefetch_line(share_ + line * kLineBytes);
    }
  }

 private:
  static constexpr size_t kShare = Format::kUnitBytes / kUnitBlocks<Format>;
  static constexpr size_t kLines = quotient_up(kShare, kLineBytes);  // the last may be the first of the next share
  uintptr_t share_;                                                  // no pointer: may pass the buffer's end
};

/// Of tokens that find the panel in a cache.
struct NothingAhead {
  void before(size_t) const noexcept {}
};

/// One panel against tokens [first_token, first_token + tokens).
struct TileArgs {
  const uint8_t* panel;
  const PanelMatmul* matmul;
  size_t first_token;
  size_t first_row;
  size_t n_rows;  // 1 .. 16
};

// sums: [parts of the panel's rows]
template <class Tier>
inline void store_rows(float* y, size_t n_rows, const typename Tier::Vector* sums) noexcept {
  BELLE_UNROLL for (size_t part = 0; part < kPanelVectors<Tier>; ++part) {
    const size_t row = part * Tier::kLanes;
    if (n_rows >= row + Tier::kLanes) Tier::store(y + row, sums[part], AllLanes{});
    else if (n_rows > row) Tier::store(y + row, sums[part], FirstLanes{n_rows - row});
  }
}

// sums: [tokens][parts]
template <class Tier, size_t tokens>
inline void store_tile(const TileArgs& args, const typename Tier::Vector (*sums)[kPanelVectors<Tier>]) noexcept {
  float* y = args.matmul->y + args.first_token * args.matmul->y_stride + args.first_row;
  if (args.n_rows == kPanelRows) {
    BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
      store_rows<Tier>(y + t * args.matmul->y_stride, kPanelRows, sums[t]);
    }
    return;
  }
  BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
    store_rows<Tier>(y + t * args.matmul->y_stride, args.n_rows, sums[t]);
  }
}

// Above eight tokens only every fourth size of tile is compiled: the others would be most of a tier's code.
constexpr bool is_tile_size(size_t tokens) noexcept { return tokens <= 8 || tokens % 4 == 0; }

// Tile is a class template on the number of tokens with a static run(const TileArgs&).
template <template <size_t> class Tile, size_t tokens>
inline void run_rest(TileArgs args, size_t rest) noexcept {
  if constexpr (tokens > 0) {
    if constexpr (is_tile_size(tokens)) {
      if (rest >= tokens) {
        Tile<tokens>::run(args);
        args.first_token += tokens;
        rest -= tokens;
      }
    }
    if (rest > 0) run_rest<Tile, tokens - 1>(args, rest);
  }
}

template <template <size_t> class Tile, size_t max_tokens>
inline void run_tokens(TileArgs args, size_t end_token) noexcept {
  for (; args.first_token + max_tokens <= end_token; args.first_token += max_tokens) Tile<max_tokens>::run(args);
  run_rest<Tile, max_tokens - 1>(args, end_token - args.first_token);
}

/// Every panel with a group of tokens, then the next group: weights come from memory once per group.
template <template <size_t> class Tile, size_t max_tokens>
inline void run_matmul(const PanelMatmul& matmul, size_t panel_stride_bytes, size_t token_bytes) noexcept {
  const size_t tiles_per_group = kCachedTokenBytes / (token_bytes * max_tokens + 1) + 1;
  const size_t group = tiles_per_group * max_tokens;
  for (size_t token = 0; token < matmul.n_tokens; token += group) {
    const size_t end = token + smaller(group, matmul.n_tokens - token);
    for (size_t row = 0; row < matmul.n_rows; row += kPanelRows) {
      const TileArgs args{matmul.panels + row / kPanelRows * panel_stride_bytes, &matmul, token, row,
                          smaller(kPanelRows, matmul.n_rows - row)};
      run_tokens<Tile, max_tokens>(args, end);
    }
  }
}

}  // namespace
}  // namespace belle

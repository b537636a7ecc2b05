// The rows of a pass: at which positions of which sequences they stand, and where their heads lie.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/span.h"

namespace belle {

/// One row of a pass: where its sequence's pages are and which position it holds.
struct KvRow {
  uint8_t* const* pages;  // at least position / kPageTokens + 1 of them
  uint32_t position;
};

/// Where a row's heads lie in a projection's output: row t, head h at base + t * row_stride + h * head_dim.
struct HeadRows {
  const float* base;
  size_t row_stride;
};

/// Rows [begin, end): consecutive positions of one sequence.
struct RowBlock {
  size_t begin;
  size_t end;
};

/// The rows from `begin` on, before `end`, that follow each other in their sequence.
inline RowBlock block_at(Span<const KvRow> rows, size_t begin, size_t end) noexcept {
  RowBlock block{begin, begin + 1};
  while (block.end < end && rows[block.end].pages == rows[begin].pages &&
         rows[block.end].position == rows[begin].position + (block.end - begin)) {
    ++block.end;
  }
  return block;
}

}  // namespace belle

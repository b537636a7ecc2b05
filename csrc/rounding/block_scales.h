// The values that a block's codes can stand for, as its scales have them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/types.h"
#include "rounding/kernels.h"

namespace belle {

constexpr size_t kMaxSubBlocks = 16;  // of a block

/// What the types have in common: a weight is value(code) * d * scale - dmin * minimum, the scale and the minimum whole
/// numbers of a sub-block.
struct CodeGrid {
  size_t sub_block;  // weights
  CodeValues values;
  ScaleRange range;
  int scale_offset;  // what the file adds to a scale
};

/// For quantized types.
CodeGrid code_grid_of(WeightType type) noexcept;

struct BlockScales {
  uint16_t d, dmin;  // binary16
  int16_t scales[kMaxSubBlocks], minima[kMaxSubBlocks];
};

BlockScales read_scales(WeightType type, const uint8_t* block) noexcept;

/// A block with these scales and codes [block_size], which count from 0.
void write_block(WeightType type, const BlockScales& scales, const uint8_t* codes, uint8_t* block) noexcept;

}  // namespace belle

// Rows of a checkpoint to GGUF blocks, bit for bit what quant/quantize.cpp does, which explains the formulas.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quant/types.h"

namespace belle {
namespace {

template <class Tier, class Format>
void quantize_blocks(const float* x, size_t n, uint8_t* out) noexcept {
  for (; n >= kBlockSize; n -= kBlockSize, x += kBlockSize) {
    const auto block = Format::template quantize<Tier>(x);
    memcpy(out, &block, sizeof block);
    out += sizeof block;
  }
}

/// 0 for a scale so small that its inverse overflows.
inline float inverse_of(float d) noexcept { return (d < 0.0f ? -d : d) < 1e-38f ? 0.0f : 1.0f / d; }

}  // namespace
}  // namespace belle

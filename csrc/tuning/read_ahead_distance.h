// How far in front of their products the kernels for few tokens ask for weights. It depends on how far a processor
// looks ahead by itself (0 is best on one, 9 KB on the next), so it is measured on the model's own weights.
#pragma once

#include <vector>

#include "ops/linear.h"

namespace belle {

constexpr size_t kReadAheadPiece = size_t{8} << 20;  // bytes of weights that one trial reads: 0.2 ms and more

/// The fastest distances on this machine, with the context's kernels and threads. Every trial reads other weights, so
/// that all of them come from memory. Models too small for that (56 pieces) keep the default and take no time, and so
/// do tiers whose kernels do not read ahead.
ReadAhead measure_read_ahead(const OpsContext& context, const std::vector<Matrix>& matrices,
                             size_t piece_bytes = kReadAheadPiece);

}  // namespace belle

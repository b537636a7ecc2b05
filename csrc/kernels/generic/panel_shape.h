// Sizes that the kernels for quantized weights share: how a panel (quant/panels.h) is cut, and what is done at once.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "quant/panels.h"

namespace belle {
namespace {

constexpr size_t kGroupColumns = 4;                         // of a token, which meet the rows of a vector at once
constexpr size_t kGroupCodes = kGroupColumns * kPanelRows;  // of a panel, one byte each
constexpr size_t kGroups = kBlockSize / kGroupColumns;      // of a unit of 32 columns
constexpr size_t kHalfBlock = kBlockSize / 2;               // columns: the fewest that share a scale
constexpr size_t kScaleBytes = kPanelRows * sizeof(uint16_t);

/// Vectors that make a panel's 16 rows; a kernel calls each of them a part.
template <class Tier>
constexpr size_t kPanelVectors = kPanelRows / Tier::kLanes;

constexpr size_t kBlockPanels = 4;  // of weights that are expanded together
constexpr size_t kBlockRows = kBlockPanels * kPanelRows;

}  // namespace
}  // namespace belle

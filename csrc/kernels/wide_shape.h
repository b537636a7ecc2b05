// Sizes that all wide kernels share: how they cut columns and rows. Include after a vector header; everything stays
// inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kBlockPanels = 4;  // of weights that are expanded together
constexpr size_t kBlockRows = kBlockPanels * kPanelRows;
constexpr size_t kPanelVectors = kPanelRows / kLanes;
constexpr size_t kGroupColumns = 4;                         // of a token, which meet the rows of a vector at once
constexpr size_t kGroupCodes = kGroupColumns * kPanelRows;  // of a panel, one byte each

constexpr size_t smaller(size_t a, size_t b) noexcept { return a < b ? a : b; }
constexpr size_t quotient_up(size_t a, size_t b) noexcept { return (a + b - 1) / b; }

}  // namespace
}  // namespace belle

#include "rounding/block_scales.h"

#include <cstdlib>
#include <cstring>

#include "quant/search/write_block.h"

namespace belle {
namespace {

constexpr CodeGrid even(int lowest, int highest, bool has_minimum) noexcept {
  const CodeValues values{true, static_cast<float>(lowest), static_cast<float>(highest)};
  return {kBlockSize, values, {false, has_minimum, 1.0f, 1.0f}, 0};
}

int nibble_of(uint8_t byte, size_t high) noexcept { return high != 0 ? byte >> 4 : byte & 0x0f; }

template <class Block>
BlockScales scales_of(const Block& block) noexcept {  // q4_0, q5_0, q8_0, iq4_nl
  BlockScales scales{};
  scales.d = block.d;
  scales.scales[0] = 1;
  return scales;
}

template <class Block>
BlockScales scales_and_minimum_of(const Block& block) noexcept {
  BlockScales scales = scales_of(block);
  scales.dmin = block.m;
  scales.minima[0] = -1;
  return scales;
}
BlockScales scales_of(const BlockQ4_1& block) noexcept { return scales_and_minimum_of<BlockQ4_1>(block); }
BlockScales scales_of(const BlockQ5_1& block) noexcept { return scales_and_minimum_of<BlockQ5_1>(block); }

BlockScales scales_of(const BlockQ2_K& block) noexcept {
  BlockScales scales{block.d, block.dmin, {}, {}};
  for (size_t i = 0; i < 16; ++i) {
    scales.scales[i] = static_cast<int16_t>(nibble_of(block.scales[i], 0));
    scales.minima[i] = static_cast<int16_t>(nibble_of(block.scales[i], 1));
  }
  return scales;
}

BlockScales scales_of(const BlockQ3_K& block) noexcept {
  BlockScales scales{block.d, 0, {}, {}};
  for (size_t i = 0; i < 16; ++i) {
    const int high = (block.scales[8 + i % 4] >> (i / 4 * 2)) & 3;
    scales.scales[i] = static_cast<int16_t>((nibble_of(block.scales[i % 8], i / 8) | (high << 4)) - 32);
  }
  return scales;
}

// Of q4_k and q5_k; `at` is 0 for the scales and 4 for the minima.
int16_t six_bits(const uint8_t* scales, size_t at, size_t s) noexcept {
  const int bits = s < 4 ? scales[at + s] & 0x3f : nibble_of(scales[4 + s], at) | ((scales[at + s - 4] >> 6) << 4);
  return static_cast<int16_t>(bits);
}

template <class Block>
BlockScales six_bit_pairs_of(const Block& block) noexcept {
  BlockScales scales{block.d, block.dmin, {}, {}};
  for (size_t i = 0; i < 8; ++i) {
    scales.scales[i] = six_bits(block.scales, 0, i);
    scales.minima[i] = six_bits(block.scales, 4, i);
  }
  return scales;
}
BlockScales scales_of(const BlockQ4_K& block) noexcept { return six_bit_pairs_of(block); }
BlockScales scales_of(const BlockQ5_K& block) noexcept { return six_bit_pairs_of(block); }

BlockScales scales_of(const BlockQ6_K& block) noexcept {
  BlockScales scales{block.d, 0, {}, {}};
  for (size_t i = 0; i < 16; ++i) scales.scales[i] = static_cast<int16_t>(static_cast<int>(block.scales[i]));
  return scales;
}

BlockScales scales_of(const BlockIQ4_XS& block) noexcept {
  BlockScales scales{block.d, 0, {}, {}};
  for (size_t i = 0; i < 8; ++i) {
    const int bits = nibble_of(block.scales_l[i / 2], i % 2) | (((block.scales_h >> (2 * i)) & 3) << 4);
    scales.scales[i] = static_cast<int16_t>(bits - 32);
  }
  return scales;
}

// Calls function(a block of the type).
template <class Function>
void with_block(WeightType type, Function function) noexcept {
  switch (type) {
    case WeightType::kQ4_0: return function(BlockQ4_0{});
    case WeightType::kQ4_1: return function(BlockQ4_1{});
    case WeightType::kQ5_0: return function(BlockQ5_0{});
    case WeightType::kQ5_1: return function(BlockQ5_1{});
    case WeightType::kQ8_0: return function(BlockQ8_0{});
    case WeightType::kIQ4_NL: return function(BlockIQ4_NL{});
    case WeightType::kQ2_K: return function(BlockQ2_K{});
    case WeightType::kQ3_K: return function(BlockQ3_K{});
    case WeightType::kQ4_K: return function(BlockQ4_K{});
    case WeightType::kQ5_K: return function(BlockQ5_K{});
    case WeightType::kQ6_K: return function(BlockQ6_K{});
    case WeightType::kIQ4_XS: return function(BlockIQ4_XS{});
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16: break;
  }
  std::abort();
}

}  // namespace

CodeGrid code_grid_of(WeightType type) noexcept {
  constexpr CodeValues kIq4{false, kIQ4Values[0], kIQ4Values[15]};
  switch (type) {
    case WeightType::kQ4_0: return even(-8, 7, false);
    case WeightType::kQ5_0: return even(-16, 15, false);
    case WeightType::kQ8_0: return even(-127, 127, false);
    case WeightType::kQ4_1: return even(0, 15, true);
    case WeightType::kQ5_1: return even(0, 31, true);
    case WeightType::kIQ4_NL: return {kBlockSize, kIq4, {false, false, 1.0f, 1.0f}, 0};
    case WeightType::kQ2_K: return {16, {true, 0.0f, 3.0f}, {true, true, 0.0f, 15.0f}, 0};
    case WeightType::kQ3_K: return {16, {true, -4.0f, 3.0f}, {true, false, -32.0f, 31.0f}, 32};
    case WeightType::kQ4_K: return {kBlockSize, {true, 0.0f, 15.0f}, {true, true, 0.0f, 63.0f}, 0};
    case WeightType::kQ5_K: return {kBlockSize, {true, 0.0f, 31.0f}, {true, true, 0.0f, 63.0f}, 0};
    case WeightType::kQ6_K: return {16, {true, -32.0f, 31.0f}, {true, false, -128.0f, 127.0f}, 0};
    case WeightType::kIQ4_XS: return {kBlockSize, kIq4, {true, false, -32.0f, 31.0f}, 32};
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16: break;
  }
  std::abort();
}

BlockScales read_scales(WeightType type, const uint8_t* data) noexcept {
  BlockScales scales{};
  with_block(type, [&](auto block) noexcept {
    std::memcpy(&block, data, sizeof block);
    scales = scales_of(block);
  });
  return scales;
}

void write_block(WeightType type, const BlockScales& scales, const uint8_t* codes, uint8_t* out) noexcept {
  const CodeGrid grid = code_grid_of(type);
  BlockParts parts{};
  parts.d = scales.d;
  parts.dmin = scales.dmin;
  if (grid.range.has_super_blocks) {
    for (size_t i = 0; i < kSuperBlockSize / grid.sub_block; ++i) {
      parts.scales[i] = static_cast<uint8_t>(scales.scales[i] + grid.scale_offset);
      parts.minima[i] = static_cast<uint8_t>(scales.minima[i]);
    }
  }
  std::memcpy(parts.codes, codes, traits_of(type).block_size);
  with_block(type, [&](auto block) noexcept {
    write_block(parts, block);
    std::memcpy(out, &block, sizeof block);
  });
}

}  // namespace belle

// A block of a file, put together from codes and scales of a byte each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quant/blocks.h"
#include "quant/search/write_codes.h"

namespace belle {
namespace {

/// What a block holds. Codes count from 0. Scales and minima are whole multiples of d and dmin, of 16 or 32 weights
/// each, as the file has them: those of q3_k and iq4_xs 32 higher, those of q6_k signed. The types without super-blocks
/// have none; there dmin is m.
struct BlockParts {
  uint16_t d, dmin;
  uint8_t scales[16], minima[16];
  uint8_t codes[kSuperBlockSize];
};

/// q4_0, q5_0, iq4_nl
template <class Block>
void write_scaled_block(const BlockParts& parts, Block& block) noexcept {
  block.d = parts.d;
  write_nibbles(parts.codes, kPart / 2, kPart / 2, block.qs);
}
inline void write_block(const BlockParts& parts, BlockQ4_0& block) noexcept { write_scaled_block(parts, block); }
inline void write_block(const BlockParts& parts, BlockIQ4_NL& block) noexcept { write_scaled_block(parts, block); }
inline void write_block(const BlockParts& parts, BlockQ5_0& block) noexcept {
  write_scaled_block(parts, block);
  write_fifth_bits(parts.codes, block.qh);
}
inline void write_block(const BlockParts& parts, BlockQ4_1& block) noexcept {
  write_scaled_block(parts, block);
  block.m = parts.dmin;
}
inline void write_block(const BlockParts& parts, BlockQ5_1& block) noexcept {
  write_scaled_block(parts, block);
  block.m = parts.dmin;
  write_fifth_bits(parts.codes, block.qh);
}
/// Code 0 is -127.
inline void write_block(const BlockParts& parts, BlockQ8_0& block) noexcept {
  block.d = parts.d;
  for (size_t i = 0; i < kPart; ++i) block.qs[i] = static_cast<int8_t>(parts.codes[i] - 127);
}

inline void write_block(const BlockParts& parts, BlockQ2_K& block) noexcept {
  block.d = parts.d;
  block.dmin = parts.dmin;
  for (size_t i = 0; i < sizeof block.scales; ++i) block.scales[i] = byte_of(parts.scales[i] | parts.minima[i] << 4);
  write_pairs(parts.codes, 0, block.qs);
}

inline void write_block(const BlockParts& parts, BlockQ3_K& block) noexcept {
  block.d = parts.d;
  write_six_bit_scales(parts.scales, block.scales);
  write_pairs(parts.codes, 0, block.qs);
  write_bits(parts.codes, 2, block.hmask);
}

/// q4_k and q5_k but for the fifth bits
template <class Block>
void write_six_bit_pairs(const BlockParts& parts, Block& block) noexcept {
  block.d = parts.d;
  block.dmin = parts.dmin;
  write_scales_and_minima(parts.scales, parts.minima, block.scales);
  write_nibbles_of_parts(parts.codes, block.qs);
}
inline void write_block(const BlockParts& parts, BlockQ4_K& block) noexcept { write_six_bit_pairs(parts, block); }
inline void write_block(const BlockParts& parts, BlockQ5_K& block) noexcept {
  write_six_bit_pairs(parts, block);
  write_bits(parts.codes, 4, block.qh);
}

inline void write_block(const BlockParts& parts, BlockQ6_K& block) noexcept {
  block.d = parts.d;
  std::memcpy(block.scales, parts.scales, sizeof block.scales);
  for (size_t half = 0; half < 2; ++half) {  // part 4n + h beside part 4n + 2 + h
    write_nibbles(parts.codes + half * 128, 2 * kPart, 2 * kPart, block.ql + half * 2 * kPart);
  }
  write_pairs(parts.codes, 4, block.qh);
}

inline void write_block(const BlockParts& parts, BlockIQ4_XS& block) noexcept {
  constexpr size_t kParts = kSuperBlockSize / kPart;
  block.d = parts.d;
  unsigned upper = 0;
  for (size_t s = 0; s < kParts; ++s) upper |= static_cast<unsigned>(parts.scales[s] >> 4) << (2 * s);
  block.scales_h = static_cast<uint16_t>(upper);
  for (size_t i = 0; i < sizeof block.scales_l; ++i) {
    block.scales_l[i] = byte_of((parts.scales[2 * i] & 0x0fu) | (parts.scales[2 * i + 1] & 0x0fu) << 4);
  }
  for (size_t s = 0; s < kParts; ++s) write_nibbles(parts.codes + s * kPart, 16, 16, block.qs + s * 16);
}

}  // namespace
}  // namespace belle

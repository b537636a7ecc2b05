// Four rows of a block's codes, as a file holds them, to planes of a panel (panels.h). The planes belong to a whole
// unit: `plane` is where the four rows' first bytes go.
#pragma once

#include "quant/panels.h"
#include "quant/words.h"

namespace belle {

constexpr size_t kPlaneRow = kPanelRows * sizeof(uint32_t);  // bytes from one word of a row to its next one
constexpr size_t kNibblePlane = 4 * kPlaneRow, kPairPlane = 2 * kPlaneRow, kBitPlane = kPlaneRow;

/// 16 bytes as they are.
inline void pack_16_bytes(const uint8_t* const* blocks, size_t offset_bytes, uint8_t* plane) noexcept {
  Words words[4];
  load_words(blocks, offset_bytes, words);
  for (size_t w = 0; w < 4; ++w) words[w].store(plane + w * kPlaneRow);
}

/// 32 bytes, whose low nibbles are the codes of one block of 32 and whose high nibbles those of another, to a nibble
/// plane of each.
inline void pack_nibbles(const uint8_t* const* blocks, size_t offset_bytes, uint8_t* low_plane,
                         uint8_t* high_plane) noexcept {
  const Words low = Words::all(0x0f0f0f0f), high = Words::all(0xf0f0f0f0);
  Words first[4], second[4];  // columns 0 … 15 and 16 … 31
  load_words(blocks, offset_bytes, first);
  load_words(blocks, offset_bytes + 16, second);
  for (size_t j = 0; j < 4; ++j) {
    ((first[j] & low) | ((second[j] & low) << 4)).store(low_plane + j * kPlaneRow);
    (((first[j] >> 4) & low) | (second[j] & high)).store(high_plane + j * kPlaneRow);
  }
}

/// 32 bytes, which hold two bits of each code of four blocks of 32 from the low bits on, to a two-bit plane of each
/// block; the planes lie `stride_bytes` apart.
inline void pack_pairs(const uint8_t* const* blocks, size_t offset_bytes, uint8_t* plane,
                       size_t stride_bytes) noexcept {
  for (size_t half = 0; half < 2; ++half, plane += kPlaneRow) {
    Words w[4];  // word j: columns 4j … 4j + 3 of the half, a pair of bits for each block
    load_words(blocks, offset_bytes + half * 16, w);
    exchange_with_neighbours(w, 4, 1, 2, 0x33333333);
    exchange_with_neighbours(w, 4, 2, 4, 0x0f0f0f0f);
    for (size_t s = 0; s < 4; ++s) w[s].store(plane + s * stride_bytes);
  }
}

/// 32 bytes, which hold one bit of each code of eight blocks of 32, to a bit plane of each block.
inline void pack_bits(const uint8_t* const* blocks, size_t offset_bytes, uint8_t* plane, size_t stride_bytes) noexcept {
  Words w[8];  // word g: columns 4g … 4g + 3, a bit for each block
  load_words(blocks, offset_bytes, w);
  load_words(blocks, offset_bytes + 16, w + 4);
  exchange_with_neighbours(w, 8, 1, 1, 0x55555555);
  exchange_with_neighbours(w, 8, 2, 2, 0x33333333);
  exchange_with_neighbours(w, 8, 4, 4, 0x0f0f0f0f);
  for (size_t s = 0; s < 8; ++s) w[s].store(plane + s * stride_bytes);
}

/// A word with a bit of each column of one block of 32, from column 0 on, to a bit plane: bit 4g + b goes to bit g of
/// byte b.
inline void pack_word_of_bits(const uint8_t* const* blocks, size_t offset_bytes, uint8_t* plane) noexcept {
  Words word = load_word(blocks, offset_bytes);  // a bit's index is g2 g1 g0 b1 b0; to become b1 b0 g2 g1 g0
  word = exchange_bits(word, 7, 0x00aa00aa);     // g2 b0 g0 b1 g1
  word = exchange_bits(word, 1, 0x22222222);     // g2 b0 g0 g1 b1
  word = exchange_bits(word, 15, 0x0000aaaa);    // b1 b0 g0 g1 g2
  word = exchange_bits(word, 3, 0x0a0a0a0a);     // b1 b0 g2 g1 g0
  word.store(plane);
}

}  // namespace belle

// The whole-number scales of 16 rows' super-blocks, as a file holds them, to the scale area of a unit (panels.h).
#pragma once

#include "quant/panels.h"
#include "quant/words.h"

namespace belle {

/// A word of each row.
struct RowWords {
  Words words[kPanelRows / kWordRows];

  RowWords() = default;
  RowWords(const uint8_t* const* blocks, size_t offset_bytes) noexcept {
    for (size_t i = 0; i < kPanelRows / kWordRows; ++i) words[i] = load_word(blocks + i * kWordRows, offset_bytes);
  }

  template <class Operation>
  static RowWords each(Operation operation) noexcept {
    RowWords result;
    for (size_t i = 0; i < kPanelRows / kWordRows; ++i) result.words[i] = operation(i);
    return result;
  }

  /// Byte i of every row, then byte i + 1: [4][16 rows].
  void store(uint8_t* out) const noexcept { store_bytes_of_rows(words, out); }
};

constexpr size_t kWordOfScales = kPanelRows * sizeof(uint32_t);

/// n bytes of each row as they are: [n][16 rows]; n is a multiple of 4.
inline void pack_bytes(const uint8_t* const* blocks, size_t offset_bytes, size_t n, uint8_t* out) noexcept {
  for (size_t i = 0; i < n; i += 4) RowWords(blocks, offset_bytes + i).store(out + i * kPanelRows);
}

/// q4_k's and q5_k's 12 bytes: the low halves of scales and minima side by side, then the upper two bits of all four
/// numbers that share a byte.
inline void pack_six_bit_pairs(const uint8_t* const* blocks, size_t offset_bytes, uint8_t* out) noexcept {
  const Words low = Words::all(0x0f0f0f0f);
  const auto bits = [](Words words, uint32_t mask) noexcept { return words & Words::all(mask); };
  const RowWords scales(blocks, offset_bytes), minima(blocks, offset_bytes + 4), upper_blocks(blocks, offset_bytes + 8);
  RowWords::each([&](size_t i) noexcept {
    return (scales.words[i] & low) | ((minima.words[i] & low) << 4);
  }).store(out);
  upper_blocks.store(out + kWordOfScales);
  RowWords::each([&](size_t i) noexcept {
    const Words sc = scales.words[i], mn = minima.words[i];
    return bits(sc >> 4, 0x03030303) | bits(mn >> 2, 0x0c0c0c0c) | bits(sc >> 2, 0x30303030) | bits(mn, 0xc0c0c0c0);
  }).store(out + 2 * kWordOfScales);
}

/// iq4_xs' eight scales: scales_l's nibbles so that scales p and p + 4 share a byte, then scales_h's pairs of bits so
/// that scales p, p + 2, p + 4 and p + 6 do.
inline void pack_six_bits(const uint8_t* const* blocks, size_t low_offset, size_t high_offset, uint8_t* out) noexcept {
  const RowWords low(blocks, low_offset), high(blocks, high_offset);
  RowWords::each([&](size_t i) noexcept {  // a nibble's index is s2 s1 s0; to become s1 s0 s2
    return exchange_bits(exchange_bits(low.words[i], 8, 0x0000ff00), 4, 0x00f000f0);
  })
      .store(out);
  uint8_t pairs[kWordOfScales];
  RowWords::each([&](size_t i) noexcept {  // a pair's index is s2 s1 s0; to become s0 s2 s1
    return exchange_bits(exchange_bits(high.words[i], 2, 0x00000c0c), 4, 0x000000f0);
  })
      .store(pairs);
  std::memcpy(out + kWordOfScales, pairs, kWordOfScales / 2);  // the upper two bytes are others
}

}  // namespace belle

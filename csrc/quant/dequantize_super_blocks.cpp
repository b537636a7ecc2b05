#include "quant/dequantize_super_blocks.h"

#include "core/half.h"

namespace belle {
namespace {

constexpr size_t kParts = kSuperBlockSize / kBlockSize;

// The codes of a super-block, put together from the file's bit fields; plain loops, which compilers make vectors of.
struct Codes {
  uint8_t at[kSuperBlockSize] = {};

  /// The low nibbles of n bytes, from weight `low` on, and the high ones, from weight `high` on.
  void put_nibbles(const uint8_t* bytes, size_t n, size_t low, size_t high) noexcept {
    for (size_t l = 0; l < n; ++l) at[low + l] = bytes[l] & 0x0f;
    for (size_t l = 0; l < n; ++l) at[high + l] = bytes[l] >> 4;
  }
  /// Two bits of each code, moved up by `shift`; 32 bytes hold four parts.
  void add_pairs(const uint8_t* pairs, int shift) noexcept {
    for (size_t s = 0; s < kParts; ++s) {
      for (size_t l = 0; l < kBlockSize; ++l) {
        const int pair = (pairs[s / 4 * kBlockSize + l] >> (s % 4 * 2)) & 3;
        at[s * kBlockSize + l] = static_cast<uint8_t>(at[s * kBlockSize + l] | (pair << shift));
      }
    }
  }
  /// One bit of each; 32 bytes hold all parts.
  void add_bits(const uint8_t* bits, int shift) noexcept {
    for (size_t s = 0; s < kParts; ++s) {
      for (size_t l = 0; l < kBlockSize; ++l) {
        const int bit = (bits[l] >> s) & 1;
        at[s * kBlockSize + l] = static_cast<uint8_t>(at[s * kBlockSize + l] | (bit << shift));
      }
    }
  }

  /// (code - zero code) * d for n weights from weight `first` on.
  void scale(size_t first, size_t n, int zero_code, float d, float* y) const noexcept {
    for (size_t i = first; i < first + n; ++i) y[i] = static_cast<float>(at[i] - zero_code) * d;
  }
  /// code * d - m
  void scale_and_shift(size_t first, size_t n, float d, float m, float* y) const noexcept {
    for (size_t i = first; i < first + n; ++i) y[i] = static_cast<float>(at[i]) * d - m;
  }
};

int nibble_of(uint8_t byte, size_t high) noexcept { return high != 0 ? byte >> 4 : byte & 0x0f; }

// Of q4_k and q5_k; `at` is 0 for the scales and 4 for the minima.
int six_bits(const uint8_t* scales, size_t at, size_t s) noexcept {
  if (s < 4) return scales[at + s] & 0x3f;
  return nibble_of(scales[4 + s], at) | ((scales[at + s - 4] >> 6) << 4);
}

template <class Block>
void put_neighbours(const Block& block, Codes& codes) noexcept {
  for (size_t n = 0; n < kParts; n += 2) {
    codes.put_nibbles(block.qs + n * 16, kBlockSize, n * kBlockSize, (n + 1) * kBlockSize);
  }
}

template <class Block>
void scale_parts(const Block& block, const Codes& codes, float* y) noexcept {
  for (size_t s = 0; s < kParts; ++s) {
    const float d = half_to_float(block.d) * static_cast<float>(six_bits(block.scales, 0, s));
    const float m = half_to_float(block.dmin) * static_cast<float>(six_bits(block.scales, 4, s));
    codes.scale_and_shift(s * kBlockSize, kBlockSize, d, m, y);
  }
}

}  // namespace

void dequantize(const BlockQ2_K& block, float* y) noexcept {
  Codes codes;
  codes.add_pairs(block.qs, 0);
  for (size_t sub = 0; sub < kSuperBlockSize / 16; ++sub) {
    const float d = half_to_float(block.d) * static_cast<float>(block.scales[sub] & 0x0f);
    const float m = half_to_float(block.dmin) * static_cast<float>(block.scales[sub] >> 4);
    codes.scale_and_shift(sub * 16, 16, d, m, y);
  }
}

void dequantize(const BlockQ3_K& block, float* y) noexcept {
  Codes codes;
  codes.add_pairs(block.qs, 0);
  codes.add_bits(block.hmask, 2);
  for (size_t sub = 0; sub < kSuperBlockSize / 16; ++sub) {
    const int high = (block.scales[8 + sub % 4] >> (sub / 4 * 2)) & 3;
    const int scale = nibble_of(block.scales[sub % 8], sub / 8) | (high << 4);
    codes.scale(sub * 16, 16, 4, half_to_float(block.d) * static_cast<float>(scale - 32), y);
  }
}

void dequantize(const BlockQ4_K& block, float* y) noexcept {
  Codes codes;
  put_neighbours(block, codes);
  scale_parts(block, codes, y);
}

void dequantize(const BlockQ5_K& block, float* y) noexcept {
  Codes codes;
  put_neighbours(block, codes);
  codes.add_bits(block.qh, 4);
  scale_parts(block, codes, y);
}

void dequantize(const BlockQ6_K& block, float* y) noexcept {
  Codes codes;
  for (size_t n = 0; n < 2; ++n) {
    codes.put_nibbles(block.ql + n * 64, 64, n * 128, n * 128 + 64);
  }
  codes.add_pairs(block.qh, 4);
  for (size_t sub = 0; sub < kSuperBlockSize / 16; ++sub) {
    const float scale = static_cast<float>(block.scales[sub]);
    codes.scale(sub * 16, 16, 32, half_to_float(block.d) * scale, y);
  }
}

void dequantize(const BlockIQ4_XS& block, float* y) noexcept {
  for (size_t s = 0; s < kParts; ++s) {
    const int scale = nibble_of(block.scales_l[s / 2], s % 2) | (((block.scales_h >> (2 * s)) & 3) << 4);
    const float d = half_to_float(block.d) * static_cast<float>(scale - 32);
    for (size_t l = 0; l < kBlockSize; ++l) {
      y[s * kBlockSize + l] = static_cast<float>(kIQ4Values[nibble_of(block.qs[s * 16 + l % 16], l / 16)]) * d;
    }
  }
}

}  // namespace belle

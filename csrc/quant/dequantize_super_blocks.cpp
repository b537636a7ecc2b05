#include "quant/dequantize_super_blocks.h"

#include "core/half.h"

namespace belle {
namespace {

constexpr size_t kParts = kSuperBlockSize / kBlockSize;

// Two bits of weight l of part s, of 64 bytes that hold four parts in 32 bytes each.
int pair_of(const uint8_t* pairs, size_t s, size_t l) noexcept { return (pairs[s / 4 * 32 + l] >> (s % 4 * 2)) & 3; }

// One bit of weight l of part s, of 32 bytes.
int bit_of(const uint8_t* bits, size_t s, size_t l) noexcept { return (bits[l] >> s) & 1; }

int nibble_of(uint8_t byte, size_t high) noexcept { return high != 0 ? byte >> 4 : byte & 0x0f; }

// Of q4_k and q5_k; `at` is 0 for the scales and 4 for the minima.
int six_bits(const uint8_t* scales, size_t at, size_t s) noexcept {
  if (s < 4) return scales[at + s] & 0x3f;
  return nibble_of(scales[4 + s], at) | ((scales[at + s - 4] >> 6) << 4);
}

template <class Block>
struct Part {
  float d, m;
  Part(const Block& block, size_t s) noexcept
      : d(half_to_float(block.d) * static_cast<float>(six_bits(block.scales, 0, s))),
        m(half_to_float(block.dmin) * static_cast<float>(six_bits(block.scales, 4, s))) {}
};

}  // namespace

void dequantize(const BlockQ2_K& block, float* y) noexcept {
  for (size_t i = 0; i < kSuperBlockSize; i += 16) {
    const uint8_t scale = block.scales[i / 16];
    const float d = half_to_float(block.d) * static_cast<float>(scale & 0x0f);
    const float m = half_to_float(block.dmin) * static_cast<float>(scale >> 4);
    for (size_t j = i; j < i + 16; ++j) {
      y[j] = static_cast<float>(pair_of(block.qs, j / kBlockSize, j % kBlockSize)) * d - m;
    }
  }
}

void dequantize(const BlockQ3_K& block, float* y) noexcept {
  for (size_t i = 0; i < kSuperBlockSize; i += 16) {
    const size_t sub = i / 16;
    const int scale =
        nibble_of(block.scales[sub % 8], sub / 8) | (((block.scales[8 + sub % 4] >> (sub / 4 * 2)) & 3) << 4);
    const float d = half_to_float(block.d) * static_cast<float>(scale - 32);
    for (size_t j = i; j < i + 16; ++j) {
      const size_t s = j / kBlockSize, l = j % kBlockSize;
      y[j] = static_cast<float>(pair_of(block.qs, s, l) + bit_of(block.hmask, s, l) * 4 - 4) * d;
    }
  }
}

void dequantize(const BlockQ4_K& block, float* y) noexcept {
  for (size_t s = 0; s < kParts; ++s) {
    const Part<BlockQ4_K> part(block, s);
    for (size_t l = 0; l < kBlockSize; ++l) {
      y[s * kBlockSize + l] = static_cast<float>(nibble_of(block.qs[s / 2 * 32 + l], s % 2)) * part.d - part.m;
    }
  }
}

void dequantize(const BlockQ5_K& block, float* y) noexcept {
  for (size_t s = 0; s < kParts; ++s) {
    const Part<BlockQ5_K> part(block, s);
    for (size_t l = 0; l < kBlockSize; ++l) {
      const int code = nibble_of(block.qs[s / 2 * 32 + l], s % 2) | (bit_of(block.qh, s, l) << 4);
      y[s * kBlockSize + l] = static_cast<float>(code) * part.d - part.m;
    }
  }
}

void dequantize(const BlockQ6_K& block, float* y) noexcept {
  for (size_t i = 0; i < kSuperBlockSize; i += 16) {
    const size_t sub = i / 16;
    const float d = half_to_float(block.d) * static_cast<float>(block.scales[sub]);
    for (size_t j = i; j < i + 16; ++j) {
      const size_t s = j / kBlockSize, l = j % kBlockSize;
      const int low = nibble_of(block.ql[s / 4 * 64 + s % 2 * 32 + l], s / 2 % 2);
      y[j] = static_cast<float>((low | (pair_of(block.qh, s, l) << 4)) - 32) * d;
    }
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

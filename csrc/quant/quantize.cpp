#include "quant/quantize.h"

#include <cmath>
#include <cstring>

#include "core/half.h"
#include "quant/search_row.h"

namespace belle {
namespace {

// trunc(value), limited to 0 .. highest
template <int highest>
uint8_t clamp_code(float value) noexcept {
  constexpr float kHighest = highest;
  return static_cast<uint8_t>(value < 0.0f ? 0 : (value > kHighest ? highest : static_cast<int>(value)));
}

// 0 for a scale so small that its inverse overflows; such a scale is 0 in binary16 anyway.
float inverse_scale(float d) noexcept { return std::fabs(d) < 1e-38f ? 0.0f : 1.0f / d; }

// The value of largest magnitude, the first of them.
float extreme_of(const float* x) noexcept {
  float magnitude = 0.0f, extreme = x[0];
  for (size_t i = 0; i < kBlockSize; ++i) {
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      extreme = x[i];
    }
  }
  return extreme;
}

struct Range {
  float lowest, highest;
};

Range range_of(const float* x) noexcept {
  Range range{x[0], x[0]};
  for (size_t i = 1; i < kBlockSize; ++i) {
    range.lowest = x[i] < range.lowest ? x[i] : range.lowest;
    range.highest = x[i] > range.highest ? x[i] : range.highest;
  }
  return range;
}

// Codes trunc((x - shift) * inverse + offset): the first 16 in the low nibbles, the others in the high ones.
template <int highest>
void compute_codes(const float* x, float shift, float inverse, float offset, uint8_t* codes) noexcept {
  for (size_t i = 0; i < kBlockSize; ++i) codes[i] = clamp_code<highest>((x[i] - shift) * inverse + offset);
}

void store_nibbles(const uint8_t* codes, uint8_t* qs) noexcept {
  for (size_t i = 0; i < kBlockSize / 2; ++i) {
    qs[i] = static_cast<uint8_t>((codes[i] & 0x0fu) | static_cast<unsigned>(codes[i + kBlockSize / 2] << 4));
  }
}

void store_fifth_bits(const uint8_t* codes, uint8_t* qh) noexcept {
  for (size_t byte = 0; byte < kBlockSize / 8; ++byte) {
    unsigned bits = 0;
    for (size_t i = 0; i < 8; ++i) bits |= static_cast<unsigned>(codes[byte * 8 + i] >> 4) << i;
    qh[byte] = static_cast<uint8_t>(bits);
  }
}

template <int highest, class Block>
void store_codes(const float* x, float shift, float inverse, float offset, Block& block) noexcept {
  uint8_t codes[kBlockSize];
  compute_codes<highest>(x, shift, inverse, offset, codes);
  if constexpr (highest > 15) store_fifth_bits(codes, block.qh);
  store_nibbles(codes, block.qs);
}

// q4_0 and q5_0. The scale is the value of largest magnitude over -8 or -16, so that it maps to code 0 exactly.
template <class Block, int highest>
Block quantize_around_zero(const float* x) noexcept {
  constexpr int kHalf = (highest + 1) / 2;
  constexpr float kZeroCode = kHalf;
  const float d = extreme_of(x) / -kZeroCode;
  Block block;
  block.d = float_to_half(d);
  store_codes<highest>(x, 0.0f, inverse_scale(d), kZeroCode + 0.5f, block);
  return block;
}

// q4_1 and q5_1.
template <class Block, int highest>
Block quantize_with_minimum(const float* x) noexcept {
  const Range range = range_of(x);
  const float d = (range.highest - range.lowest) / static_cast<float>(highest);
  Block block;
  block.d = float_to_half(d);
  block.m = float_to_half(range.lowest);
  store_codes<highest>(x, range.lowest, inverse_scale(d), 0.5f, block);
  return block;
}

// The largest magnitude of a block; four partial maxima, so that the compiler may keep them in one register.
float absmax(const float* x) noexcept {
  float highest[4] = {};
  for (size_t i = 0; i < kBlockSize; i += 4) {
    for (size_t lane = 0; lane < 4; ++lane) {
      const float magnitude = std::fabs(x[i + lane]);
      highest[lane] = magnitude > highest[lane] ? magnitude : highest[lane];
    }
  }
  const float low = highest[0] > highest[1] ? highest[0] : highest[1];
  const float high = highest[2] > highest[3] ? highest[2] : highest[3];
  return low > high ? low : high;
}

BlockQ8_0 quantize_q8_0(const float* x) noexcept {
  const float d = absmax(x) / 127.0f;
  const float inverse = inverse_scale(d);
  BlockQ8_0 block;
  block.d = float_to_half(d);
  int32_t codes[kBlockSize];
  for (size_t i = 0; i < kBlockSize; ++i) {  // rounds half away from zero
    const float scaled = x[i] * inverse;
    const int32_t whole = static_cast<int32_t>(scaled);
    const float rest = scaled - static_cast<float>(whole);
    codes[i] = whole + static_cast<int32_t>(rest >= 0.5f) - static_cast<int32_t>(rest <= -0.5f);
  }
  for (size_t i = 0; i < kBlockSize; ++i) block.qs[i] = static_cast<int8_t>(codes[i]);
  return block;
}

template <typename Block, typename Quantize>
void quantize_blocks(const float* x, size_t n, uint8_t* out, Quantize quantize) noexcept {
  for (size_t b = 0; b < n / kBlockSize; ++b) {
    const Block block = quantize(x + b * kBlockSize);
    std::memcpy(out + b * sizeof block, &block, sizeof block);
  }
}

}  // namespace

void quantize_row(WeightType type, const float* x, size_t n, uint8_t* out) noexcept {
  switch (type) {
    case WeightType::kF32: std::memcpy(out, x, n * sizeof(float)); return;
    case WeightType::kF16:
    case WeightType::kBf16:
      for (size_t i = 0; i < n; ++i) {
        const uint16_t bits = type == WeightType::kF16 ? float_to_half(x[i]) : float_to_bf16(x[i]);
        std::memcpy(out + i * sizeof bits, &bits, sizeof bits);
      }
      return;
    case WeightType::kQ4_0: return quantize_blocks<BlockQ4_0>(x, n, out, quantize_around_zero<BlockQ4_0, 15>);
    case WeightType::kQ4_1: return quantize_blocks<BlockQ4_1>(x, n, out, quantize_with_minimum<BlockQ4_1, 15>);
    case WeightType::kQ8_0: return quantize_blocks<BlockQ8_0>(x, n, out, quantize_q8_0);
    case WeightType::kQ5_0: return quantize_blocks<BlockQ5_0>(x, n, out, quantize_around_zero<BlockQ5_0, 31>);
    case WeightType::kQ5_1: return quantize_blocks<BlockQ5_1>(x, n, out, quantize_with_minimum<BlockQ5_1, 31>);
    case WeightType::kQ2_K:
    case WeightType::kQ3_K:
    case WeightType::kQ4_K:
    case WeightType::kQ5_K:
    case WeightType::kQ6_K:
    case WeightType::kIQ4_NL:
    case WeightType::kIQ4_XS: return search_row(type, x, nullptr, n, out);
  }
}

}  // namespace belle

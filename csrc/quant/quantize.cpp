#include "quant/quantize.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "core/half.h"

namespace belle {
namespace {

uint8_t clamp_code(float value) noexcept {
  return static_cast<uint8_t>(value < 0.0f ? 0 : (value > 15.0f ? 15 : static_cast<int>(value)));
}

// 0 for a scale so small that its inverse overflows; such a scale is 0 in binary16 anyway.
float inverse_scale(float d) noexcept { return std::fabs(d) < 1e-38f ? 0.0f : 1.0f / d; }

// The scale is the value of largest magnitude (the first of them) over -8, so that it maps to code 0 exactly.
BlockQ4_0 quantize_q4_0(const float* x) noexcept {
  float magnitude = 0.0f, extreme = x[0];
  for (size_t i = 0; i < kBlockSize; ++i) {
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      extreme = x[i];
    }
  }
  const float d = extreme / -8.0f;
  const float inverse = inverse_scale(d);
  BlockQ4_0 block;
  block.d = float_to_half(d);
  for (size_t i = 0; i < kBlockSize / 2; ++i) {
    const uint8_t low = clamp_code(x[i] * inverse + 8.5f);
    const uint8_t high = clamp_code(x[i + kBlockSize / 2] * inverse + 8.5f);
    block.qs[i] = static_cast<uint8_t>(low | (high << 4));
  }
  return block;
}

BlockQ4_1 quantize_q4_1(const float* x) noexcept {
  float lowest = x[0], highest = x[0];
  for (size_t i = 1; i < kBlockSize; ++i) {
    lowest = x[i] < lowest ? x[i] : lowest;
    highest = x[i] > highest ? x[i] : highest;
  }
  const float d = (highest - lowest) / 15.0f;
  const float inverse = inverse_scale(d);
  BlockQ4_1 block;
  block.d = float_to_half(d);
  block.m = float_to_half(lowest);
  for (size_t i = 0; i < kBlockSize / 2; ++i) {
    const uint8_t low = clamp_code((x[i] - lowest) * inverse + 0.5f);
    const uint8_t high = clamp_code((x[i + kBlockSize / 2] - lowest) * inverse + 0.5f);
    block.qs[i] = static_cast<uint8_t>(low | (high << 4));
  }
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
    case WeightType::kQ4_0: return quantize_blocks<BlockQ4_0>(x, n, out, quantize_q4_0);
    case WeightType::kQ4_1: return quantize_blocks<BlockQ4_1>(x, n, out, quantize_q4_1);
    case WeightType::kQ8_0: return quantize_blocks<BlockQ8_0>(x, n, out, quantize_q8_0);
    case WeightType::kQ5_0:
    case WeightType::kQ5_1:
    case WeightType::kQ2_K:
    case WeightType::kQ3_K:
    case WeightType::kQ4_K:
    case WeightType::kQ5_K:
    case WeightType::kQ6_K:
    case WeightType::kIQ4_NL:
    case WeightType::kIQ4_XS: break;  // only read
  }
  std::abort();
}

}  // namespace belle

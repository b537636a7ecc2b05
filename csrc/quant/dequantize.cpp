#include <cstring>

#include "core/half.h"
#include "quant/dequantize_super_blocks.h"
#include "quant/quantize.h"

namespace belle {
namespace {

void dequantize(const BlockQ4_0& block, float* y) noexcept {
  const float d = half_to_float(block.d);
  for (size_t i = 0; i < kBlockSize / 2; ++i) {
    y[i] = static_cast<float>((block.qs[i] & 0x0f) - 8) * d;
    y[i + kBlockSize / 2] = static_cast<float>((block.qs[i] >> 4) - 8) * d;
  }
}

void dequantize(const BlockQ4_1& block, float* y) noexcept {
  const float d = half_to_float(block.d), m = half_to_float(block.m);
  for (size_t i = 0; i < kBlockSize / 2; ++i) {
    y[i] = static_cast<float>(block.qs[i] & 0x0f) * d + m;
    y[i + kBlockSize / 2] = static_cast<float>(block.qs[i] >> 4) * d + m;
  }
}

// q5_0's and q5_1's
template <class Block>
int code_of(const Block& block, size_t i) noexcept {
  const int low = i < kBlockSize / 2 ? block.qs[i] & 0x0f : block.qs[i - kBlockSize / 2] >> 4;
  return low | (((block.qh[i / 8] >> (i % 8)) & 1) << 4);
}

void dequantize(const BlockQ5_0& block, float* y) noexcept {
  const float d = half_to_float(block.d);
  for (size_t i = 0; i < kBlockSize; ++i) y[i] = static_cast<float>(code_of(block, i) - 16) * d;
}

void dequantize(const BlockQ5_1& block, float* y) noexcept {
  const float d = half_to_float(block.d), m = half_to_float(block.m);
  for (size_t i = 0; i < kBlockSize; ++i) y[i] = static_cast<float>(code_of(block, i)) * d + m;
}

void dequantize(const BlockQ8_0& block, float* y) noexcept {
  const float d = half_to_float(block.d);
  for (size_t i = 0; i < kBlockSize; ++i) y[i] = static_cast<float>(block.qs[i]) * d;
}

void dequantize(const BlockIQ4_NL& block, float* y) noexcept {
  const float d = half_to_float(block.d);
  for (size_t i = 0; i < kBlockSize / 2; ++i) {
    y[i] = static_cast<float>(kIQ4Values[block.qs[i] & 0x0f]) * d;
    y[i + kBlockSize / 2] = static_cast<float>(kIQ4Values[block.qs[i] >> 4]) * d;
  }
}

template <class Block, size_t n_weights = kBlockSize>
void dequantize_blocks(const uint8_t* data, size_t n, float* out) noexcept {
  for (size_t i = 0; i < n; i += n_weights, data += sizeof(Block)) {
    Block block;
    std::memcpy(&block, data, sizeof block);
    dequantize(block, out + i);
  }
}

}  // namespace

void dequantize_row(WeightType type, const uint8_t* data, size_t n, float* out) noexcept {
  switch (type) {
    case WeightType::kF32: std::memcpy(out, data, n * sizeof(float)); return;
    case WeightType::kF16:
    case WeightType::kBf16:
      for (size_t i = 0; i < n; ++i) {
        uint16_t bits;
        std::memcpy(&bits, data + i * sizeof bits, sizeof bits);
        out[i] = type == WeightType::kF16 ? half_to_float(bits) : bf16_to_float(bits);
      }
      return;
    case WeightType::kQ4_0: return dequantize_blocks<BlockQ4_0>(data, n, out);
    case WeightType::kQ4_1: return dequantize_blocks<BlockQ4_1>(data, n, out);
    case WeightType::kQ5_0: return dequantize_blocks<BlockQ5_0>(data, n, out);
    case WeightType::kQ5_1: return dequantize_blocks<BlockQ5_1>(data, n, out);
    case WeightType::kQ8_0: return dequantize_blocks<BlockQ8_0>(data, n, out);
    case WeightType::kIQ4_NL: return dequantize_blocks<BlockIQ4_NL>(data, n, out);
    case WeightType::kQ2_K: return dequantize_blocks<BlockQ2_K, kSuperBlockSize>(data, n, out);
    case WeightType::kQ3_K: return dequantize_blocks<BlockQ3_K, kSuperBlockSize>(data, n, out);
    case WeightType::kQ4_K: return dequantize_blocks<BlockQ4_K, kSuperBlockSize>(data, n, out);
    case WeightType::kQ5_K: return dequantize_blocks<BlockQ5_K, kSuperBlockSize>(data, n, out);
    case WeightType::kQ6_K: return dequantize_blocks<BlockQ6_K, kSuperBlockSize>(data, n, out);
    case WeightType::kIQ4_XS: return dequantize_blocks<BlockIQ4_XS, kSuperBlockSize>(data, n, out);
  }
}

}  // namespace belle

#include "quant/panels.h"

#include <cstdlib>
#include <cstring>

#include "core/half.h"
#include "quant/transpose.h"

namespace belle {
namespace {

constexpr size_t kNibbleBytes = kPanelRows * kBlockSize / 2;  // 256
constexpr size_t kCodeBytes = kPanelRows * kBlockSize;        // 512
constexpr size_t kScaleBytes = kPanelRows * sizeof(uint16_t);

float load_half(const uint8_t* scales, size_t row) noexcept {
  uint16_t bits;
  std::memcpy(&bits, scales + row * sizeof bits, sizeof bits);
  return half_to_float(bits);
}

template <typename Element>
void pack_columns(const uint8_t* rows, size_t n_rows, size_t k, uint8_t* panel) noexcept {
  for (size_t r = 0; r < n_rows; ++r) {
    for (size_t col = 0; col < k; ++col) {
      std::memcpy(panel + (col * kPanelRows + r) * sizeof(Element), rows + (r * k + col) * sizeof(Element),
                  sizeof(Element));
    }
  }
}

// A block is n_scales half floats (d, then m where the type has one), then its codes, 16 bytes per group of four words.
// Unit after unit, so that the panel is written in order; four rows at a time.
template <size_t n_scales, size_t code_bytes>
void pack_blocks(const uint8_t* rows, size_t n_rows, size_t k, uint8_t* panel) noexcept {
  constexpr size_t kBlockBytes = n_scales * sizeof(uint16_t) + code_bytes;
  constexpr size_t kWordRow = kPanelRows * sizeof(uint32_t);  // the words of one column group
  const size_t n_blocks = k / kBlockSize, stride_bytes = n_blocks * kBlockBytes;
  for (size_t b = 0; b < n_blocks; ++b, panel += kPanelRows * kBlockBytes) {
    const uint8_t* block = rows + b * kBlockBytes;
    uint8_t* scales = panel + kPanelRows * code_bytes;
    for (size_t r = 0; r < n_rows; ++r) {
      for (size_t s = 0; s < n_scales; ++s) {
        std::memcpy(scales + s * kScaleBytes + r * 2, block + r * stride_bytes + s * 2, 2);
      }
    }
    for (size_t word = 0; word < code_bytes / 4; word += 4) {
      const uint8_t* codes = block + n_scales * sizeof(uint16_t) + word * 4;
      uint8_t* out = panel + word * kWordRow;
      size_t r = 0;
      for (; r + 4 <= n_rows; r += 4)
        transpose_4x4_words(codes + r * stride_bytes, stride_bytes, out + r * 4, kWordRow);
      for (; r < n_rows; ++r) {
        for (size_t w = 0; w < 4; ++w) std::memcpy(out + w * kWordRow + r * 4, codes + r * stride_bytes + w * 4, 4);
      }
    }
  }
}

void unpack_nibbles(const uint8_t* panel, size_t row, size_t k, bool has_min, float* out) noexcept {
  const size_t unit_bytes = kNibbleBytes + (has_min ? 2 : 1) * kScaleBytes;
  for (size_t b = 0; b < k / kBlockSize; ++b) {
    const uint8_t* unit = panel + b * unit_bytes;
    const float d = load_half(unit + kNibbleBytes, row);
    const float m = has_min ? load_half(unit + kNibbleBytes + kScaleBytes, row) : 0.0f;
    for (size_t i = 0; i < kBlockSize / 2; ++i) {
      const uint8_t byte = unit[((i / 4) * kPanelRows + row) * 4 + i % 4];
      const int low = byte & 0x0f, high = byte >> 4;
      float* block_out = out + b * kBlockSize;
      block_out[i] = has_min ? static_cast<float>(low) * d + m : static_cast<float>(low - 8) * d;
      block_out[i + 16] = has_min ? static_cast<float>(high) * d + m : static_cast<float>(high - 8) * d;
    }
  }
}

void unpack_q8_0(const uint8_t* panel, size_t row, size_t k, float* out) noexcept {
  for (size_t b = 0; b < k / kBlockSize; ++b) {
    const uint8_t* unit = panel + b * (kCodeBytes + kScaleBytes);
    const float d = load_half(unit + kCodeBytes, row);
    for (size_t i = 0; i < kBlockSize; ++i) {
      const int8_t code = static_cast<int8_t>(unit[((i / 4) * kPanelRows + row) * 4 + i % 4]);
      out[b * kBlockSize + i] = static_cast<float>(code) * d;
    }
  }
}

// Of one unit; its scales follow.
size_t code_bytes(WeightType type) noexcept {
  switch (type) {
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16: break;  // have no scales
    case WeightType::kQ4_0:
    case WeightType::kQ4_1: return kNibbleBytes;
    case WeightType::kQ8_0: return kCodeBytes;
  }
  std::abort();
}

uint16_t load_u16(const uint8_t* panel, size_t index) noexcept {
  uint16_t bits;
  std::memcpy(&bits, panel + index * sizeof bits, sizeof bits);
  return bits;
}

}  // namespace

void pack_panel(WeightType type, const uint8_t* rows, size_t n_rows, size_t k, uint8_t* panel) noexcept {
  if (n_rows < kPanelRows) std::memset(panel, 0, panel_bytes(type, k));
  switch (type) {
    case WeightType::kF32: return pack_columns<float>(rows, n_rows, k, panel);
    case WeightType::kF16:
    case WeightType::kBf16: return pack_columns<uint16_t>(rows, n_rows, k, panel);
    case WeightType::kQ4_0: return pack_blocks<1, sizeof(BlockQ4_0::qs)>(rows, n_rows, k, panel);
    case WeightType::kQ4_1: return pack_blocks<2, sizeof(BlockQ4_1::qs)>(rows, n_rows, k, panel);
    case WeightType::kQ8_0: return pack_blocks<1, sizeof(BlockQ8_0::qs)>(rows, n_rows, k, panel);
  }
}

void unpack_panel_row(WeightType type, const uint8_t* panel, size_t row, size_t k, float* out) noexcept {
  switch (type) {
    case WeightType::kF32:
      for (size_t col = 0; col < k; ++col) std::memcpy(out + col, panel + (col * kPanelRows + row) * 4, 4);
      return;
    case WeightType::kF16:
      for (size_t col = 0; col < k; ++col) out[col] = half_to_float(load_u16(panel, col * kPanelRows + row));
      return;
    case WeightType::kBf16:
      for (size_t col = 0; col < k; ++col) out[col] = bf16_to_float(load_u16(panel, col * kPanelRows + row));
      return;
    case WeightType::kQ4_0: return unpack_nibbles(panel, row, k, false, out);
    case WeightType::kQ4_1: return unpack_nibbles(panel, row, k, true, out);
    case WeightType::kQ8_0: return unpack_q8_0(panel, row, k, out);
  }
}

void unpack_panel_scales(WeightType type, const uint8_t* panel, size_t row, size_t k, float* out) noexcept {
  const size_t scales_at = code_bytes(type);
  const size_t unit_bytes = panel_bytes(type, kBlockSize);
  for (size_t b = 0; b < k / kBlockSize; ++b) out[b] = load_half(panel + b * unit_bytes + scales_at, row);
}

}  // namespace belle

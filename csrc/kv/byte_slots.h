// Single positions of a q8 page: rows of floats into bytes with a scale, and back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/byte_page.h"
#include "kernels/table.h"
#include "kv/shape.h"

namespace belle {

constexpr uint32_t kFlippedSigns = 0x80808080u;  // signed bytes plus kZeroByte

/// One position's key or value of a head. Zeros fill it up to whole blocks.
struct ByteRow {
  int8_t numbers[kMaxHeadDim];
  float scale;  // NaN if an element was not finite

  void quantize(const KernelTable& kernels, const float* x, size_t head_dim) noexcept {
    const size_t whole = (head_dim + kBlockSize - 1) / kBlockSize * kBlockSize;
    float padded[kMaxHeadDim];
    if (whole != head_dim) {
      std::copy_n(x, head_dim, padded);
      std::fill(padded + head_dim, padded + whole, 0.0f);
      x = padded;
    }
    scale = kernels.quantize_row(x, whole, numbers);
  }
};

/// The keys of one head in a page.
class ByteKeys {
 public:
  ByteKeys(uint8_t* keys, size_t head_dim) noexcept : bytes_(keys), head_dim_(head_dim) {}

  float& scale(size_t slot) const noexcept { return reinterpret_cast<float*>(bytes_ + key_scales_at(head_dim_))[slot]; }
  uint8_t& byte(size_t element, size_t slot) const noexcept { return bytes_[key_byte_at(element, slot)]; }

  void put(const ByteRow& row, size_t slot) const noexcept {
    for (size_t group = 0; group < element_groups(head_dim_); ++group) {
      uint32_t four;
      std::memcpy(&four, row.numbers + group * kGroupBytes, sizeof four);
      four ^= kFlippedSigns;
      std::memcpy(bytes_ + (group * kPageTokens + slot) * kGroupBytes, &four, sizeof four);
    }
    scale(slot) = row.scale;
  }
  void get(size_t slot, float* x) const noexcept {
    for (size_t d = 0; d < head_dim_; ++d) x[d] = static_cast<float>(byte(d, slot) - kZeroByte) * scale(slot);
  }

 private:
  uint8_t* bytes_;
  size_t head_dim_;
};

/// The values of one head in a page.
class ByteValues {
 public:
  ByteValues(uint8_t* values, size_t head_dim) noexcept : bytes_(values), head_dim_(head_dim) {}

  float& scale(size_t slot) const noexcept {
    return reinterpret_cast<float*>(bytes_ + value_scales_at(head_dim_))[slot];
  }
  uint8_t& byte(size_t element, size_t slot) const noexcept { return bytes_[value_byte_at(element, slot, head_dim_)]; }

  void put(const ByteRow& row, size_t slot) const noexcept {
    for (size_t d = 0; d < head_dim_; ++d) byte(d, slot) = static_cast<uint8_t>(row.numbers[d] + kZeroByte);
    scale(slot) = row.scale;
  }
  /// Those of a whole group of positions.
  void put_group(const ByteRow (&rows)[kGroupBytes], size_t first_slot) const noexcept {
    const auto number = [&](size_t i, size_t d) { return uint32_t{static_cast<uint8_t>(rows[i].numbers[d])} << 8 * i; };
    uint8_t* group = bytes_ + first_slot * head_dim_;
    for (size_t d = 0; d < head_dim_; ++d) {
      const uint32_t four = (number(0, d) | number(1, d) | number(2, d) | number(3, d)) ^ kFlippedSigns;
      std::memcpy(group + d * kGroupBytes, &four, sizeof four);
    }
    for (size_t i = 0; i < kGroupBytes; ++i) scale(first_slot + i) = rows[i].scale;
  }

 private:
  uint8_t* bytes_;
  size_t head_dim_;
};

}  // namespace belle

// Codes and scales in the order in which a super-block of a file holds them; quant/blocks.h has the layouts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/blocks.h"

namespace belle {
namespace {

constexpr size_t kPart = 32;  // weights

inline uint8_t byte_of(unsigned bits) noexcept { return static_cast<uint8_t>(bits); }

/// The low four bits of 32 weights: of two parts, or of the halves of one (then `distance` is 16).
inline void write_nibbles(const uint8_t* codes, size_t n, size_t distance, uint8_t* qs) noexcept {
  for (size_t i = 0; i < n; ++i) {
    qs[i] = byte_of((codes[i] & 0x0fu) | static_cast<unsigned>(codes[distance + i] & 0x0fu) << 4);
  }
}

/// The low four bits of a super-block, two parts side by side.
inline void write_nibbles_of_parts(const uint8_t* codes, uint8_t* qs) noexcept {
  for (size_t pair = 0; pair < 4; ++pair) write_nibbles(codes + pair * 2 * kPart, kPart, kPart, qs + pair * kPart);
}

/// Two bits of each weight from bit `shift` on, four parts in a byte.
inline void write_pairs(const uint8_t* codes, unsigned shift, uint8_t* qs) noexcept {
  for (size_t half = 0; half < 2; ++half) {
    for (size_t i = 0; i < kPart; ++i) {
      unsigned byte = 0;
      for (size_t part = 0; part < 4; ++part) {
        byte |= ((codes[(half * 4 + part) * kPart + i] >> shift) & 3u) << (2 * part);
      }
      qs[half * kPart + i] = byte_of(byte);
    }
  }
}

/// One bit of each weight, eight parts in a byte.
inline void write_bits(const uint8_t* codes, unsigned shift, uint8_t* qh) noexcept {
  for (size_t i = 0; i < kPart; ++i) {
    unsigned byte = 0;
    for (size_t part = 0; part < 8; ++part) byte |= ((codes[part * kPart + i] >> shift) & 1u) << part;
    qh[i] = byte_of(byte);
  }
}

/// The fifth bit of 32 weights.
inline void write_fifth_bits(const uint8_t* codes, uint8_t* qh) noexcept {
  for (size_t at = 0; at < kPart; at += 8) {
    unsigned bits = 0;
    for (size_t i = 0; i < 8; ++i) bits |= ((codes[at + i] >> 4) & 1u) << i;
    qh[at / 8] = byte_of(bits);
  }
}

/// Eight scales and eight minima of six bits: q4_k, q5_k.
inline void write_scales_and_minima(const uint8_t* scales, const uint8_t* minima, uint8_t* out) noexcept {
  for (size_t i = 0; i < 4; ++i) {
    out[i] = byte_of(scales[i] | (scales[i + 4] >> 4) << 6);
    out[i + 4] = byte_of(minima[i] | (minima[i + 4] >> 4) << 6);
    out[i + 8] = byte_of((scales[i + 4] & 0x0fu) | (minima[i + 4] & 0x0fu) << 4);
  }
}

/// Sixteen scales of six bits: q3_k.
inline void write_six_bit_scales(const uint8_t* scales, uint8_t* out) noexcept {
  for (size_t i = 0; i < 8; ++i) out[i] = byte_of((scales[i] & 0x0fu) | (scales[i + 8] & 0x0fu) << 4);
  for (size_t i = 0; i < 4; ++i) {
    unsigned byte = 0;
    for (size_t j = 0; j < 4; ++j) byte |= static_cast<unsigned>(scales[i + 4 * j] >> 4) << (2 * j);
    out[8 + i] = byte_of(byte);
  }
}

}  // namespace
}  // namespace belle

// Blocks of a GGUF file from their codes and scales, bit by bit, as llama.cpp's layouts have them.
#include "reference.h"

namespace belle_test {
namespace {

using belle::WeightType;

/// The bytes of a block, all zero at first.
class BlockBits {
 public:
  explicit BlockBits(WeightType type) : bytes_(belle::traits_of(type).block_bytes) {}

  /// Adds bits to a byte, from bit `shift` on.
  void put(size_t byte, int bits, size_t shift = 0) {
    bytes_[byte] = static_cast<uint8_t>(bytes_[byte] | (static_cast<unsigned>(bits) & 0xffu) << shift);
  }
  void put_half(size_t byte, uint16_t half) {
    put(byte, half & 0xff);
    put(byte + 1, half >> 8);
  }
  std::vector<uint8_t> bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

// 32 codes: those of the first 16 weights in the low nibbles.
void put_nibbles(BlockBits& bits, size_t at, const int* codes) {
  for (size_t i = 0; i < 32; ++i) bits.put(at + i % 16, codes[i] & 15, i / 16 * 4);
}

void put_fifth_bits(BlockBits& bits, size_t at, const int* codes) {
  for (size_t i = 0; i < 32; ++i) bits.put(at + i / 8, codes[i] >> 4, i % 8);
}

// The lower two bits of 256 codes: a byte has those of weights 32 apart.
void put_pairs(BlockBits& bits, size_t at, const int* codes, int shift) {
  for (size_t i = 0; i < 256; ++i) bits.put(at + i / 128 * 32 + i % 32, (codes[i] >> shift) & 3, i % 128 / 32 * 2);
}

// One bit of 256 codes: a byte has those of weights 32 apart.
void put_single_bits(BlockBits& bits, size_t at, const int* codes, int shift) {
  for (size_t i = 0; i < 256; ++i) bits.put(at + i % 32, (codes[i] >> shift) & 1, i / 32);
}

// The low four bits of 256 codes, by 64: the first 32 in the low nibbles.
void put_low_bits(BlockBits& bits, size_t at, const int* codes) {
  for (size_t i = 0; i < 256; ++i) bits.put(at + i / 64 * 32 + i % 32, codes[i] & 15, i % 64 / 32 * 4);
}

// Eight scales and minima of six bits in 12 bytes.
void put_six_bit_pairs(BlockBits& bits, size_t at, const StoredBlock& block) {
  for (size_t s = 0; s < 4; ++s) {
    bits.put(at + s, block.scales[s]);
    bits.put(at + 4 + s, block.minima[s]);
  }
  for (size_t s = 4; s < 8; ++s) {
    bits.put(at + 4 + s, block.scales[s] & 15);
    bits.put(at + 4 + s, block.minima[s] & 15, 4);
    bits.put(at + s - 4, block.scales[s] >> 4, 6);
    bits.put(at + s, block.minima[s] >> 4, 6);
  }
}

void put_q2_k(BlockBits& bits, const StoredBlock& block) {
  for (size_t s = 0; s < 16; ++s) {
    bits.put(s, block.scales[s]);
    bits.put(s, block.minima[s], 4);
  }
  put_pairs(bits, 16, block.codes, 0);
  bits.put_half(80, block.d);
  bits.put_half(82, block.m);
}

void put_q3_k(BlockBits& bits, const StoredBlock& block) {
  put_single_bits(bits, 0, block.codes, 2);
  put_pairs(bits, 32, block.codes, 0);
  for (size_t s = 0; s < 16; ++s) {
    const int scale = block.scales[s] + 32;
    bits.put(96 + s % 8, scale & 15, s / 8 * 4);
    bits.put(96 + 8 + s % 4, scale >> 4, s / 4 * 2);
  }
  bits.put_half(108, block.d);
}

void put_q6_k(BlockBits& bits, const StoredBlock& block) {
  for (size_t i = 0; i < 256; ++i) {
    const size_t part = i / 32;
    bits.put(part / 4 * 64 + part % 2 * 32 + i % 32, block.codes[i] & 15, part % 4 / 2 * 4);
  }
  put_pairs(bits, 128, block.codes, 4);
  for (size_t s = 0; s < 16; ++s) bits.put(192 + s, block.scales[s]);
  bits.put_half(208, block.d);
}

void put_iq4_xs(BlockBits& bits, const StoredBlock& block) {
  bits.put_half(0, block.d);
  for (size_t s = 0; s < 8; ++s) {
    const int scale = block.scales[s] + 32;
    bits.put(2 + s / 4, scale >> 4, s % 4 * 2);
    bits.put(4 + s / 2, scale & 15, s % 2 * 4);
    put_nibbles(bits, 8 + s * 16, block.codes + s * 32);
  }
}

// Those that begin with d, and dmin or m.
void put_halves_first(BlockBits& bits, WeightType type, const StoredBlock& block) {
  const bool has_minimum = codes_of(type).has_minimum;
  const size_t at = has_minimum ? 4 : 2;
  bits.put_half(0, block.d);
  if (has_minimum) bits.put_half(2, block.m);
  switch (type) {
    case WeightType::kQ8_0:
      for (size_t i = 0; i < 32; ++i) bits.put(at + i, block.codes[i]);
      return;
    case WeightType::kQ5_0:
    case WeightType::kQ5_1: put_fifth_bits(bits, at, block.codes); return put_nibbles(bits, at + 4, block.codes);
    case WeightType::kQ4_K: put_six_bit_pairs(bits, at, block); return put_low_bits(bits, 16, block.codes);
    case WeightType::kQ5_K:
      put_six_bit_pairs(bits, at, block);
      put_single_bits(bits, 16, block.codes, 4);
      return put_low_bits(bits, 48, block.codes);
    default: return put_nibbles(bits, at, block.codes);
  }
}

}  // namespace

std::vector<uint8_t> gguf_block(WeightType type, const StoredBlock& block) {
  BlockBits bits(type);
  switch (type) {
    case WeightType::kQ2_K: put_q2_k(bits, block); break;
    case WeightType::kQ3_K: put_q3_k(bits, block); break;
    case WeightType::kQ6_K: put_q6_k(bits, block); break;
    case WeightType::kIQ4_XS: put_iq4_xs(bits, block); break;
    default: put_halves_first(bits, type, block);
  }
  return bits.bytes();
}

}  // namespace belle_test

// The tensor types this engine reads and writes, with their GGUF block structs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace belle {

constexpr size_t kBlockSize = 32;  // weights per block of every quantized type here

/// Values index KernelTable::matmul; the GGUF ids are in TypeTraits.
enum class WeightType : uint8_t { kF32, kF16, kBf16, kQ4_0, kQ4_1, kQ8_0 };
constexpr size_t kWeightTypeCount = 6;

// Block layouts of GGUF (llama.cpp's ggml-common.h); d and m are binary16 bits.
struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[kBlockSize / 2];  // low nibbles: weights 0..15, high nibbles: 16..31
};
struct BlockQ4_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qs[kBlockSize / 2];
};
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[kBlockSize];
};
static_assert(sizeof(BlockQ4_0) == 18, "GGUF's Q4_0 block has 18 bytes");
static_assert(sizeof(BlockQ4_1) == 20, "GGUF's Q4_1 block has 20 bytes");
static_assert(sizeof(BlockQ8_0) == 34, "GGUF's Q8_0 block has 34 bytes");

struct TypeTraits {
  WeightType type;
  const char* name;   // as the command line and the tables spell it
  uint32_t ggml_id;   // GGUF's tensor type number
  size_t block_size;  // weights per block (1 for the float types)
  size_t block_bytes;
  size_t n_scales;  // binary16 numbers that a block begins with: d, and m of q4_1
  bool quantized;
};

const TypeTraits& traits_of(WeightType type) noexcept;
/// Null when GGUF knows the id and we do not.
const TypeTraits* traits_from_ggml_id(uint32_t ggml_id) noexcept;
/// Null for an unknown name.
const TypeTraits* traits_from_name(const char* name) noexcept;

/// Bytes of a row of n_cols weights; n_cols must be a multiple of the block size.
inline size_t row_bytes(const TypeTraits& traits, size_t n_cols) noexcept {
  return n_cols / traits.block_size * traits.block_bytes;
}

}  // namespace belle

// The tensor types this engine knows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/blocks.h"

namespace belle {

/// Values index KernelTable::matmul; the GGUF ids are in TypeTraits.
enum class WeightType : uint8_t {
  kF32,
  kF16,
  kBf16,
  kQ4_0,
  kQ4_1,
  kQ8_0,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS
};
constexpr size_t kWeightTypeCount = 15;

struct TypeTraits {
  WeightType type;
  const char* name;   // as the command line and the tables spell it
  uint32_t ggml_id;   // GGUF's tensor type number
  size_t block_size;  // weights per block (1 for the float types)
  size_t block_bytes;
  size_t n_scales;          // binary16 numbers of a block: d, and m or dmin where the type has one
  size_t scale_offsets[2];  // where in the block they lie, in bytes
  bool quantized;
  bool written;  // by quantize_row; the others are only read
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

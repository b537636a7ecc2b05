#include "quant/types.h"

#include <cstring>

namespace belle {
namespace {

constexpr TypeTraits float_type(WeightType type, const char* name, uint32_t ggml_id, size_t n_bytes) noexcept {
  return {type, name, ggml_id, 1, n_bytes, 0, {}, false, true};
}

// A block with a scale d at this offset.
template <class Block>
constexpr TypeTraits scaled(WeightType type, const char* name, uint32_t ggml_id, size_t block_size, size_t d_offset,
                            bool written) noexcept {
  return {type, name, ggml_id, block_size, sizeof(Block), 1, {d_offset}, true, written};
}

// With a minimum m or dmin right behind the scale.
template <class Block>
constexpr TypeTraits with_minimum(WeightType type, const char* name, uint32_t ggml_id, size_t block_size,
                                  size_t d_offset, bool written) noexcept {
  return {type, name, ggml_id, block_size, sizeof(Block), 2, {d_offset, d_offset + 2}, true, written};
}

// In the order of WeightType.
constexpr TypeTraits kTraits[kWeightTypeCount] = {
    float_type(WeightType::kF32, "f32", 0, 4),
    float_type(WeightType::kF16, "f16", 1, 2),
    float_type(WeightType::kBf16, "bf16", 30, 2),
    scaled<BlockQ4_0>(WeightType::kQ4_0, "q4_0", 2, kBlockSize, offsetof(BlockQ4_0, d), true),
    with_minimum<BlockQ4_1>(WeightType::kQ4_1, "q4_1", 3, kBlockSize, offsetof(BlockQ4_1, d), true),
    scaled<BlockQ8_0>(WeightType::kQ8_0, "q8_0", 8, kBlockSize, offsetof(BlockQ8_0, d), true),
    scaled<BlockQ5_0>(WeightType::kQ5_0, "q5_0", 6, kBlockSize, offsetof(BlockQ5_0, d), true),
    with_minimum<BlockQ5_1>(WeightType::kQ5_1, "q5_1", 7, kBlockSize, offsetof(BlockQ5_1, d), true),
    with_minimum<BlockQ2_K>(WeightType::kQ2_K, "q2_k", 10, kSuperBlockSize, offsetof(BlockQ2_K, d), true),
    scaled<BlockQ3_K>(WeightType::kQ3_K, "q3_k", 11, kSuperBlockSize, offsetof(BlockQ3_K, d), true),
    with_minimum<BlockQ4_K>(WeightType::kQ4_K, "q4_k", 12, kSuperBlockSize, offsetof(BlockQ4_K, d), true),
    with_minimum<BlockQ5_K>(WeightType::kQ5_K, "q5_k", 13, kSuperBlockSize, offsetof(BlockQ5_K, d), true),
    scaled<BlockQ6_K>(WeightType::kQ6_K, "q6_k", 14, kSuperBlockSize, offsetof(BlockQ6_K, d), true),
    scaled<BlockIQ4_NL>(WeightType::kIQ4_NL, "iq4_nl", 20, kBlockSize, offsetof(BlockIQ4_NL, d), true),
    scaled<BlockIQ4_XS>(WeightType::kIQ4_XS, "iq4_xs", 23, kSuperBlockSize, offsetof(BlockIQ4_XS, d), true),
};

}  // namespace

const TypeTraits& traits_of(WeightType type) noexcept { return kTraits[static_cast<size_t>(type)]; }

const TypeTraits* traits_from_ggml_id(uint32_t ggml_id) noexcept {
  for (const TypeTraits& traits : kTraits) {
    if (traits.ggml_id == ggml_id) return &traits;
  }
  return nullptr;
}

const TypeTraits* traits_from_name(const char* name) noexcept {
  for (const TypeTraits& traits : kTraits) {
    if (std::strcmp(name, traits.name) == 0) return &traits;
  }
  return nullptr;
}

}  // namespace belle

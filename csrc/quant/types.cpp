#include "quant/types.h"

#include <cstring>

namespace belle {
namespace {

constexpr TypeTraits kTraits[kWeightTypeCount] = {
    {WeightType::kF32, "f32", 0, 1, 4, 0, false},
    {WeightType::kF16, "f16", 1, 1, 2, 0, false},
    {WeightType::kBf16, "bf16", 30, 1, 2, 0, false},
    {WeightType::kQ4_0, "q4_0", 2, kBlockSize, sizeof(BlockQ4_0), 1, true},
    {WeightType::kQ4_1, "q4_1", 3, kBlockSize, sizeof(BlockQ4_1), 2, true},
    {WeightType::kQ8_0, "q8_0", 8, kBlockSize, sizeof(BlockQ8_0), 1, true},
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

#include "quant/finite.h"

#include <cstring>

namespace belle {
namespace {

constexpr uint32_t kF32Exponent = 0x7f800000u;
constexpr uint16_t kF16Exponent = 0x7c00u;
constexpr uint16_t kBf16Exponent = 0x7f80u;

// An exponent of all ones means NaN or infinity. No early exit, so that the compiler can use vectors.
template <typename Bits>
bool none_has_exponent(const uint8_t* data, size_t n, size_t stride_bytes, Bits exponent) noexcept {
  unsigned found = 0;
  for (size_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, data + i * stride_bytes, sizeof bits);
    found |= static_cast<unsigned>((bits & exponent) == exponent);
  }
  return found == 0;
}

}  // namespace

bool all_finite(WeightType type, const uint8_t* data, size_t n_values) noexcept {
  if (type == WeightType::kF32) return none_has_exponent(data, n_values, sizeof(float), kF32Exponent);
  if (type == WeightType::kF16) return none_has_exponent(data, n_values, sizeof(uint16_t), kF16Exponent);
  if (type == WeightType::kBf16) return none_has_exponent(data, n_values, sizeof(uint16_t), kBf16Exponent);
  const TypeTraits& traits = traits_of(type);
  const size_t n_blocks = n_values / traits.block_size;
  for (size_t s = 0; s < traits.n_scales; ++s) {
    if (!none_has_exponent(data + traits.scale_offsets[s], n_blocks, traits.block_bytes, kF16Exponent)) return false;
  }
  return true;
}

}  // namespace belle

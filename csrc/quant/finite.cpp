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
  const size_t n_blocks = n_values / kBlockSize;
  switch (type) {
    case WeightType::kF32: return none_has_exponent(data, n_values, sizeof(float), kF32Exponent);
    case WeightType::kF16: return none_has_exponent(data, n_values, sizeof(uint16_t), kF16Exponent);
    case WeightType::kBf16: return none_has_exponent(data, n_values, sizeof(uint16_t), kBf16Exponent);
    case WeightType::kQ4_0: return none_has_exponent(data, n_blocks, sizeof(BlockQ4_0), kF16Exponent);
    case WeightType::kQ4_1:
      return none_has_exponent(data + offsetof(BlockQ4_1, d), n_blocks, sizeof(BlockQ4_1), kF16Exponent) &&
             none_has_exponent(data + offsetof(BlockQ4_1, m), n_blocks, sizeof(BlockQ4_1), kF16Exponent);
    case WeightType::kQ8_0: return none_has_exponent(data, n_blocks, sizeof(BlockQ8_0), kF16Exponent);
  }
  return false;
}

}  // namespace belle

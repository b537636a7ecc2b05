// Products of whole numbers with AVX-VNNI: four of bytes, or two of 16 bits, summed into 32 bits by one instruction.
#pragma once

#include "kernels/avx2/integers.h"
#include "kernels/avx2/intrinsics.h"

namespace belle {
namespace {

struct AvxVnniProducts : Avx2Integers {
  /// sums + the products of four unsigned and four signed bytes in each lane
  static Sums32 add_products(Sums32 sums, Bytes unsigned_bytes, Bytes signed_bytes) noexcept {
    return (Sums32)_mm256_dpbusd_avx_epi32((__m256i)sums, unsigned_bytes, signed_bytes);
  }
  /// sums + the products of two pairs of 16-bit numbers in each lane
  static Sums32 add_int16_products(Sums32 sums, Bytes a, Bytes b) noexcept {
    return (Sums32)_mm256_dpwssd_avx_epi32((__m256i)sums, a, b);
  }

  struct PeakMultiply : PeakRegister<Sums32> {
    static constexpr size_t kProducts = 32;
    static Sums32 step(Sums32 sum, Sums32 other) noexcept { return add_products(sum, (__m256i)other, (__m256i)other); }
  };
};

}  // namespace
}  // namespace belle

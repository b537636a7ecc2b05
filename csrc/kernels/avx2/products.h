// Products of whole numbers with AVX2: pairs of bytes are multiplied (maddubs) and summed in 16 bits.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/avx2/integers.h"
#include "kernels/avx2/intrinsics.h"
#include "kernels/byte_page.h"
#include "kernels/generic/panel_shape.h"
#include "kernels/generic/unit.h"
#include "kernels/table.h"

namespace belle {
namespace {

struct Avx2Products : Avx2Integers {
  /// A block's products of codes of up to 4 bits: each of 8 rows in two lanes of 16 bits, which hold a whole block.
  template <class Format>
  struct SmallDots {
    using Register = __m256i;
    static_assert(kGroups * 2 * Format::kLargestCode * 127 <= INT16_MAX, "two columns of each group in a lane");

    static Bytes operand(Bytes codes) noexcept { return codes; }
    // What the code of zero adds goes out at the start: for the columns' first half in the first lane, for the second
    // in the other. Sums that wrap on the way do no harm.
    static Register start(const ActivationBlock& token, size_t s) noexcept {
      static_assert(Format::kZeroCode * 16 * 127 <= INT16_MAX, "the sum of half a block's activations in one lane");
      if constexpr (Format::kZeroCode == 0) return _mm256_setzero_si256();
      else
        return _mm256_mullo_epi16(broadcast_group(reinterpret_cast<const int8_t*>(token.sums)),
                                  _mm256_set1_epi32(sum_weights<Format>(-Format::kZeroCode, s)));
    }
    static Register add(Register dots, Bytes codes, Bytes columns) noexcept {
      return _mm256_add_epi16(dots, _mm256_maddubs_epi16(codes, columns));
    }
    static Register join(Register even, Register odd, const ActivationBlock&, size_t) noexcept {
      return _mm256_add_epi16(even, odd);
    }
    static __m256 floats(Register dots) noexcept {
      return _mm256_cvtepi32_ps(_mm256_madd_epi16(dots, _mm256_set1_epi16(1)));
    }
  };

  /// Of unsigned codes of more bits: each of two chains has its own lanes of 16 bits. They are joined in 32 bits, where
  /// what the code of zero adds goes out.
  template <class Format>
  struct WideCodeDots {
    using Register = __m256i;
    static constexpr int kChainGroups = Format::kScaleColumns / kGroupColumns / 2;
    static_assert(kChainGroups * 2 * Format::kLargestCode * 127 <= INT16_MAX, "two columns of each group in a lane");

    static Bytes operand(Bytes codes) noexcept { return codes; }
    static Register start(const ActivationBlock&, size_t) noexcept { return _mm256_setzero_si256(); }
    static Register add(Register dots, Bytes codes, Bytes columns) noexcept {
      return _mm256_add_epi16(dots, _mm256_maddubs_epi16(codes, columns));
    }
    static Register join(Register even, Register odd, const ActivationBlock& token, size_t s) noexcept {
      const __m256i ones = _mm256_set1_epi16(1);
      const __m256i dots = _mm256_add_epi32(_mm256_madd_epi16(even, ones), _mm256_madd_epi16(odd, ones));
      if constexpr (Format::kZeroCode == 0) return dots;
      else
        return _mm256_add_epi32(dots, (__m256i)weighted_sums(token.sums, sum_weights<Format>(-Format::kZeroCode, s)));
    }
    static __m256 floats(Register dots) noexcept { return _mm256_cvtepi32_ps(dots); }
  };

  /// Of signed bytes: each row in a lane of 32 bits.
  template <class Format>
  struct ByteDots {
    using Register = __m256i;
    static_assert(Format::kZeroCode == 0, "nothing is taken out");

    static Bytes operand(Bytes codes) noexcept { return codes; }
    static Register start(const ActivationBlock&, size_t) noexcept { return _mm256_setzero_si256(); }
    // |code| is unsigned and its sign goes to the activation (never -128), so 2 * 128 * 127 = 32512 is the most.
    static Register add(Register dots, Bytes codes, Bytes columns) noexcept {
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(columns, codes));
      return _mm256_add_epi32(dots, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    static Register join(Register even, Register odd, const ActivationBlock&, size_t) noexcept {
      return _mm256_add_epi32(even, odd);
    }
    static __m256 floats(Register dots) noexcept { return _mm256_cvtepi32_ps(dots); }
  };

  // ---- Bytes times whole numbers of 15 bits, for attention over a q8 cache (generic/byte_factors.h)

  static constexpr size_t kByteSums = 1;

  struct ByteOperand {
    Bytes even, odd;  // as lanes of 16 bits
  };
  static ByteOperand byte_operand(Bytes bytes) noexcept {
    return {_mm256_and_si256(bytes, _mm256_set1_epi16(0x00ff)), _mm256_srli_epi16(bytes, 8)};
  }
  /// Of four numbers the first and third go to `even`, the others to `odd`.
  static void pack_factors(const int16_t* numbers, size_t n_groups, int8_t* even, int8_t* odd,
                           int32_t (&start)[kByteSums]) noexcept {
    int32_t sum = 0;
    for (size_t group = 0; group < n_groups; ++group, numbers += kGroupBytes) {
      const int16_t first[2] = {numbers[0], numbers[2]}, second[2] = {numbers[1], numbers[3]};
      memcpy(even + group * kGroupBytes, first, sizeof first);
      memcpy(odd + group * kGroupBytes, second, sizeof second);
      sum += numbers[0] + numbers[1] + numbers[2] + numbers[3];
    }
    start[0] = -kZeroByte * sum;
  }
  static void add_bytes(Sums32 (&sums)[kByteSums], const ByteOperand& bytes, const int8_t* even,
                        const int8_t* odd) noexcept {
    const __m256i products = _mm256_add_epi32(_mm256_madd_epi16(bytes.even, broadcast_group(even)),
                                              _mm256_madd_epi16(bytes.odd, broadcast_group(odd)));
    sums[0] = add_sums(sums[0], (Sums32)products);
  }
  static __m256 byte_sums(const Sums32 (&sums)[kByteSums]) noexcept { return to_floats(sums[0]); }

  /// For the peak: a product of bytes as the 4-bit formats use it, with its addition in 16 bits.
  struct PeakMultiply : PeakRegister<Sums16> {
    static constexpr size_t kProducts = 32;
    static Sums16 step(Sums16 sum, Sums16 other) noexcept {
      return (Sums16)_mm256_add_epi16((__m256i)sum, _mm256_maddubs_epi16((__m256i)sum, (__m256i)other));
    }
  };

  enum class DotsKind { kSmall, kWideCodes, kBytes };
  template <class Format>
  static constexpr DotsKind kDotsKind = kSignedCodes<Format>        ? DotsKind::kBytes
                                        : Format::kLargestCode > 15 ? DotsKind::kWideCodes
                                                                    : DotsKind::kSmall;
  template <class Format, DotsKind kind>
  struct DotsOf {
    using Type = SmallDots<Format>;
  };
  template <class Format>
  struct DotsOf<Format, DotsKind::kWideCodes> {
    using Type = WideCodeDots<Format>;
  };
  template <class Format>
  struct DotsOf<Format, DotsKind::kBytes> {
    using Type = ByteDots<Format>;
  };
  template <class Format>
  using Dots = typename DotsOf<Format, kDotsKind<Format>>::Type;
};

}  // namespace
}  // namespace belle

// The AVX2 tier: bytes are multiplied in pairs (maddubs) and summed in 16 bits as far as a block allows.
#include "kernels/avx256.h"

#include "kernels/byte_blocks.h"

#include "kernels/wide_matmul.h"

#include "kernels/byte_chunks.h"
#include "kernels/vector_table.h"

namespace belle {
namespace {

// A Format's operations work on 8 rows, each in two lanes of 16 bits (nibbles) or one of 32 (bytes).
// 16 bits hold a whole block of nibbles: 8 groups * 2 columns * 15 * 127 = 30480.
struct Q4_0Format {
  static constexpr size_t kCodeBytes = 256, kUnitBytes = 288;
  static constexpr bool kHasMinimum = false;

  // codes[g]: columns 4g .. 4g+3 of the 8 rows of the half that starts at `half`
  static void expand(const uint8_t* half, __m256i* codes) noexcept {
    const __m256i low_nibbles = _mm256_set1_epi8(0x0f);
    for (size_t j = 0; j < 4; ++j) {
      const __m256i bytes = load_bytes(half + j * 64);
      codes[j] = _mm256_and_si256(bytes, low_nibbles);
      codes[j + 4] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_nibbles);
    }
  }

  // The offset of 8 goes out in the first lane for both: its total stays within 8 * 32 * 127 = 32512, and sums that
  // wrap on the way there do no harm.
  static __m256i first_dots(int32_t value_sum) noexcept { return _mm256_set1_epi32((-8 * value_sum) & 0xffff); }
  static __m256i add_dots(__m256i dots, __m256i codes, __m256i columns) noexcept {
    return _mm256_add_epi16(dots, _mm256_maddubs_epi16(codes, columns));
  }
  static __m256i join(__m256i even, __m256i odd) noexcept { return _mm256_add_epi16(even, odd); }
  static __m256i exact_dots(__m256i dots) noexcept { return _mm256_madd_epi16(dots, _mm256_set1_epi16(1)); }
};

struct Q4_1Format : Q4_0Format {
  static constexpr size_t kUnitBytes = 320;
  static constexpr bool kHasMinimum = true;

  static __m256i first_dots(int32_t) noexcept { return _mm256_setzero_si256(); }
};

struct Q8_0Format {
  static constexpr size_t kCodeBytes = 512, kUnitBytes = 544;
  static constexpr bool kHasMinimum = false;

  static void expand(const uint8_t* half, __m256i* codes) noexcept {
    for (size_t g = 0; g < kGroups; ++g) codes[g] = load_bytes(half + g * 64);
  }

  static __m256i first_dots(int32_t) noexcept { return _mm256_setzero_si256(); }
  // |code| is unsigned and its sign goes to the activation (never -128), so 2 * 128 * 127 = 32512 is the most.
  static __m256i add_dots(__m256i dots, __m256i codes, __m256i columns) noexcept {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(columns, codes));
    return _mm256_add_epi32(dots, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static __m256i join(__m256i even, __m256i odd) noexcept { return _mm256_add_epi32(even, odd); }
  static __m256i exact_dots(__m256i dots) noexcept { return dots; }
};

// For the peak: a product of bytes as the 4-bit formats use it, with its addition in 16 bits.
struct Multiply : Register256<Sums16> {
  static constexpr size_t kProducts = 32;
  static Sums16 step(Sums16 sum, Sums16 other) noexcept {
    return (Sums16)_mm256_add_epi16((__m256i)sum, _mm256_maddubs_epi16((__m256i)sum, (__m256i)other));
  }
};

constexpr KernelTable avx2_table() noexcept {
  KernelTable table = table_of<Q4_0Format, Q4_1Format, Q8_0Format, Multiply>("avx2", &kSlab256Kernels);
  table.wide[static_cast<size_t>(ActivationForm::kBlock32)] = &kBlock32Kernels;
  return table;
}

constexpr KernelTable kTable = avx2_table();

}  // namespace

const KernelTable* avx2_kernels() noexcept { return &kTable; }

}  // namespace belle

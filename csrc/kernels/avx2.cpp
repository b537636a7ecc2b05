// The AVX2 tier: bytes are multiplied in pairs (maddubs) and summed in 16 bits as far as a block allows.
#include "kernels/avx256.h"
#include "kernels/vector_table.h"

namespace belle {
namespace {

// A format gives the exact dots of 8 rows with the 32 activations of several tokens: dots[t], [8 rows].
// `codes` points at the half's first 32 bytes; a group's bytes are 64 apart.
struct Q4_0Format {
  static constexpr size_t kCodeBytes = 256, kUnitBytes = 288;
  static constexpr int kZeroCode = 8;
  static constexpr bool kHasMinimum = false;

  // 16 bits hold a whole block: 8 groups * 2 columns * 15 * 127 = 30480
  template <size_t tokens>
  static void block_dots(const uint8_t* codes, const int8_t* values, size_t k, __m256i* dots) noexcept {
    const __m256i low_nibbles = _mm256_set1_epi8(0x0f);
    __m256i low[4], high[4];
    for (size_t j = 0; j < 4; ++j) {
      const __m256i bytes = load_bytes(codes + j * 64);
      low[j] = _mm256_and_si256(bytes, low_nibbles);
      high[j] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_nibbles);
    }
    for (size_t t = 0; t < tokens; ++t) {
      const int8_t* columns = values + t * k;
      __m256i sum = _mm256_setzero_si256();
      for (size_t j = 0; j < 4; ++j) {
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(low[j], broadcast_group(columns + 4 * j)));
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(high[j], broadcast_group(columns + 4 * j + 16)));
      }
      dots[t] = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
    }
  }
};

struct Q4_1Format : Q4_0Format {
  static constexpr size_t kUnitBytes = 320;
  static constexpr int kZeroCode = 0;
  static constexpr bool kHasMinimum = true;
};

struct Q8_0Format {
  static constexpr size_t kCodeBytes = 512, kUnitBytes = 544;
  static constexpr int kZeroCode = 0;
  static constexpr bool kHasMinimum = false;

  // |code| is unsigned and its sign goes to the activation (never -128), so 2 * 128 * 127 = 32512 is the most.
  template <size_t tokens>
  static void block_dots(const uint8_t* codes, const int8_t* values, size_t k, __m256i* dots) noexcept {
    const __m256i ones = _mm256_set1_epi16(1);
    for (size_t t = 0; t < tokens; ++t) dots[t] = _mm256_setzero_si256();
    for (size_t g = 0; g < kGroups; ++g) {
      const __m256i bytes = load_bytes(codes + g * 64);
      const __m256i magnitudes = _mm256_abs_epi8(bytes);
      for (size_t t = 0; t < tokens; ++t) {
        const __m256i columns = _mm256_sign_epi8(broadcast_group(values + t * k + 4 * g), bytes);
        const __m256i pairs = _mm256_maddubs_epi16(magnitudes, columns);
        dots[t] = _mm256_add_epi32(dots[t], _mm256_madd_epi16(pairs, ones));
      }
    }
  }
};

constexpr KernelTable kTable = table_of<Q4_0Format, Q4_1Format, Q8_0Format>("avx2");

}  // namespace

const KernelTable* avx2_kernels() noexcept { return &kTable; }

}  // namespace belle

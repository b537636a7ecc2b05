// The AVX-VNNI tier: 256-bit vectors, four byte products summed into 32 bits by one instruction.
#include "kernels/avx256.h"
#include "kernels/vector_table.h"

namespace belle {
namespace {

// A format gives the exact dots of 8 rows with the 32 activations of several tokens: dots[t], [8 rows].
// `codes` points at the half's first 32 bytes; a group's bytes are 64 apart.
// vpdpbusd wants unsigned codes, so each format gives them with an offset that the sum of the activations takes out.
template <size_t tokens>
inline void dots_of_codes(const __m256i* codes, const int8_t* values, size_t k, __m256i* dots) noexcept {
  for (size_t t = 0; t < tokens; ++t) {
    const int8_t* columns = values + t * k;
    __m256i even = _mm256_setzero_si256(), odd = _mm256_setzero_si256();  // two chains halve the latency
    for (size_t g = 0; g < kGroups; g += 2) {
      even = _mm256_dpbusd_avx_epi32(even, codes[g], broadcast_group(columns + 4 * g));
      odd = _mm256_dpbusd_avx_epi32(odd, codes[g + 1], broadcast_group(columns + 4 * g + 4));
    }
    dots[t] = _mm256_add_epi32(even, odd);
  }
}

struct Q4_0Format {
  static constexpr size_t kCodeBytes = 256, kUnitBytes = 288;
  static constexpr int kZeroCode = 8;
  static constexpr bool kHasMinimum = false;

  template <size_t tokens>
  static void block_dots(const uint8_t* codes, const int8_t* values, size_t k, __m256i* dots) noexcept {
    const __m256i low_nibbles = _mm256_set1_epi8(0x0f);
    __m256i groups[kGroups];
    for (size_t j = 0; j < 4; ++j) {
      const __m256i bytes = load_bytes(codes + j * 64);
      groups[j] = _mm256_and_si256(bytes, low_nibbles);
      groups[j + 4] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_nibbles);
    }
    dots_of_codes<tokens>(groups, values, k, dots);
  }
};

struct Q4_1Format : Q4_0Format {
  static constexpr size_t kUnitBytes = 320;
  static constexpr int kZeroCode = 0;
  static constexpr bool kHasMinimum = true;
};

struct Q8_0Format {
  static constexpr size_t kCodeBytes = 512, kUnitBytes = 544;
  static constexpr int kZeroCode = 128;
  static constexpr bool kHasMinimum = false;

  template <size_t tokens>
  static void block_dots(const uint8_t* codes, const int8_t* values, size_t k, __m256i* dots) noexcept {
    const __m256i sign_bits = _mm256_set1_epi8(static_cast<char>(0x80));
    __m256i groups[kGroups];
    for (size_t g = 0; g < kGroups; ++g) groups[g] = _mm256_xor_si256(load_bytes(codes + g * 64), sign_bits);
    dots_of_codes<tokens>(groups, values, k, dots);
  }
};

constexpr KernelTable kTable = table_of<Q4_0Format, Q4_1Format, Q8_0Format>("avxvnni");

}  // namespace

const KernelTable* avxvnni_kernels() noexcept { return &kTable; }

}  // namespace belle

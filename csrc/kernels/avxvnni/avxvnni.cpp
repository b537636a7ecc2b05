// The AVX-VNNI tier: 256-bit vectors, four byte products summed into 32 bits by one instruction.
#include "kernels/avx256.h"

#include "kernels/avx256_words.h"

namespace belle {
namespace {

constexpr size_t kSlabTokens = 6;   // of a tile of slabs, with
constexpr size_t kTileVectors = 2;  // the vectors of one panel: 12 sums, 2 vectors of weights, activations
constexpr size_t kWordQueries = 6, kWordVectors = 2;  // of a tile of attention: the same

inline Sums32 load_sums(const int32_t* from) noexcept {
  return (Sums32)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline void store_sums(int32_t* to, Sums32 sums) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)sums);
}
inline Sums32 negative(Sums32 sums) noexcept { return (Sums32)_mm256_sub_epi32(_mm256_setzero_si256(), (__m256i)sums); }
inline Vector to_floats(Sums32 sums) noexcept { return _mm256_cvtepi32_ps((__m256i)sums); }

// sums + the products of four unsigned and four signed bytes in each lane
inline Sums32 add_products(Sums32 sums, __m256i unsigned_bytes, __m256i signed_bytes) noexcept {
  return (Sums32)_mm256_dpbusd_avx_epi32((__m256i)sums, unsigned_bytes, signed_bytes);
}

// sums + the products of two pairs of words in each lane
inline Sums32 add_word_products(Sums32 sums, Bytes a, Bytes b) noexcept {
  return (Sums32)_mm256_dpwssd_avx_epi32((__m256i)sums, a, b);
}

}  // namespace
}  // namespace belle

#include "kernels/slab_expand.h"

#include "kernels/wide_matmul.h"

#include "kernels/vector_table.h"

namespace belle {
namespace {

// n columns of the tokens of a tile -> [group of 4 columns][token][4], plus 128; n is a multiple of 32.
inline void pack_groups(const int8_t (*values)[kSlabColumns], size_t n, uint8_t* out) noexcept {
  for (size_t token = 0; token < kSlabTokens; ++token) {
    for (size_t at = 0; at < n; at += kGroupColumns) {
      uint32_t group;
      memcpy(&group, values[token] + at, sizeof group);
      group ^= 0x80808080u;
      memcpy(out + at * kSlabTokens + token * kGroupColumns, &group, sizeof group);
    }
  }
}

}  // namespace
}  // namespace belle

#include "kernels/vnni_slab.h"

#include "kernels/wide_attention.h"

#include "kernels/word_attention.h"

namespace belle {
namespace {

// A Format's operations work on 8 rows. vpdpbusd wants unsigned codes, so each format gives them with an offset that
// the sum of the activations takes out at the start.
struct UnsignedCodes {
  static __m256i add_dots(__m256i dots, __m256i codes, __m256i columns) noexcept {
    return _mm256_dpbusd_avx_epi32(dots, codes, columns);
  }
  static __m256i join(__m256i even, __m256i odd) noexcept { return _mm256_add_epi32(even, odd); }
  static __m256i exact_dots(__m256i dots) noexcept { return dots; }
};

struct Q4_0Format : UnsignedCodes {
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

  static __m256i first_dots(int32_t value_sum) noexcept { return _mm256_set1_epi32(-8 * value_sum); }
};

struct Q4_1Format : Q4_0Format {
  static constexpr size_t kUnitBytes = 320;
  static constexpr bool kHasMinimum = true;

  static __m256i first_dots(int32_t) noexcept { return _mm256_setzero_si256(); }
};

struct Q8_0Format : UnsignedCodes {
  static constexpr size_t kCodeBytes = 512, kUnitBytes = 544;
  static constexpr bool kHasMinimum = false;

  static void expand(const uint8_t* half, __m256i* codes) noexcept {
    const __m256i sign_bits = _mm256_set1_epi8(static_cast<char>(0x80));
    for (size_t g = 0; g < kGroups; ++g) codes[g] = _mm256_xor_si256(load_bytes(half + g * 64), sign_bits);
  }

  static __m256i first_dots(int32_t value_sum) noexcept { return _mm256_set1_epi32(-128 * value_sum); }
};

// For the peak
struct Multiply : Register256<Sums32> {
  static constexpr size_t kProducts = 32;
  static Sums32 step(Sums32 sum, Sums32 other) noexcept { return add_products(sum, (__m256i)other, (__m256i)other); }
};

constexpr KernelTable kTable =
    table_of<Q4_0Format, Q4_1Format, Q8_0Format, Multiply>("avxvnni", &kSlab256Kernels, nullptr, &kWideAttention);

}  // namespace

const KernelTable* avxvnni_kernels() noexcept { return &kTable; }

}  // namespace belle

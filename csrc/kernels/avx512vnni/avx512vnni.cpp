// The AVX-512 VNNI tier: four byte products of 16 rows summed into 32 bits by one instruction.
#include "kernels/avx512.h"
#include "kernels/avx512_formats.h"

#include "kernels/avx512_words.h"

#include "kernels/slab_expand.h"

#include "kernels/wide_matmul.h"

#include "kernels/vector_table.h"
namespace belle {
namespace {

constexpr size_t kSlabTokens = 4;                     // of a tile of slabs, with
constexpr size_t kTileVectors = 4;                    // panels: 16 sums, 4 vectors of weights, activations
constexpr size_t kWordQueries = 8, kWordVectors = 2;  // of a tile of attention: 16 sums, 2 vectors of keys or values

// n columns of the four tokens of a tile -> [group of 4 columns][token][4], plus 128; n is a multiple of 32.
inline void pack_groups(const int8_t (*values)[kSlabColumns], size_t n, uint8_t* out) noexcept {
  const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  for (size_t at = 0; at < n; at += 16) {
    const auto token = [&](size_t i) noexcept {
      return _mm_load_si128(reinterpret_cast<const __m128i*>(values[i] + at));
    };
    const __m256i first = _mm256_inserti128_si256(_mm256_castsi128_si256(token(0)), token(1), 1);
    const __m256i second = _mm256_inserti128_si256(_mm256_castsi128_si256(token(2)), token(3), 1);
    const __m512i all = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    const __m512i groups = _mm512_permutexvar_epi32(in_order, all);
    store_bytes(out + at * kSlabTokens, _mm512_xor_si512(groups, _mm512_set1_epi8(static_cast<char>(0x80))));
  }
}

}  // namespace
}  // namespace belle

#include "kernels/vnni_slab.h"

#include "kernels/wide_attention.h"

#include "kernels/word_attention.h"

namespace belle {
namespace {

constexpr KernelTable kTable =
    table_of<Q4_0Format, Q4_1Format, Q8_0Format, Multiply>("avx512vnni", &kSlab256Kernels, nullptr, &kWideAttention);

}  // namespace

const KernelTable* avx512vnni_kernels() noexcept { return &kTable; }

}  // namespace belle

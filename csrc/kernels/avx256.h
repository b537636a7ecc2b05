// Everything that the two 256-bit tiers share: a panel's 16 rows are two vectors of 8 lanes, activations come in by
// broadcast. The tiers differ in how they multiply bytes: a Format's operations (see avx2.cpp and avxvnni.cpp).
// Everything stays inside the including file's anonymous namespace.
#pragma once

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/isa.h"

#include "kernels/activation_order.h"
#include "kernels/avx2_vector.h"
#include "kernels/compiler.h"
#include "kernels/token_tiles.h"
#include "kernels/vector_attention.h"
#include "kernels/vector_rows.h"

namespace belle {
namespace {

constexpr size_t kMaxTokens = 4;       // tokens per tile of the quantized types, straight from the panels
constexpr size_t kMaxFloatTokens = 3;  // two halves, even and odd columns: 12 of the 16 registers
constexpr size_t kHalves = 2;          // vectors that make a panel's 16 rows
constexpr size_t kHalfBytes = 32;      // of a group's 64 bytes
constexpr size_t kGroups = 8;          // groups of 4 neighbouring columns in a block of 32

// Integer sums of 8 rows, in lanes of 32 bits or of 16. For GCC types of their own: as __m256i, four lanes of 64 bits
// to it, the sums of a loop would be copied from register to register and to memory with every product.
#if defined(__GNUC__)
typedef int32_t Sums32 __attribute__((vector_size(32)));
typedef int16_t Sums16 __attribute__((vector_size(32)));
#else
using Sums32 = __m256i;
using Sums16 = __m256i;
#endif

using Bytes = __m256i;

// For the peak: registers of a tier's sums.
template <class Sums>
struct Register256 {
  using Register = Sums;
  static Sums fill(int32_t value) noexcept { return (Sums)_mm256_set1_epi32(value); }
  static int32_t first(Sums v) noexcept { return _mm_cvtsi128_si32(_mm256_castsi256_si128((__m256i)v)); }
};

inline __m256i load_bytes(const uint8_t* from) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

inline __m256i broadcast_group(const int8_t* values) noexcept {
  int32_t four_values;
  memcpy(&four_values, values, sizeof four_values);
  return _mm256_set1_epi32(four_values);
}

/// In each lane of 32 bits the bits of `mask` from `first_bit` on, as an unsigned number.
inline Vector bits_as_floats(Bytes lanes, size_t first_bit, int32_t mask) noexcept {
  const __m256i shifted = _mm256_srl_epi32(lanes, _mm_cvtsi32_si128(static_cast<int>(first_bit)));
  return _mm256_cvtepi32_ps(_mm256_and_si256(shifted, _mm256_set1_epi32(mask)));
}
/// In each lane of 32 bits one byte, as a signed number.
inline Vector byte_as_floats(Bytes lanes, size_t byte) noexcept {
  const __m256i highest = _mm256_sll_epi32(lanes, _mm_cvtsi32_si128(static_cast<int>(24 - 8 * byte)));
  return _mm256_cvtepi32_ps(_mm256_srai_epi32(highest, 24));
}

// sums: [2 halves of 8 rows]
inline void store_rows(float* y, size_t n_rows, const Vector* sums) noexcept {
  for (size_t half = 0; half < kHalves; ++half) {
    const size_t row = half * kLanes;
    if (n_rows >= row + kLanes) store(y + row, sums[half], AllLanes{});
    else if (n_rows > row) store(y + row, sums[half], FirstLanes{n_rows - row});
  }
}

// sums: [tokens][2 halves of 8 rows]
template <size_t tokens>
inline void store_tile(const TileArgs& args, const Vector (*sums)[kHalves]) noexcept {
  float* y = args.matmul->y + args.first_token * args.matmul->y_stride + args.first_row;
  for (size_t t = 0; t < tokens; ++t) store_rows(y + t * args.matmul->y_stride, args.n_rows, sums[t]);
}

}  // namespace
}  // namespace belle

#include "kernels/chunked_matmul.h"

namespace belle {
namespace {

// sums[t] += one block of one half for every token of the tile, [tokens][8 rows].
template <class Format, size_t tokens>
inline void add_block(const uint8_t* unit, size_t half, const ActivationBlock* activations,
                      Vector (*sums)[kHalves]) noexcept {
  const uint16_t* d_halves = reinterpret_cast<const uint16_t*>(unit + Format::kCodeBytes) + half * kLanes;  // then m
  __m256i codes[kGroups];
  Format::expand(unit + half * kHalfBytes, codes);
  const Vector d = load(d_halves, AllLanes{});
  for (size_t t = 0; t < tokens; ++t, ++activations) {
    const int8_t* values = activations->values;
    __m256i even = Format::first_dots(activations->sum), odd = _mm256_setzero_si256();  // two chains halve the latency
    for (size_t g = 0; g < kGroups; g += 2) {
      even = Format::add_dots(even, codes[g], broadcast_group(values + 4 * g));
      odd = Format::add_dots(odd, codes[g + 1], broadcast_group(values + 4 * g + 4));
    }
    const Vector exact = _mm256_cvtepi32_ps(Format::exact_dots(Format::join(even, odd)));
    sums[t][half] = multiply_add(exact, multiply(d, broadcast(activations->scale)), sums[t][half]);
    if constexpr (Format::kHasMinimum) {
      const Vector weighted = broadcast(activations->scale * static_cast<float>(activations->sum));
      sums[t][half] = multiply_add(load(d_halves + kPanelRows, AllLanes{}), weighted, sums[t][half]);
    }
  }
}

template <class Format>
struct Quantized {
  template <size_t tokens>
  struct Tile {
    // The halves [begin, end) of every block, in one pass over the panel.
    template <size_t begin, size_t end>
    static inline void walk(const TileArgs& args, Vector (*sums)[kHalves]) noexcept {
      const size_t n_blocks = args.matmul->k / kBlockSize;
      const ActivationRow row = activation_row(args.matmul->n_tokens, n_blocks, args.first_token);
      const ActivationBlock* activations = args.matmul->blocks + row.first;
      for (size_t block = 0; block < n_blocks; ++block, activations += row.stride) {
        const uint8_t* unit = args.panel + block * Format::kUnitBytes;
        if constexpr (begin == 0) prefetch_unit<Format::kUnitBytes>(unit, args.matmul->read_ahead);
        for (size_t half = begin; half < end; ++half) {
          add_block<Format, tokens>(unit, half, activations, sums);
        }
      }
    }

    // One token reads the panel once, as a stream. Several have no registers for both halves: the second pass
    // finds the panel in the cache.
    static void run(const TileArgs& args) noexcept {
      Vector sums[tokens][kHalves];
      for (size_t t = 0; t < tokens; ++t) sums[t][0] = sums[t][1] = zeros();
      if constexpr (tokens == 1) {
        walk<0, 2>(args, sums);
      } else {
        walk<0, 1>(args, sums);
        walk<1, 2>(args, sums);
      }
      store_tile<tokens>(args, sums);
    }
  };
};

template <class Format>
void quantized_matmul(const PanelMatmul& args) noexcept {
  if (args.n_tokens > kMaxTokens) return chunked_matmul<Format>(args);
  run_matmul<Quantized<Format>::template Tile, kMaxTokens>(args, args.k / kBlockSize * Format::kUnitBytes, args.k);
}

struct F32Element {
  static constexpr size_t kBytes = 4;
  static Vector rows(const uint8_t* from) noexcept { return load(reinterpret_cast<const float*>(from), AllLanes{}); }
};

struct F16Element {
  static constexpr size_t kBytes = 2;
  static Vector rows(const uint8_t* from) noexcept { return load(reinterpret_cast<const uint16_t*>(from), AllLanes{}); }
};

struct Bf16Element {
  static constexpr size_t kBytes = 2;
  static Vector rows(const uint8_t* from) noexcept {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
};

// sums[t] += x[t * k] * (16 rows of one column)
template <class Element, size_t tokens>
inline void add_column(const uint8_t* column, const float* x, size_t k, Vector (*sums)[kHalves]) noexcept {
  const Vector low = Element::rows(column), high = Element::rows(column + kLanes * Element::kBytes);
  for (size_t t = 0; t < tokens; ++t) {
    const Vector activation = broadcast(x[t * k]);
    sums[t][0] = multiply_add(low, activation, sums[t][0]);
    sums[t][1] = multiply_add(high, activation, sums[t][1]);
  }
}

// Two sums per row, over the even and the odd columns, for every tile size: one alone would wait for its latency.
template <class Element>
struct Float {
  template <size_t tokens>
  struct Tile {
    static void run(const TileArgs& args) noexcept {
      constexpr size_t kColumnBytes = kPanelRows * Element::kBytes;
      const size_t k = args.matmul->k;
      const float* x = args.matmul->x + args.first_token * k;  // [tokens, k]
      Vector even[tokens][kHalves], odd[tokens][kHalves];
      for (size_t t = 0; t < tokens; ++t) even[t][0] = even[t][1] = odd[t][0] = odd[t][1] = zeros();
      size_t col = 0;
      for (; col + 2 <= k; col += 2) {
        const uint8_t* column = args.panel + col * kColumnBytes;
        prefetch_unit<2 * kColumnBytes>(column, args.matmul->read_ahead);
        add_column<Element, tokens>(column, x + col, k, even);
        add_column<Element, tokens>(column + kColumnBytes, x + col + 1, k, odd);
      }
      if (col < k) add_column<Element, tokens>(args.panel + col * kColumnBytes, x + col, k, even);
      for (size_t t = 0; t < tokens; ++t) {
        for (size_t half = 0; half < kHalves; ++half) even[t][half] = add(even[t][half], odd[t][half]);
      }
      store_tile<tokens>(args, even);
    }
  };
};

template <class Element>
void float_matmul(const PanelMatmul& args) noexcept {
  const size_t panel_stride_bytes = args.k * kPanelRows * Element::kBytes;
  run_matmul<Float<Element>::template Tile, kMaxFloatTokens>(args, panel_stride_bytes, args.k * sizeof(float));
}

// ---- Activations

// Largest magnitude of n (a multiple of 32) floats, as bits: those of NaN and infinity are larger than any number's.
inline int32_t largest_bits(const float* x, size_t n) noexcept {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i largest = _mm256_setzero_si256();
  for (size_t i = 0; i < n; i += kLanes) {
    largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + i)), magnitude));
  }
  __m128i four = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return _mm_cvtsi128_si32(four);
}

inline int32_t sum_lanes(__m256i v) noexcept {
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

// 32 floats times `inverse`, rounded; zeros if they are not usable. Returns the sum.
inline int32_t quantize_block(const float* x, Vector inverse, bool usable, int8_t* values) noexcept {
  const __m256i lanes = _mm256_set1_epi32(usable ? -1 : 0);
  __m256i quarters[4];
  for (size_t i = 0; i < 4; ++i) {
    const Vector scaled = multiply(_mm256_loadu_ps(x + i * kLanes), inverse);
    quarters[i] = _mm256_and_si256(_mm256_cvtps_epi32(scaled), lanes);
  }
  const __m256i first = _mm256_packs_epi32(quarters[0], quarters[1]);
  const __m256i second = _mm256_packs_epi32(quarters[2], quarters[3]);
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing works within 128-bit lanes
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second), in_order);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(values), bytes);
  return sum_lanes(_mm256_madd_epi16(_mm256_add_epi16(first, second), _mm256_set1_epi16(1)));
}

}  // namespace
}  // namespace belle

#include "kernels/quantize_activations.h"
